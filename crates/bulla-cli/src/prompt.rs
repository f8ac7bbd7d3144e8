//! Asking a person. Every question is one that a terminal has to answer.

use std::io::{BufRead, BufReader, Write};

use bulla_vault::{Passphrase, Secret};

use crate::failure::{Exit, Failure};
use crate::printer::escaped;
use crate::tty;

/// Asks for a passphrase that exists.
pub(crate) fn passphrase(question: &str) -> Result<Passphrase, Failure> {
    Passphrase::new(hidden(question)?).ok_or_else(empty)
}

/// Asks for a new passphrase, twice.
pub(crate) fn new_passphrase(what: &str) -> Result<Passphrase, Failure> {
    let first = passphrase(&format!("New passphrase for {what}: "))?;
    let second = passphrase("The same again: ")?;
    if first.same_as(&second) {
        Ok(first)
    } else {
        Err(Failure::new(Exit::Failed, "prompt", "the two passphrases are not the same")
            .hint("nothing was changed; try again"))
    }
}

/// Asks for a value without showing it.
pub(crate) fn hidden(question: &str) -> Result<Secret, Failure> {
    let guard = tty::Guard::hold();
    let typed = rpassword::prompt_password(escaped(question));
    drop(guard);
    let typed = typed.map_err(|error| interrupted(&error))?;
    let secret = Secret::new(typed.into_bytes());
    if secret.expose().iter().any(|byte| byte.is_ascii_control()) {
        return Err(Failure::new(Exit::Failed, "prompt", "a control character was typed")
            .hint("a value that holds one can be read from a file or from standard input"));
    }
    Ok(secret)
}

/// Asks a question whose answer is not a secret.
pub(crate) fn line(question: &str) -> Result<String, Failure> {
    let terminal = std::fs::File::options().read(true).write(true).open("/dev/tty");
    let mut terminal = terminal.map_err(|error| interrupted(&error))?;
    let mut answer = String::new();
    terminal
        .write_all(escaped(question).as_bytes())
        .and_then(|()| BufReader::new(terminal).read_line(&mut answer))
        .map_err(|error| interrupted(&error))?;
    Ok(answer.trim().to_owned())
}

/// Asks whether to go on; anything but `yes` or `y` means no.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    let answer = line(&format!("{question} [y/N] "))?;
    Ok(answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes"))
}

fn interrupted(error: &std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::Interrupted => {
            Failure::new(Exit::Interrupted, "interrupted", "interrupted")
        }
        _ => Failure::new(Exit::Failed, "prompt", "the terminal gave no answer"),
    }
}

fn empty() -> Failure {
    Failure::new(
        Exit::Failed,
        "passphrase",
        format!("a passphrase has 1 to {} bytes", Passphrase::MAX_LEN),
    )
}
