//! What is wrong with a command line, told without repeating it: one of the words on it may be a
//! secret that was put in the wrong place.

use std::error::Error as _;
use std::process::ExitCode;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args::Args;
use crate::failure::{Exit, Failure};
use crate::printer::{Printer, out_failure};

/// Prints what clap has to say. Help is data, and a mistake is a failure like all others.
pub(crate) fn explain(error: &clap::Error) -> ExitCode {
    // The command line was not understood, so this is all that is known of it.
    let json = std::env::args_os().any(|arg| arg == "--json");
    let printer = Printer::new(json, false);
    let done = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            error.print().map(|()| Exit::Done).map_err(|error| out_failure(&error))
        }
        // Who types nothing but `bulla` wants to know what there is.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !json => {
            let _ = error.print();
            Ok(Exit::Usage)
        }
        _ => Err(failure(error)),
    };
    printer.finish(done)
}

fn failure(error: &clap::Error) -> Failure {
    let ours = |kind| error.get(kind).map(text).unwrap_or_default();
    let argument = ours(ContextKind::InvalidArg);
    let fact = match error.kind() {
        ErrorKind::ArgumentConflict => match ours(ContextKind::PriorArg) {
            prior if prior == argument => format!("`{argument}` is given twice"),
            prior => format!("`{argument}` does not go with {}", ticked(&prior)),
        },
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            "a command is missing".to_owned()
        }
        ErrorKind::InvalidSubcommand => "there is no such command".to_owned(),
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8".to_owned(),
        ErrorKind::InvalidValue => match ours(ContextKind::ValidValue).as_str() {
            "" => format!("`{argument}` has no value"),
            valid => format!("the value of `{argument}` is none of {}", ticked(valid)),
        },
        ErrorKind::MissingRequiredArgument => format!("{} is missing", ticked(&argument)),
        ErrorKind::UnknownArgument => unknown(&argument),
        ErrorKind::ValueValidation => match error.source() {
            Some(why) => format!("the value of `{argument}` is wrong: {why}"),
            None => format!("the value of `{argument}` is wrong"),
        },
        _ if argument.is_empty() => "the arguments make no sense".to_owned(),
        _ => format!("`{argument}` cannot be given like this"),
    };
    let failure = match is_of_run() {
        // Any other code could be that of its program.
        true => Failure { exit: Exit::RunFailed, ..Failure::usage(fact) },
        false => Failure::usage(fact),
    };
    let like = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg].map(ours);
    if let Some(like) = like.iter().find(|like| !like.is_empty()) {
        // clap tells what is most like it last.
        let like: Vec<_> = like.rsplit(", ").collect();
        return failure.hint(format_args!("is it {}?", ticked(&like.join(", "))));
    }
    let usage = ours(ContextKind::Usage);
    match usage.strip_prefix("Usage: ").and_then(|usage| usage.lines().next()) {
        Some(usage) => failure.hint(format_args!("usage: {usage}")),
        None => failure.hint("--help tells what can be given"),
    }
}

/// Whether the command is `run`, as far as the command line can be understood.
fn is_of_run() -> bool {
    let lenient = Args::command().ignore_errors(true).try_get_matches();
    lenient.is_ok_and(|words| words.subcommand_name() == Some("run"))
}

/// Here the argument is the user's own word. An option's name tells what is meant; anything else
/// could be a value.
fn unknown(argument: &str) -> String {
    let name = argument.split('=').next().unwrap_or_default();
    let plain = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    match name.strip_prefix("--") {
        Some(long) if plain(long) && long.len() < 24 => format!("there is no option `{name}`"),
        _ if name.starts_with('-') => "there is no such option".to_owned(),
        _ => "there is an argument too many".to_owned(),
    }
}

/// What clap tells of its own declarations; several names are separated by commas.
fn text(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        ContextValue::StyledStr(text) => text.to_string(),
        ContextValue::StyledStrs(texts) => {
            texts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        _ => String::new(),
    }
}

fn ticked(names: &str) -> String {
    format!("`{}`", names.replace(", ", "`, `"))
}
