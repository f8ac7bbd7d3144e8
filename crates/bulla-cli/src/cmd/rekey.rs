//! `bulla rekey` and `bulla slot rm`: a new vault key.

use bulla_vault::{OwnSlot, SlotInfo, Vault};
use serde_json::json;

use super::Done;
use super::slot::KdfArgs;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::kernel;
use crate::progress::Progress;
use crate::session::with_proof;
use crate::unlock::{OpenedBy, Proof};

#[derive(clap::Args)]
pub(crate) struct RekeyArgs {
    #[command(flatten)]
    kdf: KdfArgs,
}

pub(crate) fn run(context: &Context, args: &RekeyArgs) -> Done {
    with_proof(context, Proof::Fresh, |vault, by| {
        rekey(context, vault, by, None, &args.kdf)?;
        Ok(Exit::Done)
    })
}

/// Removes a slot, and prints what its holder could read: a worklist of what to replace.
pub(crate) fn remove_slot(context: &Context, label: &str, kdf: &KdfArgs) -> Done {
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
        rekey(context, vault, by, Some(label), kdf)?;
        worklist(context, &slot, &readable)?;
        Ok(Exit::Done)
    })
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
    let done = vault.rekey(&own, remove, context.stamp(None), &mut |done, total| {
        progress.at(done, total);
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
