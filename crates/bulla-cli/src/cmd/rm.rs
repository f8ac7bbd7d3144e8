//! `bulla rm`: removes entries.

use super::Done;
use super::target::{entry_name, find_live};
use crate::account::hold_still;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_vault;
use crate::{prompt, tty};

#[derive(clap::Args)]
pub(crate) struct RmArgs {
    /// Names of the entries
    #[arg(required = true)]
    entries: Vec<String>,
    /// Remove the earlier versions too, for good
    #[arg(long)]
    purge: bool,
    /// Do not ask before a purge
    #[arg(long, short)]
    yes: bool,
    /// Why, for the log
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &RmArgs) -> Done {
    let names = args.entries.iter().map(|n| entry_name(n)).collect::<Result<Vec<_>, _>>()?;
    with_vault(context, |vault| {
        let snapshot = vault.read()?;
        for name in &names {
            match find_live(&snapshot, name, None) {
                // What was removed can still be purged.
                Err(_)
                    if args.purge && snapshot.find(name)?.is_some_and(|v| !v.kept.is_empty()) => {}
                found => drop(found?),
            }
        }
        drop(snapshot);
        if args.purge && !args.yes {
            confirm_purge(names.len())?;
        }
        let _still = hold_still(context, vault, &names)?;
        let mut batch = vault.write(context.stamp(args.reason.as_deref()))?;
        for name in &names {
            batch.remove(name, args.purge).map_err(|e| Failure::from(e).about(name))?;
        }
        batch.commit()?;
        for name in &names {
            if args.purge {
                context.printer.note(format_args!("{name} is gone, with its versions"));
            } else {
                context.printer.note(format_args!(
                    "{name} is removed; `bulla log {name}` shows what `bulla revert` can bring back"
                ));
            }
        }
        Ok(Exit::Done)
    })
}

fn confirm_purge(count: usize) -> Result<(), Failure> {
    if !tty::is_there() {
        return Err(Failure::usage(
            "what is purged cannot be brought back, and there is no terminal to ask on",
        )
        .hint("--yes purges without asking"));
    }
    let what = if count == 1 { "this entry".to_owned() } else { format!("these {count} entries") };
    if prompt::confirm(&format!("Purge {what} and all earlier versions for good?"))? {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "declined", "nothing was removed"))
}
