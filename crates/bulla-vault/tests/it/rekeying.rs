//! Changes of the vault key, and who can open the vault afterwards.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use bulla_testkit::hostile::Recording;
use bulla_vault::store::{MemoryStore, Store, Table};
use bulla_vault::{
    Expect, Identity, LockedVault, NewSlot, OpenError, OwnSlot, Pin, ReadError, RekeyStep,
    SlotChange, SlotError, SystemRandom, Unlock, Vault,
};

use crate::common::*;

fn unlock<'s>(store: &'s dyn Store, phrase: &str) -> Result<Vault<'s>, OpenError> {
    LockedVault::find(store, &SystemRandom)?
        .unlock(Unlock::Passphrase(&passphrase(phrase)), &Expect::default())
}

fn ids(store: &dyn Store) -> BTreeSet<Vec<u8>> {
    Recording::of(store).unwrap().keys(Table::Entry).map(<[u8]>::to_vec).collect()
}

fn copy_of(store: &dyn Store) -> MemoryStore {
    let copy = MemoryStore::new();
    let mut txn = copy.write().unwrap();
    for table in Table::ALL {
        store
            .read()
            .unwrap()
            .scan(table, b"", &mut |key, value| {
                txn.put(table, key, value).unwrap();
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    txn.commit().unwrap();
    copy
}

/// A vault of `correct horse`, with a second passphrase and two identities.
fn shared<'s>(store: &'s dyn Store, friend: &Identity, leaver: &Identity) -> Vault<'s> {
    let vault = create(store);
    let second = passphrase("second");
    vault.add_slot("second", &NewSlot::Passphrase(&second, cheap()), at(2)).unwrap();
    vault.add_slot("friend", &NewSlot::Recipient(&friend.recipient()), at(3)).unwrap();
    vault.add_slot("leaver", &NewSlot::Recipient(&leaver.recipient()), at(4)).unwrap();
    set(&vault, "a", "one");
    set(&vault, "a", "two");
    set(&vault, "b", "other");
    vault
}

fn two_identities() -> (Identity, Identity) {
    let make = || Identity::generate(&SystemRandom).unwrap();
    (make(), make())
}

fn rekey(vault: &mut Vault<'_>, remove: Option<&str>) -> Result<(Vec<String>, Pin), SlotError> {
    let own = passphrase("correct horse");
    let done = vault.rekey(&OwnSlot::Passphrase(&own, cheap()), remove, at(9), &mut |_| {})?;
    Ok((done.dropped, done.pin))
}

#[test]
fn a_rekeyed_vault_holds_the_same_under_other_ids() {
    let (friend, leaver) = two_identities();
    let store = MemoryStore::new();
    let mut vault = shared(&store, &friend, &leaver);
    let (before, old_ids, old_pin) = (sound_contents(&vault), ids(&store), vault.pin());
    let old_store = store_of(&Recording::of(&store).unwrap());
    let old_key = vault.key();
    let elsewhere = open(&store);

    let (dropped, pin) = rekey(&mut vault, None).unwrap();
    assert_eq!(dropped, ["second"]);
    assert_ne!(pin, old_pin);
    assert_eq!(vault.pin(), pin);
    assert_eq!(sound_contents(&vault), before);
    assert_eq!(sound_contents(&open(&store)), before);
    assert!(ids(&store).is_disjoint(&old_ids));
    assert_eq!(ids(&store).len(), old_ids.len());

    // The dropped passphrase is gone, the identities were wrapped again.
    assert!(matches!(unlock(&store, "second").err(), Some(OpenError::Locked)));
    for identity in [&friend, &leaver] {
        let opened = open_by(&store, identity, pin).ok().unwrap();
        assert_eq!(sound_contents(&opened), before);
    }
    // Who was in with the old key is told so, and does not write with it.
    let found = elsewhere.read().err().unwrap();
    assert!(matches!(found, ReadError::Open(OpenError::Rekeyed)), "{found}");
    assert!(elsewhere.write(at(10)).is_err());
    assert!(matches!(open_with(&store, old_key).err(), Some(OpenError::Rekeyed)));
    // An old copy stays open to the old slots: rekeying does not reach it.
    assert!(unlock(&*old_store, "second").is_ok());
    // And the vault can be written as before.
    assert_eq!(set(&vault, "a", "three"), 3);
    assert_eq!(sound_contents(&open(&store)).len(), before.len() + 1);
}

#[test]
fn a_removed_identity_opens_nothing_and_the_pin_changes() {
    let (friend, leaver) = two_identities();
    let store = MemoryStore::new();
    let mut vault = shared(&store, &friend, &leaver);
    let (before, old_pin) = (sound_contents(&vault), vault.pin());

    let (dropped, pin) = rekey(&mut vault, Some("leaver")).unwrap();
    assert_eq!(dropped, ["second"]);
    assert_ne!(pin, old_pin);
    assert_eq!(vault.pin(), pin);
    assert!(matches!(open_by(&store, &leaver, pin).err(), Some(OpenError::Locked)));
    assert_eq!(sound_contents(&open_by(&store, &friend, pin).ok().unwrap()), before);
    let old = open_by(&store, &friend, old_pin).err();
    assert!(matches!(old, Some(OpenError::OtherPin { found }) if found == pin));

    let snapshot = vault.read().unwrap();
    let labels: Vec<_> = snapshot.slots().unwrap().into_iter().map(|slot| slot.label).collect();
    assert_eq!(labels, ["owner", "friend"]);
    let changes: Vec<_> =
        snapshot.slot_events().unwrap().into_iter().map(|event| event.change).collect();
    assert_eq!(
        changes[changes.len() - 3..],
        [
            SlotChange::Removed("leaver".to_owned()),
            SlotChange::Removed("second".to_owned()),
            SlotChange::Rekeyed,
        ]
    );
}

/// The old tree is taken away: where the new one has no node, none of the old may stay.
#[test]
fn no_node_of_the_old_tree_is_left() {
    let identity = Identity::generate(&SystemRandom).unwrap();
    let store = MemoryStore::new();
    let mut vault = create_for(&store, &identity);
    let mut batch = vault.write(at(2)).unwrap();
    for number in 0..34 {
        batch.put(&name(&format!("entry-{number}")), secret("x"), None).unwrap();
    }
    batch.commit().unwrap();
    // About two of the sixteen buckets are empty, and each time they are others.
    for _ in 0..8 {
        vault.rekey(&OwnSlot::Identity, None, at(9), &mut |_| {}).unwrap();
        assert_eq!(sound_contents(&vault).len(), 34);
    }
}

#[test]
fn nobody_locks_himself_out() {
    let (friend, leaver) = two_identities();
    let store = MemoryStore::new();
    let mut vault = shared(&store, &friend, &leaver);
    let before = Recording::of(&store).unwrap();
    assert!(matches!(rekey(&mut vault, Some("owner")), Err(SlotError::InUse)));
    assert!(matches!(rekey(&mut vault, Some("nobody")), Err(SlotError::Missing)));
    let by_identity = vault.rekey(&OwnSlot::Identity, None, at(9), &mut |_| {});
    assert!(matches!(by_identity, Err(SlotError::NoPassphrase)));
    assert_eq!(rows_of(&Recording::of(&store).unwrap()), rows_of(&before));
}

/// A rekey once kept the signing key, so that a state made from an old copy, with a passphrase that
/// had leaked, had the right pin and passed for the newer vault.
#[test]
fn a_state_made_from_an_old_copy_has_another_pin() {
    let (friend, leaver) = two_identities();
    let store = MemoryStore::new();
    let mut vault = shared(&store, &friend, &leaver);
    let stolen = copy_of(&store);
    let own = passphrase("correct horse");
    let own = OwnSlot::Passphrase(&own, cheap());
    let pin = vault.rekey(&own, None, at(5), &mut |_| {}).unwrap().pin;
    let remembered = vault.remembered();

    let mut forged = unlock(&stolen, "correct horse").ok().unwrap();
    forged.rekey(&own, None, at(6), &mut |_| {}).unwrap();
    for number in 0..20 {
        set(&forged, "a", &number.to_string());
    }
    let expect = Expect { pins: vec![pin], remembered: Some(remembered), ..Expect::default() };
    let opened = LockedVault::find(&stolen, &SystemRandom)
        .unwrap_or_else(|_| panic!("the copy is well-formed"))
        .unlock(Unlock::Identities(&[friend]), &expect);
    assert!(matches!(opened.err(), Some(OpenError::OtherPin { .. })));
}

#[test]
fn an_identity_rekeys_without_a_passphrase() {
    let (friend, leaver) = two_identities();
    let store = MemoryStore::new();
    let pin = shared(&store, &friend, &leaver).pin();
    let mut vault = open_by(&store, &friend, pin).ok().unwrap();
    let (mut seen, mut announced) = (Vec::new(), None);
    let done = vault
        .rekey(&OwnSlot::Identity, None, at(9), &mut |step| match step {
            RekeyStep::Alone { vault, .. } => assert!(vault.read().is_ok()),
            RekeyStep::Sealing { done, total } => seen.push((done, total)),
            RekeyStep::Committing { next } => announced = Some(next.clone()),
            _ => unreachable!("there are no other steps"),
        })
        .unwrap();
    assert_eq!(done.dropped, ["owner", "second"]);
    assert_eq!(seen, [(1, 3), (2, 3), (3, 3)]);
    // Who was told before the commit knows what there is after it.
    assert_eq!(announced, Some(vault.remembered()));
    assert!(open_by(&store, &friend, done.pin).is_ok());
    assert!(matches!(unlock(&store, "correct horse").err(), Some(OpenError::Locked)));
}

#[test]
fn who_gives_up_when_nobody_else_can_write_has_changed_nothing() {
    let (friend, leaver) = two_identities();
    let store = MemoryStore::new();
    let mut vault = shared(&store, &friend, &leaver);
    let pin = vault.pin();
    let mut vault_by_friend = open_by(&store, &friend, pin).ok().unwrap();
    let given_up = vault_by_friend.rekey(&OwnSlot::Identity, None, at(9), &mut |step| {
        let RekeyStep::Alone { stop, .. } = step else { panic!("it went on") };
        *stop = true;
    });
    assert!(matches!(given_up, Err(SlotError::Stopped)));
    assert_eq!(vault_by_friend.pin(), pin);
    set(&vault, "a", "one");
    assert!(rekey(&mut vault, None).is_ok());
}

#[test]
fn a_changed_passphrase_opens_and_the_old_one_does_not() {
    let store = MemoryStore::new();
    let vault = create(&store);
    set(&vault, "a", "one");
    let pin = vault.pin();
    vault.change_passphrase(&passphrase("newer"), cheap(), at(5)).unwrap();
    assert!(matches!(unlock(&store, "correct horse").err(), Some(OpenError::Locked)));
    let opened = unlock(&store, "newer").ok().unwrap();
    assert_eq!((opened.pin(), sound_contents(&opened).len()), (pin, 1));
    assert_eq!(get(&vault, "a").as_deref(), Some("one"));

    let identity = Identity::generate(&SystemRandom).unwrap();
    let store = MemoryStore::new();
    let vault = create_for(&store, &identity);
    let refused = vault.change_passphrase(&passphrase("x"), cheap(), at(5));
    assert!(matches!(refused, Err(SlotError::NoPassphrase)));
}

#[test]
fn slots_have_labels_and_bounds() {
    let identity = Identity::generate(&SystemRandom).unwrap();
    let store = MemoryStore::new();
    let vault = create_for(&store, &identity);
    let add = |label: &str| {
        let recipient = Identity::generate(&SystemRandom).unwrap().recipient();
        vault.add_slot(label, &NewSlot::Recipient(&recipient), at(2))
    };
    for label in ["", "a\nb", &"x".repeat(65)] {
        assert!(matches!(add(label), Err(SlotError::Label)), "{label:?}");
    }
    assert!(matches!(add("owner"), Err(SlotError::Exists)));
    for number in 2..=32 {
        add(&format!("slot {number}")).unwrap();
    }
    assert!(matches!(add("one more"), Err(SlotError::Full)));
    assert_eq!(vault.read().unwrap().slots().unwrap().len(), 32);
    assert_eq!(sound_contents(&vault).len(), 0);
}

/// One identity could have two slots: removing one took nothing from its holder.
#[test]
fn an_identity_has_one_slot() {
    let identity = Identity::generate(&SystemRandom).unwrap();
    let store = MemoryStore::new();
    let mut vault = create_for(&store, &identity);
    let friend = Identity::generate(&SystemRandom).unwrap().recipient();
    let slot = NewSlot::Recipient(&friend);
    vault.add_slot("friend", &slot, at(2)).unwrap();
    let refused = vault.add_slot("again", &slot, at(3));
    assert!(matches!(refused, Err(SlotError::SameRecipient(label)) if label == "friend"));
    let own = vault.add_slot("again", &NewSlot::Recipient(&identity.recipient()), at(3));
    assert!(matches!(own, Err(SlotError::SameRecipient(label)) if label == "owner"));

    vault.rekey(&OwnSlot::Identity, Some("friend"), at(4), &mut |_| {}).unwrap();
    vault.add_slot("again", &slot, at(5)).unwrap();
}

#[test]
fn there_are_at_most_eight_passphrases() {
    let store = MemoryStore::new();
    let vault = create(&store);
    let phrase = passphrase("x");
    let add = |label: &str| vault.add_slot(label, &NewSlot::Passphrase(&phrase, cheap()), at(2));
    for number in 2..=8 {
        add(&number.to_string()).unwrap();
    }
    assert!(matches!(add("9"), Err(SlotError::Full)));
}
