//! The program as its users meet it: a process with arguments, input, an environment and files.

#![forbid(unsafe_code)]

/// One file for each behaviour, in `tests/cases`.
mod cases;
/// A home of its own for each test, and what the program did there.
mod support;
