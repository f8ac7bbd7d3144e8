//! Random changes, compared with a plain map.

use std::collections::BTreeMap;

use bulla_vault::store::MemoryStore;
use bulla_vault::{Batch, Identity, KEPT_VERSIONS, OpenedKey, State, SystemRandom, WriteError};
use proptest::prelude::*;

use crate::common::*;

const NAMES: [&str; 4] = ["a", "b/c", "caf\u{e9}", "d"];

#[derive(Clone, Debug)]
enum Change {
    Put(usize, String),
    Overwrite(usize, String),
    Remove(usize, bool),
    Revert(usize, u64),
    Rename(usize, usize),
}

/// Changes that are committed together, or dropped.
#[derive(Clone, Debug)]
struct Step {
    changes: Vec<Change>,
    commit: bool,
    reopen: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let entry = 0..NAMES.len();
    let value = "[a-z]{0,6}|x{250,300}";
    let change = prop_oneof![
        5 => (entry.clone(), value).prop_map(|(entry, value)| Change::Put(entry, value)),
        1 => (entry.clone(), value).prop_map(|(entry, value)| Change::Overwrite(entry, value)),
        1 => (entry.clone(), any::<bool>()).prop_map(|(entry, purge)| Change::Remove(entry, purge)),
        1 => (entry.clone(), 1..8u64).prop_map(|(entry, version)| Change::Revert(entry, version)),
        1 => (entry.clone(), entry).prop_map(|(from, to)| Change::Rename(from, to)),
    ];
    let step = (prop::collection::vec(change, 1..6), prop::bool::weighted(0.8), any::<bool>());
    let step = step.prop_map(|(changes, commit, reopen)| Step { changes, commit, reopen });
    prop::collection::vec(step, 1..25)
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Held {
    version: u64,
    seq: u64,
    state: Standing,
    kept: Vec<(u64, String)>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Standing {
    Live(String),
    Removed(Option<usize>),
}

/// What a vault is meant to be, without any of how it is.
type Model = BTreeMap<usize, Held>;

/// Whether a change can be made, and the model afterwards if it can.
fn expected(model: &mut Model, change: &Change) -> bool {
    match change {
        Change::Put(entry, value) => {
            next(model, *entry, Standing::Live(value.clone()));
            true
        }
        Change::Overwrite(entry, value) => match model.get_mut(entry) {
            Some(held) if matches!(held.state, Standing::Live(_)) => {
                held.state = Standing::Live(value.clone());
                held.seq += 1;
                true
            }
            _ => false,
        },
        Change::Remove(entry, purge) => {
            let Some(held) = model.get(entry) else { return false };
            let nothing_left =
                matches!(held.state, Standing::Removed(_)) && (!purge || held.kept.is_empty());
            if nothing_left {
                return false;
            }
            let held = next(model, *entry, Standing::Removed(None));
            if *purge {
                held.kept.clear();
            }
            true
        }
        Change::Revert(entry, version) => {
            let Some(held) = model.get(entry) else { return false };
            let value = match &held.state {
                Standing::Live(value) if held.version == *version => Some(value),
                _ => held.kept.iter().find(|(kept, _)| kept == version).map(|(_, value)| value),
            };
            let Some(value) = value.cloned() else { return false };
            next(model, *entry, Standing::Live(value));
            true
        }
        Change::Rename(from, to) => {
            let there = model.get(to).cloned();
            let Some(held) = model.get_mut(from) else { return false };
            let taken = matches!(&there, Some(Held { state: Standing::Live(_), .. }));
            if from == to || taken || !matches!(held.state, Standing::Live(_)) {
                return false;
            }
            let mut moved = held.clone();
            *held = Held {
                version: held.version + 1,
                seq: held.seq + 1,
                state: Standing::Removed(Some(*to)),
                kept: Vec::new(),
            };
            moved.seq = 1;
            if let Some(there) = there {
                moved.version += there.version;
                moved.seq = there.seq + 1;
                let shifted =
                    moved.kept.iter().map(|(v, value)| (v + there.version, value.clone()));
                moved.kept = there.kept.into_iter().chain(shifted).collect();
            }
            forget_oldest(&mut moved);
            model.insert(*to, moved);
            true
        }
    }
}

fn next(model: &mut Model, entry: usize, state: Standing) -> &mut Held {
    let fresh = Held { version: 0, seq: 0, state: Standing::Removed(None), kept: Vec::new() };
    let held = model.entry(entry).or_insert(fresh);
    if let Standing::Live(value) = std::mem::replace(&mut held.state, state) {
        held.kept.push((held.version, value));
    }
    held.version += 1;
    held.seq += 1;
    forget_oldest(held);
    held
}

fn forget_oldest(held: &mut Held) {
    let surplus = held.kept.len().saturating_sub(KEPT_VERSIONS);
    held.kept.drain(..surplus);
}

fn make(batch: &mut Batch<'_>, change: &Change) -> Result<(), WriteError> {
    match change {
        Change::Put(entry, value) => batch.put(&name(NAMES[*entry]), secret(value), None).map(drop),
        Change::Overwrite(entry, value) => batch.overwrite(&name(NAMES[*entry]), secret(value)),
        Change::Remove(entry, purge) => batch.remove(&name(NAMES[*entry]), *purge),
        Change::Revert(entry, version) => batch.revert(&name(NAMES[*entry]), *version).map(drop),
        Change::Rename(from, to) => batch.rename(&name(NAMES[*from]), &name(NAMES[*to])),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_vault_is_what_a_map_would_be(steps in steps()) {
        let store = MemoryStore::new();
        let mut vault = create_for(&store, &Identity::generate(&SystemRandom).unwrap());
        let mut model = Model::new();
        for step in steps {
            let before = model.clone();
            let mut batch = vault.write(at(2)).unwrap();
            for change in &step.changes {
                let done = make(&mut batch, change);
                prop_assert_eq!(done.is_ok(), expected(&mut model, change), "{:?}", change);
            }
            if step.commit {
                batch.commit().unwrap();
            } else {
                drop(batch);
                model = before;
            }
            if step.reopen {
                let key = OpenedKey::from_bytes(&vault.key().expose()).unwrap();
                vault = open_with(&store, key).ok().unwrap();
            }
            let snapshot = vault.read().unwrap();
            for (entry, text) in NAMES.iter().enumerate() {
                let found = snapshot.find(&name(text)).unwrap().map(|version| Held {
                    version: version.version,
                    seq: version.seq,
                    state: match &version.state {
                        State::Live(live) => Standing::Live(password_of(live)),
                        State::Removed { moved_to } => Standing::Removed(moved_to.as_ref().map(|to| {
                            NAMES.iter().position(|name| *name == to.as_str()).unwrap()
                        })),
                    },
                    kept: version
                        .kept
                        .iter()
                        .map(|kept| {
                            let earlier = snapshot.find_version(&name(text), *kept).unwrap();
                            (*kept, earlier.unwrap().live().map(password_of).unwrap())
                        })
                        .collect(),
                });
                prop_assert_eq!(found.as_ref(), model.get(&entry), "{}", text);
            }
        }
        sound_contents(&vault);
    }
}

/// An entry that is put under a name in another spelling is the same entry.
#[test]
fn one_name_in_two_spellings_is_one_entry() {
    let store = MemoryStore::new();
    let vault = create_for(&store, &Identity::generate(&SystemRandom).unwrap());
    set(&vault, "caf\u{e9}", "one");
    assert_eq!(set(&vault, "cafe\u{301}", "two"), 2);
    assert_eq!(get(&vault, "caf\u{e9}").as_deref(), Some("two"));
}
