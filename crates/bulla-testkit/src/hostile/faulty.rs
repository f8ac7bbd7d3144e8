//! A store that fails.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bulla_vault::store::{Lock, Store, StoreError, Table, Txn, View, Visit};

use super::SharedStore;

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lasting {
    /// One call fails, and those after it work again.
    Once,
    /// Every later call fails too.
    ForGood,
}

/// A store that fails at its n-th call, whichever call that is.
///
/// Every `read`, `write`, `lock`, `get`, `scan`, `put`, `delete` and `commit` counts as one call. So
/// a test counts those of a run without faults and then has each one fail in turn:
///
/// ```
/// # use std::sync::Arc;
/// # use bulla_testkit::hostile::{FaultyStore, Lasting};
/// # use bulla_vault::store::{MemoryStore, Store, StoreError, Table};
/// fn work(store: &dyn Store) -> Result<(), StoreError> {
///     let mut txn = store.write()?;
///     txn.put(Table::Head, &[0], b"head")?;
///     txn.commit()
/// }
///
/// let store = FaultyStore::new(Arc::new(MemoryStore::new()));
/// work(&store).unwrap();
/// for n in 0..store.calls() {
///     let store = FaultyStore::new(Arc::new(MemoryStore::new()));
///     store.fail_at(n, Lasting::Once);
///     work(&store).unwrap_err();
///     assert!(store.read().unwrap().get(Table::Head, &[0]).unwrap().is_none());
/// }
/// ```
#[derive(Clone)]
pub struct FaultyStore {
    inner: SharedStore,
    fuse: Arc<Fuse>,
}

impl FaultyStore {
    /// Wraps `inner`, and works until it is told not to.
    #[must_use]
    pub fn new(inner: SharedStore) -> Self {
        Self { inner, fuse: Arc::default() }
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.fuse.calls.load(Ordering::Relaxed)
    }

    /// Makes call number `n` fail, the first one being 0, with a write error of the system.
    pub fn fail_at(&self, n: usize, lasting: Lasting) {
        self.fail_with(n, lasting, || StoreError::Io { doing: "write", kind: ErrorKind::Other });
    }

    /// Makes call number `n` fail with the error of your choice.
    pub fn fail_with(&self, n: usize, lasting: Lasting, error: fn() -> StoreError) {
        *self.fuse.fault.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Fault { n, lasting, error });
    }
}

impl Store for FaultyStore {
    fn read(&self) -> Result<Box<dyn View + '_>, StoreError> {
        self.fuse.call()?;
        Ok(Box::new(FaultyView { inner: self.inner.read()?, fuse: &self.fuse }))
    }

    fn write(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        self.fuse.call()?;
        Ok(Box::new(FaultyTxn { inner: self.inner.write()?, fuse: &self.fuse }))
    }

    fn lock(&self, name: &[u8; 16]) -> Result<Box<dyn Lock + '_>, StoreError> {
        self.fuse.call()?;
        self.inner.lock(name)
    }

    fn is_locked(&self, name: &[u8; 16]) -> Result<bool, StoreError> {
        self.fuse.call()?;
        self.inner.is_locked(name)
    }
}

#[derive(Default)]
struct Fuse {
    calls: AtomicUsize,
    fault: Mutex<Option<Fault>>,
}

struct Fault {
    n: usize,
    lasting: Lasting,
    error: fn() -> StoreError,
}

impl Fuse {
    fn call(&self) -> Result<(), StoreError> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        match &*self.fault.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Fault { n, lasting, error })
                if number == *n || (number > *n && *lasting == Lasting::ForGood) =>
            {
                Err(error())
            }
            _ => Ok(()),
        }
    }
}

struct FaultyView<'s> {
    inner: Box<dyn View + 's>,
    fuse: &'s Fuse,
}

impl View for FaultyView<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.fuse.call()?;
        self.inner.get(table, key)
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.fuse.call()?;
        self.inner.scan(table, after, visit)
    }
}

struct FaultyTxn<'s> {
    inner: Box<dyn Txn + 's>,
    fuse: &'s Fuse,
}

impl View for FaultyTxn<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.fuse.call()?;
        self.inner.get(table, key)
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.fuse.call()?;
        self.inner.scan(table, after, visit)
    }
}

impl Txn for FaultyTxn<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.fuse.call()?;
        self.inner.put(table, key, value)
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.fuse.call()?;
        self.inner.delete(table, key)
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.fuse.call()?;
        self.inner.commit()
    }
}
