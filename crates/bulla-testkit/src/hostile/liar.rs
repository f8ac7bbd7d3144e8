//! A store that tells lies.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use bulla_vault::store::{Lock, Store, StoreError, Table, Txn, View, Visit};

use super::SharedStore;

/// One untrue thing that a [`HostileStore`] says. Later lies are about what the earlier ones left.
#[derive(Clone)]
pub enum Lie {
    /// The row is not there.
    Drop {
        /// The table of the row.
        table: Table,
        /// Its key.
        key: Vec<u8>,
    },
    /// One bit of the row's value is the other way round. Nothing happens to a value without it.
    Flip {
        /// The table of the row.
        table: Table,
        /// Its key.
        key: Vec<u8>,
        /// Which bit, from the lowest of the first byte.
        bit: usize,
    },
    /// What is written to this table is thrown away, and the commit succeeds all the same.
    Forget(Table),
    /// The table has no rows.
    Hide(Table),
    /// The row has this value, whether it was there or not.
    Put {
        /// The table of the row.
        table: Table,
        /// Its key.
        key: Vec<u8>,
        /// What it is said to hold.
        value: Vec<u8>,
    },
    /// A scan shows every row of the table twice.
    Repeat(Table),
    /// A scan shows the rows of the table backwards.
    Reverse(Table),
    /// The whole store is as it was when this was recorded.
    Rewind(Recording),
    /// Each of the two rows has the other's value.
    Swap {
        /// The table of the rows.
        table: Table,
        /// One key.
        a: Vec<u8>,
        /// The other key.
        b: Vec<u8>,
    },
    /// Only the first bytes of the row's value are there.
    Truncate {
        /// The table of the row.
        table: Table,
        /// Its key.
        key: Vec<u8>,
        /// How many bytes are left.
        len: usize,
    },
    /// A scan leaves the row out, although asking for it finds it.
    Unlisted {
        /// The table of the row.
        table: Table,
        /// Its key.
        key: Vec<u8>,
    },
}

/// All rows of a store at one moment.
#[derive(Clone)]
pub struct Recording(Arc<Rows>);

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

impl Recording {
    /// Records what `store` holds now.
    ///
    /// # Errors
    /// What went wrong with the store.
    pub fn of(store: &dyn Store) -> Result<Self, StoreError> {
        let view = store.read()?;
        let mut rows = Rows::new();
        for table in Table::ALL {
            view.scan(table, &[], &mut |key, value| {
                rows.insert((table, key.to_vec()), value.to_vec());
                ControlFlow::Continue(())
            })?;
        }
        Ok(Self(Arc::new(rows)))
    }

    /// The value that a row had.
    #[must_use]
    pub fn value(&self, table: Table, key: &[u8]) -> Option<&[u8]> {
        self.0.get(&(table, key.to_vec())).map(Vec::as_slice)
    }

    /// The keys that a table had, in order.
    pub fn keys(&self, table: Table) -> impl Iterator<Item = &[u8]> {
        self.0.keys().filter(move |(of, _)| *of == table).map(|(_, key)| key.as_slice())
    }

    /// The lie that one row is as it was then: the replay of a single row.
    #[must_use]
    pub fn replay(&self, table: Table, key: &[u8]) -> Lie {
        let key = key.to_vec();
        match self.value(table, &key) {
            Some(value) => Lie::Put { table, key, value: value.to_vec() },
            None => Lie::Drop { table, key },
        }
    }
}

/// A store that stores everything and then says something else.
///
/// A view tells the lies that were current when it was taken.
#[derive(Clone)]
pub struct HostileStore {
    inner: SharedStore,
    lies: Arc<Mutex<Vec<Lie>>>,
}

impl HostileStore {
    /// Wraps `inner`, and says the truth until it is told not to.
    #[must_use]
    pub fn new(inner: SharedStore) -> Self {
        Self { inner, lies: Arc::default() }
    }

    /// Adds a lie.
    pub fn tell(&self, lie: Lie) {
        self.lies.lock().unwrap_or_else(PoisonError::into_inner).push(lie);
    }

    /// Goes back to the truth.
    pub fn repent(&self) {
        self.lies.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn current(&self) -> Vec<Lie> {
        self.lies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Store for HostileStore {
    fn read(&self) -> Result<Box<dyn View + '_>, StoreError> {
        let lies = self.current();
        Ok(Box::new(LyingView { truth: self.inner.read()?, lies }))
    }

    fn write(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        let lies = self.current();
        Ok(Box::new(LyingTxn { truth: self.inner.write()?, lies }))
    }

    fn lock(&self, name: &[u8; 16]) -> Result<Box<dyn Lock + '_>, StoreError> {
        self.inner.lock(name)
    }

    fn is_locked(&self, name: &[u8; 16]) -> Result<bool, StoreError> {
        self.inner.is_locked(name)
    }
}

struct LyingView<'s> {
    truth: Box<dyn View + 's>,
    lies: Vec<Lie>,
}

impl View for LyingView<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        told(&*self.truth, &self.lies, table, key)
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        scan_told(&*self.truth, &self.lies, table, after, visit)
    }
}

struct LyingTxn<'s> {
    truth: Box<dyn Txn + 's>,
    lies: Vec<Lie>,
}

impl LyingTxn<'_> {
    fn forgets(&self, table: Table) -> bool {
        self.lies.iter().any(|lie| matches!(lie, Lie::Forget(of) if *of == table))
    }
}

impl View for LyingTxn<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        told(&*self.truth, &self.lies, table, key)
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        scan_told(&*self.truth, &self.lies, table, after, visit)
    }
}

impl Txn for LyingTxn<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if self.forgets(table) { Ok(()) } else { self.truth.put(table, key, value) }
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        if self.forgets(table) { Ok(()) } else { self.truth.delete(table, key) }
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.truth.commit()
    }
}

/// What a row is said to hold once all of `lies` have been told.
fn told(
    truth: &(impl View + ?Sized),
    lies: &[Lie],
    table: Table,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let Some((last, earlier)) = lies.split_last() else {
        return truth.get(table, key);
    };
    let before = |key: &[u8]| told(truth, earlier, table, key);
    match last {
        Lie::Drop { table: of, key: at } if (*of, at.as_slice()) == (table, key) => Ok(None),
        Lie::Flip { table: of, key: at, bit } if (*of, at.as_slice()) == (table, key) => {
            let mut value = before(key)?;
            if let Some(byte) = value.as_mut().and_then(|value| value.get_mut(bit / 8)) {
                *byte ^= 1 << (bit % 8);
            }
            Ok(value)
        }
        Lie::Hide(of) if *of == table => Ok(None),
        Lie::Put { table: of, key: at, value } if (*of, at.as_slice()) == (table, key) => {
            Ok(Some(value.clone()))
        }
        Lie::Rewind(recording) => Ok(recording.value(table, key).map(<[u8]>::to_vec)),
        Lie::Swap { table: of, a, b } if *of == table && a == key => before(b),
        Lie::Swap { table: of, a, b } if *of == table && b == key => before(a),
        Lie::Truncate { table: of, key: at, len } if (*of, at.as_slice()) == (table, key) => {
            let mut value = before(key)?;
            if let Some(value) = &mut value {
                value.truncate(*len);
            }
            Ok(value)
        }
        _ => before(key),
    }
}

fn scan_told(
    truth: &(impl View + ?Sized),
    lies: &[Lie],
    table: Table,
    after: &[u8],
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    let mut keys = BTreeSet::new();
    truth.scan(table, after, &mut |key, _| {
        keys.insert(key.to_vec());
        ControlFlow::Continue(())
    })?;
    let mut backwards = false;
    let mut times = 1;
    for lie in lies {
        match lie {
            Lie::Put { table: of, key, .. } if *of == table => {
                keys.insert(key.clone());
            }
            Lie::Repeat(of) if *of == table => times *= 2,
            Lie::Reverse(of) if *of == table => backwards = !backwards,
            Lie::Rewind(recording) => keys.extend(recording.keys(table).map(<[u8]>::to_vec)),
            Lie::Swap { table: of, a, b } if *of == table => {
                keys.extend([a.clone(), b.clone()]);
            }
            _ => {}
        }
    }
    for lie in lies {
        if let Lie::Unlisted { table: of, key } = lie
            && *of == table
        {
            keys.remove(key);
        }
    }
    let mut keys: Vec<_> = keys.into_iter().filter(|key| key.as_slice() > after).collect();
    if backwards {
        keys.reverse();
    }
    for key in keys {
        let Some(value) = told(truth, lies, table, &key)? else { continue };
        for _ in 0..times {
            if visit(&key, &value).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}
