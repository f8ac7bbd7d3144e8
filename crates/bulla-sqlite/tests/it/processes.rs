//! Several processes use one vault at once.

use bulla_vault::store::{Store, StoreError, Table};

use crate::support::{Role, append, appended, create, home, impatient, names_in, open};
use bulla_sqlite::SqliteStore;

#[test]
fn no_write_of_two_processes_is_lost() {
    let (folder, path) = home();
    {
        let store = create(&path);
        let mut txn = store.write().unwrap();
        txn.put(Table::Head, b"count", &0_u32.to_be_bytes()).unwrap();
        txn.commit().unwrap();
    }
    let writers = [Role::start("count 400", &path), Role::start("count 400", &path)];
    for writer in writers {
        writer.succeeds();
    }
    assert_eq!(names_in(folder.path()), ["v.bulla"], "the last to close folds the log back");

    let store = open(&path);
    store.check().unwrap();
    let view = store.read().unwrap();
    assert_eq!(view.get(Table::Head, b"count").unwrap().unwrap(), 800_u32.to_be_bytes());
    for n in 1..=800_u32 {
        assert!(view.get(Table::Node, &n.to_be_bytes()).unwrap().is_some());
    }
}

#[test]
fn logs_are_folded_back_while_others_open() {
    let (folder, path) = home();
    drop(create(&path));
    let writers: Vec<_> =
        (0..3).map(|n| Role::start(&format!("append-and-close {n}"), &path)).collect();
    for writer in writers {
        writer.succeeds();
    }
    assert_eq!(names_in(folder.path()), ["v.bulla"]);
    let store = open(&path);
    store.check().unwrap();
    for writer in 0..3 {
        assert_eq!(appended(&*store.read().unwrap(), writer), 100);
    }
}

#[test]
fn one_of_many_creates() {
    for _ in 0..5 {
        let (folder, path) = home();
        let mut creators: Vec<_> =
            (0..4).map(|n| Role::start(&format!("create {n}"), &path)).collect();
        for creator in &mut creators {
            assert_eq!(creator.next().unwrap(), "ready");
        }
        for creator in &mut creators {
            creator.go();
        }
        let said: Vec<_> = creators.into_iter().flat_map(Role::succeeds).collect();
        assert_eq!(said.iter().filter(|said| *said == "created").count(), 1, "{said:?}");
        assert_eq!(said.iter().filter(|said| *said == "exists").count(), 3, "{said:?}");
        assert_eq!(names_in(folder.path()), ["v.bulla"]);

        let store = open(&path);
        let view = store.read().unwrap();
        assert_eq!((0..4).map(|writer| appended(&*view, writer)).sum::<u32>(), 1);
    }
}

#[test]
fn a_busy_vault_says_so() {
    let (_folder, path) = home();
    let store = create(&path);
    append(&store, 0, 0).unwrap();
    let mut writer = Role::start("write-slowly", &path);
    assert_eq!(writer.next().unwrap(), "writing");

    let impatient = SqliteStore::open(&path, impatient()).unwrap();
    assert!(matches!(impatient.write().err(), Some(StoreError::Busy)));
    assert_eq!(appended(&*impatient.read().unwrap(), 0), 1, "readers do not wait");

    writer.go();
    writer.succeeds();
    append(&impatient, 0, 1).unwrap();
}

#[test]
fn a_lock_excludes_other_processes_and_dies_with_its_holder() {
    let (_folder, path) = home();
    drop(create(&path));
    let mut holder = Role::start("lock 7", &path);
    assert_eq!(holder.next().unwrap(), "locked");

    let impatient = SqliteStore::open(&path, impatient()).unwrap();
    assert!(matches!(impatient.lock(&[7; 16]).err(), Some(StoreError::Busy)));
    drop(impatient.lock(&[8; 16]).unwrap());
    append(&impatient, 0, 0).unwrap();

    let patient = open(&path);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| drop(patient.lock(&[7; 16]).unwrap()));
        holder.kill();
        waiter.join().unwrap();
    });
    drop(impatient.lock(&[7; 16]).unwrap());
}

#[test]
fn a_thread_locks_itself_out_rather_than_sharing() {
    let (_folder, path) = home();
    drop(create(&path));
    let store = SqliteStore::open(&path, impatient()).unwrap();
    let held = store.lock(&[1; 16]).unwrap();
    assert!(matches!(store.lock(&[1; 16]).err(), Some(StoreError::Busy)));
    drop(held);
    drop(store.lock(&[1; 16]).unwrap());
}
