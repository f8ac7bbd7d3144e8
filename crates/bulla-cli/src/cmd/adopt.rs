//! `bulla adopt`: moves literal secrets of configurations into the vault and leaves templates.

use std::path::{Path, PathBuf};

use bulla_resolve::{Adoption, EntryKind, Find, Reference, Target, write_all};
use bulla_vault::{Batch, Entry, EntryName, Field, FieldName, Kind, Secret};
use serde_json::json;

use super::Done;
use super::render::{Folders, format, read, several, shown};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_vault;
use crate::{prompt, tty, unlock};

#[derive(clap::Args)]
pub(crate) struct AdoptArgs {
    /// Configurations with secrets in them
    #[arg(required = true)]
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
    /// Only show what would be moved where
    #[arg(long, group = "to")]
    dry_run: bool,
    /// The format of the files [default: by name and content]
    #[arg(long, value_name = "FORMAT", value_parser = format)]
    format: Option<bulla_resolve::Format>,
    /// Make new versions of entries that are there with other values, without asking
    #[arg(long)]
    replace: bool,
}

impl AdoptArgs {
    /// Adopts `files` and writes their templates into `folder`.
    pub(crate) fn into(files: &[PathBuf], folder: &Path) -> Self {
        Self {
            files: files.to_vec(),
            output: None,
            into: Some(folder.to_owned()),
            in_place: false,
            dry_run: false,
            format: None,
            replace: false,
        }
    }
}

/// A file that is being adopted, and where its template goes.
struct Job {
    source: PathBuf,
    target: Option<PathBuf>,
    adoption: Adoption,
}

pub(crate) fn run(context: &Context, args: &AdoptArgs) -> Done {
    let jobs = find(context, args)?;
    for job in &jobs {
        for find in &job.adoption.finds {
            plan(context, job, find)?;
        }
    }
    let left: Vec<_> = jobs.iter().flat_map(|job| job.adoption.left.clone()).collect();
    if !args.dry_run {
        let (moved, shared) = store(context, &jobs, args.replace)?;
        write_templates(context, &jobs)?;
        context
            .printer
            .note(format_args!("{moved} values moved into the vault, {shared} were there already"));
        for job in jobs.iter().filter(|job| !args.in_place && !job.adoption.finds.is_empty()) {
            context.printer.note(format_args!(
                "{} still holds its secrets in clear: delete it, and render the template instead",
                job.source.display()
            ));
        }
    }
    if left.is_empty() {
        return Ok(Exit::Done);
    }
    let stays = |problem| {
        let failure = Failure { hints: Vec::new(), ..Failure::from(problem) };
        failure.hint("write it without escapes or in another style, then adopt again")
    };
    Err(several(context, left.into_iter().map(stays).collect()))
}

fn find(context: &Context, args: &AdoptArgs) -> Result<Vec<Job>, Failure> {
    if args.output.is_none() && args.into.is_none() && !args.in_place && !args.dry_run {
        return Err(Failure::usage("nothing says where the template goes").hint(
            "--output FILE, --into DIR or --in-place; --dry-run only shows what would be moved",
        ));
    }
    if args.output.is_some() && args.files.len() > 1 {
        return Err(Failure::usage("several templates do not fit into one file")
            .hint("--into DIR writes each under its name"));
    }
    let mut jobs = Vec::new();
    let mut failures = Vec::new();
    for source in &args.files {
        let found = read(source).and_then(|bytes| {
            let name = shown(source);
            let adoption = Adoption::find(&name, &bytes, args.format)?;
            drop(zeroize::Zeroizing::new(bytes));
            Ok(adoption)
        });
        let target = match (&args.output, &args.into, source.file_name()) {
            (Some(output), _, _) => Some(output.clone()),
            (_, Some(into), Some(name)) => Some(into.join(name)),
            _ if args.in_place => Some(source.clone()),
            _ => None,
        };
        match found {
            Ok(adoption) => jobs.push(Job { source: source.clone(), target, adoption }),
            Err(failure) => failures.push(failure),
        }
    }
    if failures.is_empty() { Ok(jobs) } else { Err(several(context, failures)) }
}

fn plan(context: &Context, job: &Job, find: &Find) -> Result<(), Failure> {
    let reference = reference(find)?;
    if context.printer.json {
        return context.printer.value(&json!({
            "file": shown(&job.source), "line": find.line, "column": find.column,
            "place": find.place, "reference": reference.to_string(), "public": find.public,
        }));
    }
    context.printer.line(format_args!(
        "{}:{}  {} -> {reference}",
        shown(&job.source),
        find.line,
        find.place
    ))
}

fn reference(find: &Find) -> Result<Reference, Failure> {
    find.reference().ok_or_else(|| {
        let fact = format!("no reference can name `{}`", find.place);
        Failure::new(Exit::Failed, "name", fact)
    })
}

/// Writes the finds into the vault, in one commit; tells how many were new and how many were there.
fn store(context: &Context, jobs: &[Job], replace: bool) -> Result<(usize, usize), Failure> {
    let finds = || jobs.iter().flat_map(|job| &job.adoption.finds);
    if finds().next().is_none() {
        return Ok((0, 0));
    }
    with_vault(context, |vault| {
        // People are asked before anything is locked.
        let differing = {
            let snapshot = vault.read()?;
            let mut differing = Vec::new();
            for find in finds() {
                let there = snapshot.find(&name(find)?)?;
                let entry = there.as_ref().and_then(|version| version.live());
                if let Some(entry) = entry
                    && state(entry, find)? == State::Differs
                {
                    differing.push(reference(find)?);
                }
            }
            differing.dedup();
            differing
        };
        if !replace {
            ask(context, &differing)?;
        }
        let mut batch = vault.write(context.stamp(Some("adopted")))?;
        let (mut moved, mut shared) = (0, 0);
        for find in finds() {
            if put(&mut batch, find, replace || !differing.is_empty())? {
                moved += 1;
            } else {
                shared += 1;
            }
        }
        batch.commit()?;
        Ok((moved, shared))
    })
}

fn ask(context: &Context, differing: &[Reference]) -> Result<(), Failure> {
    let Some(first) = differing.first() else { return Ok(()) };
    let fact = match differing.len() {
        1 => format!("{first} is there already, with another value"),
        n => format!("{first} and {} more are there already, with other values", n - 1),
    };
    let conflict = Failure::new(Exit::Conflict, "exists", &fact);
    if !tty::is_there() {
        return Err(conflict.hint("nothing was changed; --replace makes new versions of them"));
    }
    for reference in differing {
        context.printer.note(format_args!("{reference} is there already, with another value"));
    }
    if prompt::confirm("Write the values of the files as new versions?")? {
        return Ok(());
    }
    Err(Failure::new(Exit::Conflict, "declined", "nothing was changed"))
}

/// How what is in the vault compares with what was found.
#[derive(Eq, PartialEq)]
enum State {
    Missing,
    Same,
    Differs,
}

fn state(entry: &Entry, find: &Find) -> Result<State, Failure> {
    if entry.kind() != kind(find) {
        let fact = format!("`{}` is there already, as a {}", find.entry, entry.kind().as_str());
        return Err(Failure::new(Exit::Conflict, "kind", fact)
            .hint("rename it with `bulla mv`, and its references with it"));
    }
    Ok(match entry.field(&field(find)?) {
        None => State::Missing,
        Some(field) if field.value.same_as(&Secret::copied_from(find.value.expose())) => {
            State::Same
        }
        Some(_) => State::Differs,
    })
}

/// Puts a find into its entry; tells whether that changed anything.
fn put(batch: &mut Batch<'_>, find: &Find, replace: bool) -> Result<bool, Failure> {
    let name = name(find)?;
    let there = batch.find(&name)?;
    let mut entry = match there.map(|version| version.state) {
        Some(bulla_vault::State::Live(entry)) => entry,
        _ => Entry::new(kind(find)),
    };
    match state(&entry, find)? {
        State::Same => return Ok(false),
        // Somebody wrote it between the question and now.
        State::Differs if !replace => {
            let fact = format!("`{name}` was changed meanwhile");
            return Err(Failure::new(Exit::Conflict, "version-moved", fact).hint("try again"));
        }
        State::Missing | State::Differs => {}
    }
    let value = Secret::copied_from(find.value.expose());
    let field = Field { name: field(find)?, value, public: find.public, expires: None };
    entry.set(field).map_err(bulla_vault::WriteError::from)?;
    batch.put(&name, entry, None).map_err(|error| Failure::from(error).about(&name))?;
    Ok(true)
}

fn name(find: &Find) -> Result<EntryName, Failure> {
    super::target::entry_name(&find.entry)
}

fn field(find: &Find) -> Result<FieldName, Failure> {
    super::target::field_name(&find.field)
}

fn kind(find: &Find) -> Kind {
    match find.kind {
        EntryKind::Mailbox => Kind::Mailbox,
        EntryKind::OauthClient => Kind::OauthClient,
        _ => Kind::Secret,
    }
}

fn write_templates(context: &Context, jobs: &[Job]) -> Result<(), Failure> {
    let mut templates = Vec::with_capacity(jobs.len());
    for Job { adoption, .. } in jobs {
        let references: Vec<_> = adoption.finds.iter().map(Find::reference).collect();
        let template = adoption.template(&references).map_err(|problems| {
            several(context, problems.into_iter().map(Failure::from).collect())
        })?;
        templates.push(bulla_resolve::Secret::new(template));
    }
    let paths: Vec<_> = jobs.iter().filter_map(|job| job.target.as_deref()).collect();
    let made = Folders::make(&paths)?;
    let targets: Vec<_> = paths
        .iter()
        .zip(&templates)
        .map(|(path, contents)| Target { path, contents, mode: None, owner: None })
        .collect();
    let own: Vec<_> = context.vault_path().into_iter().chain(unlock::key_files(context)).collect();
    let sources = jobs.iter().filter(|job| job.target.as_ref() != Some(&job.source));
    let protected: Vec<_> =
        sources.map(|job| &job.source).chain(&own).map(PathBuf::as_path).collect();
    write_all(&targets, &protected).map_err(|errors| {
        made.take_back();
        let failures = errors.into_iter().map(Failure::from);
        several(context, failures.collect())
            .hint("the values are in the vault; only the templates are missing, so run this again")
    })
}
