//! Behaviour of the resolver, mostly as data: one file per case under `tests/cases`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Taking literal secrets out of files.
mod adopt;
/// Templates, values, and what they render to or what is wrong with them.
mod cases;
/// Reading templates and replacing files.
mod files;
