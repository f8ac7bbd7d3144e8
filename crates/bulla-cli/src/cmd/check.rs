//! `bulla check`: what is wrong with templates, as far as it shows without a key.

mod advice;
mod report;
mod vault;

use std::path::PathBuf;

use bulla_resolve::{Check, Format, Kind, Problem, Rule};

use super::Done;
use super::render::{formats, several};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::manifest::{Config, Plan};
use crate::templates::look_at;

#[derive(clap::Args)]
pub(crate) struct CheckArgs {
    /// Templates, or folders of them; `-` is standard input
    #[arg(value_name = "FILE|DIR")]
    templates: Vec<PathBuf>,
    #[command(flatten)]
    config: Config,
    /// The format of the templates [default: by name and content]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
    /// Leave out findings of this rule, such as no-tls
    #[arg(long, value_name = "RULE", value_parser = rule)]
    allow: Vec<Rule>,
    /// The form of the report
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    report: Form,
    /// Open the vault and see whether everything that the templates ask for is there
    #[arg(long)]
    with_vault: bool,
}

/// The form of a report.
#[derive(Clone, Copy, Default, Eq, PartialEq, clap::ValueEnum)]
enum Form {
    /// For people, a line each
    #[default]
    Text,
    /// Lines of JSON
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// GitLab's code quality report
    Gitlab,
    /// JUnit's XML
    Junit,
}

/// Something that was found, as reports tell it.
struct Finding {
    rule: Rule,
    level: Level,
    /// Where it is: file, line and column. What is about the vault is in no file.
    place: Option<(String, usize, usize)>,
    what: String,
    /// What to write instead.
    instead: String,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Level {
    Error,
    Warning,
    Note,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }

    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Note => Self::Note,
            Kind::Warning => Self::Warning,
            _ => Self::Error,
        }
    }
}

impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        let instead = advice::instead(&problem);
        let Problem { rule, kind, file, line, column, what, .. } = problem;
        Self { rule, level: Level::of(kind), place: Some((file, line, column)), what, instead }
    }
}

/// All that a report tells.
struct Findings {
    /// The names of the files that were looked at.
    files: Vec<String>,
    findings: Vec<Finding>,
    /// What could not be looked at.
    failures: Vec<Failure>,
}

pub(crate) fn run(context: &Context, args: &CheckArgs) -> Done {
    let Plan { context, jobs, mut failures, mut allow, .. } =
        Plan::of(context, &args.templates, args.format, &args.config)?;
    let context = &context;
    allow.extend(&args.allow);
    let (checks, unread) = look_at(&jobs, |job, name, bytes| {
        let is_blank = !job.found && bytes.iter().all(u8::is_ascii_whitespace);
        (name.to_owned(), is_blank, Check::of(name, bytes, job.format))
    });
    failures.extend(unread);
    let mut all = Findings { files: Vec::new(), findings: Vec::new(), failures };
    let mut uses = Vec::new();
    for (name, is_blank, check) in checks {
        if is_blank {
            all.findings.push(empty(&name));
        }
        all.findings.extend(check.findings.into_iter().map(Finding::from));
        uses.extend(check.uses.into_iter().map(|used| (all.files.len(), used)));
        all.files.push(name);
    }
    if args.with_vault {
        let found = vault::findings(context, &all.files, uses)?;
        all.findings.extend(found);
    }
    all.findings.retain(|finding| !allow.contains(&finding.rule));
    let form =
        if context.printer.json && args.report == Form::Text { Form::Json } else { args.report };
    context.printer.data(report::write(form, context.printer.out_is_terminal, &all).as_bytes())?;
    done(context, all)
}

/// A template that was named and holds nothing: most likely what was to fill it failed.
fn empty(name: &str) -> Finding {
    Finding {
        rule: Rule::EmptyTemplate,
        level: Level::Warning,
        place: Some((name.to_owned(), 1, 1)),
        what: "the template is empty".to_owned(),
        instead: advice::of_rule(Rule::EmptyTemplate).to_owned(),
    }
}

fn done(context: &Context, all: Findings) -> Done {
    let wrong = all.findings.iter().filter(|finding| finding.level != Level::Note).count();
    let plural = |count: usize, word: &str| match count {
        1 => format!("1 {word}"),
        _ => format!("{count} {word}s"),
    };
    context.printer.note(format_args!(
        "{} checked, {}",
        plural(all.files.len(), "file"),
        plural(wrong, "finding")
    ));
    let found = if wrong > 0 { Exit::Findings } else { Exit::Done };
    if all.failures.is_empty() {
        return Ok(found);
    }
    let mut failure = several(context, all.failures);
    if wrong > 0 {
        failure.exit = Exit::worst([failure.exit, found]);
    }
    Err(failure)
}

pub(crate) fn rule(text: &str) -> Result<Rule, String> {
    let found = Rule::ALL.iter().copied().find(|rule| rule.name() == text);
    found.ok_or_else(|| {
        let names = Rule::ALL.iter().map(|rule| rule.name());
        match crate::source::closest(text, names).first() {
            Some(near) => format!("no such rule; is it `{near}`?"),
            None => "no such rule; `--report sarif` lists them all".to_owned(),
        }
    })
}
