//! `bulla lock`: forgets what `unlock` keeps.

use bulla_vault::LockedVault;

use super::Done;
use crate::context::Context;
use crate::failure::Exit;
use crate::kernel;

pub(crate) fn run(context: &Context) -> Done {
    let store = context.store()?;
    let locked = LockedVault::find(&store, &context.random)?;
    if kernel::forget(&locked.vault_id())? {
        context.printer.note("locked");
    } else {
        context.printer.note("it was not unlocked");
    }
    Ok(Exit::Done)
}
