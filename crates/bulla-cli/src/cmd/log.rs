//! `bulla log`: the versions of an entry, or the changes of slots.

use bulla_vault::{SlotChange, SlotId, Snapshot, State, Version};
use serde_json::json;

use super::Done;
use super::target::{entry_name, no_such_entry, time};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_vault;

#[derive(clap::Args)]
pub(crate) struct LogArgs {
    /// Name of the entry; without it, what was done to the slots
    entry: Option<String>,
}

pub(crate) fn run(context: &Context, args: &LogArgs) -> Done {
    let entry = args.entry.as_deref().map(entry_name).transpose()?;
    with_vault(context, |vault| {
        let snapshot = vault.read()?;
        let labels = Labels::read(&snapshot)?;
        match &entry {
            None => slots(context, &snapshot, &labels)?,
            Some(name) => {
                let newest = snapshot.find(name)?.ok_or_else(|| no_such_entry(&snapshot, name))?;
                let kept = newest.kept.clone();
                version(context, &newest, &labels)?;
                for number in kept.into_iter().rev() {
                    let kept = snapshot.find_version(name, number)?;
                    version(context, &kept.expect("the snapshot lists it"), &labels)?;
                }
            }
        }
        Ok(Exit::Done)
    })
}

fn version(context: &Context, version: &Version, labels: &Labels) -> Result<(), Failure> {
    let what = match &version.state {
        State::Live(_) => "written".to_owned(),
        State::Removed { moved_to: None } => "removed".to_owned(),
        State::Removed { moved_to: Some(to) } => format!("renamed to {to}"),
    };
    let author = labels.of(version.author);
    if context.printer.json {
        return context.printer.value(&json!({
            "entry": version.name.as_str(), "version": version.version, "what": what,
            "time": time(version.time), "author": author, "reason": version.reason,
        }));
    }
    let reason =
        if version.reason.is_empty() { String::new() } else { format!(": {}", version.reason) };
    context.printer.one_line(format_args!(
        "v{:<4} {}  {what} by {author}{reason}",
        version.version,
        time(version.time)
    ))
}

fn slots(context: &Context, snapshot: &Snapshot<'_>, labels: &Labels) -> Result<(), Failure> {
    for event in snapshot.slot_events()? {
        let what = match &event.change {
            SlotChange::Added(label) => format!("slot `{label}` added"),
            SlotChange::Removed(label) => format!("slot `{label}` removed"),
            SlotChange::PassphraseChanged(label) => format!("passphrase of slot `{label}` changed"),
            SlotChange::Rekeyed => "vault key changed".to_owned(),
            _ => "changed by a newer version of bulla".to_owned(),
        };
        let author = labels.of(event.author);
        if context.printer.json {
            let value = json!({"time": time(event.time), "author": author, "what": what});
            context.printer.value(&value)?;
        } else {
            context.printer.one_line(format_args!("{}  {what} by {author}", time(event.time)))?;
        }
    }
    Ok(())
}

struct Labels(Vec<(SlotId, String)>);

impl Labels {
    fn read(snapshot: &Snapshot<'_>) -> Result<Self, Failure> {
        Ok(Self(snapshot.slots()?.into_iter().map(|slot| (slot.id, slot.label)).collect()))
    }

    fn of(&self, id: SlotId) -> &str {
        self.0.iter().find(|(slot, _)| *slot == id).map_or("a removed slot", |(_, label)| label)
    }
}
