//! What the stored bytes give away.

use std::collections::HashSet;
use std::ops::ControlFlow;

use bulla_testkit::hostile::Recording;
use bulla_vault::store::{MemoryStore, Store, Table};
use bulla_vault::{Identity, NewSlot, NoRandomness, Random, SystemRandom, Vault};

use crate::common::*;

const SALT_AT: usize = 23;

#[test]
fn no_two_salts_are_alike() {
    let store = MemoryStore::new();
    let vault = create(&store);
    let mut batch = vault.write(at(2)).unwrap();
    for number in 0..100_000 {
        batch.put(&name(&format!("entry-{number}")), secret("the same"), None).unwrap();
    }
    batch.commit().unwrap();
    let mut salts = HashSet::new();
    let view = store.read().unwrap();
    view.scan(Table::Entry, b"", &mut |_, row| {
        salts.insert(<[u8; 32]>::try_from(&row[SALT_AT..SALT_AT + 32]).unwrap());
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(salts.len(), 100_001);
}

/// A cloned machine may draw the same bytes twice. One key for two plaintexts would be the end of
/// both, with a nonce that is always zero.
#[test]
fn randomness_that_repeats_does_not_repeat_a_key() {
    let identity = Identity::generate(&SystemRandom).unwrap();
    let recipient = identity.recipient();
    let store = MemoryStore::new();
    let slot = NewSlot::Recipient(&recipient);
    let vault = Vault::create(&store, &Stuck, "owner", &slot, at(1)).unwrap();
    let before = Recording::of(&store).unwrap();

    let salt_after = |value: &str, time: u64| {
        let store = store_of(&before);
        let key = bulla_vault::OpenedKey::from_bytes(&vault.key().expose()).unwrap();
        let vault = bulla_vault::LockedVault::find(&*store, &Stuck)
            .and_then(|locked| locked.unlock(bulla_vault::Unlock::Key(key), &Default::default()))
            .ok()
            .unwrap();
        let mut batch = vault.write(at(time)).unwrap();
        batch.put(&name("a"), secret(value), None).unwrap();
        batch.commit().unwrap();
        let after = Recording::of(&*store).unwrap();
        let new = rows_of(&after)
            .into_iter()
            .find(|(table, key, _)| *table == Table::Entry && before.value(*table, key).is_none());
        let (_, _, row) = new.unwrap();
        row[SALT_AT..SALT_AT + 32].to_vec()
    };
    assert_eq!(salt_after("x", 2), salt_after("x", 2), "the same message under the same key");
    assert_ne!(salt_after("x", 2), salt_after("y", 2));
    assert_ne!(salt_after("x", 2), salt_after("x", 3));

    // And in one vault: the same plaintext under another name, or again under the same.
    for _ in 0..5 {
        set(&vault, "a", "x");
        set(&vault, "b", "x");
    }
    let mut salts = HashSet::new();
    let rows = rows_of(&Recording::of(&store).unwrap());
    let sealed = rows.iter().filter(|(table, ..)| matches!(table, Table::Entry | Table::History));
    for (_, _, row) in sealed {
        let kept = usize::from(u16::from_le_bytes([row[21], row[22]]));
        let at = SALT_AT + 40 * kept;
        assert!(salts.insert(row[at..at + 32].to_vec()), "one salt twice");
    }
    assert_eq!(salts.len(), 1 + 2 * 5);
}

/// A source that draws the same bytes for ever.
struct Stuck;

impl Random for Stuck {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        bytes.fill(7);
        Ok(())
    }
}

#[test]
fn rows_show_a_size_class_and_no_length() {
    let sizes = |lengths: &[usize]| -> HashSet<usize> {
        lengths
            .iter()
            .map(|len| {
                let store = MemoryStore::new();
                let vault = create_for(&store, &Identity::generate(&SystemRandom).unwrap());
                let before = Recording::of(&store).unwrap();
                set(&vault, &"n".repeat(1 + len % 40), &"x".repeat(*len));
                let rows = rows_of(&Recording::of(&store).unwrap());
                let new = rows.iter().find(|(table, key, _)| {
                    *table == Table::Entry && before.value(*table, key).is_none()
                });
                new.unwrap().2.len()
            })
            .collect()
    };
    assert_eq!(sizes(&[0, 1, 20, 40, 150]), HashSet::from([23 + 80 + 256]));
    assert_eq!(sizes(&[300, 400]), HashSet::from([23 + 80 + 512]));
    // A removal looks like a short secret.
    let store = MemoryStore::new();
    let vault = create_for(&store, &Identity::generate(&SystemRandom).unwrap());
    set(&vault, "a", "x");
    let mut batch = vault.write(at(2)).unwrap();
    batch.remove(&name("a"), true).unwrap();
    batch.commit().unwrap();
    let rows = rows_of(&Recording::of(&store).unwrap());
    assert!(
        rows.iter().any(|(table, _, row)| *table == Table::Entry && row.len() == 23 + 80 + 256)
    );
}

#[test]
fn nothing_readable_is_stored() {
    let store = MemoryStore::new();
    let vault = create(&store);
    let canary = "canary-7f3a";
    let mut batch = vault.write(bulla_vault::Stamp { time: 2, reason: canary.to_owned() }).unwrap();
    let mut entry = secret(canary);
    entry
        .set(bulla_vault::Field {
            name: field(canary),
            value: bulla_vault::Secret::copied_from(canary.as_bytes()),
            public: true,
            expires: None,
        })
        .unwrap();
    batch.put(&name(canary), entry, None).unwrap();
    batch.rename(&name(canary), &name(&format!("{canary}/moved"))).unwrap();
    batch.commit().unwrap();
    let phrase = passphrase(canary);
    vault.add_slot(canary, &NewSlot::Passphrase(&phrase, cheap()), at(3)).unwrap();
    for (table, key, value) in rows_of(&Recording::of(&store).unwrap()) {
        for bytes in [&key, &value] {
            let found = bytes.windows(canary.len()).any(|part| part == canary.as_bytes());
            assert!(!found, "{table:?}");
        }
    }
}
