//! Behaviour of the resolver, mostly as data: one file per case under `tests/cases`.

#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Taking literal secrets out of files.
mod adopt;
/// Files that are made to be too much.
mod bounds;
/// Templates, values, and what they render to or what is wrong with them.
mod cases;
/// What a file alone shows to be wrong with it.
mod check;
/// What a rendering would change.
mod diff;
/// The page that documents all this.
mod docs;
/// Reading templates and replacing files.
mod files;
/// Nasty values, judged by the programs that read such files.
mod readers;
