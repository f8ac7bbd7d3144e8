//! The vault as a source of values for the resolver.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use bulla_resolve::{Answer, FailureKind, Pin, Reference, Source};
use bulla_vault::{EntryName, FieldName, ReadError, Snapshot, State, Version};

/// Answers references from one snapshot of a vault.
pub(crate) struct VaultSource<'v> {
    snapshot: &'v Snapshot<'v>,
    names: OnceCell<BTreeSet<String>>,
}

/// How many names to offer for one that is missing.
const OFFERED: usize = 3;

impl<'v> VaultSource<'v> {
    pub(crate) fn new(snapshot: &'v Snapshot<'v>) -> Self {
        Self { snapshot, names: OnceCell::new() }
    }

    fn answer(&self, reference: &Reference, last: &mut Option<(Reference, Version)>) -> Answer {
        let version = match reference.pin() {
            None => None,
            Some(Pin::Version(version)) => Some(version),
            Some(_) => return failed(FailureKind::Failed, "a least life is for tokens only"),
        };
        // References come sorted, so those to one entry follow each other.
        let same = last.as_ref().is_some_and(|(last, _)| {
            last.entry() == reference.entry() && last.pin() == reference.pin()
        });
        if !same {
            *last = match self.find(reference.entry(), version) {
                Ok(Some(found)) => Some((reference.clone(), found)),
                Ok(None) => return self.missing_entry(reference.entry()),
                Err(error) => return read_failed(&error),
            };
        }
        let Some((_, found)) = last else { return self.missing_entry(reference.entry()) };
        let entry = match &found.state {
            State::Live(entry) => entry,
            State::Removed { moved_to: Some(to) } => {
                return Answer::Missing { nearest: vec![to.to_string()] };
            }
            State::Removed { moved_to: None } => return self.missing_entry(reference.entry()),
        };
        let field = FieldName::new(reference.field()).ok().and_then(|name| entry.field(&name));
        match field {
            Some(field) => Answer::Value {
                secret: bulla_resolve::Secret::copied_from(field.value.expose()),
                version: found.version,
            },
            None => Answer::Missing {
                nearest: closest(
                    reference.field(),
                    entry.fields().iter().map(|field| field.name.as_str()),
                ),
            },
        }
    }

    fn find(&self, entry: &str, version: Option<u64>) -> Result<Option<Version>, ReadError> {
        let Ok(name) = EntryName::new(entry) else { return Ok(None) };
        match version {
            None => self.snapshot.find(&name),
            Some(version) => self.snapshot.find_version(&name, version),
        }
    }

    fn missing_entry(&self, wanted: &str) -> Answer {
        let names = self.names.get_or_init(|| {
            let mut names = BTreeSet::new();
            // What cannot be read cannot be offered; the failure itself is told elsewhere.
            let _ = self.snapshot.each::<ReadError>(&mut |version| {
                if version.live().is_some() {
                    names.insert(version.name.to_string());
                }
                Ok(())
            });
            names
        });
        Answer::Missing { nearest: closest(wanted, names.iter().map(String::as_str)) }
    }
}

impl Source for VaultSource<'_> {
    fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
        let mut last = None;
        wanted.iter().map(|reference| self.answer(reference, &mut last)).collect()
    }
}

/// The names most like `wanted`, best first.
fn closest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut scored: Vec<_> = names
        .map(|name| (strsim::jaro_winkler(name, wanted), name))
        .filter(|s| s.0 > 0.7)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(OFFERED).map(|(_, name)| name.to_owned()).collect()
}

fn read_failed(error: &ReadError) -> Answer {
    let kind = match error {
        ReadError::Newer => FailureKind::Failed,
        ReadError::Store(_) => FailureKind::Busy,
        _ => FailureKind::Damaged,
    };
    failed(kind, &error.to_string())
}

fn failed(kind: FailureKind, what: &str) -> Answer {
    Answer::Failed(bulla_resolve::Failure { kind, what: what.to_owned() })
}
