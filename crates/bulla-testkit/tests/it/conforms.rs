//! The store in memory keeps every promise, and a store that breaks one is found out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use bulla_testkit::conformance;
use bulla_testkit::hostile::{HostileStore, Lie};
use bulla_vault::store::{Lock, MemoryStore, Store, StoreError, Table, Txn, View, Visit};

#[test]
fn memory_store() {
    conformance::run(MemoryStore::new, |store| store);
}

#[test]
fn a_store_that_lies_is_found_out() {
    for lie in [
        Lie::Forget(Table::Node),
        Lie::Hide(Table::History),
        Lie::Reverse(Table::Entry),
        Lie::Repeat(Table::Entry),
        Lie::Put { table: Table::Head, key: vec![0], value: vec![1] },
    ] {
        let make = || {
            let store = HostileStore::new(Arc::new(MemoryStore::new()));
            store.tell(lie.clone());
            store
        };
        assert_found_out(make, |store| store);
    }
}

#[test]
fn a_store_that_forgets_when_closed_is_found_out() {
    assert_found_out(MemoryStore::new, |_| MemoryStore::new());
}

#[test]
fn a_sloppy_store_is_found_out() {
    for fault in [Fault::LateViews, Fault::NoLocks, Fault::NoSnapshots, Fault::WritersTogether] {
        assert_found_out(|| Sloppy { inner: MemoryStore::new(), fault }, |store| store);
    }
}

fn assert_found_out<S: Store + Sync>(make: impl Fn() -> S, reopen: impl Fn(S) -> S) {
    let suite = AssertUnwindSafe(|| conformance::run(make, reopen));
    assert!(catch_unwind(suite).is_err(), "the suite passed");
}

/// A store in memory without one of its promises.
struct Sloppy {
    inner: MemoryStore,
    fault: Fault,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    /// A view begins with its first question, as a plain `BEGIN` of SQLite does.
    LateViews,
    /// A lock excludes nobody.
    NoLocks,
    /// A view shows what is committed when it is asked.
    NoSnapshots,
    /// A writer does not wait for another one.
    WritersTogether,
}

impl Store for Sloppy {
    fn read(&self) -> Result<Box<dyn View + '_>, StoreError> {
        match self.fault {
            Fault::NoSnapshots => Ok(Box::new(Live(&self.inner))),
            Fault::LateViews => {
                Ok(Box::new(Late { store: &self.inner, view: std::cell::OnceCell::new() }))
            }
            _ => self.inner.read(),
        }
    }

    fn write(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        if self.fault == Fault::WritersTogether {
            return Ok(Box::new(Together { store: &self.inner, changes: Vec::new() }));
        }
        self.inner.write()
    }

    fn lock(&self, name: &[u8; 16]) -> Result<Box<dyn Lock + '_>, StoreError> {
        match self.fault {
            Fault::NoLocks => Ok(Box::new(NoLock)),
            _ => self.inner.lock(name),
        }
    }

    fn is_locked(&self, name: &[u8; 16]) -> Result<bool, StoreError> {
        match self.fault {
            Fault::NoLocks => Ok(false),
            _ => self.inner.is_locked(name),
        }
    }
}

struct NoLock;

impl Lock for NoLock {}

struct Live<'s>(&'s MemoryStore);

impl View for Live<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.read()?.get(table, key)
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.0.read()?.scan(table, after, visit)
    }
}

struct Late<'s> {
    store: &'s MemoryStore,
    view: std::cell::OnceCell<Box<dyn View + 's>>,
}

impl View for Late<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.view.get_or_init(|| self.store.read().unwrap()).get(table, key)
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.view.get_or_init(|| self.store.read().unwrap()).scan(table, after, visit)
    }
}

/// Sees its own changes, and is alone only while it commits.
struct Together<'s> {
    store: &'s MemoryStore,
    changes: Vec<(Table, Vec<u8>, Option<Vec<u8>>)>,
}

impl Together<'_> {
    fn applied(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        let mut txn = self.store.write()?;
        for (table, key, value) in &self.changes {
            match value {
                Some(value) => txn.put(*table, key, value)?,
                None => txn.delete(*table, key)?,
            }
        }
        Ok(txn)
    }
}

impl View for Together<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let seen = self.applied()?.get(table, key);
        thread::yield_now();
        seen
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.applied()?.scan(table, after, visit)
    }
}

impl Txn for Together<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.changes.push((table, key.to_vec(), Some(value.to_vec())));
        Ok(())
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.changes.push((table, key.to_vec(), None));
        Ok(())
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.applied()?.commit()
    }
}
