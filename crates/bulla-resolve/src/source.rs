//! The port to wherever values come from.

use crate::Reference;
use crate::secret::Secret;

/// Answers references with values.
///
/// It is asked once for all files of a render, so that all values can come from one snapshot and
/// all that is missing can be told at once.
pub trait Source {
    /// Gives one answer to each reference of `wanted`, in the same order. The references are sorted
    /// and none comes twice.
    ///
    /// Some of them may be alternatives of which only one has to exist: what is missing is no error
    /// of the source.
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer>;
}

/// What a source says to one reference.
#[non_exhaustive]
pub enum Answer {
    /// There is no answer, for a reason that has nothing to do with this reference alone.
    Failed(Failure),
    /// There is no such entry, field or version.
    Missing {
        /// Which of these.
        part: RefPart,
        /// What exists and is spelled nearly so, best first; names of entries or fields.
        nearest: Vec<String>,
    },
    /// The value, and the version of the entry that it is from.
    Value {
        /// The bytes.
        secret: Secret,
        /// The version, counted from 1.
        version: u64,
    },
}

/// A part of a reference.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefPart {
    /// The name of the entry.
    Entry,
    /// The name of the field.
    Field,
    /// The number of the version.
    Version,
}

/// Why a source could not answer.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Failure {
    /// Who or what is at fault.
    pub kind: FailureKind,
    /// What happened, in lower case and without a full stop; never a value.
    pub what: String,
}

/// Who or what is at fault when a source cannot answer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum FailureKind {
    /// Somebody else holds it; later may be better.
    Busy,
    /// It is damaged or was tampered with.
    Damaged,
    /// Anything else.
    Failed,
    /// It is locked, or the key is wrong.
    Locked,
    /// Something has to be done by a person first, such as granting access again.
    NeedsPerson,
    /// A remote side failed for now.
    Remote,
}
