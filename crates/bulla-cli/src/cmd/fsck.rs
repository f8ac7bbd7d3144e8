//! `bulla fsck`: verifies the whole vault.

use serde_json::json;

use super::Done;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::printer::counted;
use crate::progress::Progress;
use crate::session::with_vault;

pub(crate) fn run(context: &Context) -> Done {
    let store = context.store()?;
    store.check().map_err(Failure::from)?;
    drop(store);
    let report = with_vault(context, |vault| {
        let progress = Progress::new("verifying", context.printer.quiet);
        let report = vault.read()?.check(&mut |done| progress.at(done, 0));
        Ok(report?)
    })?;
    if context.printer.json {
        let faults: Vec<_> = report
            .faults
            .iter()
            .map(|fault| {
                json!({
                    "entry": fault.name.as_ref().map(|name| name.as_str()),
                    "part": fault.part.map_or("newer", |part| part.as_str()),
                })
            })
            .collect();
        context.printer.value(&json!({
            "entries": report.entries, "removed": report.removed, "versions": report.versions,
            "faults": faults,
        }))?;
    } else {
        context.printer.line(format_args!(
            "{}, {}, {}",
            counted(report.entries, "entry", "entries"),
            counted(report.removed, "mark of a removed one", "marks of removed ones"),
            counted(report.versions, "earlier version", "earlier versions")
        ))?;
    }
    if report.faults.is_empty() {
        context.printer.note("everything is as it was written");
        return Ok(Exit::Done);
    }
    for fault in &report.faults {
        let whose = fault.name.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
        match fault.part {
            Some(part) => {
                context.printer.warn(format_args!("{part}{whose} is not as it was written"))
            }
            None => {
                context.printer.warn(format_args!("a record{whose} is newer than this program"))
            }
        }
    }
    let wrong = counted(report.faults.len() as u64, "thing is wrong", "things are wrong");
    let fact = format!("{wrong} with the vault");
    Err(Failure::new(Exit::Tampered, "tampered", fact)
        .hint("keep this copy to look at, and restore a backup"))
}
