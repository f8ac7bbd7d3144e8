//! `bulla backup`: copies of the vault, and coming back from one.

use std::path::{Path, PathBuf};

use bulla_sqlite::SqliteStore;
use bulla_vault::{Expect, LockedVault, OpenError};
use clap::Subcommand;
use serde_json::json;

use super::Done;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::files::folder_is_there;
use crate::memory::MemoryFile;
use crate::printer::counted;
use crate::progress::Progress;
use crate::unlock::{self, Proof};
use crate::{prompt, tty};

#[derive(Subcommand)]
#[command(defer = true)]
pub(crate) enum BackupCommand {
    /// Copy the vault into a new file, while others go on using it
    ///
    /// A backup is sealed like the vault. It opens with the slots that the vault has now.
    Create(BackupFile),
    /// Put a backup where the vault should be; nothing may be there
    Restore(BackupFile),
    /// Open a backup and verify all of it
    Verify(BackupFile),
    /// Accept the vault as it is now, though it is older or other than what was seen before
    Adopt(AdoptArgs),
}

#[derive(clap::Args)]
pub(crate) struct BackupFile {
    /// The backup
    file: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct AdoptArgs {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn run(context: &Context, command: BackupCommand) -> Done {
    match command {
        BackupCommand::Create(BackupFile { file }) => create(context, &file),
        BackupCommand::Restore(BackupFile { file }) => restore(context, &file),
        BackupCommand::Verify(BackupFile { file }) => verify(context, &file),
        BackupCommand::Adopt(args) => adopt(context, &args),
    }
}

fn create(context: &Context, file: &Path) -> Done {
    let store = context.store()?;
    // What cannot be a vault is not worth a copy.
    LockedVault::find(&store, &context.random)?;
    folder_is_there(file)?;
    store.backup_to(file).map_err(|error| Failure::from(error).about(file.display()))?;
    context.printer.note(format_args!(
        "{} is a backup; `bulla backup verify` opens it and looks at all of it",
        file.display()
    ));
    Ok(Exit::Done)
}

fn restore(context: &Context, file: &Path) -> Done {
    let path = context.vault_path()?;
    if path.symlink_metadata().is_ok() {
        let fact = format!("{} is there", path.display());
        return Err(Failure::new(Exit::Conflict, "exists", fact).hint(
            "move it away first, and keep it: it may be all that is left of the newest entries",
        ));
    }
    let store = SqliteStore::open(file, context.store_options()).map_err(|e| unfit(e, file))?;
    LockedVault::find(&store, &context.random).map_err(|e| unfit(e, file))?;
    if context.global.vault.is_none() {
        super::init::make_default_folder(&path)?;
    }
    folder_is_there(&path)?;
    store.backup_to(&path).map_err(|error| Failure::from(error).about(path.display()))?;
    context.printer.note(format_args!("{} is restored", path.display()));
    context.printer.note(
        "if it is older than what was seen here, the next command says so; `bulla backup adopt` makes it the true state",
    );
    Ok(Exit::Done)
}

fn verify(context: &Context, file: &Path) -> Done {
    let store = SqliteStore::open(file, context.store_options()).map_err(|e| unfit(e, file))?;
    store.check().map_err(|e| unfit(e, file))?;
    let locked = LockedVault::find(&store, &context.random).map_err(|e| unfit(e, file))?;
    let remembered =
        MemoryFile::of(context, &locked.vault_id()).load(locked.pin(), &context.printer);
    // A backup is older than the vault; that is what it is for.
    let mut expect = Expect { remembered: remembered.clone(), ..Expect::default() };
    let accepting = context.accepting_rollback();
    let (vault, _) = unlock::open(&accepting, &locked, &mut expect, Proof::Any)?;
    let snapshot = vault.read()?;
    let progress = Progress::new("verifying", context.printer.quiet);
    let report = snapshot.check(&mut |done| progress.at(done, 0))?;
    drop(progress);
    let behind = remembered.map(|r| r.epoch().saturating_sub(snapshot.epoch()));
    if context.printer.json {
        context.printer.value(&json!({
            "entries": report.entries, "versions": report.versions, "epoch": snapshot.epoch(),
            "commits_behind": behind, "faults": report.faults.len(),
        }))?;
    } else {
        context.printer.line(format_args!(
            "{}, {}, epoch {}",
            counted(report.entries, "entry", "entries"),
            counted(report.versions, "earlier version", "earlier versions"),
            snapshot.epoch()
        ))?;
    }
    if !report.faults.is_empty() {
        let wrong = counted(report.faults.len() as u64, "thing is wrong", "things are wrong");
        let fact = format!("{wrong} with the backup");
        return Err(Failure::new(Exit::Tampered, "tampered", fact).hint(ANOTHER));
    }
    match behind {
        Some(0) => context.printer.note("the backup is sound and as new as what was seen here"),
        Some(n) => context.printer.note(format_args!(
            "the backup is sound; the vault has seen {} since",
            counted(n, "commit", "commits")
        )),
        None => context.printer.note("the backup is sound"),
    }
    Ok(Exit::Done)
}

/// A backup that is none, or damaged, is not mended by restoring a backup.
fn unfit(error: impl Into<Failure>, file: &Path) -> Failure {
    let failure = error.into();
    let hint = match failure.code {
        "damaged" | "tampered" => ANOTHER,
        "no-vault" => {
            return Failure::new(Exit::Missing, "no-backup", "there is no backup here")
                .about(file.display())
                .hint("`bulla backup create FILE` makes one of a vault");
        }
        _ => return failure.about(file.display()),
    };
    Failure { hints: vec![hint.to_owned()], ..failure }.about(file.display())
}

const ANOTHER: &str = "this file is no backup of bulla's, or it is damaged: take another one";

fn adopt(context: &Context, args: &AdoptArgs) -> Done {
    let store = context.store()?;
    let locked = LockedVault::find(&store, &context.random)?;
    let file = MemoryFile::of(context, &locked.vault_id());
    let remembered = file.load(locked.pin(), &context.printer);
    let mut expect = Expect { remembered: remembered.clone(), ..Expect::default() };
    let (vault, _) =
        unlock::open(&context.accepting_rollback(), &locked, &mut expect, Proof::Fresh)?;
    let found = vault.read()?.epoch();
    let differs = remembered.as_ref().map_or(Ok(()), |r| vault.agrees_with(r));
    let (question, commit) = match differs {
        Ok(()) => {
            context.printer.note("the vault is not older than what was seen here: nothing to do");
            return Ok(Exit::Done);
        }
        // Somebody adopted it already: all that is left to do is to believe it here too.
        Err(OpenError::Restored) => ("it was restored from a backup".to_owned(), false),
        Err(OpenError::RolledBack { seen, .. }) => {
            (format!("it is at epoch {found}, and epoch {seen} was seen here"), true)
        }
        Err(OpenError::Forked { .. }) => {
            (format!("at epoch {found} it held something else when it was last seen here"), true)
        }
        Err(other) => return Err(other.into()),
    };
    if !args.yes {
        if !tty::is_there() {
            return Err(Failure::usage(format_args!(
                "{question}, and there is no terminal to ask on"
            ))
            .hint("--yes accepts it without asking"));
        }
        context.printer.note(format_args!("About this vault: {question}."));
        if !prompt::confirm("Is this the true state? Whatever came after it is lost.")? {
            return Err(Failure::new(Exit::Failed, "declined", "nothing was changed"));
        }
    }
    if commit {
        vault.write(context.stamp(None))?.adopt()?;
    }
    file.save(&vault.remembered(), true, &context.printer);
    context.printer.note(if commit {
        "this is the true state from now on; other clients will ask for `bulla backup adopt` once too"
    } else {
        "accepted"
    });
    Ok(Exit::Done)
}
