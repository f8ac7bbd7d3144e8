//! Behaviour of the resolver, mostly as data: one file per case under `tests/cases`.

#![allow(clippy::print_stdout, reason = "a test that is skipped says so")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Taking literal secrets out of files.
mod adopt;
/// The same in the dialects of formats.
mod adopt_dialects;
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
/// Secrets in clear where readers disagree.
mod in_clear;
/// Values and forms of references, and the tables of who reads them.
mod matrix;
/// Rewriting the references of other tools.
mod migrate;
/// The readers of formats, judging them.
mod readers;
/// INI and its dialects, judged by the programs that read them.
mod readers_ini;
/// Assignments, judged by shells and others.
mod readers_shell;
/// Units, judged by systemd.
mod readers_systemd;
/// XML, judged likewise.
mod readers_xml;
/// What is told of a value that cannot be placed.
mod refusals;
