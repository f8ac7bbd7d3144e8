//! `bulla run`: runs a program with values in its environment and in files in memory.

mod child;
mod entities;
mod escapes;
mod folds;
mod forms;
mod json;
mod leader;
mod masker;
mod memory_file;
mod numbers;
mod pieces;
mod pipeline;
mod pump;
mod screen;
mod shells;
mod signals;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use bulla_resolve::{Format, Rendering, Secret, Template, dotenv_pairs};
use rustix::fs::{Access, FileType};

use self::child::Program;
use self::forms::MOST_FORMS;
use self::masker::{LEAST, Patterns};
use self::memory_file::MemoryFile;
use super::Done;
use super::render::{self, Reading, render_watched, several, shown};
use crate::context::Context;
use crate::failure::{Exit, Failure, io_fact};
use crate::printer::{escaped, out_failure};

pub(crate) use self::leader::lead;

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("handed over").required(true).multiple(true).args(["env", "file"])))]
pub(crate) struct RunArgs {
    /// Template of a `.env` file, whose variables the program gets; where two set
    /// the same one, the later counts
    #[arg(long, value_name = "TEMPLATE")]
    env: Vec<PathBuf>,
    /// Template of a file in memory; {NAME} in the program's arguments becomes its path
    #[arg(long, value_name = "NAME=TEMPLATE", value_parser = file)]
    file: Vec<(String, PathBuf)>,
    #[command(flatten)]
    reading: Reading,
    /// Let the program write secrets: become it, instead of masking what it writes
    #[arg(long)]
    no_mask: bool,
    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn run(context: &Context, args: &RunArgs) -> Done {
    prepare(context, args)
        .and_then(|(program, patterns, _files)| match patterns {
            Some(patterns) => program.run(&patterns),
            None => Err(program.exec()),
        })
        .map_err(|failure| {
            // Whatever a failure has for a code elsewhere, the program could have it too.
            let exit = match failure.exit {
                Exit::NotExecutable | Exit::NotFound => failure.exit,
                _ => Exit::RunFailed,
            };
            Failure { exit, ..failure }
        })
}

/// A value that is handed over.
struct Value {
    name: String,
    secret: Secret,
    public: bool,
}

/// Everything up to the start of the program, of which there is none if any of it fails; without
/// patterns there is nothing to mask.
fn prepare(
    context: &Context,
    args: &RunArgs,
) -> Result<(Program, Option<Patterns>, Vec<MemoryFile>), Failure> {
    check_streams(context)?;
    let [name, arguments @ ..] = args.command.as_slice() else {
        return Err(Failure::usage("the program is missing"));
    };
    check_names(&args.file, arguments)?;
    let path = find(name)?;
    let format = format_of_env(args)?;
    let templates = templates(context, args, format)?;
    let mut values = Vec::new();
    let renderings = render_watched(
        context,
        &templates,
        &args.reading.allow,
        &mut |reference, secret, public| {
            let secret = Secret::copied_from(secret.expose());
            values.push(Value { name: reference.to_string(), secret, public });
        },
    )
    .map_err(|failures| several(context, failures))?;
    let (of_env, of_files) = renderings.split_at(args.env.len());
    let variables = variables(of_env);
    let mut files = Vec::new();
    for ((name, _), rendering) in args.file.iter().zip(of_files) {
        files.push(MemoryFile::new(name, &rendering.contents).map_err(not_started)?);
    }
    let arguments = arguments.iter().map(|argument| with_paths(argument, &files)).collect();
    let program = Program { path, name: name.clone(), arguments, variables };
    let secrets = values.iter().filter(|value| !value.public).map(|value| value.secret.expose());
    pipeline::register(context, secrets).map_err(|error| out_failure(&error))?;
    if args.no_mask {
        return Ok((program, None, files));
    }
    let patterns = patterns(context, &values, &renderings);
    Ok((program, (!patterns.is_empty()).then_some(patterns), files))
}

/// The program would inherit what opens the vault, or find its standard input read already.
fn check_streams(context: &Context) -> Result<(), Failure> {
    let taken = context.global.identity.iter().any(|path| path == Path::new("-"));
    if taken || context.global.passphrase_fd == Some(0) {
        return Err(Failure::usage("standard input belongs to the program")
            .hint("give the passphrase or the identity in a file, or through another descriptor"));
    }
    let Some(number) = context.global.passphrase_fd else { return Ok(()) };
    // What is read from a pipe is gone; a file could be read once more.
    let is_pipe = rustix::fs::stat(format!("/dev/fd/{number}")).is_ok_and(|stat| {
        let sort = FileType::from_raw_mode(stat.st_mode);
        matches!(sort, FileType::Fifo | FileType::Socket)
    });
    if is_pipe {
        return Ok(());
    }
    let fact = format!("descriptor {number} is no pipe, so the program could read the passphrase");
    Err(Failure::usage(fact).hint("give it through a pipe, or set BULLA_PASSPHRASE_FILE"))
}

/// Each name is there for an argument, and stands for one file.
fn check_names(files: &[(String, PathBuf)], arguments: &[OsString]) -> Result<(), Failure> {
    for (number, (name, _)) in files.iter().enumerate() {
        if files[..number].iter().any(|(other, _)| other == name) {
            return Err(Failure::usage(format_args!("two files are called {name}")));
        }
        let place = format!("{{{name}}}");
        let is_named = |argument: &OsString| {
            memchr::memmem::find(argument.as_bytes(), place.as_bytes()).is_some()
        };
        if !arguments.iter().any(is_named) {
            return Err(Failure::usage(format_args!(
                "no argument of the program has {place} in it"
            ))
            .hint(format_args!("`-- env VARIABLE={place} COMMAND` gives the path in a variable")));
        }
    }
    Ok(())
}

/// Finds the program as a shell does. Only our own PATH counts: a template names no program.
fn find(name: &OsStr) -> Result<PathBuf, Failure> {
    let runs = |path: &Path| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    let shown = escaped(&name.to_string_lossy());
    let cannot =
        || Failure::new(Exit::NotExecutable, "not-executable", format!("cannot run {shown}"));
    let missing = || {
        let fact = format!("there is no program {shown}");
        Failure::new(Exit::NotFound, "no-program", fact)
    };
    if name.as_bytes().contains(&b'/') {
        let path = PathBuf::from(name);
        return match path.exists() {
            true if runs(&path) => Ok(path),
            true => Err(cannot().hint("it is a folder, or lacks the permission to be executed")),
            false => Err(missing()),
        };
    }
    let folders = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let mut found = Err(missing());
    for folder in std::env::split_paths(&folders).filter(|_| !name.is_empty()) {
        // An empty part is the current folder.
        let path = Path::new(".").join(folder).join(name);
        if runs(&path) {
            return Ok(path);
        }
        if path.is_file() && found.as_ref().is_err_and(|failure| failure.exit == Exit::NotFound) {
            let path = path.display();
            found = Err(cannot().hint(format_args!("{path} lacks the permission to be executed")));
        }
    }
    found
}

/// The format of the templates of variables: dotenv, or the dialect of it that was named.
fn format_of_env(args: &RunArgs) -> Result<Format, Failure> {
    match args.reading.format {
        Some(format) if is_dotenv(format) => Ok(format),
        Some(format) if !args.env.is_empty() && args.file.is_empty() => {
            let name = format.name();
            Err(Failure::usage(format_args!(
                "templates of variables cannot have the format {name}"
            ))
            .hint("it is dotenv, or dotenv-docker, dotenv-node or dotenv-python"))
        }
        _ => Ok(Format::Dotenv),
    }
}

fn is_dotenv(format: Format) -> bool {
    use Format::{Dotenv, DotenvDocker, DotenvNode, DotenvPython};
    matches!(format, Dotenv | DotenvDocker | DotenvNode | DotenvPython)
}

/// The templates of the variables, and then those of the files.
fn templates(
    context: &Context,
    args: &RunArgs,
    format_of_env: Format,
) -> Result<Vec<Template>, Failure> {
    // A dialect of dotenv that was named is for the variables, if there are any.
    let format = args.reading.format.filter(|it| args.env.is_empty() || !is_dotenv(*it));
    let of_env = args.env.iter().map(|path| variables_of(path, format_of_env));
    let of_files = args.file.iter().map(|(_, path)| parsed(path, format));
    let (mut templates, mut unread) = (Vec::new(), Vec::new());
    for template in of_env.chain(of_files) {
        match template {
            Ok(template) => templates.push(template),
            Err(failure) => unread.push(failure),
        }
    }
    if unread.is_empty() { Ok(templates) } else { Err(several(context, unread)) }
}

fn parsed(path: &Path, format: Option<Format>) -> Result<Template, Failure> {
    if path == Path::new("-") {
        return Err(Failure::usage("standard input belongs to the program"));
    }
    Ok(Template::parse(&shown(path), render::read(path)?, format))
}

/// A template of variables, where no reader of such files takes one for another.
fn variables_of(path: &Path, format: Format) -> Result<Template, Failure> {
    let template = parsed(path, Some(format))?;
    match dotenv_pairs(template.name(), template.bytes(), format) {
        // What else is wrong with it is told with all that is.
        Err(problem) if template.problems().is_empty() => {
            let failure = Failure::from(problem);
            Err(if format == Format::Dotenv { failure.hint(DIALECTS) } else { failure })
        }
        _ => Ok(template.into_variables()),
    }
}

/// What the templates set, in their order.
fn variables(renderings: &[Rendering]) -> Vec<(String, Secret)> {
    let blocks = renderings.iter().map(|rendering| rendering.contents.expose());
    let pairs = blocks.flat_map(|block| block.split(|&b| b == 0)).filter_map(|pair| {
        let equals = pair.iter().position(|&b| b == b'=')?;
        let name = String::from_utf8_lossy(&pair[..equals]).into_owned();
        Some((name, Secret::copied_from(&pair[equals + 1..])))
    });
    pairs.collect()
}

/// The way out where readers of a dotenv file differ.
pub(crate) const DIALECTS: &str =
    "--format dotenv-docker, dotenv-node or dotenv-python takes it as one of them does";

/// An argument with the paths of files in it, which are not searched again.
fn with_paths(argument: &OsStr, files: &[MemoryFile]) -> OsString {
    let mut rest = argument.as_bytes();
    let mut out = Vec::with_capacity(rest.len());
    while let Some(&byte) = rest.first() {
        let named = files.iter().find_map(|file| {
            let after = rest.strip_prefix(b"{")?.strip_prefix(file.name.as_bytes())?;
            Some((file, after.strip_prefix(b"}")?))
        });
        match named {
            Some((file, after)) => {
                out.extend_from_slice(file.path().as_bytes());
                rest = after;
            }
            None => {
                out.push(byte);
                rest = &rest[1..];
            }
        }
    }
    OsString::from_vec(out)
}

/// What to mask: each value in all its forms, and in those that the templates have given it.
fn patterns(context: &Context, values: &[Value], renderings: &[Rendering]) -> Patterns {
    let (mut forms, mut left, mut known) = (Vec::new(), MOST_FORMS, HashSet::new());
    let mut look_for = |secret| {
        if known.insert(secret) {
            forms::add_within(secret, &mut left, &mut forms);
        }
    };
    for Value { name, secret, .. } in values.iter().filter(|value| !value.public) {
        if !pieces::is_maskable(secret.expose()) {
            context.printer.warn(format_args!(
                "the value of {name} is too short or too common to be masked: that takes {LEAST} bytes and more than a word such as `true`"
            ));
        } else if !pieces::is_whole(secret.expose()) {
            context
                .printer
                .warn(format_args!("of the value of {name}, only the beginning is masked"));
        }
        look_for(secret.expose());
    }
    for rendering in renderings {
        for place in &rendering.values {
            let piece = &rendering.contents.expose()[place.clone()];
            if !values.iter().any(|value| value.public && value.secret.expose() == piece) {
                look_for(piece);
            }
        }
    }
    if left == 0 {
        context.printer.warn(
            "the values are so many and so long that some are masked only as they are, and not in other forms",
        );
    }
    Patterns::new(forms)
}

fn not_started(error: impl Into<io::Error>) -> Failure {
    let fact = format!("cannot start the program: {}", io_fact(&error.into()));
    Failure::new(Exit::RunFailed, "run", fact)
}

/// The system did not start a program that is there.
fn started_as(name: &OsStr, error: &io::Error) -> Failure {
    let fact = format!("cannot run {}: {}", escaped(&name.to_string_lossy()), io_fact(error));
    let failure = Failure::new(Exit::NotExecutable, "not-executable", fact);
    match error.kind() {
        io::ErrorKind::ArgumentListTooLong => {
            failure.hint("a variable has 128 KiB at most; --file hands over any length")
        }
        _ => failure,
    }
}

/// `NAME=TEMPLATE`
fn file(text: &str) -> Result<(String, PathBuf), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() && name.chars().all(plain) => {
            Ok((name.to_owned(), PathBuf::from(path)))
        }
        _ => Err("it is written NAME=TEMPLATE; a name has letters, digits, `_` and `-`"),
    }
}
