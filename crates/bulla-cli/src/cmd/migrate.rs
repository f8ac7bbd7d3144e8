//! `bulla migrate`: rewrites references of other tools as ours, and says what has to be in the vault then.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bulla_resolve::{
    Format, Migration, Moved, Naming, Reference, Rule, Target, Unmoved, without_secrets,
};
use serde_json::json;
use zeroize::Zeroizing;

use super::Done;
use super::render::{Waiting, formats, not_standard, read, several, shown};
use super::target::{entry_name, field_name};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::printer::counted;
use crate::templates::unchanged_since;

#[derive(clap::Args)]
pub(crate) struct MigrateArgs {
    /// Files with references of 1Password, vals, consul-template or envsubst
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where to write the one template
    #[arg(long, short, value_name = "FILE", group = "to")]
    output: Option<PathBuf>,
    /// Write each template under its file's name into this folder
    #[arg(long, value_name = "DIR", group = "to")]
    into: Option<PathBuf>,
    /// Write each template over its file
    #[arg(long, group = "to")]
    in_place: bool,
    /// Only show what would become of which reference
    #[arg(long, group = "to")]
    dry_run: bool,
    /// The format of the files [default: by name and content]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
    /// Take `${VARIABLE}` for the field VARIABLE of this entry
    #[arg(long, value_name = "ENTRY")]
    env_entry: Option<String>,
    /// Put this in front of the names of all entries, such as the name of an environment
    #[arg(long, value_name = "NAME")]
    prefix: Option<String>,
}

/// A file that is being migrated, and where its template goes.
struct Job {
    source: PathBuf,
    target: Option<PathBuf>,
    bytes: Zeroizing<Vec<u8>>,
    migration: Migration,
}

pub(crate) fn run(context: &Context, args: &MigrateArgs) -> Done {
    let jobs = jobs(context, args)?;
    let wanted = wanted(context, &jobs)?;
    for job in &jobs {
        for moved in &job.migration.moved {
            tell(context, job, moved)?;
        }
    }
    if !args.dry_run {
        write(context, &jobs)?;
    }
    let moved: usize = jobs.iter().map(|job| job.migration.moved.len()).sum();
    let left: usize = jobs.iter().map(|job| job.migration.left.len()).sum();
    let left_is = match left {
        0 => String::new(),
        1 => ", 1 left as it is".to_owned(),
        _ => format!(", {left} left as they are"),
    };
    let verb = if args.dry_run { "would be rewritten" } else { "rewritten" };
    let references = counted(moved as u64, "reference", "references");
    context.printer.note(format_args!("{references} {verb}{left_is}"));
    if !wanted.is_empty() && !context.printer.json {
        context.printer.note("what the templates ask for has to be in the vault:");
        for reference in wanted.keys() {
            context.printer.one_line(without_secrets(&format!("bulla set {reference}")))?;
        }
    }
    let unmoved = |job: &Job, left: &Unmoved| {
        let fact = format!("{}:{}:{}: {}", shown(&job.source), left.line, left.column, left.why);
        let failure = Failure::new(Exit::Findings, "not-migrated", fact);
        if left.is_variable {
            return failure.hint("--env-entry ENTRY says which entry has them as its fields");
        }
        failure
    };
    let failures = jobs.iter().flat_map(|job| job.migration.left.iter().map(|l| unmoved(job, l)));
    let failures: Vec<_> = failures.collect();
    if failures.is_empty() { Ok(Exit::Done) } else { Err(several(context, failures)) }
}

/// Reads and rewrites all files, in memory.
fn jobs(context: &Context, args: &MigrateArgs) -> Result<Vec<Job>, Failure> {
    if args.output.is_none() && args.into.is_none() && !args.in_place && !args.dry_run {
        return Err(Failure::usage("nothing says where the template goes").hint(
            "--output FILE, --into DIR or --in-place; --dry-run only shows what would change",
        ));
    }
    not_standard(
        args.output.as_deref(),
        "standard output tells what is rewritten, so the template cannot go there",
    )?;
    if args.output.is_some() && args.files.len() > 1 {
        return Err(Failure::usage("several templates do not fit into one file")
            .hint("--into DIR writes each under its name"));
    }
    if args.output.is_none()
        && !args.dry_run
        && args.files.iter().any(|file| file == Path::new("-"))
    {
        return Err(Failure::usage("standard input has no name to write it under")
            .hint("--output FILE gives it one"));
    }
    for name in args.env_entry.iter().chain(&args.prefix) {
        entry_name(name)?;
    }
    let naming = Naming { prefix: args.prefix.as_deref(), variables: args.env_entry.as_deref() };
    let (mut jobs, mut failures) = (Vec::new(), Vec::new());
    for source in &args.files {
        let migrated = read(source).map(Zeroizing::new).and_then(|bytes| {
            let migration = Migration::of(&shown(source), &bytes, args.format, naming);
            let migration = migration.map_err(|problem| match problem.rule {
                Rule::Malformed => Failure::from(problem).hint(
                    "a template of another tool may be so only when it is rendered; --format text takes it as text",
                ),
                _ => problem.into(),
            })?;
            Ok((bytes, migration))
        });
        let target = match (&args.output, &args.into, source.file_name()) {
            (Some(output), _, _) => Some(output.clone()),
            (_, Some(into), Some(name)) => Some(into.join(name)),
            _ if args.in_place => Some(source.clone()),
            _ => None,
        };
        match migrated {
            Ok((bytes, migration)) => {
                jobs.push(Job { source: source.clone(), target, bytes, migration });
            }
            Err(failure) => failures.push(failure),
        }
    }
    if !failures.is_empty() {
        return Err(several(context, failures));
    }
    let there = |job: &&Job| {
        let target = job.target.as_ref().filter(|_| !args.in_place);
        target.is_some_and(|target| target.symlink_metadata().is_ok())
    };
    match jobs.iter().find(there).and_then(|job| job.target.as_ref()) {
        None => Ok(jobs),
        Some(target) => {
            let fact = format!("{} is there already", target.display());
            Err(Failure::new(Exit::Conflict, "exists", fact).hint(
                "nothing was changed; move it away, or --in-place writes over the file itself",
            ))
        }
    }
}

/// What the templates are going to ask for, each with what it was. Two secrets that would become one are
/// refused: one of them would be lost.
fn wanted<'j>(
    context: &Context,
    jobs: &'j [Job],
) -> Result<BTreeMap<&'j Reference, (&'j Job, &'j Moved)>, Failure> {
    let mut wanted: BTreeMap<_, (&Job, &Moved)> = BTreeMap::new();
    let mut failures = Vec::new();
    for job in jobs {
        for moved in &job.migration.moved {
            let at = |job: &Job, moved: &Moved| {
                format!("{}:{}:{}", shown(&job.source), moved.line, moved.column)
            };
            // What a reference can name and no vault has.
            let names =
                entry_name(moved.reference.entry()).and(field_name(moved.reference.field()));
            if let Err(failure) = names {
                failures.push(failure.about(at(job, moved)));
            }
            let (other_job, other) = *wanted.entry(&moved.reference).or_insert((job, moved));
            if !other.is_same_secret(moved) {
                let fact = format!(
                    "{}: {} would be {}, as {} at {} is",
                    at(job, moved),
                    moved.foreign,
                    moved.reference,
                    other.foreign,
                    at(other_job, other),
                );
                failures.push(Failure::new(Exit::Conflict, "clash", fact).hint(
                    "nothing was changed; migrate one of the files with --prefix NAME, or write one of the two by hand",
                ));
            }
        }
    }
    if failures.is_empty() { Ok(wanted) } else { Err(several(context, failures)) }
}

/// Tells what became of one reference. A name in it may be a secret that somebody put in its place.
fn tell(context: &Context, job: &Job, moved: &Moved) -> Result<(), Failure> {
    let (file, reference) = (shown(&job.source), moved.reference.to_string());
    if context.printer.json {
        return context.printer.value(&json!({
            "file": file, "line": moved.line, "column": moved.column,
            "tool": moved.tool, "foreign": without_secrets(&moved.foreign),
            "reference": without_secrets(&reference),
            "template": without_secrets(&moved.expression),
        }));
    }
    let Moved { line, column, foreign, expression, .. } = moved;
    let told = format!("{file}:{line}:{column}  {foreign} -> {expression}");
    context.printer.one_line(without_secrets(&told))
}

/// Writes all templates or none, and none over a file that was saved meanwhile.
fn write(context: &Context, jobs: &[Job]) -> Result<(), Failure> {
    let targets: Vec<_> = jobs
        .iter()
        .filter_map(|job| {
            // It holds no more secrets than the file did, so who can read that may read it.
            let path = job.target.as_deref()?;
            let mode = fs::metadata(&job.source).ok().map(|there| there.mode() & 0o666);
            Some(Target { path, contents: &job.migration.contents, mode, owner: None })
        })
        .collect();
    let sources = jobs.iter().filter(|job| job.target.as_ref() != Some(&job.source));
    let sources: Vec<_> = sources.map(|job| job.source.as_path()).collect();
    let waiting = Waiting::prepare(context, &targets, &sources)?;
    jobs.iter().try_for_each(|job| {
        unchanged_since(&job.source, |bytes| Zeroizing::new(bytes) == job.bytes)
    })?;
    waiting.commit(context)
}
