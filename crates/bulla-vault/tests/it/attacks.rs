//! What somebody who can write the store, but has no key, can do: make reading fail, and no more.

use std::cell::Cell;
use std::sync::Arc;

use bulla_testkit::hostile::{HostileStore, Lie, Recording};
use bulla_vault::store::{Lock, MemoryStore, Store, StoreError, Table, Txn, View, Visit};
use bulla_vault::{
    Identity, NewSlot, OpenError, Part, Pin, ReadError, SlotError, SystemRandom, Vault, WriteError,
};

use crate::common::*;

/// A small vault of every sort of row, in all the states that it went through.
struct Victim {
    identity: Identity,
    pin: Pin,
    key: bulla_vault::OpenedKey,
    states: Vec<Recording>,
    contents: Contents,
}

impl Victim {
    fn new() -> Self {
        let identity = Identity::generate(&SystemRandom).unwrap();
        let store = MemoryStore::new();
        let vault = create_for(&store, &identity);
        let mut states = vec![Recording::of(&store).unwrap()];
        for (entry, value) in [("a", "one"), ("a", "two"), ("b", "other"), ("a", "three")] {
            set(&vault, entry, value);
            states.push(Recording::of(&store).unwrap());
        }
        let second = passphrase("second");
        vault.add_slot("second", &NewSlot::Passphrase(&second, cheap()), at(9)).unwrap();
        states.push(Recording::of(&store).unwrap());
        let contents = sound_contents(&vault);
        Self { pin: vault.pin(), key: vault.key(), identity, states, contents }
    }

    fn now(&self) -> &Recording {
        self.states.last().unwrap()
    }

    fn store(&self) -> HostileStore {
        HostileStore::new(store_of(self.now()))
    }

    /// Whether reading everything fails. What it gives instead may only be the truth.
    fn notices(&self, store: &dyn Store, opened: Opened) -> bool {
        let read = || -> Result<Contents, Noticed> {
            let vault = match opened {
                Opened::ByIdentity => open_by(store, &self.identity, self.pin)?,
                Opened::ByKey => {
                    let key = self.key.expose();
                    open_with(store, bulla_vault::OpenedKey::from_bytes(&key).unwrap())?
                }
            };
            let snapshot = vault.read()?;
            let contents = contents(&snapshot);
            let report = snapshot.check(&mut |_| {}).map_err(ReadError::Store)?;
            let contents = contents?;
            if report.faults.is_empty() { Ok(contents) } else { Err(Noticed) }
        };
        match read() {
            Ok(contents) => {
                assert_eq!(contents, self.contents, "another plaintext");
                false
            }
            Err(Noticed) => true,
        }
    }

    #[track_caller]
    fn assert_notices(&self, lies: &[Lie], what: impl std::fmt::Debug) {
        let store = self.store();
        lies.iter().for_each(|lie| store.tell(lie.clone()));
        assert!(self.notices(&store, Opened::ByIdentity), "unnoticed: {what:?}");
    }
}

#[derive(Clone, Copy)]
enum Opened {
    ByIdentity,
    /// Faster, and as good for everything that is not looked at before a slot opens.
    ByKey,
}

struct Noticed;

impl From<OpenError> for Noticed {
    fn from(_: OpenError) -> Self {
        Self
    }
}

impl From<ReadError> for Noticed {
    fn from(_: ReadError) -> Self {
        Self
    }
}

#[test]
fn the_victim_is_sound() {
    let victim = Victim::new();
    assert!(!victim.notices(&victim.store(), Opened::ByIdentity));
    assert!(!victim.notices(&victim.store(), Opened::ByKey));
    assert!(Table::ALL.into_iter().all(|table| victim.now().keys(table).next().is_some()));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let victim = Victim::new();
    for (table, key, value) in rows_of(victim.now()) {
        let store = victim.store();
        let opened = match table {
            Table::Head | Table::Keyring => Opened::ByIdentity,
            Table::Entry | Table::History | Table::Node => Opened::ByKey,
        };
        for bit in 0..8 * value.len() {
            store.repent();
            store.tell(Lie::Flip { table, key: key.clone(), bit });
            assert!(victim.notices(&store, opened), "unnoticed: bit {bit} in {table:?} {key:?}");
        }
    }
}

#[test]
fn every_truncation_is_noticed() {
    let victim = Victim::new();
    for (table, key, value) in rows_of(victim.now()) {
        let store = victim.store();
        for len in 0..value.len() {
            store.repent();
            store.tell(Lie::Truncate { table, key: key.clone(), len });
            assert!(victim.notices(&store, Opened::ByKey), "unnoticed: {len} in {table:?} {key:?}");
        }
    }
}

#[test]
fn every_longer_row_is_noticed() {
    let victim = Victim::new();
    for (table, key, value) in rows_of(victim.now()) {
        for surplus in [1, 1 << 20] {
            let value = [&value[..], &vec![0; surplus]].concat();
            let lie = Lie::Put { table, key: key.clone(), value };
            victim.assert_notices(&[lie], (table, &key, surplus));
        }
    }
}

/// Whichever of many rows it is, and whichever thread opens it.
#[test]
fn a_flipped_bit_of_one_of_many_is_noticed() {
    let identity = Identity::generate(&SystemRandom).unwrap();
    let store = MemoryStore::new();
    let vault = create_for(&store, &identity);
    let names: Vec<_> = (0..600).map(|number| name(&format!("e/{number}"))).collect();
    let mut batch = vault.write(at(2)).unwrap();
    for name in &names {
        batch.put(name, secret("x"), None).unwrap();
    }
    batch.commit().unwrap();
    let state = Recording::of(&store).unwrap();
    let hostile = HostileStore::new(store_of(&state));
    let vault = open_with(&hostile, vault.key()).unwrap();
    let find_all = || vault.read().unwrap().find_all(&names, 3, &mut |_, _| ());
    find_all().unwrap();
    for (number, key) in state.keys(Table::Entry).enumerate().step_by(37) {
        hostile.repent();
        hostile.tell(Lie::Flip { table: Table::Entry, key: key.to_vec(), bit: 8 * number % 2000 });
        assert!(matches!(find_all(), Err(ReadError::Tampered(Part::Row))), "row {number}");
    }
}

#[test]
fn every_missing_row_is_noticed() {
    let victim = Victim::new();
    for (table, key, _) in rows_of(victim.now()) {
        victim.assert_notices(&[Lie::Drop { table, key: key.clone() }], (table, &key));
    }
    for table in Table::ALL {
        victim.assert_notices(&[Lie::Hide(table)], table);
    }
}

#[test]
fn every_added_row_is_noticed() {
    let victim = Victim::new();
    for (table, key, value) in rows_of(victim.now()) {
        let mut other = key.clone();
        *other.last_mut().unwrap() ^= 1;
        victim.assert_notices(&[Lie::Put { table, key: other, value }], (table, &key));
    }
}

#[test]
fn every_pair_of_swapped_rows_is_noticed() {
    let victim = Victim::new();
    let rows = rows_of(victim.now());
    for (index, (table_a, key_a, value_a)) in rows.iter().enumerate() {
        for (table_b, key_b, value_b) in &rows[..index] {
            let put = |table: &Table, key: &[u8], value: &[u8]| Lie::Put {
                table: *table,
                key: key.to_vec(),
                value: value.to_vec(),
            };
            let lies = [put(table_a, key_a, value_b), put(table_b, key_b, value_a)];
            victim.assert_notices(&lies, (table_a, key_a, table_b, key_b));
        }
    }
}

#[test]
fn every_replayed_row_is_noticed() {
    let victim = Victim::new();
    let mut replayed = 0;
    for earlier in &victim.states {
        for (table, key, value) in rows_of(earlier) {
            if victim.now().value(table, &key) != Some(&value) {
                victim.assert_notices(&[earlier.replay(table, &key)], (table, &key));
                replayed += 1;
            }
        }
        for (table, key, _) in rows_of(victim.now()) {
            if earlier.value(table, &key).is_none() {
                victim.assert_notices(&[earlier.replay(table, &key)], (table, &key));
                replayed += 1;
            }
        }
    }
    assert!(replayed > 20, "{replayed}");
}

#[test]
fn every_row_of_another_vault_is_noticed() {
    let victim = Victim::new();
    // The same identity opens it, and it went through the same states.
    let store = MemoryStore::new();
    let vault = create_for(&store, &victim.identity);
    for (entry, value) in [("a", "one"), ("a", "two"), ("b", "other"), ("a", "three")] {
        set(&vault, entry, value);
    }
    let other = rows_of(&Recording::of(&store).unwrap());
    for (table, key, _) in rows_of(victim.now()) {
        for (_, _, value) in other.iter().filter(|(of, ..)| *of == table) {
            let lie = Lie::Put { table, key: key.clone(), value: value.clone() };
            victim.assert_notices(&[lie], (table, &key));
        }
    }
    let all: Vec<_> = other
        .iter()
        .map(|(table, key, value)| Lie::Put {
            table: *table,
            key: key.clone(),
            value: value.clone(),
        })
        .collect();
    victim.assert_notices(&all, "a whole vault for the same identity");
}

#[test]
fn a_vault_without_its_rows_is_not_empty() {
    let victim = Victim::new();
    let store = victim.store();
    store.tell(Lie::Hide(Table::Entry));
    let vault = open_by(&store, &victim.identity, victim.pin).ok().unwrap();
    let snapshot = vault.read().unwrap();
    assert!(matches!(snapshot.find(&name("a")), Err(ReadError::Tampered(Part::Row))));
    // That there never was such an entry is still proven: nothing of it was taken away.
    assert!(snapshot.find(&name("c")).unwrap().is_none());
    store.tell(Lie::Hide(Table::Node));
    let snapshot = vault.read().unwrap();
    assert!(matches!(snapshot.find(&name("c")), Err(ReadError::Tampered(Part::Node))));
}

#[test]
fn nothing_is_created_over_the_rest_of_a_vault() {
    let victim = Victim::new();
    for left in Table::ALL {
        let store = victim.store();
        for table in Table::ALL.into_iter().filter(|table| *table != left) {
            store.tell(Lie::Hide(table));
        }
        let recipient = victim.identity.recipient();
        let slot = NewSlot::Recipient(&recipient);
        let created = Vault::create(&store, &SystemRandom, "owner", &slot, at(1));
        assert!(matches!(created.err(), Some(SlotError::Write(WriteError::Exists))), "{left:?}");
        store.repent();
        assert!(!victim.notices(&store, Opened::ByIdentity), "{left:?}");
    }
}

/// Reads must not be checked by one answer of the store and used by another.
#[test]
fn a_store_that_changes_its_answers_is_noticed() {
    let victim = Victim::new();
    let earlier = &victim.states[victim.states.len() - 3];
    let earlier_store = store_of(earlier);
    let earlier_contents =
        sound_contents(&open_by(&*earlier_store, &victim.identity, victim.pin).ok().unwrap());
    let (mut noticed, mut whole) = (0, 0);
    for (first, then) in [(victim.now(), earlier), (earlier, victim.now())] {
        for turn in 0.. {
            let store =
                Fickle { first: store_of(first), then: store_of(then), left: Cell::new(turn) };
            let read = open_by(&store, &victim.identity, victim.pin)
                .map_err(ReadError::from)
                .and_then(|vault| contents(&vault.read()?));
            match read {
                Ok(found) if found == victim.contents || found == earlier_contents => whole += 1,
                Ok(found) => panic!("a mixture after {turn} answers: {found:?}"),
                Err(_) => noticed += 1,
            }
            if store.left.get() > 0 {
                break;
            }
        }
    }
    assert!(noticed > 0 && whole > 0, "{noticed} {whole}");
}

/// A store that answers so many questions from one state, and all later ones from another.
struct Fickle {
    first: Arc<MemoryStore>,
    then: Arc<MemoryStore>,
    left: Cell<usize>,
}

impl Store for Fickle {
    fn read(&self) -> Result<Box<dyn View + '_>, StoreError> {
        Ok(Box::new(FickleView(self)))
    }

    fn write(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn lock(&self, _: &[u8; 16]) -> Result<Box<dyn Lock + '_>, StoreError> {
        Err(StoreError::ReadOnly)
    }

    fn is_locked(&self, _: &[u8; 16]) -> Result<bool, StoreError> {
        Err(StoreError::ReadOnly)
    }
}

struct FickleView<'s>(&'s Fickle);

impl FickleView<'_> {
    fn next(&self) -> &MemoryStore {
        let left = self.0.left.get();
        self.0.left.set(left.saturating_sub(1));
        if left > 0 { &self.0.first } else { &self.0.then }
    }
}

impl View for FickleView<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.next().read()?.get(table, key)
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.next().read()?.scan(table, after, visit)
    }
}
