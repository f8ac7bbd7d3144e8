//! From a command to an open vault and back, with the client's memory kept on the way.

use bulla_vault::{Expect, LockedVault, Vault};

use crate::context::Context;
use crate::failure::Failure;
use crate::memory::MemoryFile;
use crate::places;
use crate::unlock::{self, OpenedBy, Proof};

/// Opens the vault, lets `work` use it, and remembers the newest state that was seen.
pub(crate) fn with_vault<T>(
    context: &Context,
    work: impl FnOnce(&Vault<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_proof(context, Proof::Any, |vault, _| work(vault))
}

/// The same, telling `work` what opened the vault, and letting it change its key.
pub(crate) fn with_proof<T>(
    context: &Context,
    proof: Proof,
    work: impl FnOnce(&mut Vault<'_>, &OpenedBy) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let store = context.store()?;
    let locked = LockedVault::find(&store, &context.random)?;
    let file = MemoryFile::of(context, &locked.vault_id());
    let remembered = file.load(locked.pin(), &context.printer);
    let known = places::check(context, &locked)?;
    let mut expect = Expect { remembered: remembered.clone(), ..Expect::default() };
    let (mut vault, by) = unlock::open(context, &locked, &mut expect, proof)?;
    if !known {
        places::remember(context, &vault.id());
    }
    let done = work(&mut vault, &by);
    // A state that was accepted for this one run is not one to insist on from now on.
    let now = vault.remembered();
    if !context.global.accept_rollback && file.is_behind(&now, remembered.as_ref()) {
        file.save(&now, false, &context.printer);
    }
    done
}
