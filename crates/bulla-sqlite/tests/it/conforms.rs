//! The embedded store keeps every promise of the port.

use std::cell::Cell;

use bulla_sqlite::{Options, SqliteStore};
use bulla_testkit::conformance;

#[test]
fn sqlite_store() {
    let folder = tempfile::tempdir().unwrap();
    let made = Cell::new(0);
    conformance::run(
        || {
            made.set(made.get() + 1);
            let path = folder.path().join(format!("{}.bulla", made.get()));
            SqliteStore::create(path, Options::default()).unwrap()
        },
        |store| {
            let path = store.path().to_owned();
            drop(store);
            let store = SqliteStore::open(path, Options::default()).unwrap();
            store.check().unwrap();
            store
        },
    );
}
