//! `bulla diff`: what rendering would change, without a value.

use std::path::{Path, PathBuf};

use bulla_resolve::{Diff, Piece, Row, Rule, Sign, Source, Template, diff, without_secrets};
use serde_json::{Value, json};

use super::Done;
use super::render::{Nothing, Reading, Targets, plan, read, several, shown};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::manifest::Plan;
use crate::printer::escaped;
use crate::session::with_vault;
use crate::source::VaultSource;
use crate::templates::{Job, look_at};
use crate::tokens::Tokens;

#[derive(clap::Args)]
#[command(mut_arg("output", |arg| arg.help("The file to compare the one rendering with")))]
#[command(mut_arg("into", |arg| arg.help("Compare each rendering with the file of its name in this folder")))]
pub(crate) struct DiffArgs {
    /// Templates, or folders of them; `-` is standard input
    #[arg(value_name = "FILE|DIR")]
    templates: Vec<PathBuf>,
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    reading: Reading,
    /// Exit with 9 if anything differs
    #[arg(long)]
    exit_code: bool,
}

/// A template, and the file that its rendering would replace.
struct Pair<'j> {
    template: Template,
    target: &'j Path,
    /// Nothing where there is no such file yet.
    old: Option<zeroize::Zeroizing<Vec<u8>>>,
}

pub(crate) fn run(context: &Context, args: &DiffArgs) -> Done {
    let Targets { into, .. } = &args.targets;
    let plan = plan(context, &args.templates, &args.targets, into.as_deref(), args.reading.format)?;
    let Plan { context, jobs, mut failures, mut allow, .. } = plan;
    allow.extend(&args.reading.allow);
    let context = &context;
    if jobs.iter().any(|job| job.target.is_none()) {
        return Err(Failure::usage("nothing says with which file to compare")
            .hint("--output FILE or --into DIR, as for `bulla render`"));
    }
    let (pairs, unread) = look_at(&jobs, context.printer.quiet, pair);
    failures.extend(unread);
    let (pairs, unread): (Vec<_>, Vec<_>) = pairs.into_iter().partition(Result::is_ok);
    failures.extend(unread.into_iter().filter_map(Result::err));
    if !failures.is_empty() {
        return Err(several(context, failures));
    }
    let pairs: Vec<_> = pairs.into_iter().filter_map(Result::ok).collect();
    let diffs = diffs(context, &pairs, &allow)?;
    let mut differ = 0;
    for (pair, diff) in pairs.iter().zip(&diffs) {
        differ += usize::from(diff.differs);
        if context.printer.json {
            context.printer.value(&line(pair, diff))?;
        } else if diff.differs {
            print(context, pair, diff)?;
        }
    }
    let plural = if diffs.len() == 1 { "file" } else { "files" };
    context.printer.note(format_args!("{differ} of {} {plural} would change", diffs.len()));
    Ok(if args.exit_code && differ > 0 { Exit::Findings } else { Exit::Done })
}

fn pair<'j>(job: &'j Job, name: &str, bytes: Vec<u8>) -> Result<Pair<'j>, Failure> {
    let template = Template::parse(name, bytes, job.format);
    let target = job.target.as_deref().unwrap_or(&job.source);
    let old = match target.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Failure::file("read", target, &error)),
        Ok(metadata) if metadata.is_symlink() => {
            let fact = format!("{} is a symbolic link, which is not replaced", target.display());
            return Err(Failure::new(Exit::Failed, "write", fact));
        }
        Ok(_) => Some(zeroize::Zeroizing::new(read(target)?)),
    };
    Ok(Pair { template, target, old })
}

/// Compares all pairs with one state of the vault, which is opened only if there is something to ask.
fn diffs(context: &Context, pairs: &[Pair<'_>], allow: &[Rule]) -> Result<Vec<Diff>, Failure> {
    if pairs.iter().all(|pair| pair.template.closure().is_empty()) {
        return compare(context, pairs, allow, &Nothing);
    }
    with_vault(context, |vault| {
        let templates = pairs.iter().map(|pair| &pair.template);
        let tokens = Tokens::fetch(context, vault, templates)?;
        compare(context, pairs, allow, &VaultSource::new(&vault.read()?, Some(tokens)))
    })
}

fn compare(
    context: &Context,
    pairs: &[Pair<'_>],
    allow: &[Rule],
    source: &dyn Source,
) -> Result<Vec<Diff>, Failure> {
    let (mut diffs, mut failures) = (Vec::with_capacity(pairs.len()), Vec::new());
    for Pair { template, old, .. } in pairs {
        match bulla_resolve::render(std::slice::from_ref(template), source, allow) {
            Err(problems) => failures.extend(problems.into_iter().map(Failure::from)),
            Ok(renderings) => {
                let is_new = old.is_none();
                let old = old.as_ref().map_or(&[][..], |old| old.as_slice());
                diffs.extend(renderings.iter().map(|new| {
                    let diff = diff(template, new, old, source);
                    // Even an empty file is one more.
                    Diff { differs: diff.differs || is_new, ..diff }
                }));
            }
        }
    }
    if failures.is_empty() { Ok(diffs) } else { Err(several(context, failures)) }
}

/// How many lines around a change are shown.
const AROUND: usize = 3;

/// The diff in the manner of unified ones. Lines are counted in the template on both sides: to count
/// those of the file would tell how many lines a secret has.
fn print(context: &Context, pair: &Pair<'_>, diff: &Diff) -> Result<(), Failure> {
    let name = |path: &str| escaped(path).replace('\n', "\\n");
    let target = name(&shown(pair.target));
    let old = if pair.old.is_some() { target.as_str() } else { "/dev/null" };
    let template = name(pair.template.name());
    let mut out = format!("--- {old}\n+++ {target}\n");
    let near = |index: usize| {
        let around = index.saturating_sub(AROUND)..(index + AROUND + 1).min(diff.rows.len());
        diff.rows[around].iter().any(|row| row.sign != Sign::Same)
    };
    let mut inside = false;
    for (index, row) in diff.rows.iter().enumerate() {
        if !near(index) {
            inside = false;
            continue;
        }
        if !inside {
            out += &format!("@@ {template}:{} @@\n", row.line);
            inside = true;
        }
        let sign = match row.sign {
            Sign::Added => '+',
            Sign::Removed => '-',
            Sign::Same => ' ',
        };
        out += &format!("{sign}{}\n", text(row));
    }
    context.printer.data(out.as_bytes())
}

fn text(row: &Row) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Hidden => "<not shown>".to_owned(),
        Piece::Text(text) => text.split('\t').map(escaped).collect::<Vec<_>>().join("\t"),
        Piece::Value { reference, version } => {
            let reference = without_secrets(&reference.to_string()).into_owned();
            match row.sign {
                Sign::Same => format!("<{reference}: same>"),
                _ => format!("<{reference}: v{version}>"),
            }
        }
    };
    // Line ends inside of a place are the template's.
    row.pieces.iter().map(piece).collect::<String>().replace('\n', "\\n")
}

/// What goes where a row comes.
fn before(diff: &Diff, index: usize) -> Option<&Row> {
    let before = &diff.rows[index.checked_sub(1)?];
    (before.sign == Sign::Removed && before.line == diff.rows[index].line).then_some(before)
}

fn has_value(row: &Row) -> bool {
    row.pieces.iter().any(|piece| matches!(piece, Piece::Value { .. }))
}

fn line(pair: &Pair<'_>, diff: &Diff) -> Value {
    let state = match (diff.differs, &pair.old) {
        (false, _) => "same",
        (true, None) => "new",
        (true, Some(_)) => "changed",
    };
    let mut values = Vec::new();
    for (index, row) in diff.rows.iter().enumerate().filter(|(_, row)| row.sign != Sign::Removed) {
        let before = before(diff, index);
        for piece in &row.pieces {
            let Piece::Value { reference, version } = piece else { continue };
            let was =
                before.into_iter().flat_map(|row| &row.pieces).find_map(|piece| match piece {
                    Piece::Value { reference: other, version } if other == reference => {
                        Some(*version)
                    }
                    _ => None,
                });
            let same = row.sign == Sign::Same || was == Some(*version);
            values.push(json!({
                "reference": without_secrets(&reference.to_string()), "line": row.line, "version": version,
                "state": if same { "same" } else { "changed" },
                "was": if same { Some(*version) } else { was },
            }));
        }
    }
    // All of a new file comes, and so does a line whose counterpart is not there.
    let text = pair.old.is_none()
        || diff.rows.iter().enumerate().any(|(index, row)| match row.sign {
            Sign::Same => false,
            Sign::Removed => !has_value(row),
            Sign::Added => before(diff, index).is_none_or(|before| !has_value(before)),
        });
    json!({
        "file": shown(pair.target), "template": pair.template.name(), "state": state,
        "text-changed": text, "values": values,
    })
}
