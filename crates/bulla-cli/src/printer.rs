//! All output of the program. Data goes to stdout, everything else to stderr.

use std::fmt::{Display, Write as _};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use bulla_resolve::without_secrets;
use bulla_vault::is_invisible;
use serde_json::json;

use crate::failure::{Exit, Failure, io_fact};

/// Where output goes and in which form.
pub(crate) struct Printer {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) out_is_terminal: bool,
}

impl Printer {
    pub(crate) fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet, out_is_terminal: io::stdout().is_terminal() }
    }

    /// How many columns the terminal has that stdout goes to, if it goes to one.
    pub(crate) fn width(&self) -> Option<usize> {
        /// Where it does not say, as on a serial line.
        const USUAL: usize = 80;
        if !self.out_is_terminal {
            return None;
        }
        let columns = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_col);
        Some(if columns == 0 { USUAL } else { usize::from(columns) })
    }

    /// Writes bytes to stdout exactly as they are.
    pub(crate) fn data(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| out_failure(&error))
    }

    /// Writes one line of text to stdout in which others may have written a part: no control character
    /// is sent, not into a file either, and a line feed does not make a line that looks like ours.
    pub(crate) fn one_line(&self, text: impl Display) -> Result<(), Failure> {
        self.line(escaped(&text.to_string()).replace('\n', "\\n"))
    }

    /// Writes one line of text to stdout; on a terminal, control characters are shown, not sent.
    pub(crate) fn line(&self, text: impl Display) -> Result<(), Failure> {
        let mut text = text.to_string();
        if self.out_is_terminal {
            text = escaped(&text);
        }
        text.push('\n');
        self.data(text.as_bytes())
    }

    /// Writes one JSON value to stdout.
    pub(crate) fn value(&self, value: &serde_json::Value) -> Result<(), Failure> {
        self.data(format!("{}\n", escaped_json(&value.to_string())).as_bytes())
    }

    /// Tells something on stderr that is not an error. A name in it may be a secret in the place of one.
    pub(crate) fn note(&self, text: impl Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr(), "{}", escaped(&without_secrets(&text.to_string())));
        }
    }

    /// Tells somebody on stderr what to do now, without which nothing goes on.
    pub(crate) fn instruct(&self, text: impl Display) {
        let _ = writeln!(io::stderr(), "{}", escaped(&text.to_string()));
    }

    /// Tells something on stderr that the user should look into.
    pub(crate) fn warn(&self, text: impl Display) {
        let text = text.to_string();
        let _ = writeln!(io::stderr(), "warning: {}", escaped(&without_secrets(&text)));
    }

    /// Reports how the run ended.
    pub(crate) fn finish(&self, done: Result<Exit, Failure>) -> ExitCode {
        let exit = done.unwrap_or_else(|failure| {
            self.failure(&failure);
            failure.exit
        });
        ExitCode::from(exit.code())
    }

    /// Writes a failure to stderr. A secret may have been given in the place of a name.
    pub(crate) fn failure(&self, failure: &Failure) {
        let Failure { code, fact, hints, exit, silent } = failure;
        if *silent {
            return;
        }
        let fact = without_secrets(fact);
        let hints = hints.iter().map(|hint| without_secrets(hint));
        let mut err = io::stderr().lock();
        if self.json {
            let hints: Vec<_> = hints.collect();
            let value = json!({"error": {
                "code": code, "message": fact, "hints": hints, "exit": exit.code(),
            }});
            let _ = writeln!(err, "{}", escaped_json(&value.to_string()));
            return;
        }
        // A fact is one line; a line feed in it came with a name, and must not look like ours.
        let _ = writeln!(err, "error: {}", escaped(&fact).replace('\n', "\\n"));
        for hint in hints {
            let _ = writeln!(err, "hint: {}", escaped(&hint));
        }
    }
}

/// A write to stdout failed. Who reads us may leave when they have enough: that is no error.
pub(crate) fn out_failure(error: &io::Error) -> Failure {
    let failure = Failure::new(
        Exit::Failed,
        "output",
        format!("cannot write to standard output: {}", io_fact(error)),
    );
    match error.kind() {
        ErrorKind::BrokenPipe => Failure { silent: true, exit: Exit::Done, ..failure },
        _ => failure,
    }
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// A number with what it counts.
pub(crate) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// Shows control characters and invisible ones as escapes, so that text cannot drive a terminal.
/// Line feeds stay: our own messages have them.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) && c != '\n' {
            write!(safe, "{}", c.escape_unicode()).expect("a String takes everything");
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The same for JSON, where such characters can be written as `\uXXXX` without a change of meaning.
fn escaped_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if is_invisible(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(safe, "\\u{unit:04x}").expect("a String takes everything");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_drives_it() {
        assert_eq!(escaped("a\u{1b}[2J\tb\u{202e}c\nd"), "a\\u{1b}[2J\\u{9}b\\u{202e}c\nd");
    }
}
