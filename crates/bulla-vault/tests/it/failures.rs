//! Stores and sources of randomness that fail in the middle of a change: it happens whole or not at
//! all, and the caller knows which.

use std::cell::Cell;

use bulla_testkit::hostile::{FaultyStore, Lasting, Recording};
use bulla_vault::store::{MemoryStore, Store};
use bulla_vault::{
    Identity, NewSlot, NoRandomness, OwnSlot, Random, Recipient, SlotError, SystemRandom, Vault,
    WriteError,
};

use crate::common::*;

type Verb = fn(&mut Vault<'_>) -> Result<(), SlotError>;

/// Everything that changes a vault.
const VERBS: &[(&str, Verb)] = &[
    ("put", |vault| batched(vault, |batch| batch.put(&name("new"), secret("x"), None).map(drop))),
    ("put over", |vault| {
        batched(vault, |batch| batch.put(&name("a"), secret("x"), None).map(drop))
    }),
    ("overwrite", |vault| batched(vault, |batch| batch.overwrite(&name("a"), secret("x")))),
    ("remove", |vault| batched(vault, |batch| batch.remove(&name("a"), false))),
    ("purge", |vault| batched(vault, |batch| batch.remove(&name("a"), true))),
    ("rename", |vault| batched(vault, |batch| batch.rename(&name("a"), &name("new")))),
    ("revert", |vault| batched(vault, |batch| batch.revert(&name("a"), 1).map(drop))),
    ("many", |vault| {
        batched(vault, |batch| {
            (0..40).try_for_each(|n| {
                batch.put(&name(&format!("many-{n}")), secret("x"), None).map(drop)
            })
        })
    }),
    ("adopt", |vault| Ok(vault.write(at(5))?.adopt()?)),
    ("add a slot", |vault| {
        vault.add_slot("friend", &NewSlot::Recipient(&friend()), at(5)).map(drop)
    }),
    ("rekey", |vault| vault.rekey(&OwnSlot::Identity, None, at(5), &mut |_| {}).map(drop)),
    ("remove a slot", |vault| {
        vault.rekey(&OwnSlot::Identity, Some("other"), at(5), &mut |_| {}).map(drop)
    }),
];

fn batched(
    vault: &Vault<'_>,
    change: impl FnOnce(&mut bulla_vault::Batch<'_>) -> Result<(), WriteError>,
) -> Result<(), SlotError> {
    let mut batch = vault.write(at(5))?;
    change(&mut batch)?;
    Ok(batch.commit()?)
}

fn friend() -> Recipient {
    Identity::generate(&SystemRandom).unwrap().recipient()
}

fn base(identity: &Identity) -> (Recording, bulla_vault::Pin) {
    let store = MemoryStore::new();
    let vault = create_for(&store, identity);
    vault.add_slot("other", &NewSlot::Recipient(&friend()), at(1)).unwrap();
    set(&vault, "a", "one");
    set(&vault, "a", "two");
    set(&vault, "b", "three");
    (Recording::of(&store).unwrap(), vault.pin())
}

/// The state of a vault as far as it can be compared: what it holds, its epoch and its slots.
fn state(store: &dyn Store, identity: &Identity, pin: Option<bulla_vault::Pin>) -> String {
    let found = bulla_vault::LockedVault::find(store, &SystemRandom).ok().unwrap();
    let vault = open_by(store, identity, pin.unwrap_or(found.pin())).ok().unwrap();
    let contents = sound_contents(&vault);
    let snapshot = vault.read().unwrap();
    let slots: Vec<_> = snapshot.slots().unwrap().into_iter().map(|slot| slot.label).collect();
    let events = snapshot.slot_events().unwrap().len();
    format!("{contents:?} {} {slots:?} {events}", snapshot.epoch())
}

#[test]
fn a_store_that_fails_anywhere_leaves_the_old_state() {
    let identity = Identity::generate(&SystemRandom).unwrap();
    let (base, pin) = base(&identity);
    let before = state(&*store_of(&base), &identity, Some(pin));
    for (verb, act) in VERBS {
        let undisturbed = FaultyStore::new(store_of(&base));
        let mut vault = open_by(&undisturbed, &identity, pin).ok().unwrap();
        let opening = undisturbed.calls();
        act(&mut vault).unwrap();
        let calls = undisturbed.calls();
        let after = state(&undisturbed, &identity, None);
        assert_ne!(before, after, "{verb} changes nothing");

        for lasting in [Lasting::Once, Lasting::ForGood] {
            for call in opening..calls {
                let inner = store_of(&base);
                let store = FaultyStore::new(inner.clone());
                let mut vault = open_by(&store, &identity, pin).ok().unwrap();
                store.fail_at(call, lasting);
                act(&mut vault).expect_err(verb);
                assert_eq!(state(&*inner, &identity, Some(pin)), before, "{verb}, call {call}");
                if lasting == Lasting::Once {
                    // The value is still good, and what failed can be done again.
                    assert_eq!(get(&vault, "a").as_deref(), Some("two"), "{verb}, call {call}");
                    act(&mut vault).unwrap();
                    assert_eq!(state(&*inner, &identity, None), after, "{verb}, call {call}");
                }
            }
        }
    }
}

#[test]
fn a_change_of_passphrase_that_fails_leaves_the_old_one() {
    let store = MemoryStore::new();
    set(&create(&store), "a", "one");
    let base = Recording::of(&store).unwrap();
    let new = passphrase("another");
    let counted = FaultyStore::new(store_of(&base));
    let vault = open(&counted);
    let opening = counted.calls();
    vault.change_passphrase(&new, cheap(), at(5)).unwrap();
    for call in opening..counted.calls() {
        let inner = store_of(&base);
        let store = FaultyStore::new(inner.clone());
        let vault = open(&store);
        store.fail_at(call, Lasting::ForGood);
        vault.change_passphrase(&new, cheap(), at(5)).unwrap_err();
        assert_eq!(sound_contents(&open(&*inner)).len(), 1, "call {call}");
    }
}

#[test]
fn a_vault_that_could_not_be_created_is_not_there() {
    let recipient = friend();
    let slot = NewSlot::Recipient(&recipient);
    let make =
        |store: &dyn Store| Vault::create(store, &SystemRandom, "owner", &slot, at(1)).map(drop);
    let counted = FaultyStore::new(std::sync::Arc::new(MemoryStore::new()));
    make(&counted).unwrap();
    for call in 0..counted.calls() {
        let inner = std::sync::Arc::new(MemoryStore::new());
        let store = FaultyStore::new(inner.clone());
        store.fail_at(call, Lasting::ForGood);
        make(&store).unwrap_err();
        assert!(rows_of(&Recording::of(&*inner).unwrap()).is_empty(), "call {call}");
        make(&*inner).unwrap();
    }
}

#[test]
fn without_randomness_nothing_is_sealed() {
    let identity = Identity::generate(&SystemRandom).unwrap();
    let (base, pin) = base(&identity);
    let before = state(&*store_of(&base), &identity, Some(pin));
    for (verb, act) in VERBS {
        let store = store_of(&base);
        let full = Limited { left: Cell::new(usize::MAX) };
        act(&mut open_drawing(&*store, &full, &identity, pin)).unwrap();
        let draws = usize::MAX - full.left.get();
        assert!(draws > 0, "{verb} draws nothing");
        for left in 0..draws {
            let store = store_of(&base);
            let random = Limited { left: Cell::new(left) };
            act(&mut open_drawing(&*store, &random, &identity, pin)).expect_err(verb);
            assert_eq!(state(&*store, &identity, Some(pin)), before, "{verb}, draw {left}");
        }
    }
}

fn open_drawing<'s>(
    store: &'s dyn Store,
    random: &'s dyn Random,
    identity: &Identity,
    pin: bulla_vault::Pin,
) -> Vault<'s> {
    let expect = bulla_vault::Expect { pins: vec![pin], ..Default::default() };
    let identities = [Identity::parse(&identity.to_text()).unwrap()];
    bulla_vault::LockedVault::find(store, random)
        .unwrap_or_else(|error| panic!("{error}"))
        .unlock(bulla_vault::Unlock::Identities(&identities), &expect)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A source that runs dry after so many draws.
struct Limited {
    left: Cell<usize>,
}

impl Random for Limited {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        let left = self.left.get().checked_sub(1).ok_or(NoRandomness)?;
        self.left.set(left);
        SystemRandom.fill(bytes)
    }
}
