//! From a command to an open vault and back, with the client's memory kept on the way.

use std::thread;
use std::time::{Duration, Instant};

use bulla_sqlite::SqliteStore;
use bulla_vault::{Expect, LockedVault, Remembered, Vault};

use crate::context::Context;
use crate::failure::Failure;
use crate::memory::MemoryFile;
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
    let (locked, file, remembered) = found(context, &store)?;
    let mut expect = Expect { remembered: remembered.clone(), ..Expect::default() };
    let (mut vault, by) = unlock::open(context, &locked, &mut expect, proof)?;
    let done = work(&mut vault, &by);
    // A state that was accepted for this one run is not one to insist on from now on.
    let now = vault.remembered();
    if !context.global.accept_rollback && now.grew_from(remembered.as_ref()) {
        file.save(&now, false, &context.printer);
    }
    done
}

/// The vault, and what is remembered of it.
///
/// A command that changes the vault's key commits, and remembers the new pin a moment later. That
/// moment is waited for: it must not look like another vault.
fn found<'s>(
    context: &'s Context,
    store: &'s SqliteStore,
) -> Result<(LockedVault<'s>, MemoryFile, Option<Remembered>), Failure> {
    let until = Instant::now() + Duration::from_millis(300);
    loop {
        let locked = LockedVault::find(store, &context.random)?;
        let file = MemoryFile::of(context, &locked.vault_id());
        let remembered = file.load(&context.printer);
        let other = remembered.as_ref().is_some_and(|seen| seen.pin() != locked.pin());
        if !other || Instant::now() > until {
            return Ok((locked, file, remembered));
        }
        thread::sleep(Duration::from_millis(10));
    }
}
