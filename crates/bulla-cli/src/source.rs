//! The vault as a source of values for the resolver.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

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

    /// The answer to one reference, with the version of the entry that was found for it.
    fn answer(&self, reference: &Reference, found: Option<&Version>) -> Answer {
        if matches!(reference.pin(), Some(pin) if !matches!(pin, Pin::Version(_))) {
            return failed(FailureKind::Failed, "a least life is for tokens only");
        }
        let Some(found) = found else { return self.missing_entry(reference.entry()) };
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

    /// The newest versions of all entries that are asked for without a version, by name.
    fn newest(&self, wanted: &[Reference]) -> Result<BTreeMap<EntryName, Version>, ReadError> {
        let mut names: Vec<_> = wanted
            .iter()
            .filter(|reference| !matches!(reference.pin(), Some(Pin::Version(_))))
            .filter_map(|reference| EntryName::new(reference.entry()).ok())
            .collect();
        names.dedup();
        let mut newest = BTreeMap::new();
        self.snapshot.find_all(&names, &mut |_, found| {
            newest.extend(found.map(|found| (found.name.clone(), found)));
        })?;
        Ok(newest)
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
        let newest = match self.newest(wanted) {
            Ok(newest) => newest,
            Err(error) => return wanted.iter().map(|_| read_failed(&error)).collect(),
        };
        let answer = |reference: &Reference| {
            let Ok(name) = EntryName::new(reference.entry()) else {
                return self.missing_entry(reference.entry());
            };
            let Some(Pin::Version(version)) = reference.pin() else {
                return self.answer(reference, newest.get(&name));
            };
            match self.snapshot.find_version(&name, version) {
                Ok(found) => self.answer(reference, found.as_ref()),
                Err(error) => read_failed(&error),
            }
        };
        wanted.iter().map(answer).collect()
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
