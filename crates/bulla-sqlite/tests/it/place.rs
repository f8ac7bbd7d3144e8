//! Where a vault may lie, what is made there, and what happens when somebody moves it.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use bulla_sqlite::{Options, SqliteStore};
use bulla_vault::store::{Store, StoreError};

use crate::support::{Role, append, appended, create, home, names_in, open, open_error, skipped};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn create_error(path: &Path) -> StoreError {
    SqliteStore::create(path, Options::default()).err().expect("it is not made")
}

fn assert_unsafe(error: StoreError, rule: &str) {
    match error {
        StoreError::Unsafe { what } => {
            assert!(what.contains(rule), "{what:?} is not about {rule:?}")
        }
        other => panic!("{other:?} instead of {rule:?}"),
    }
}

#[test]
fn what_is_made_is_for_its_owner_only() {
    let (folder, path) = home();
    let store = create(&path);
    append(&store, 0, 0).unwrap();
    drop(store.lock(&[0xab; 16]).unwrap());
    let locks = folder.path().join("v.bulla-locks");
    assert_eq!(names_in(&locks), ["ab".repeat(16)]);
    let made = names_in(folder.path());
    assert_eq!(made, ["v.bulla", "v.bulla-locks", "v.bulla-shm", "v.bulla-wal"]);
    let lock = locks.join("ab".repeat(16));
    for path in made.iter().map(|name| folder.path().join(name)).chain([lock]) {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", path.display());
    }
    drop(store);
    assert_eq!(names_in(folder.path()), ["v.bulla", "v.bulla-locks"], "at rest it is one file");
}

#[test]
fn any_name_is_only_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let names: [&[u8]; 9] = [
        b"a b",
        b"file:x?mode=memory&cache=shared",
        b":memory:",
        b"x?immutable=1#y",
        b"100%25",
        b"-v",
        b"line\nbreak",
        b"not \xff utf-8",
        b"'; DROP TABLE head; --",
    ];
    for name in names {
        let path = folder.path().join(OsStr::from_bytes(name));
        append(&create(&path), 0, 0).unwrap();
        assert_eq!(appended(&*open(&path).read().unwrap(), 0), 1);
        let copy = folder.path().join("copy");
        open(&path).backup_to(&copy).unwrap();
        fs::remove_file(&copy).unwrap();
        assert!(path.is_file());
        fs::remove_file(&path).unwrap();
        assert!(names_in(folder.path()).is_empty());
    }
}

#[test]
fn what_is_not_there_is_not_made_by_opening() {
    let (folder, path) = home();
    assert!(matches!(open_error(&path), StoreError::NotFound));
    assert!(matches!(open_error(&folder.path().join("no/v.bulla")), StoreError::NotFound));
    assert!(matches!(create_error(&folder.path().join("no/v.bulla")), StoreError::NotFound));
    assert!(matches!(open_error(Path::new("/")), StoreError::Io { .. }));
    assert!(matches!(open_error(Path::new("")), StoreError::Io { .. }));
    let long = folder.path().join("x".repeat(200)).join("y".repeat(200));
    fs::create_dir_all(&long).unwrap();
    assert!(matches!(create_error(&long.join("z".repeat(200))), StoreError::Io { .. }));
    assert!(names_in(&long).is_empty());
    fs::remove_dir_all(folder.path().join("x".repeat(200))).unwrap();
    assert!(names_in(folder.path()).is_empty());
}

#[test]
fn nothing_is_replaced_by_creating() {
    let (folder, path) = home();
    append(&create(&path), 0, 0).unwrap();
    assert!(matches!(create_error(&path), StoreError::Exists));
    assert_eq!(appended(&*open(&path).read().unwrap(), 0), 1);
    for left_over in ["new.bulla-wal", "new.bulla-shm", "new.bulla-journal"] {
        let left_over = folder.path().join(left_over);
        fs::write(&left_over, "").unwrap();
        assert!(matches!(create_error(&folder.path().join("new.bulla")), StoreError::Exists));
        fs::remove_file(left_over).unwrap();
    }
    symlink(folder.path().join("nowhere"), folder.path().join("link.bulla")).unwrap();
    assert!(matches!(create_error(&folder.path().join("link.bulla")), StoreError::Exists));
    assert_eq!(names_in(folder.path()), ["link.bulla", "v.bulla"]);
}

#[test]
fn a_vault_appears_once_it_is_filled() {
    let (folder, path) = home();
    let nothing = || !names_in(folder.path()).contains(&"v.bulla".to_owned());

    let failed = SqliteStore::create_with(&path, Options::default(), |store| {
        append(store, 0, 0)?;
        assert!(nothing());
        Err::<(), _>(StoreError::Busy)
    });
    assert!(matches!(failed, Err(StoreError::Busy)));
    assert!(names_in(folder.path()).is_empty(), "and nothing is left of one that failed");

    let given = SqliteStore::create_with(&path, Options::default(), |store| {
        append(store, 0, 0)?;
        append(store, 0, 1)?;
        assert!(nothing());
        Ok::<_, StoreError>(7)
    });
    assert_eq!(given.unwrap(), 7);
    assert_eq!(names_in(folder.path()), ["v.bulla"]);
    assert_eq!(appended(&*open(&path).read().unwrap(), 0), 2);

    let mut slow = Role::start("create-slowly", &folder.path().join("other.bulla"));
    assert_eq!(slow.next().unwrap(), "filling");
    slow.kill();
    let left: Vec<_> = names_in(folder.path());
    assert!(left.iter().all(|name| name == "v.bulla" || name.starts_with(".bulla-")), "{left:?}");
    assert!(left.len() > 1, "a killed process leaves hidden files and no vault");
}

#[test]
fn a_folder_that_others_can_write_is_refused() {
    let (folder, path) = home();
    for mode in [0o770, 0o707, 0o1777, 0o2775] {
        chmod(folder.path(), mode);
        assert_unsafe(create_error(&path), "can write in the folder");
    }
    chmod(folder.path(), 0o755);
    let store = create(&path);
    chmod(folder.path(), 0o777);
    assert_unsafe(open_error(&path), "can write in the folder");
    let (other, _) = home();
    chmod(other.path(), 0o777);
    let refused = store.backup_to(other.path().join("copy.bulla"));
    assert_unsafe(refused.unwrap_err(), "can write in the folder");
    assert!(names_in(other.path()).is_empty());
}

#[test]
fn a_file_that_is_not_ours_alone_is_refused() {
    let (folder, path) = home();
    drop(create(&path));
    for mode in [0o640, 0o604, 0o660, 0o610] {
        chmod(&path, mode);
        assert_unsafe(open_error(&path), "others than its owner");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode, "left alone");
    }
    chmod(&path, 0o600);

    let second = folder.path().join("second");
    fs::hard_link(&path, &second).unwrap();
    assert_unsafe(open_error(&path), "hard link");
    fs::remove_file(&second).unwrap();

    symlink(&path, &second).unwrap();
    assert_unsafe(open_error(&second), "symbolic link");
    drop(open(&path));
}

#[test]
fn another_users_file_or_folder_is_refused() {
    let (folder, path) = home();
    drop(create(&path));
    let own = rustix::process::geteuid().as_raw();
    if chown(&path, Some(own + 1), None).is_err() {
        skipped("only root can give files away");
        return;
    }
    assert_unsafe(open_error(&path), "another user's");
    chown(&path, Some(own), None).unwrap();
    chown(folder.path(), Some(own + 1), None).unwrap();
    assert_unsafe(open_error(&path), "folder of the vault is another user's");
    assert_unsafe(create_error(&folder.path().join("new")), "folder of the vault is another");
}

#[test]
fn what_is_not_a_file_is_refused() {
    let (folder, path) = home();
    assert_unsafe(open_error(folder.path()), "not a regular file");
    assert_unsafe(open_error(Path::new("/dev/null")), "not a regular file");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
    assert_unsafe(open_error(&path), "not a regular file");
    fs::remove_file(&path).unwrap();

    let store = create(&path);
    let lock = folder.path().join("v.bulla-locks").join("00".repeat(16));
    drop(store.lock(&[0; 16]).unwrap());
    fs::remove_file(&lock).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &lock, rustix::fs::Mode::RWXU).unwrap();
    assert_unsafe(store.lock(&[0; 16]).err().unwrap(), "not a regular file");
}

#[test]
fn a_linked_folder_is_followed() {
    let (folder, path) = home();
    append(&create(&path), 0, 0).unwrap();
    let (elsewhere, _) = home();
    let link = elsewhere.path().join("link");
    symlink(folder.path(), &link).unwrap();
    let store = open(&link.join("v.bulla"));
    assert_eq!(store.path(), path.canonicalize().unwrap());
    // The link is looked at once: where it leads later does not matter.
    fs::remove_file(&link).unwrap();
    append(&store, 0, 1).unwrap();
    assert_eq!(appended(&*open(&path).read().unwrap(), 0), 2);
}

#[test]
fn a_vault_that_is_moved_or_removed_is_noticed() {
    let (folder, path) = home();
    let store = create(&path);
    append(&store, 0, 0).unwrap();
    let mut unfinished = store.write().unwrap();
    unfinished.put(bulla_vault::store::Table::Node, b"n", b"lost").unwrap();

    let moved = folder.path().join("moved");
    fs::rename(&path, &moved).unwrap();
    assert!(matches!(unfinished.commit(), Err(StoreError::Replaced)));
    assert!(matches!(store.read().err(), Some(StoreError::Replaced)));
    assert!(matches!(store.write().err(), Some(StoreError::Replaced)));
    fs::rename(&moved, &path).unwrap();
    assert_eq!(appended(&*store.read().unwrap(), 0), 1, "it is back, and so are we");
}

#[test]
fn who_had_the_old_vault_open_does_not_harm_the_new_one() {
    let (folder, path) = home();
    let old = create(&path);
    append(&old, 0, 0).unwrap();
    for name in names_in(folder.path()) {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    let new = create(&path);
    append(&new, 1, 0).unwrap();
    assert!(matches!(old.read().err(), Some(StoreError::Replaced)));
    drop(old);
    // Its log is still there, with the only copy of the commit.
    assert_eq!(names_in(folder.path()), ["v.bulla", "v.bulla-shm", "v.bulla-wal"]);
    append(&new, 1, 1).unwrap();
    assert_eq!(appended(&*open(&path).read().unwrap(), 1), 2);
    drop(new);
    let new = open(&path);
    new.check().unwrap();
    assert_eq!(appended(&*new.read().unwrap(), 1), 2);
    assert_eq!(appended(&*new.read().unwrap(), 0), 0);
}
