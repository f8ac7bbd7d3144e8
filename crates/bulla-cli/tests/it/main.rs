//! The program as its users meet it: a process with arguments, input, an environment and files.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

/// Every command, and a search of all it wrote for what must not be there.
mod canary;
/// One file for each behaviour, in `tests/cases`.
mod cases;
/// The page that compares bulla with others.
mod comparison;
/// Vault files that are not what they should be.
mod damage;
/// System calls that fail, and kills in the middle of them.
mod faults;
/// The examples for deploy tools, run by these.
mod fronts;
/// Mailboxes, their grants and tokens, with real servers.
mod mailbox;
/// Pages of docs/ whose commands are tried as they stand there.
mod page;
/// A terminal that is played by the test.
mod pty;
/// Several processes at one vault.
mod races;
/// Reports for code hosts and CI servers, judged by readers of such.
mod reports;
/// Programs that `bulla run` runs, on terminals and without one.
mod run;
/// A home of its own for each test, and what the program did there.
mod support;
/// What happens on a terminal: questions, hidden input, signals, masks.
mod terminal;
/// A tree of configurations, read back by the programs that they are for.
mod tree;
/// Values come out as they went in.
mod values;
