//! A store in memory: for tests, for vectors and for programs that keep their own copy of a vault.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Lock, Store, StoreError, Table, Txn, View, Visit};

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// A store that lives as long as the value does.
///
/// Readers get the state that was committed when they began; one writer works at a time and the
/// others wait for it, however long it takes.
#[derive(Default)]
pub struct MemoryStore {
    committed: Mutex<Arc<Rows>>,
    writer: Mutex<()>,
    locked: Mutex<BTreeSet<[u8; 16]>>,
    unlocked: Condvar,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn snapshot(&self) -> Arc<Rows> {
        Arc::clone(&held(&self.committed))
    }
}

/// A panic of another thread cannot leave the maps half changed: each change is one assignment.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store for MemoryStore {
    fn read(&self) -> Result<Box<dyn View + '_>, StoreError> {
        Ok(Box::new(Snapshot(self.snapshot())))
    }

    fn write(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        let sole = held(&self.writer);
        let rows = Snapshot(self.snapshot());
        Ok(Box::new(Writer { store: self, rows, _sole: sole }))
    }

    fn lock(&self, name: &[u8; 16]) -> Result<Box<dyn Lock + '_>, StoreError> {
        let mut locked = held(&self.locked);
        while !locked.insert(*name) {
            locked = self.unlocked.wait(locked).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(Box::new(Held { store: self, name: *name }))
    }

    fn is_locked(&self, name: &[u8; 16]) -> Result<bool, StoreError> {
        Ok(held(&self.locked).contains(name))
    }
}

struct Snapshot(Arc<Rows>);

impl View for Snapshot {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(&(table, key.to_vec())).cloned())
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let start = Bound::Excluded((table, after.to_vec()));
        for ((of, key), value) in self.0.range((start, Bound::Unbounded)) {
            if *of != table || visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }
}

struct Writer<'s> {
    store: &'s MemoryStore,
    rows: Snapshot,
    _sole: MutexGuard<'s, ()>,
}

impl View for Writer<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.get(table, key)
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.rows.scan(table, after, visit)
    }
}

impl Txn for Writer<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        Arc::make_mut(&mut self.rows.0).insert((table, key.to_vec()), value.to_vec());
        Ok(())
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        Arc::make_mut(&mut self.rows.0).remove(&(table, key.to_vec()));
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        *held(&self.store.committed) = self.rows.0;
        Ok(())
    }
}

struct Held<'s> {
    store: &'s MemoryStore,
    name: [u8; 16],
}

impl Lock for Held<'_> {}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        held(&self.store.locked).remove(&self.name);
        self.store.unlocked.notify_all();
    }
}
