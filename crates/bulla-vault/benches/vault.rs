//! What the vault itself costs, without a disk: `cargo bench -p bulla-vault`.
//!
//! Vaults of 1,000 and of 100,000 entries are made once, before the first measurement.
//! `BULLA_BENCH_LARGE=1` adds one of 1,000,000, which takes a minute and 1.5 GB.

#![allow(clippy::unwrap_used, reason = "a benchmark that fails here has failed")]

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use bulla_vault::store::{Lock, Store, StoreError, Table, Txn, View, Visit};
use bulla_vault::{
    Entry, EntryName, Expect, Field, FieldName, Identity, Kdf, Kind, LockedVault, NewSlot,
    OpenedKey, Pin, Secret, Stamp, SystemRandom, Unlock, Vault,
};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

fn sizes() -> Vec<usize> {
    let mut sizes = vec![1_000, 100_000];
    if std::env::var_os("BULLA_BENCH_LARGE").is_some_and(|value| value == "1") {
        sizes.push(1_000_000);
    }
    sizes
}

/// One proven look-up: nodes, row, box, record.
#[divan::bench(args = sizes())]
fn find(bencher: Bencher<'_, '_>, entries: usize) {
    let vault = Made::of(entries).open();
    let snapshot = vault.read().unwrap();
    let mut number = 0;
    bencher.bench_local(|| {
        number = (number + 7919) % entries;
        snapshot.find(&numbered(number)).unwrap().unwrap()
    });
}

/// The proof that there is no such entry.
#[divan::bench(args = sizes())]
fn find_absent(bencher: Bencher<'_, '_>, entries: usize) {
    let vault = Made::of(entries).open();
    let snapshot = vault.read().unwrap();
    let mut number = entries;
    bencher.bench_local(|| {
        number += 1;
        assert!(snapshot.find(&numbered(number)).unwrap().is_none());
    });
}

/// A new entry of one field, sealed but not committed.
#[divan::bench(args = [20, 4_000, 1_000_000])]
fn seal(bencher: Bencher<'_, '_>, value: usize) {
    let vault = Made::of(1_000).open();
    let mut batch = vault.write(Stamp::default()).unwrap();
    let value = vec![b'x'; value];
    let mut number = 1_000_000;
    bencher.bench_local(|| {
        number += 1;
        batch.put(&numbered(number), entry(&value), None).unwrap()
    });
}

/// One more version of one entry, and its commit.
#[divan::bench(args = sizes())]
fn commit_of_one_change(bencher: Bencher<'_, '_>, entries: usize) {
    let vault = Made::of(entries).open();
    let mut number = 0;
    bencher.bench_local(|| {
        number = (number + 7919) % entries;
        let mut batch = vault.write(Stamp::default()).unwrap();
        batch.put(&numbered(number), entry(b"changed"), None).unwrap();
        batch.commit().unwrap();
    });
}

/// Everything is read, verified and opened.
#[divan::bench(sample_count = 10)]
fn check_1000(bencher: Bencher<'_, '_>) {
    let vault = Made::of(1_000).open();
    bencher.bench_local(|| {
        let report = vault.read().unwrap().check(&mut |_| {}).unwrap();
        assert!(report.faults.is_empty());
    });
}

/// From the rows to an open vault, by identity: HPKE, MAC, signature, head.
#[divan::bench]
fn unlock_by_identity(bencher: Bencher<'_, '_>) {
    let made = Made::of(1_000);
    let expect = Expect { pins: vec![made.pin], ..Expect::default() };
    let identities = [Identity::parse(&made.identity.to_text()).unwrap()];
    bencher.bench_local(|| {
        let found = LockedVault::find(&made.store, &SystemRandom).unwrap();
        black_box(found.unlock(Unlock::Identities(&identities), &expect).ok().unwrap().id())
    });
}

/// One try of a passphrase at the default cost.
#[divan::bench(sample_count = 10)]
fn argon2id_default() {
    Kdf::DEFAULT.rehearse().unwrap();
}

struct Made {
    store: InPlace,
    identity: Identity,
    pin: Pin,
    key: zeroize::Zeroizing<Vec<u8>>,
}

impl Made {
    fn of(entries: usize) -> &'static Self {
        static SMALL: LazyLock<Made> = LazyLock::new(|| Made::new(1_000));
        static MEDIUM: LazyLock<Made> = LazyLock::new(|| Made::new(100_000));
        static LARGE: LazyLock<Made> = LazyLock::new(|| Made::new(1_000_000));
        match entries {
            1_000 => &SMALL,
            100_000 => &MEDIUM,
            _ => &LARGE,
        }
    }

    fn new(entries: usize) -> Self {
        let (store, identity) = (InPlace::default(), Identity::generate(&SystemRandom).unwrap());
        let recipient = identity.recipient();
        let slot = NewSlot::Recipient(&recipient);
        let stamp = Stamp::default();
        let vault = Vault::create(&store, &SystemRandom, "owner", &slot, stamp.clone()).unwrap();
        let mut batch = vault.write(stamp).unwrap();
        for number in 0..entries {
            batch
                .put(&numbered(number), entry(b"1//0g-a-refresh-token-of-some-length"), None)
                .unwrap();
        }
        batch.commit().unwrap();
        let (pin, key) = (vault.pin(), vault.key().expose());
        drop(vault);
        Self { store, identity, pin, key }
    }

    fn open(&self) -> Vault<'_> {
        let key = OpenedKey::from_bytes(&self.key).unwrap();
        LockedVault::find(&self.store, &SystemRandom)
            .and_then(|found| found.unlock(Unlock::Key(key), &Expect::default()))
            .ok()
            .unwrap()
    }
}

fn numbered(number: usize) -> EntryName {
    EntryName::new(&format!("mailbox/user-{number}@example.com")).unwrap()
}

fn entry(value: &[u8]) -> Entry {
    let mut entry = Entry::new(Kind::Mailbox);
    let name = FieldName::new("refresh-token").unwrap();
    let value = Secret::copied_from(value);
    entry.set(Field { name, value, public: false, expires: None }).unwrap();
    entry
}

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// A store in memory that writes in place. `MemoryStore` copies all rows for each writer, which
/// would be what is measured.
#[derive(Default)]
struct InPlace(Mutex<Rows>);

impl InPlace {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for InPlace {
    fn read(&self) -> Result<Box<dyn View + '_>, StoreError> {
        Ok(Box::new(Direct(self)))
    }

    fn write(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        Ok(Box::new(Direct(self)))
    }

    fn lock(&self, _: &[u8; 16]) -> Result<Box<dyn Lock + '_>, StoreError> {
        Err(StoreError::Busy)
    }

    fn is_locked(&self, _: &[u8; 16]) -> Result<bool, StoreError> {
        Err(StoreError::Busy)
    }
}

struct Direct<'s>(&'s InPlace);

impl View for Direct<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.rows().get(&(table, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let start = Bound::Excluded((table, after.to_vec()));
        for ((of, key), value) in self.0.rows().range((start, Bound::Unbounded)) {
            if *of != table || visit(key, value) == ControlFlow::Break(()) {
                break;
            }
        }
        Ok(())
    }
}

impl Txn for Direct<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.0.rows().insert((table, key.to_vec()), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.0.rows().remove(&(table, key.to_vec()));
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}
