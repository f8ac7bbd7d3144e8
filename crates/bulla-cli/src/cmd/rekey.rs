//! `bulla rekey` and `bulla slot rm`: a new vault key.

use bulla_vault::{OwnSlot, RekeyStep, SlotInfo, SlotSort, Vault};
use serde_json::json;

use super::Done;
use super::slot::KdfArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::kernel;
use crate::memory::MemoryFile;
use crate::progress::Progress;
use crate::session::with_proof;
use crate::unlock::{OpenedBy, Proof};
use crate::{prompt, tty};

#[derive(clap::Args)]
pub(crate) struct RekeyArgs {
    #[command(flatten)]
    kdf: KdfArgs,
    #[command(flatten)]
    confirm: Confirm,
}

/// Whether to ask before other people's passphrases are dropped.
#[derive(clap::Args)]
pub(crate) struct Confirm {
    /// Do not ask before dropping passphrases of others, which only they know
    #[arg(long, short)]
    yes: bool,
}

pub(crate) fn run(context: &Context, args: &RekeyArgs) -> Done {
    with_proof(context, Proof::Fresh, |vault, by| {
        args.confirm.dropping(context, vault, None)?;
        rekey(context, vault, by, None, &args.kdf)?;
        Ok(Exit::Done)
    })
}

/// Removes a slot, and prints what its holder could read: a worklist of what to replace.
pub(crate) fn remove_slot(
    context: &Context,
    label: &str,
    kdf: &KdfArgs,
    confirm: &Confirm,
) -> Done {
    with_proof(context, Proof::Fresh, |vault, by| {
        let (slot, readable) = {
            let snapshot = vault.read()?;
            let slots = snapshot.slots()?;
            let slot = slots
                .into_iter()
                .find(|slot| slot.label == label)
                .ok_or_else(|| Failure::from(bulla_vault::SlotError::Missing).about(label))?;
            let mut readable = Vec::new();
            snapshot.each::<Failure>(&mut |version| {
                if let Some(entry) = version.live() {
                    let versions = version.kept.len() + 1;
                    readable.push((version.name.to_string(), entry.kind().as_str(), versions));
                }
                Ok(())
            })?;
            readable.sort();
            (slot, readable)
        };
        confirm.dropping(context, vault, Some(label))?;
        rekey(context, vault, by, Some(label), kdf)?;
        worklist(context, &slot, &readable)?;
        Ok(Exit::Done)
    })
}

impl Confirm {
    /// A new vault key cannot be wrapped for a passphrase that only somebody else knows.
    fn dropping(
        &self,
        context: &Context,
        vault: &Vault<'_>,
        remove: Option<&str>,
    ) -> Result<(), Failure> {
        let slots = vault.read()?.slots()?;
        let dropped: Vec<_> = slots
            .iter()
            .filter(|slot| matches!(slot.sort, SlotSort::Passphrase(_)))
            .filter(|slot| slot.id != vault.slot() && Some(slot.label.as_str()) != remove)
            .map(|slot| format!("`{}`", slot.label))
            .collect();
        if dropped.is_empty() || self.yes {
            return Ok(());
        }
        let fact = format!("the passphrase of {} would open nothing any more", dropped.join(", "));
        if !tty::is_there() {
            return Err(Failure::usage(fact)
                .hint("--yes goes on; their owners have to be added again with `bulla slot add`"));
        }
        context.printer.note(format_args!(
            "With the new vault key {fact}; their owners have to be added again."
        ));
        if prompt::confirm("Go on?")? {
            return Ok(());
        }
        Err(Failure::new(Exit::Failed, "declined", "nothing was changed"))
    }
}

fn rekey(
    context: &Context,
    vault: &mut Vault<'_>,
    by: &OpenedBy,
    remove: Option<&str>,
    kdf: &KdfArgs,
) -> Result<(), Failure> {
    let own = match by {
        OpenedBy::Passphrase(passphrase) => OwnSlot::Passphrase(passphrase, kdf.chosen()?),
        OpenedBy::Identity | OpenedBy::Kernel => OwnSlot::Identity,
    };
    let progress = Progress::new("sealing again", context.printer.quiet);
    let memory = MemoryFile::of(context, &vault.id());
    let done = vault.rekey(&own, remove, context.stamp(None), &mut |step| match step {
        RekeyStep::Sealing { done, total } => progress.at(done, total),
        // A run that is stopped behind the commit would not know the vault again by its old pin.
        RekeyStep::Committing { next } => memory.announce(next, &context.printer),
        _ => {}
    })?;
    drop(progress);
    // What `unlock` kept opens nothing any more.
    let _ = kernel::forget(&vault.id());
    for label in &done.dropped {
        context.printer.warn(format_args!(
            "slot `{label}` is gone: only its owner knows its passphrase; add it again with `bulla slot add`"
        ));
    }
    context
        .printer
        .note("the vault key is changed; old copies of the vault stay open to old slots");
    if !context.printer.json {
        context.printer.line(format_args!("pin    {}", done.pin))?;
    } else {
        let value = json!({"pin": done.pin.to_string(), "dropped": done.dropped});
        context.printer.value(&value)?;
    }
    Ok(())
}

fn worklist(
    context: &Context,
    slot: &SlotInfo,
    readable: &[(String, &'static str, usize)],
) -> Result<(), Failure> {
    if context.printer.json {
        for (name, kind, versions) in readable {
            let value = json!({"entry": name, "kind": kind, "versions": versions});
            context.printer.value(&value)?;
        }
        return Ok(());
    }
    context.printer.note(format_args!(
        "the holder of `{}` could read all of this, and may have kept a copy; replace what matters at its source:",
        slot.label
    ));
    for (name, kind, versions) in readable {
        let versions =
            if *versions == 1 { "1 version".to_owned() } else { format!("{versions} versions") };
        context.printer.line(format_args!("{name}  ({kind}, {versions})"))?;
    }
    Ok(())
}
