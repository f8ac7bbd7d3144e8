//! `bulla`: an encrypted credential vault and a resolver for configurations.
//!
//! The binary is the only place that knows the terminal, the environment, exit codes and text for
//! people. Each command is one file under `cmd`; what they share is the [`context::Context`].

#![forbid(unsafe_code)]

mod account;
mod args;
mod cmd;
mod context;
mod diagnose;
mod env;
mod failure;
mod files;
mod harden;
mod hold;
mod input;
mod kernel;
mod manifest;
mod memory;
mod places;
mod printer;
mod progress;
mod prompt;
mod receipt;
mod session;
mod source;
mod templates;
mod tokens;
mod tty;
mod unlock;
mod usage;

use std::process::ExitCode;

use crate::args::Args;
use crate::context::Context;

fn main() -> ExitCode {
    if let Some(ended) = cmd::run::lead() {
        return ended;
    }
    harden::process();
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage::explain(&error),
    };
    let (context, command) = Context::new(args);
    let done = cmd::run(&context, command);
    context.printer.finish(done)
}
