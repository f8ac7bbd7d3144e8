//! `bulla init`: makes a vault.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use bulla_sqlite::SqliteStore;
use bulla_vault::{NewSlot, Vault};
use serde_json::json;

use super::Done;
use super::slot::{KdfArgs, read_recipient};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::files::folder_is_there;
use crate::memory::MemoryFile;
use crate::{places, prompt, tty, unlock};

#[derive(clap::Args)]
pub(crate) struct InitArgs {
    /// What to call the first slot
    #[arg(long, default_value = "owner")]
    label: String,

    /// Open the vault with this recipient's identity instead of a passphrase; `@FILE` reads it
    #[arg(long, value_name = "age1pq...|@FILE")]
    recipient: Option<String>,

    #[command(flatten)]
    kdf: KdfArgs,
}

pub(crate) fn run(context: &Context, args: &InitArgs) -> Done {
    let path = context.vault_path()?;
    if path.symlink_metadata().is_ok() {
        return Err(exists(&path));
    }
    let recipient = args.recipient.as_deref().map(read_recipient).transpose()?;
    let passphrase = match &recipient {
        Some(_) => None,
        None => Some(match unlock::passphrase_given(context)? {
            Some(passphrase) => passphrase,
            None if tty::is_there() => prompt::new_passphrase("the vault")?,
            None => {
                return Err(Failure::new(
                    Exit::Usage,
                    "no-terminal",
                    "there is no terminal to ask for a passphrase on",
                )
                .hint("give --passphrase-fd N, BULLA_PASSPHRASE_FILE, or --recipient"));
            }
        }),
    };
    let slot = match (&recipient, &passphrase) {
        (Some(recipient), _) => NewSlot::Recipient(recipient),
        (None, Some(passphrase)) => NewSlot::Passphrase(passphrase, args.kdf.chosen()?),
        (None, None) => unreachable!("one of them was read"),
    };

    if context.global.vault.is_none() {
        make_default_folder(&path)?;
    }
    folder_is_there(&path)?;
    let made = SqliteStore::create_with(&path, context.store_options(), |store| {
        let stamp = context.stamp(None);
        let vault = Vault::create(store, &context.random, &args.label, &slot, stamp)?;
        Ok::<_, Failure>((vault.id(), vault.pin(), vault.remembered()))
    });
    let (id, pin, remembered) = made.map_err(|failure| failure.about(path.display()))?;
    MemoryFile::of(context, &id).save(&remembered, false, &context.printer);
    places::remember(context, &id);

    if context.printer.json {
        let value = json!({"vault": path, "pin": pin.to_string(), "slot": args.label});
        context.printer.value(&value)?;
        return Ok(Exit::Done);
    }
    context.printer.line(format_args!("vault  {}", path.display()))?;
    context.printer.line(format_args!("pin    {pin}"))?;
    context.printer.note(
        "The pin is not a secret. Give it to whoever opens this vault by identity, so that they know the true one.",
    );
    if recipient.is_none() {
        context.printer.note(
            "There is no way in without the passphrase: add a second slot (`bulla slot add`) and keep backups.",
        );
    }
    Ok(Exit::Done)
}

fn exists(path: &Path) -> Failure {
    let fact = format!("{} exists already", path.display());
    Failure::new(Exit::Conflict, "exists", fact).hint("--vault PATH makes a vault elsewhere")
}

pub(crate) fn make_default_folder(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().expect("the default path has a folder");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| Failure::file("make", folder, &error))
}
