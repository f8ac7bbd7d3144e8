//! `bulla import`: takes entries in from files of other programs, in one commit.

use std::path::{Path, PathBuf};

use bulla_resolve::Format;
use bulla_vault::{Entry, EntryName, Secret};
use clap::ValueEnum;
use serde_json::json;

use super::Done;
use super::target::entry_name;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::files::read_at_most;
use crate::printer::counted;
use crate::progress::Progress;
use crate::session::with_vault;

mod dotenv;
mod google;
pub(crate) mod lines;

use lines::Lines;

#[derive(clap::Args)]
pub(crate) struct ImportArgs {
    /// The file; `-` is standard input
    file: PathBuf,
    /// What it is [default: by its name and content]
    #[arg(long, value_name = "FORMAT")]
    format: Option<ImportFormat>,
    /// Name of the entry, where the file does not say it
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,
    /// Make new versions of entries that are there with other values
    #[arg(long)]
    replace: bool,
}

/// The files that can be imported.
#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// Google's client_secret_*.json, for desktop and for web applications
    Google,
    /// NAME=VALUE lines, which become the fields of one entry
    Dotenv,
    /// The same as `docker run --env-file` reads them
    DotenvDocker,
    /// The same as node and npm's dotenv read them
    DotenvNode,
    /// The same as Python's dotenv reads them
    DotenvPython,
    /// One JSON object a line, as `bulla export` writes them
    Jsonl,
}

/// The largest file that is read whole. Lines of JSON are read one by one and have no such limit.
const MAX_FILE: usize = 16 << 20;

pub(crate) fn run(context: &Context, args: &ImportArgs) -> Done {
    let format = match args.format {
        Some(format) => format,
        None => guess(&args.file)?,
    };
    let entry = args.entry.as_deref().map(entry_name).transpose()?;
    if format == ImportFormat::Jsonl {
        if entry.is_some() {
            return Err(Failure::usage("lines of JSON name their entries themselves"));
        }
        return import_lines(context, args);
    }
    let file = read(&args.file)?;
    let (name, entry) = match format {
        ImportFormat::Google => google::read(&file, entry)?,
        ImportFormat::DotenvDocker => dotenv::read(&file, entry, Format::DotenvDocker)?,
        ImportFormat::DotenvNode => dotenv::read(&file, entry, Format::DotenvNode)?,
        ImportFormat::DotenvPython => dotenv::read(&file, entry, Format::DotenvPython)?,
        ImportFormat::Dotenv | ImportFormat::Jsonl => dotenv::read(&file, entry, Format::Dotenv)?,
    };
    with_vault(context, |vault| {
        let mut import = Import::new(context, vault.write(context.stamp(None))?, args.replace);
        import.one(name, entry)?;
        import.commit()?;
        Ok(())
    })?;
    if args.file != Path::new("-") {
        context.printer.note(format_args!(
            "{} still holds the secret in clear: delete this file",
            args.file.display()
        ));
    }
    Ok(Exit::Done)
}

fn import_lines(context: &Context, args: &ImportArgs) -> Done {
    with_vault(context, |vault| {
        // Nobody else's writing has to wait for what is still on its way in a pipe.
        let lines = Lines::read(&args.file, &|name| vault.entry_id(name))?;
        if lines.go_on() {
            context.printer.note(
                "note: this is more than 64 MiB, so nobody else can write until its end has come",
            );
        }
        let mut import = Import::new(context, vault.write(context.stamp(None))?, args.replace);
        let progress = Progress::new("importing", context.printer.quiet);
        lines.each(&mut |done, total, name, entry| {
            progress.at(done, total);
            import.one(name, entry)
        })?;
        drop(progress);
        import.commit()
    })?;
    Ok(Exit::Done)
}

/// Entries on their way into the vault.
struct Import<'a> {
    context: &'a Context,
    batch: bulla_vault::Batch<'a>,
    replace: bool,
    written: u64,
    unchanged: u64,
    /// The last entry, and the version that it is at.
    last: Option<(EntryName, u64)>,
    conflicts: Vec<EntryName>,
}

impl<'a> Import<'a> {
    fn new(context: &'a Context, batch: bulla_vault::Batch<'a>, replace: bool) -> Self {
        Self {
            context,
            batch,
            replace,
            written: 0,
            unchanged: 0,
            last: None,
            conflicts: Vec::new(),
        }
    }

    fn one(&mut self, name: EntryName, entry: Entry) -> Result<(), Failure> {
        let there = self.batch.find(&name)?;
        let version = there.as_ref().map_or(0, |there| there.version);
        match there.as_ref().and_then(|version| version.live()) {
            Some(there) if there.same_as(&entry) => {
                self.unchanged += 1;
                self.last = Some((name, version));
            }
            Some(_) if !self.replace => self.conflicts.push(name),
            _ => {
                let put = self.batch.put(&name, entry, None);
                let version = put.map_err(|error| Failure::from(error).about(&name))?;
                self.written += 1;
                self.last = Some((name, version));
            }
        }
        Ok(())
    }

    fn commit(self) -> Result<(), Failure> {
        if let Some(first) = self.conflicts.first() {
            let fact = match self.conflicts.len() {
                1 => format!("`{first}` is there already, with other values"),
                n => format!("`{first}` and {} more are there already, with other values", n - 1),
            };
            return Err(Failure::new(Exit::Conflict, "exists", fact)
                .hint("nothing was imported; --replace makes new versions of them"));
        }
        self.batch.commit()?;
        let Self { written, unchanged, last, context, .. } = self;
        let only = last.filter(|_| written + unchanged == 1);
        if context.printer.json {
            let mut json = json!({"written": written, "unchanged": unchanged});
            if let Some((name, version)) = only {
                json["entry"] = name.as_str().into();
                json["version"] = version.into();
            }
            return context.printer.value(&json);
        }
        let written = counted(written, "entry", "entries");
        context.printer.note(match only {
            Some((name, version)) if unchanged == 0 => format!("{name} is at version {version}"),
            Some((name, version)) => format!("{name} is unchanged at version {version}"),
            None if unchanged == 0 => format!("{written} written"),
            None => format!("{written} written, {unchanged} unchanged"),
        });
        Ok(())
    }
}

fn guess(path: &Path) -> Result<ImportFormat, Failure> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let name = name.as_deref().unwrap_or_default();
    if name.starts_with("client_secret") && name.ends_with(".json") {
        Ok(ImportFormat::Google)
    } else if name.ends_with(".jsonl") || name.ends_with(".ndjson") {
        Ok(ImportFormat::Jsonl)
    } else if name == ".env" || name.starts_with(".env.") || name.ends_with(".env") {
        Ok(ImportFormat::Dotenv)
    } else {
        Err(Failure::usage(format_args!("{} does not tell by its name what it is", path.display()))
            .hint("--format google, dotenv or jsonl says so"))
    }
}

fn read(path: &Path) -> Result<Secret, Failure> {
    if path == Path::new("-") {
        return read_at_most(&mut std::io::stdin().lock(), Path::new("standard input"), MAX_FILE);
    }
    crate::input::file(path, MAX_FILE)
}

/// The file is not what it should be. What the parser says is not repeated: it quotes the file.
fn malformed(fact: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, "malformed", fact).hint("nothing was imported")
}
