//! `bulla rekey` and `bulla slot rm`: a new vault key.

use bulla_vault::{OwnSlot, RekeyStep, SlotInfo, SlotSort, Snapshot, Vault};
use serde_json::json;

use super::Done;
use super::slot::KdfArgs;
use crate::account::{being_renewed, hold_still};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::kernel;
use crate::memory::MemoryFile;
use crate::printer::counted;
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

// Whether to ask before other people's passphrases are dropped.
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
        let (slots, readable) = {
            let snapshot = vault.read()?;
            (snapshot.slots()?, readable(&snapshot)?)
        };
        let slot = slots
            .iter()
            .find(|slot| slot.label == label)
            .ok_or_else(|| Failure::from(bulla_vault::SlotError::Missing).about(label))?;
        confirm.dropping(context, vault, Some(label))?;
        rekey(context, vault, by, Some(label), kdf)?;
        let listed = worklist(context, slot, &readable);
        // Behind the list, which may be long.
        for twin in twins(&slots, slot) {
            context.printer.warn(format_args!(
                "slot `{twin}` opens with the same identity, so its holder still reads everything; remove it too"
            ));
        }
        listed.map(|()| Exit::Done)
    })
}

/// An entry that the holder of a slot could read.
struct Readable {
    name: String,
    kind: &'static str,
    versions: usize,
    /// Only earlier versions are left of it.
    removed: bool,
}

/// Everything that the vault holds, by name. Earlier versions are as readable as the newest ones, those
/// of removed entries too.
fn readable(snapshot: &Snapshot<'_>) -> Result<Vec<Readable>, Failure> {
    let mut found = Vec::new();
    snapshot.each::<Failure>(&mut |version| {
        let kept = version.kept.len();
        let name = version.name.to_string();
        if let Some(entry) = version.live() {
            let (kind, versions) = (entry.kind().as_str(), kept + 1);
            found.push(Readable { name, kind, versions, removed: false });
        } else if let Some(&last) = version.kept.last() {
            let last = snapshot.find_version(&version.name, last)?;
            let kind = last.as_ref().and_then(|last| last.live()).map_or("", |e| e.kind().as_str());
            found.push(Readable { name, kind, versions: kept, removed: true });
        }
        Ok(())
    })?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// The labels of other slots that open with the identity of `slot`. No new ones are made, but a vault may
/// have them from before.
fn twins<'s>(slots: &'s [SlotInfo], slot: &SlotInfo) -> Vec<&'s str> {
    slots
        .iter()
        .filter(|other| other.id != slot.id)
        .filter(|other| other.recipient.is_some() && other.recipient == slot.recipient)
        .map(|other| other.label.as_str())
        .collect()
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
    let done = loop {
        // A token that is on its way has to be written under the key that it was asked for with.
        drop(hold_still(context, vault, &being_renewed(vault)?)?);
        let mut began = Ok(Vec::new());
        let done = vault.rekey(&own, remove, context.stamp(None), &mut |step| match step {
            // Making a key takes a while, and somebody may have begun meanwhile. Who begins from here
            // on cannot write it down, and then asks nobody.
            RekeyStep::Alone { vault, stop } => {
                began = being_renewed(vault);
                *stop = !matches!(&began, Ok(names) if names.is_empty());
            }
            RekeyStep::Sealing { done, total } => progress.at(done, total),
            // A run that is stopped behind the commit would not know the vault again by its old pin.
            RekeyStep::Committing { next } => memory.announce(next, &context.printer),
            _ => {}
        });
        if !began?.is_empty() {
            continue;
        }
        break done?;
    };
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

fn worklist(context: &Context, slot: &SlotInfo, readable: &[Readable]) -> Result<(), Failure> {
    if context.printer.json {
        for Readable { name, kind, versions, removed } in readable {
            context.printer.value(&json!({
                "entry": name, "kind": kind, "versions": versions, "removed": removed,
            }))?;
        }
        return Ok(());
    }
    context.printer.note(format_args!(
        "the holder of `{}` could read all of this, and may have kept a copy; replace what matters at its source:",
        slot.label
    ));
    for Readable { name, kind, versions, removed } in readable {
        let versions = counted(*versions as u64, "version", "versions");
        let removed = if *removed { ", removed" } else { "" };
        context.printer.line(format_args!("{name}  ({kind}, {versions}{removed})"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bulla_vault::{Identity, SystemRandom};

    use super::*;

    #[test]
    fn an_identity_with_two_slots_of_old_is_noticed() {
        let recipient = || Some(Identity::generate(&SystemRandom).unwrap().recipient());
        let (one, two) = (recipient(), recipient());
        let slots: Vec<_> = [("a", &one), ("b", &two), ("c", &one), ("d", &None), ("e", &None)]
            .into_iter()
            .zip(1..)
            .map(|((label, recipient), id)| SlotInfo {
                id: [id; 8],
                label: label.to_owned(),
                sort: SlotSort::Identity,
                recipient: recipient.clone(),
                added: 0,
            })
            .collect();
        assert_eq!(twins(&slots, &slots[0]), ["c"]);
        assert!(twins(&slots, &slots[1]).is_empty() && twins(&slots, &slots[3]).is_empty());
    }
}
