//! A failure as the user meets it: a fact, the way out, and an exit code.

use std::fmt::Display;

/// How a run ended, as scripts see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    Done,
    Failed,
    Usage,
    Locked,
    Missing,
    Tampered,
    Conflict,
    RemoteFailed,
    NeedsPerson,
    Findings,
    /// `run` did not start its program, or lost its output.
    RunFailed,
    /// The program of `run` is there, and cannot be run.
    NotExecutable,
    /// The program of `run` is not there.
    NotFound,
    Interrupted,
    /// The program of `run` ended with this code.
    OfProgram(u8),
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Locked => 3,
            Self::Missing => 4,
            Self::Tampered => 5,
            Self::Conflict => 6,
            Self::RemoteFailed => 7,
            Self::NeedsPerson => 8,
            Self::Findings => 9,
            Self::RunFailed => 125,
            Self::NotExecutable => 126,
            Self::NotFound => 127,
            Self::Interrupted => 130,
            Self::OfProgram(code) => code,
        }
    }

    /// Which of several ends is the one to report: what threatens the vault first.
    pub(crate) fn worst(ends: impl IntoIterator<Item = Self>) -> Self {
        const ORDER: [Exit; 10] = [
            Exit::Interrupted,
            Exit::Tampered,
            Exit::Locked,
            Exit::Conflict,
            Exit::Missing,
            Exit::NeedsPerson,
            Exit::RemoteFailed,
            Exit::Findings,
            Exit::Usage,
            Exit::Failed,
        ];
        let rank = |end: &Self| ORDER.iter().position(|o| o == end).unwrap_or(ORDER.len());
        ends.into_iter().min_by_key(rank).unwrap_or(Self::Done)
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    /// A stable name for scripts, such as `vault-locked`.
    pub(crate) code: &'static str,
    /// What is the case: lower case, no full stop, never a secret.
    pub(crate) fact: String,
    /// What to do about it.
    pub(crate) hints: Vec<String>,
    /// What scripts are told.
    pub(crate) exit: Exit,
    /// Nothing is printed: whoever read our output has left.
    pub(crate) silent: bool,
}

impl Failure {
    pub(crate) fn new(exit: Exit, code: &'static str, fact: impl Display) -> Self {
        Self { code, fact: fact.to_string(), hints: Vec::new(), exit, silent: false }
    }

    /// Adds a line that says what to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Says what the failure is about, before the fact.
    #[must_use]
    pub(crate) fn about(mut self, what: impl Display) -> Self {
        self.fact = format!("{what}: {}", self.fact);
        self
    }

    /// A failure of an operation on a file.
    pub(crate) fn file(doing: &str, path: &std::path::Path, error: &std::io::Error) -> Self {
        let exit = match error.kind() {
            std::io::ErrorKind::AlreadyExists => Exit::Conflict,
            std::io::ErrorKind::NotFound => Exit::Missing,
            _ => Exit::Failed,
        };
        Self::new(exit, "file", format!("cannot {doing} {}: {}", path.display(), io_fact(error)))
    }

    /// The user asked for something that makes no sense.
    pub(crate) fn usage(fact: impl Display) -> Self {
        Self::new(Exit::Usage, "usage", fact)
    }
}

/// The system's words for an error, in our style.
pub(crate) fn io_fact(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
