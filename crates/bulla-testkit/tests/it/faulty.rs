//! A faulty store fails at the call it was told to, and only as long as it was told to.

use std::sync::Arc;

use bulla_testkit::hostile::{FaultyStore, Lasting};
use bulla_vault::store::{MemoryStore, Store, StoreError, Table};

fn write_two(store: &dyn Store) -> Result<(), StoreError> {
    let mut txn = store.write()?;
    txn.put(Table::Entry, b"a", b"1")?;
    txn.put(Table::Entry, b"b", b"2")?;
    txn.commit()
}

#[test]
fn every_call_can_fail_and_nothing_stays() {
    let counting = FaultyStore::new(Arc::new(MemoryStore::new()));
    write_two(&counting).unwrap();
    assert_eq!(counting.calls(), 4);
    for n in 0..4 {
        let inner = Arc::new(MemoryStore::new());
        let store = FaultyStore::new(inner.clone());
        store.fail_with(n, Lasting::Once, || StoreError::Full);
        assert!(matches!(write_two(&store), Err(StoreError::Full)));
        assert_eq!(inner.read().unwrap().get(Table::Entry, b"a").unwrap(), None);
        write_two(&store).unwrap();
    }
}

#[test]
fn a_fault_may_last() {
    let store = FaultyStore::new(Arc::new(MemoryStore::new()));
    store.fail_at(1, Lasting::ForGood);
    drop(store.read().unwrap());
    assert!(store.read().is_err());
    assert!(store.write().is_err());
    assert!(store.lock(&[0; 16]).is_err());
}
