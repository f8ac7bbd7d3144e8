//! Asking a person. Every question is one that a terminal has to answer.

use std::io::{self, BufRead, BufReader, Write};

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
    let (typed, odd) = typed(&escaped(question)).map_err(|error| interrupted(&error))?;
    // What is not UTF-8 comes as a replacement character.
    if odd || typed.contains('\u{fffd}') {
        drop(Secret::new(typed.into_bytes()));
        let fact = "a control character was typed, or something that is not UTF-8";
        return Err(Failure::new(Exit::Failed, "prompt", fact)
            .hint("a value that holds one can be read from a file or from standard input"));
    }
    Ok(Secret::new(typed.into_bytes()))
}

fn typed(question: &str) -> io::Result<(String, bool)> {
    let mut terminal = tty::Hidden::begin()?;
    terminal.show(question)?;
    let (keys, odd) = terminal.keys()?;
    let config = rpassword::ConfigBuilder::new().input_reader(keys).output_discard().build();
    let typed = rpassword::read_password_with_config(config);
    terminal.show("\n")?;
    Ok((typed?, odd.get()))
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

fn interrupted(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::Interrupted => Failure::new(Exit::Interrupted, "interrupted", "interrupted"),
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
