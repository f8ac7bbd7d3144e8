//! Behaviour of the resolver, mostly as data: one file per case under `tests/cases`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Templates, values, and what they render to or what is wrong with them.
mod cases;
/// Reading templates and replacing files.
mod files;
