//! The vault through its public interface, over stores in memory.

#![allow(clippy::unwrap_used, reason = "a test that fails here has failed")]

/// Vaults and entries that the other modules start from.
mod common;
/// The files of `tests/vectors`.
mod vectors;
/// What a vault remembers: versions, removals, renames, reverts.
mod versions;
