//! `bulla revert`: makes an earlier version the newest.

use super::Done;
use super::target::{Target, no_such_entry};
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_vault;

#[derive(clap::Args)]
pub(crate) struct RevertArgs {
    /// Name of the entry
    entry: String,
    /// The version to bring back, as `3` or `v3` [default: the one before]
    version: Option<String>,
    /// Why, for the log
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
}

pub(crate) fn run(context: &Context, args: &RevertArgs) -> Done {
    let target = Target::parse(&args.entry, None)?;
    let name = &target.entry;
    let wanted = args
        .version
        .as_deref()
        .map(|text| {
            text.trim_start_matches('v')
                .parse::<u64>()
                .map_err(|_| Failure::usage("a version is a number, as in `3` or `v3`"))
        })
        .transpose()?
        .or(target.version);
    with_vault(context, |vault| {
        let snapshot = vault.read()?;
        let newest = snapshot.find(name)?.ok_or_else(|| no_such_entry(&snapshot, name))?;
        let wanted = wanted.or(newest.kept.last().copied()).ok_or_else(|| {
            let fact = format!("no earlier version of `{name}` is kept");
            Failure::new(Exit::Missing, "missing-version", fact)
                .hint(format_args!("`bulla log {name}` lists the versions"))
        })?;
        drop(snapshot);
        let mut batch = vault.write(context.stamp(args.reason.as_deref()))?;
        let version = batch.revert(name, wanted).map_err(|e| Failure::from(e).about(name))?;
        batch.commit()?;
        context.printer.note(format_args!("{name} is at version {version}, as it was at {wanted}"));
        Ok(Exit::Done)
    })
}
