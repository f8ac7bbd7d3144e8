//! Values that come in: from a prompt, standard input or a file, never as an argument.

use std::io::IsTerminal;
use std::path::Path;

use bulla_vault::Secret;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, SeekFrom};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::files::{open_regular, read_at_most};
use crate::{prompt, tty};

/// The longest value that is read, in bytes: what fits into an entry.
pub(crate) const MAX_VALUE: usize = (16 << 20) - 1024;

/// Where a value comes from.
#[derive(Clone, Copy)]
pub(crate) enum From<'a> {
    /// A hidden prompt on a terminal, else standard input.
    Whatever,
    /// A file, exactly as it is.
    File(&'a Path),
    /// Standard input, exactly as it is.
    ExactStdin,
}

/// Reads one value. An empty one is refused unless `from` says that it is meant: a command that failed
/// leaves an empty pipe or file behind, and a key that was pressed too early an empty line.
pub(crate) fn value(context: &Context, what: &str, from: From<'_>) -> Result<Secret, Failure> {
    let nothing = || Failure::new(Exit::Usage, "no-input", format!("nothing was given for {what}"));
    let value = match from {
        // A closed standard input is the null device by the time we see it.
        From::ExactStdin | From::Whatever if stdin_is_null() => {
            return Err(nothing().hint("pipe the value in, or give --from-file"));
        }
        From::ExactStdin => return stdin(),
        From::File(path) => file(path, MAX_VALUE),
        From::Whatever => asked(context, what),
    }?;
    if value.expose().is_empty() {
        return Err(nothing().hint(
            "was there a failure before the pipe? --exact stores what standard input holds, even nothing",
        ));
    }
    Ok(value)
}

/// A hidden prompt on a terminal, else standard input.
fn asked(context: &Context, what: &str) -> Result<Secret, Failure> {
    if std::io::stdin().is_terminal() {
        if tty::is_there() {
            return prompt::hidden(&format!("{what}: "));
        }
        let fact = format!("there is no terminal to ask for {what} on");
        return Err(Failure::new(Exit::Usage, "no-terminal", fact)
            .hint("pipe the value in, or give --from-file"));
    }
    let (secret, cut) = without_final_newline(stdin()?);
    if cut && !secret.expose().is_empty() {
        context.printer.note(
            "note: the newline at the end of standard input was not stored (--exact keeps it)",
        );
    }
    Ok(secret)
}

/// Reads a regular file of at most `max` bytes.
pub(crate) fn file(path: &Path, max: usize) -> Result<Secret, Failure> {
    let failed = |error| Failure::file("read", path, &error);
    let Some(mut file) = open_regular(path).map_err(failed)? else {
        let fact = format!("{} is not a regular file", path.display());
        return Err(Failure::new(Exit::Failed, "not-a-file", fact)
            .hint("pipe what is not a file into standard input"));
    };
    read_at_most(&mut file, path, max)
}

fn stdin() -> Result<Secret, Failure> {
    read_at_most(&mut std::io::stdin().lock(), Path::new("standard input"), MAX_VALUE)
}

/// Whether somebody has put something into standard input already.
pub(crate) fn is_piped() -> bool {
    let stdin = std::io::stdin();
    let Ok(stat) = rustix::fs::fstat(&stdin) else { return false };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            rustix::fs::seek(&stdin, SeekFrom::Current(0)).is_ok_and(|at| at < stat.st_size as u64)
        }
        // A shell starts both ends of a pipe at once, so a moment is left to the other one.
        FileType::Fifo => {
            let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
            let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            poll(&mut polled, Some(&moment)).is_ok_and(|n| n > 0)
                && polled[0].revents().contains(PollFlags::IN)
        }
        _ => false,
    }
}

fn stdin_is_null() -> bool {
    let device = |stat: rustix::fs::Stat| {
        let special = FileType::from_raw_mode(stat.st_mode);
        (special == FileType::CharacterDevice).then_some(stat.st_rdev)
    };
    let input = rustix::fs::fstat(std::io::stdin()).ok().and_then(device);
    input.is_some() && input == rustix::fs::stat("/dev/null").ok().and_then(device)
}

/// Takes one line feed off the end, as `echo` puts it there; tells whether there was one.
pub(crate) fn without_final_newline(secret: Secret) -> (Secret, bool) {
    match secret.expose().strip_suffix(b"\n") {
        Some(rest) => (Secret::copied_from(rest), true),
        None => (secret, false),
    }
}
