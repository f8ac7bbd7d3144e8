//! The vault as a source of values for the resolver.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeSet;
use std::thread;

use bulla_resolve::{Answer, FailureKind, Pin, RefPart, Reference, Source};
use bulla_vault::store::StoreError;
use bulla_vault::{EntryName, FieldName, ReadError, Snapshot, State, Version};

use crate::progress::Progress;
use crate::tokens::{TokenField, Tokens};

/// Answers references from one snapshot of a vault.
pub(crate) struct VaultSource<'v> {
    snapshot: &'v Snapshot<'v>,
    /// Access tokens that were got before; without them, a reference to one is answered with nothing,
    /// for those who want to know only that there is a mailbox.
    tokens: Option<Tokens>,
    /// What was answered with a public field.
    public: RefCell<BTreeSet<Reference>>,
    names: OnceCell<Vec<String>>,
    helped: Cell<usize>,
    /// Whether to show on a terminal how far reading has come.
    shown: bool,
}

/// How many names to offer for one that is missing.
const OFFERED: usize = 3;
/// How many references to offer names for.
const HELPED: usize = 20;
/// How many names to look at for that: about a fifth of a second.
const LOOKED_AT: usize = 20_000;

impl<'v> VaultSource<'v> {
    pub(crate) fn new(snapshot: &'v Snapshot<'v>, tokens: Option<Tokens>) -> Self {
        Self {
            snapshot,
            tokens,
            public: RefCell::default(),
            names: OnceCell::new(),
            helped: Cell::new(0),
            shown: false,
        }
    }

    /// Shows on a terminal how far it has come with many references, unless `quiet`.
    pub(crate) fn with_progress(self, quiet: bool) -> Self {
        Self { shown: !quiet, ..self }
    }

    /// Whether the answer to a reference was a public field.
    pub(crate) fn is_public(&self, reference: &Reference) -> bool {
        self.public.borrow().contains(reference)
    }

    /// The answer to one reference, with the version of the entry that was found for it.
    fn answer(&self, reference: &Reference, found: Option<&Version>) -> Answer {
        let Some(found) = found else { return self.missing(reference) };
        let entry = match &found.state {
            State::Live(entry) => entry,
            State::Removed { moved_to: Some(to) } => {
                return Answer::Missing { part: RefPart::Entry, nearest: vec![to.to_string()] };
            }
            State::Removed { moved_to: None } => return self.missing_entry(reference.entry()),
        };
        match (TokenField::of(entry, reference.field()), reference.pin(), &self.tokens) {
            (None, Some(Pin::Life(_)), _) => {
                return failed(FailureKind::Failed, "a least life is for tokens only");
            }
            (Some(_), Some(Pin::Version(_)), _) => {
                return failed(FailureKind::Failed, "a token has no versions");
            }
            (Some(field), _, Some(tokens)) => {
                return tokens.answer(field, reference, found.version);
            }
            (Some(_), _, None) => {
                let secret = bulla_resolve::Secret::new(Vec::new());
                return Answer::Value { secret, version: found.version };
            }
            (None, ..) => {}
        }
        let field = FieldName::new(reference.field()).ok().and_then(|name| entry.field(&name));
        match field {
            Some(field) => {
                if field.public {
                    self.public.borrow_mut().insert(reference.clone());
                }
                let secret = bulla_resolve::Secret::copied_from(field.value.expose());
                Answer::Value { secret, version: found.version }
            }
            None => Answer::Missing {
                part: RefPart::Field,
                nearest: closest(
                    reference.field(),
                    entry.fields().iter().map(|field| field.name.as_str()),
                ),
            },
        }
    }

    /// Answers the references without a version. They come sorted, so those to one entry follow each
    /// other; an entry is gone again as soon as they are answered.
    fn answer_newest(
        &self,
        wanted: &[Reference],
        answers: &mut [Option<Answer>],
    ) -> Result<(), ReadError> {
        let mut names = Vec::new();
        let mut groups = Vec::new();
        let mut at = 0;
        for group in wanted.chunk_by(|a, b| a.entry() == b.entry()) {
            if let Ok(name) = EntryName::new(group[0].entry()) {
                names.push(name);
                groups.push(at..at + group.len());
            }
            at += group.len();
        }
        let progress = Progress::new("reading", !self.shown);
        let mut done = 0;
        let threads = thread::available_parallelism().map_or(1, usize::from);
        self.snapshot.find_all(&names, threads, &mut |index, found| {
            done += 1;
            progress.at(done, names.len() as u64);
            for at in groups[index].clone() {
                if !matches!(wanted[at].pin(), Some(Pin::Version(_))) {
                    answers[at] = Some(self.answer(&wanted[at], found.as_ref()));
                }
            }
        })
    }

    fn missing(&self, reference: &Reference) -> Answer {
        if let Some(Pin::Version(_)) = reference.pin()
            && let Ok(name) = EntryName::new(reference.entry())
            && let Ok(Some(newest)) = self.snapshot.find(&name)
        {
            let newest_is_there = newest.live().is_some().then_some(newest.version);
            let versions = newest_is_there.into_iter().chain(newest.kept.into_iter().rev());
            let nearest =
                versions.take(OFFERED).map(|v| format!("{}@v{v}", reference.field())).collect();
            return Answer::Missing { part: RefPart::Version, nearest };
        }
        self.missing_entry(reference.entry())
    }

    fn missing_entry(&self, wanted: &str) -> Answer {
        // Whoever misses more than that has not mistyped them.
        self.helped.set(self.helped.get() + 1);
        if self.helped.get() > HELPED {
            return Answer::Missing { part: RefPart::Entry, nearest: Vec::new() };
        }
        let names = self.names.get_or_init(|| names(self.snapshot));
        let nearest = closest(wanted, names.iter().map(String::as_str));
        Answer::Missing { part: RefPart::Entry, nearest }
    }
}

impl Source for VaultSource<'_> {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let mut answers: Vec<_> = wanted.iter().map(|_| None).collect();
        if let Err(error) = self.answer_newest(wanted, &mut answers) {
            return wanted.iter().map(|_| read_failed(&error)).collect();
        }
        let answer = |(reference, answer): (&Reference, Option<Answer>)| {
            let of_version = || {
                let Some(Pin::Version(version)) = reference.pin() else { return Ok(None) };
                let Ok(name) = EntryName::new(reference.entry()) else { return Ok(None) };
                self.snapshot.find_version(&name, version)
            };
            answer.unwrap_or_else(|| match of_version() {
                Ok(found) => self.answer(reference, found.as_ref()),
                Err(error) => read_failed(&error),
            })
        };
        wanted.iter().zip(answers).map(answer).collect()
    }
}

/// The names of entries, to offer one for a name that is missing. Of a very large vault these are
/// only some: nobody wants to wait for all to be opened because of a typing mistake.
pub(crate) fn names(snapshot: &Snapshot<'_>) -> Vec<String> {
    let mut names = Vec::new();
    // What cannot be read cannot be offered; that failure is told elsewhere.
    let _ = snapshot.each::<Option<ReadError>>(&mut |version| {
        if version.live().is_some() {
            names.push(version.name.to_string());
        }
        if names.len() < LOOKED_AT { Ok(()) } else { Err(None) }
    });
    names
}

/// The names most like `wanted`, best first.
pub(crate) fn closest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut scored: Vec<_> = names
        .map(|name| (strsim::jaro_winkler(name, wanted), name))
        .filter(|s| s.0 > 0.7)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(OFFERED).map(|(_, name)| name.to_owned()).collect()
}

fn read_failed(error: &ReadError) -> Answer {
    let kind = match error {
        ReadError::Store(StoreError::Busy) => FailureKind::Busy,
        // A damaged file is no reason to try again, as a busy one is.
        ReadError::Store(StoreError::Damaged { .. }) => FailureKind::Damaged,
        ReadError::Newer | ReadError::Store(_) => FailureKind::Failed,
        _ => FailureKind::Damaged,
    };
    failed(kind, &error.to_string())
}

fn failed(kind: FailureKind, what: &str) -> Answer {
    Answer::Failed(bulla_resolve::Failure { kind, what: what.to_owned() })
}
