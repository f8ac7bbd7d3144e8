//! The vault through its public interface, over stores in memory.

/// Vaults and entries that the other modules start from.
mod common;
/// What a vault remembers: versions, removals, renames, reverts.
mod versions;
