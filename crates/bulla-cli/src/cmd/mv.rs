//! `bulla mv`: renames an entry.

use super::Done;
use super::target::{entry_name, find_live};
use crate::account::hold_still;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::session::with_vault;

#[derive(clap::Args)]
pub(crate) struct MvArgs {
    /// Its name now
    from: String,
    /// Its new name
    to: String,
}

pub(crate) fn run(context: &Context, args: &MvArgs) -> Done {
    let (from, to) = (entry_name(&args.from)?, entry_name(&args.to)?);
    with_vault(context, |vault| {
        find_live(&vault.read()?, &from, None)?;
        let _still = hold_still(context, vault, std::slice::from_ref(&from))?;
        let mut batch = vault.write(context.stamp(None))?;
        batch.rename(&from, &to).map_err(|error| Failure::from(error).about(&to))?;
        batch.commit()?;
        context.printer.note(format_args!(
            "{from} is {to} now; references to the old name have to be changed"
        ));
        Ok(Exit::Done)
    })
}
