//! `bulla adopt`: moves literal secrets of configurations into the vault and leaves templates.

mod dry_run;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bulla_resolve::{Adoption, EntryKind, Find, Format, Left, Reference, Stays, Target};
use bulla_vault::{Batch, Entry, EntryName, Field, FieldName, Kind, Secret};
use serde_json::json;
use zeroize::Zeroizing;

use super::Done;
use super::render::{Waiting, formats, is_standard, not_standard, read, several, shown};
use crate::account::{CLIENT, text};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::printer::counted;
use crate::session::with_vault;
use crate::templates::unchanged_since;
use crate::{prompt, tty};

#[derive(clap::Args)]
pub(crate) struct AdoptArgs {
    /// Configurations with secrets in them
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
    /// Only show what would be moved where, and what of it is in the vault already, if that opens without
    /// a question
    #[arg(long, group = "to")]
    dry_run: bool,
    /// The format of the files [default: by name and content]
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    format: Option<Format>,
    /// Put this in front of the names of all entries, such as the name of an environment
    #[arg(long, value_name = "NAME")]
    prefix: Option<String>,
    /// Write over templates, and make new versions of entries with other values, without asking
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
            prefix: None,
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
    let (jobs, mut failures) = find(context, args)?;
    if args.dry_run {
        failures.extend(dry_run::show(context, &jobs, args.replace)?);
    } else {
        for job in &jobs {
            for find in &job.adoption.finds {
                plan(context, job, find, None)?;
            }
        }
        let (waiting, moved, shared) = store(context, &jobs, args.replace)?;
        unchanged(&jobs).and_then(|()| waiting.commit(context)).map_err(|failure| {
            let left =
                "the values are in the vault; only the templates are missing, so run this again";
            if moved + shared > 0 { failure.hint(left) } else { failure }
        })?;
        let moved = counted(moved as u64, "value", "values");
        let shared = if shared == 0 { String::new() } else { format!(", {shared} there already") };
        context.printer.note(format_args!("{moved} moved into the vault{shared}"));
        jobs.iter().for_each(|job| warn_of_format(context, job));
        for job in jobs.iter().filter(|job| !args.in_place && !job.adoption.finds.is_empty()) {
            context.printer.note(format_args!(
                "{} still holds its secrets in clear: delete it, and render the template instead",
                job.source.display()
            ));
        }
    }
    tell_what_stays(context, &jobs);
    for job in &jobs {
        failures.extend(job.adoption.left.iter().map(|left| stays(job, left)));
    }
    if failures.is_empty() { Ok(Exit::Done) } else { Err(several(context, failures)) }
}

/// Tells in which files nothing was found, and how much of them is other tools' and stays.
fn tell_what_stays(context: &Context, jobs: &[Job]) {
    let is_nothing = |job: &&Job| job.adoption.finds.is_empty() && job.adoption.left.is_empty();
    let nothing: Vec<_> = jobs.iter().filter(is_nothing).collect();
    if nothing.len() > 3 {
        let (none, all) = (nothing.len(), jobs.len());
        let note = format_args!("{none} of {all} files: nothing in them looks like a secret");
        context.printer.note(note);
    } else {
        for job in nothing {
            let path = shown(&job.source);
            context.printer.note(format_args!("{path}: nothing in it looks like a secret"));
        }
    }
    for job in jobs {
        let path = shown(&job.source);
        if job.adoption.references > 0 {
            let count = counted(job.adoption.references as u64, "reference", "references");
            context.printer.note(format_args!(
                "{path}: {count} of other tools left as written; `bulla migrate` rewrites what it can"
            ));
        }
        if job.adoption.encrypted > 0 {
            let count = counted(job.adoption.encrypted as u64, "value", "values");
            context.printer.note(format_args!(
                "{path}: {count} that another tool has encrypted left as written; decrypt the file with that tool to adopt what is in it"
            ));
        }
    }
}

/// What helps where nothing can be moved.
const BY_HAND: &str =
    "store it with `bulla set`, and write {{ bulla://ENTRY/FIELD }} in its place by hand";

/// Warns of a template that would be read in another format than its file was: what tells the format may
/// have been `--format`, or a folder in the path, as of the drop-ins of systemd.
fn warn_of_format(context: &Context, job: &Job) {
    let Some(target) = job.target.as_deref().filter(|_| !job.adoption.finds.is_empty()) else {
        return;
    };
    let Ok(template) = read(target) else { return };
    let format = job.adoption.format();
    let detected = |path: &Path| Format::detect(&shown(path), &template);
    if detected(target) == Some(format) {
        return;
    }
    let name = format.name();
    let other = match detected(&job.source) == Some(format) {
        true => "adopt into a path that ends as that of the file".to_owned(),
        false => format!("check and render it with `--format {name}`"),
    };
    context.printer.warn(format_args!(
        "the name of {} does not tell its format: write `format = \"{name}\"` for it into bulla.toml, or {other}",
        target.display(),
    ));
}

/// Why a secret stays where it is, and what helps.
fn stays(job: &Job, left: &Left) -> Failure {
    let failure = Failure { hints: Vec::new(), ..Failure::from(left.problem.clone()) };
    failure.hint(match (left.why, job.adoption.format()) {
        (Stays::Aliased, _) => "write the value in the place of the alias, then adopt again",
        (Stays::CannotCarry, Format::GenesysIni) => {
            "adopt the configuration in its XML form, or choose a password of these characters"
        }
        (Stays::CannotCarry, _) => "write it in quotes, or in other ones, then adopt again",
        (Stays::Comment, _) => {
            "take it out of the comment; if it is in use, store it with `bulla set`, and replace it at its source"
        }
        (Stays::NoBase64, _) => {
            "write what `base64` makes of the value, or the value itself under `stringData`, then adopt again"
        }
        (Stays::NoValue, _) => BY_HAND,
        (Stays::Url, _) => {
            "store the password with `bulla set`, and write {{ bulla://ENTRY/FIELD | url }} in its place by hand"
        }
        (Stays::Unclear, _) => {
            "write it as all read it alike, or name a dialect with --format, then adopt again; docs/reference.md tells the rules of each format"
        }
        (_, Format::Yaml) => "write it in quotes or without escapes, then adopt again",
        _ => "write it without escapes or in another style, then adopt again",
    })
}

/// Looks through the files; what could not be looked at is in the way of all but a dry run.
fn find(context: &Context, args: &AdoptArgs) -> Result<(Vec<Job>, Vec<Failure>), Failure> {
    if args.output.is_none() && args.into.is_none() && !args.in_place && !args.dry_run {
        return Err(Failure::usage("nothing says where the template goes").hint(
            "--output FILE, --into DIR or --in-place; --dry-run only shows what would be moved",
        ));
    }
    not_standard(
        args.output.as_deref(),
        "standard output tells what is moved, so the template cannot go there",
    )?;
    if args.output.is_some() && args.files.len() > 1 {
        return Err(Failure::usage("several templates do not fit into one file")
            .hint("--into DIR writes each under its name"));
    }
    let mut jobs = Vec::new();
    let mut failures = Vec::new();
    for source in &args.files {
        let found = read_file(source).map(Zeroizing::new).and_then(|bytes| {
            let name = shown(source);
            let mut adoption = Adoption::find(&name, &bytes, args.format)?;
            if let Some(prefix) = &args.prefix {
                for find in &mut adoption.finds {
                    find.entry = format!("{prefix}/{}", find.entry);
                    find.client = find.client.take().map(|client| format!("{prefix}/{client}"));
                }
            }
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
    if !failures.is_empty() && !args.dry_run {
        return Err(several(context, failures));
    }
    check_targets(args, &jobs)?;
    Ok((jobs, failures))
}

fn read_file(source: &Path) -> Result<Vec<u8>, Failure> {
    if !is_standard(source) && source.is_dir() {
        let path = source.display();
        return Err(Failure::new(Exit::Failed, "template", format!("{path} is a folder"))
            .hint("name the files in it; `bulla check` looks through folders, and tells which hold secrets in clear"));
    }
    read(source)
}

/// Looks at where the templates go before anything is moved: nothing is written over but what
/// `--in-place` or `--replace` says.
fn check_targets(args: &AdoptArgs, jobs: &[Job]) -> Result<(), Failure> {
    let same = |a: &Path, b: &Path| {
        let canonical = |path: &Path| path.canonicalize().ok();
        canonical(a).is_some_and(|a| Some(a) == canonical(b))
    };
    for (index, job) in jobs.iter().enumerate() {
        let Some(target) = &job.target else { continue };
        if jobs[..index].iter().any(|other| other.target.as_ref() == Some(target)) {
            let fact = format!("two templates would be {}", target.display());
            return Err(Failure::new(Exit::Conflict, "twice", fact)
                .hint("adopt files of one name one by one, into folders of their own"));
        }
        if args.in_place {
            continue;
        }
        if jobs.iter().any(|job| same(target, &job.source)) {
            let fact = format!("{} is the configuration itself", target.display());
            return Err(Failure::usage(fact).hint("--in-place writes the template over it"));
        }
        if target.symlink_metadata().is_ok() && !args.replace {
            let fact = format!("{} is there already", target.display());
            return Err(Failure::new(Exit::Conflict, "exists", fact)
                .hint("nothing was changed; --replace writes over it"));
        }
    }
    Ok(())
}

/// Tells what stands where and what takes its place. In a dry run, `found` says how it compares with
/// what the vault has, if that is known: `None` inside means that an entry of another kind is there.
fn plan(
    context: &Context,
    job: &Job,
    find: &Find,
    found: Option<Option<&State>>,
) -> Result<(), Failure> {
    let reference = reference(find)?;
    let expression = find.expression(&reference);
    let (name, words) = match found {
        None => (None, ""),
        Some(Some(State::Missing)) => (Some("new"), "  (new)"),
        Some(Some(State::Same)) => (Some("same"), "  (there already)"),
        Some(Some(State::Differs)) => (Some("differs"), "  (there already, with another value)"),
        Some(None) => (Some("other-kind"), "  (there already, as another kind of entry)"),
    };
    if context.printer.json {
        let mut line = json!({
            "file": shown(&job.source), "line": find.line, "column": find.column,
            "place": find.place, "reference": reference.to_string(), "public": find.public,
            "template": expression,
        });
        if let Some(name) = name {
            line["vault"] = name.into();
        }
        return context.printer.value(&line);
    }
    context.printer.one_line(format_args!(
        "{}:{}  {} -> {expression}{words}",
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

/// What belongs into one entry, wherever it was found.
struct Gathered<'j> {
    kind: Kind,
    fields: Vec<(FieldName, &'j Find, String)>,
}

/// Brings the finds of all files together by entry. Two values for one field would leave only one of
/// them, so that one of the files would not come back.
fn gather(jobs: &[Job]) -> Result<BTreeMap<EntryName, Gathered<'_>>, Failure> {
    let mut entries: BTreeMap<_, Gathered<'_>> = BTreeMap::new();
    for job in jobs {
        for find in &job.adoption.finds {
            let (entry, field) = (name(find)?, field(find)?);
            let place = format!("{}:{}", shown(&job.source), find.line);
            let clash = |fact: String| {
                Failure::new(Exit::Conflict, "clash", fact)
                    .hint("nothing was changed; adopt the files one by one, and rename the entry of the first with `bulla mv` and in its template")
            };
            let gathered = entries
                .entry(entry)
                .or_insert_with(|| Gathered { kind: kind(find), fields: Vec::new() });
            if gathered.kind != kind(find) {
                let fact = format!("`{}` would be two kinds of entry at {place}", find.entry);
                return Err(clash(fact));
            }
            match gathered.fields.iter().find(|(there, ..)| *there == field) {
                None => gathered.fields.push((field, find, place)),
                Some((_, there, _)) if there.value.expose() == find.value.expose() => {}
                Some((.., other)) => {
                    let fact = format!(
                        "`{}` of `{}` has one value at {other} and another at {place}",
                        find.field, find.entry
                    );
                    return Err(clash(fact));
                }
            }
        }
    }
    Ok(entries)
}

/// Writes the finds into the vault, in one commit and one version an entry, when the templates are
/// written as well and wait for their names; tells how many were new and how many were there.
fn store(
    context: &Context,
    jobs: &[Job],
    replace: bool,
) -> Result<(Waiting, usize, usize), Failure> {
    let entries = gather(jobs)?;
    if entries.is_empty() {
        return Ok((prepare(context, jobs)?, 0, 0));
    }
    with_vault(context, |vault| {
        // People are asked before anything is locked.
        let differing = {
            let snapshot = vault.read()?;
            let mut differing = Vec::new();
            for (name, gathered) in &entries {
                let there = snapshot.find(name)?;
                let Some(entry) = there.as_ref().and_then(|version| version.live()) else {
                    continue;
                };
                for (_, find, _) in &gathered.fields {
                    if state(entry, find)? == State::Differs {
                        differing.push(reference(find)?);
                    }
                }
            }
            differing
        };
        if !replace {
            ask(context, &differing)?;
        }
        let waiting = prepare(context, jobs)?;
        let mut batch = vault.write(context.stamp(Some("adopted")))?;
        unchanged(jobs).map_err(|failure| failure.hint("nothing was written"))?;
        let mut moved = 0;
        for (name, gathered) in &entries {
            moved += put(&mut batch, name, gathered, replace || !differing.is_empty())?;
        }
        batch.commit()?;
        let all: usize = jobs.iter().map(|job| job.adoption.finds.len()).sum();
        Ok((waiting, moved, all - moved))
    })
}

/// Looks at the files once more.
fn unchanged(jobs: &[Job]) -> Result<(), Failure> {
    jobs.iter().try_for_each(|job| {
        unchanged_since(&job.source, |bytes| job.adoption.is_of(&Zeroizing::new(bytes)))
    })
}

/// That other values are there already.
fn conflict(differing: &[Reference]) -> Option<Failure> {
    let first = differing.first()?;
    let fact = match differing.len() {
        1 => format!("{first} is there already, with another value"),
        n => format!("{first} and {} more are there already, with other values", n - 1),
    };
    Some(Failure::new(Exit::Conflict, "exists", fact))
}

fn ask(context: &Context, differing: &[Reference]) -> Result<(), Failure> {
    let Some(conflict) = conflict(differing) else { return Ok(()) };
    if !tty::is_there() {
        return Err(conflict.hint(
            "nothing was changed; --prefix NAME keeps the values of another environment apart, --replace makes new versions",
        ));
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

/// Puts what was found into its entry; tells how many fields that changed.
fn put(
    batch: &mut Batch<'_>,
    name: &EntryName,
    gathered: &Gathered<'_>,
    replace: bool,
) -> Result<usize, Failure> {
    let there = batch.find(name)?;
    let mut entry = match there.map(|version| version.state) {
        Some(bulla_vault::State::Live(entry)) => entry,
        _ => Entry::new(gathered.kind),
    };
    let mut changed = 0;
    for (field, find, _) in &gathered.fields {
        match state(&entry, find)? {
            State::Same => continue,
            // Somebody wrote it between the question and now.
            State::Differs if !replace => {
                let fact = format!("`{name}` was changed meanwhile");
                return Err(Failure::new(Exit::Conflict, "version-moved", fact).hint("try again"));
            }
            State::Missing | State::Differs => {}
        }
        let value = Secret::copied_from(find.value.expose());
        let field = Field { name: field.clone(), value, public: find.public, expires: None };
        entry.set(field).map_err(bulla_vault::WriteError::from)?;
        changed += 1;
    }
    let noted = note_client(&mut entry, gathered)?;
    if changed > 0 || noted {
        batch.put(name, entry, None).map_err(|error| Failure::from(error).about(name))?;
    }
    Ok(changed)
}

/// Notes in a mailbox to which client its grant was given, unless that is known: where there are several
/// clients, it would be asked for with the first refresh. Tells whether that changed anything.
fn note_client(entry: &mut Entry, gathered: &Gathered<'_>) -> Result<bool, Failure> {
    if gathered.kind != Kind::Mailbox {
        return Ok(false);
    }
    let told = gathered.fields.iter().find_map(|(_, find, _)| find.client.as_ref());
    let client = told.filter(|client| EntryName::new(client).is_ok());
    let (Some(client), None) = (client, text(entry, CLIENT)) else { return Ok(false) };
    let value = Secret::copied_from(client.as_bytes());
    let name = super::target::field_name(CLIENT)?;
    let field = Field { name, value, public: true, expires: None };
    entry.set(field).map_err(bulla_vault::WriteError::from)?;
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

/// Writes the templates under hidden names.
fn prepare(context: &Context, jobs: &[Job]) -> Result<Waiting, Failure> {
    let mut templates = Vec::with_capacity(jobs.len());
    for Job { adoption, .. } in jobs {
        let references: Vec<_> = adoption.finds.iter().map(Find::reference).collect();
        let template = adoption.template(&references).map_err(|problems| {
            several(context, problems.into_iter().map(Failure::from).collect())
        })?;
        templates.push(bulla_resolve::Secret::new(template));
    }
    let targets: Vec<_> = jobs
        .iter()
        .zip(&templates)
        .filter_map(|(job, contents)| {
            // A template holds no secrets, so it may be read by whoever could read what is there.
            let path = job.target.as_deref()?;
            let mode = fs::metadata(path).ok().map(|there| there.mode() & 0o666);
            Some(Target { path, contents, mode, owner: None })
        })
        .collect();
    let sources = jobs.iter().filter(|job| job.target.as_ref() != Some(&job.source));
    let sources: Vec<_> = sources.map(|job| job.source.as_path()).collect();
    Waiting::prepare(context, &targets, &sources)
}
