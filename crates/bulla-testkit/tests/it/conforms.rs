//! The store in memory keeps every promise, and a store that breaks one is found out.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bulla_testkit::conformance;
use bulla_testkit::hostile::{HostileStore, Lie};
use bulla_vault::store::{MemoryStore, Table};

#[test]
fn memory_store() {
    conformance::run(MemoryStore::new, |store| store);
}

#[test]
fn the_suite_can_fail() {
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
        let suite = AssertUnwindSafe(|| conformance::run(make, |store| store));
        assert!(catch_unwind(suite).is_err());
    }
}
