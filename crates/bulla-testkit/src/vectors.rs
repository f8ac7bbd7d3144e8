//! Test vectors of the vault format: self-describing files, the faulty ones with one fault each.
//!
//! `tests/vectors/README.md` describes the form. A vector is plain data here, so that the generator
//! can fill one in and a test can [run](Vector::run) one through the public interface of the vault.

use std::fmt;

mod form;
mod run;
mod text;

/// One file: a vault, what to open it with, and what has to come of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Vector {
    /// One line that says what is special about it.
    pub comment: String,
    /// `success`, or the stage that has to fail.
    pub expect: String,
    /// Each of these is tried by itself, and the outcome has to be the same.
    pub openers: Vec<Opener>,
    /// The pin that the reader expects.
    pub pin: Option<String>,
    /// The least epoch that the reader accepts.
    pub min_epoch: Option<u64>,
    /// What the reader remembers: the text of a `Remembered`, without its line end.
    pub remember: Option<String>,
    /// The one name to look up; without it everything is checked.
    pub read: Option<String>,
    /// What a vector that succeeds holds: the lines from `entry:` on.
    pub listing: Vec<String>,
    /// The rows of the vault.
    pub rows: Vec<Row>,
}

/// What a vault is opened with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Opener {
    /// A passphrase.
    Passphrase(Vec<u8>),
    /// The text of an identity.
    Identity(String),
    /// The text of a protected identity, and the passphrase that it wants.
    Protected {
        /// The text form.
        identity: String,
        /// Its own passphrase.
        passphrase: Vec<u8>,
    },
}

/// One row of a table.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Row {
    /// `head`, `keyring`, `entry`, `history` or `node`.
    pub table: String,
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

/// What came of trying one opener.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// `success`, or the stage that failed.
    pub stage: String,
    /// What the vault holds, if it was a success.
    pub listing: Vec<String>,
}

/// A file is not a test vector.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Malformed {
    /// The line, counted from 1; 0 if it is about the whole file.
    pub line: usize,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Malformed {}
