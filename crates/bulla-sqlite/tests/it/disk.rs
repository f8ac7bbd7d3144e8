//! Disks that are full, that fail, or that cannot be written.

use std::fs;
use std::process::Command;

use bulla_sqlite::{Options, SqliteStore};
use bulla_vault::store::{Store, StoreError, Table};

use crate::support::{Role, SmallDisk, append, appended, create, home, names_in, open, open_error};

#[test]
fn a_full_disk_loses_nothing_and_is_no_end() {
    let Some(disk) = SmallDisk::new(1024) else { return };
    let path = disk.path().join("v.bulla");
    let filler = disk.path().join("filler");
    fs::write(&filler, vec![1; 400 << 10]).unwrap();
    let store = create(&path);
    let mut count = 0;
    let error = loop {
        match append(&store, 0, count) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Full), "{error:?}");
    assert!(count > 10);
    assert_eq!(appended(&*store.read().unwrap(), 0), count, "reading goes on");
    assert!(matches!(append(&store, 0, count), Err(StoreError::Full)), "and it stays full");

    let copy = disk.path().join("copy.bulla");
    assert!(matches!(store.backup_to(&copy), Err(StoreError::Full)));
    assert!(matches!(SqliteStore::create(&copy, Options::default()).err(), Some(StoreError::Full)));
    assert_eq!(names_in(disk.path()), ["filler", "v.bulla", "v.bulla-shm", "v.bulla-wal"]);

    fs::remove_file(&filler).unwrap();
    append(&store, 0, count).unwrap();
    drop(store);
    let store = open(&path);
    store.check().unwrap();
    assert_eq!(appended(&*store.read().unwrap(), 0), count + 1);
}

#[test]
fn a_transaction_that_failed_stays_failed() {
    let Some(disk) = SmallDisk::new(1024) else { return };
    let store = create(&disk.path().join("v.bulla"));
    append(&store, 0, 0).unwrap();
    let mut txn = store.write().unwrap();
    // More than the writer keeps in memory, so that it meets the full disk before the commit.
    let long = vec![1; 15 << 20];
    let error = (0..=255).find_map(|n| txn.put(Table::Node, &[n], &long).err()).unwrap();
    assert!(matches!(error, StoreError::Full), "{error:?}");
    // By now SQLite has ended the transaction, and would commit this by itself.
    txn.put(Table::Node, b"small", b"").unwrap_err();
    txn.delete(Table::Head, &[0]).unwrap_err();
    txn.commit().unwrap_err();
    let view = store.read().unwrap();
    assert_eq!(view.get(Table::Node, b"small").unwrap(), None);
    assert_eq!(view.get(Table::Node, &[0]).unwrap(), None);
    assert_eq!(appended(&*view, 0), 1);
    drop(view);
    append(&store, 0, 1).unwrap();
    store.check().unwrap();
}

/// A limit on the size of files makes writes fail as a broken disk does.
#[test]
fn a_failed_write_poisons_the_store_and_loses_nothing() {
    let (_folder, path) = home();
    drop(create(&path));
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 400; exec \"$0\" \"$@\""]);
    limited.arg(std::env::current_exe().unwrap());
    let said = Role::start_by(limited, "outgrow", &path).succeeds();
    let acknowledged: u32 = said.last().unwrap().parse().unwrap();
    assert!(acknowledged > 5);

    let store = open(&path);
    store.check().unwrap();
    assert!(appended(&*store.read().unwrap(), 0) >= acknowledged);
    let next = appended(&*store.read().unwrap(), 0);
    append(&store, 0, next).unwrap();
}

#[test]
fn a_read_only_vault_can_be_read() {
    let Some(disk) = SmallDisk::new(8192) else { return };
    let path = disk.path().join("v.bulla");
    append(&create(&path), 0, 0).unwrap();
    disk.make_read_only();

    let store = open(&path);
    assert_eq!(appended(&*store.read().unwrap(), 0), 1);
    store.check().unwrap();
    assert!(matches!(store.write().err(), Some(StoreError::ReadOnly)));
    assert!(matches!(store.lock(&[0; 16]).err(), Some(StoreError::ReadOnly)));
    let other = disk.path().join("other.bulla");
    let created = SqliteStore::create(&other, Options::default());
    assert!(matches!(created.err(), Some(StoreError::ReadOnly)));
    assert_eq!(names_in(disk.path()), ["v.bulla"]);

    let (folder, _) = home();
    let copy = folder.path().join("copy.bulla");
    store.backup_to(&copy).unwrap();
    assert_eq!(appended(&*open(&copy).read().unwrap(), 0), 1);

    // Somebody writes it after all, in a mount of his own.
    disk.make_writable();
    Role::start("append-and-close 1", &path).succeeds();
    assert!(matches!(store.read().err(), Some(StoreError::Replaced)));
    drop(store);
    assert_eq!(appended(&*open(&path).read().unwrap(), 1), 100);
}

#[test]
fn a_read_only_vault_with_a_log_is_refused() {
    let Some(disk) = SmallDisk::new(2048) else { return };
    let path = disk.path().join("v.bulla");
    drop(create(&path));
    let mut writer = Role::start("append 0", &path);
    writer.next().unwrap();
    writer.kill();
    disk.make_read_only();
    assert!(
        matches!(open_error(&path), StoreError::Unsafe { what } if what.contains("not closed"))
    );
}
