//! The vault through its public interface, over stores in memory.

#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

/// What somebody who can write the store tries without a key.
mod attacks;
/// Vaults and entries that the other modules start from.
mod common;
/// Stores and sources of randomness that fail in the middle of a change.
mod failures;
/// Vaults that were rolled back, forked or restored.
mod memory;
/// Random changes, compared with a plain map.
mod model;
/// Changes of the vault key, and who can open the vault afterwards.
mod rekeying;
/// What the stored bytes give away.
mod secrecy;
/// The files of `tests/vectors`.
mod vectors;
/// What a vault remembers: versions, removals, renames, reverts.
mod versions;
/// Writers at the same time.
mod writers;
