//! Copies of a vault in use.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use bulla_vault::store::{Store, StoreError};

use crate::support::{Role, append, appended, create, home, names_in, open};

#[test]
fn a_backup_is_a_whole_vault_in_one_file() {
    let (folder, path) = home();
    let store = create(&path);
    for n in 0..20 {
        append(&store, 0, n).unwrap();
    }
    let unfinished = store.write().unwrap();
    let copy = folder.path().join("copy.bulla");
    store.backup_to(&copy).unwrap();
    drop(unfinished);
    append(&store, 0, 20).unwrap();

    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let beside = names_in(folder.path());
    assert_eq!(beside, ["copy.bulla", "v.bulla", "v.bulla-shm", "v.bulla-wal"]);

    let restored = open(&copy);
    restored.check().unwrap();
    assert_eq!(appended(&*restored.read().unwrap(), 0), 20);
    append(&restored, 0, 20).unwrap();
    append(&restored, 0, 21).unwrap();
    assert_eq!(appended(&*store.read().unwrap(), 0), 21, "they are two vaults now");
}

#[test]
fn a_backup_is_one_moment_while_another_process_writes() {
    let (folder, path) = home();
    let store = create(&path);
    let mut writer = Role::start("append 0", &path);
    for n in 0..10 {
        let known: u32 = writer.next().unwrap().parse().unwrap();
        let copy = folder.path().join(format!("{n}.bulla"));
        store.backup_to(&copy).unwrap();
        let copy = open(&copy);
        copy.check().unwrap();
        assert!(appended(&*copy.read().unwrap(), 0) >= known);
    }
    writer.kill();
}

#[test]
fn a_backup_replaces_nothing() {
    let (folder, path) = home();
    let store = create(&path);
    let target = folder.path().join("there");
    let refused = |what: &str| {
        let before = names_in(folder.path());
        assert!(matches!(store.backup_to(&target), Err(StoreError::Exists)), "{what}");
        assert_eq!(names_in(folder.path()), before, "{what}");
    };
    fs::write(&target, "mine").unwrap();
    refused("a file");
    assert_eq!(fs::read(&target).unwrap(), b"mine");
    fs::remove_file(&target).unwrap();

    symlink(folder.path().join("nowhere"), &target).unwrap();
    refused("a dangling link");
    fs::remove_file(&target).unwrap();

    fs::create_dir(&target).unwrap();
    refused("a folder");
    fs::remove_dir(&target).unwrap();

    fs::write(folder.path().join("there-wal"), "").unwrap();
    refused("a left-over log");
    assert!(matches!(store.backup_to(&path), Err(StoreError::Exists)), "itself");
}
