//! `bulla refs`: everything that templates ask for, and where.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bulla_resolve::{
    Format, Kind, Origin, Pin, Problem, Reference, Template, Use, without_secrets,
};
use serde_json::{Value, json};

use super::Done;
use super::render::{formats, several};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::manifest::{Config, Plan};
use crate::printer::escaped;
use crate::templates::look_at;

#[derive(clap::Args)]
pub(crate) struct RefsArgs {
    /// Templates, or folders of them; `-` is standard input
    #[arg(value_name = "FILE|DIR")]
    templates: Vec<PathBuf>,
    #[command(flatten)]
    config: Config,
    /// The format of the templates [default: by name and content]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
}

/// What one template asks for, and what keeps that from being known for sure.
struct Asked {
    file: String,
    uses: Vec<Use>,
    problems: Vec<Problem>,
}

pub(crate) fn run(context: &Context, args: &RefsArgs) -> Done {
    let Plan { jobs, mut failures, .. } =
        Plan::of(context, &args.templates, args.format, &args.config)?;
    let (asked, unread) = look_at(&jobs, context.printer.quiet, |job, name, bytes| {
        let template = Template::parse(name, bytes, job.format);
        // A secret in clear asks for nothing.
        let problems = template.problems().iter().filter(|problem| problem.kind != Kind::Finding);
        Asked {
            file: name.to_owned(),
            uses: template.uses(),
            problems: problems.cloned().collect(),
        }
    });
    failures.extend(unread);
    failures.extend(asked.iter().flat_map(|asked| &asked.problems).cloned().map(Failure::from));
    print(context, &asked)?;
    if failures.is_empty() { Ok(Exit::Done) } else { Err(several(context, failures)) }
}

/// Prints each reference once, in order, with all of its places.
fn print(context: &Context, asked: &[Asked]) -> Result<(), Failure> {
    let mut references: BTreeMap<&Reference, Vec<(&str, &Use, bool)>> = BTreeMap::new();
    for Asked { file, uses, .. } in asked {
        for used in uses {
            let mut add = |reference, alone| {
                references.entry(reference).or_default().push((file, used, alone));
            };
            add(&used.reference, used.alternative.is_none());
            if let Some(alternative) = &used.alternative {
                add(alternative, false);
            }
        }
    }
    let mut out = String::new();
    for (reference, places) in &references {
        if context.printer.json {
            out += &format!("{}\n", line(reference, places));
            continue;
        }
        out += &format!("{}\n", without_secrets(&reference.to_string()));
        for (file, used, alone) in places {
            let file = escaped(file).replace('\n', "\\n");
            out += &format!("    {file}:{}:{}: {}\n", used.line, used.column, how(used, *alone));
        }
    }
    context.printer.data(out.as_bytes())
}

fn how(used: &Use, alone: bool) -> String {
    let mut how = match &used.origin {
        Origin::Filled { section, option } => {
            format!("fills {} of [{}]", escaped(option), escaped(section))
        }
        _ => "written".to_owned(),
    };
    if used.optional {
        how += ", optional";
    }
    if !alone {
        how += ", or another one";
    }
    how.replace('\n', "\\n")
}

fn line(reference: &Reference, places: &[(&str, &Use, bool)]) -> Value {
    let place = |(file, used, alone): &(&str, &Use, bool)| {
        let (how, section, option) = match &used.origin {
            Origin::Filled { section, option } => ("filled", Some(section), Some(option)),
            _ => ("written", None, None),
        };
        json!({
            "file": file, "line": used.line, "column": used.column, "how": how,
            "section": section, "option": option, "required": *alone && !used.optional,
        })
    };
    let (version, life) = match reference.pin() {
        Some(Pin::Version(version)) => (Some(version), None),
        Some(Pin::Life(seconds)) => (None, Some(seconds)),
        _ => (None, None),
    };
    json!({
        "reference": without_secrets(&reference.to_string()),
        "entry": without_secrets(reference.entry()),
        "field": without_secrets(reference.field()),
        "version": version,
        "least-life": life,
        "places": places.iter().map(place).collect::<Vec<_>>(),
    })
}
