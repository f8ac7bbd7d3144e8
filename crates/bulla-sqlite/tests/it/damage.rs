//! Files that are damaged, foreign, or made to do harm.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use bulla_sqlite::{Options, SqliteStore};
use bulla_vault::store::{Store, StoreError, Table};
use rusqlite::Connection;

use crate::support::{append, appended, create, home, names_in, open, open_error};

fn write_private(path: &Path, bytes: &[u8]) {
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    file.unwrap().write_all(bytes).unwrap();
}

fn assert_damaged(error: StoreError, saying: &str) {
    match error {
        StoreError::Damaged { what } => assert!(what.contains(saying), "{what:?} for {saying:?}"),
        other => panic!("{other:?} for {saying:?}"),
    }
}

/// A sound vault of a few rows, as bytes.
fn sound() -> Vec<u8> {
    let (_folder, path) = home();
    let store = create(&path);
    for n in 0..4 {
        append(&store, 0, n).unwrap();
    }
    drop(store);
    fs::read(path).unwrap()
}

/// Changes a sound vault by SQL, as somebody else with SQLite at hand could.
fn tampered(path: &Path, sql: &str) {
    drop(create(path));
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
}

#[test]
fn what_is_no_vault_says_so_and_stays_as_it_is() {
    let sqlite_header = b"SQLite format 3\0".to_vec();
    let cases: [(&str, Vec<u8>, &str); 8] = [
        ("empty", vec![], "the file is empty"),
        ("one byte", vec![b'S'], "not a vault"),
        ("zeros", vec![0; 8192], "not a vault"),
        ("ones", vec![0xff; 8192], "not a vault"),
        ("gzip", [b"\x1f\x8b\x08\0".to_vec(), vec![7; 5000]].concat(), "not a vault"),
        ("age", b"age-encryption.org/v1\n-> X25519 abc\n".repeat(200), "not a vault"),
        ("text", b"[secret-gmail]\npassword=\n".repeat(200), "not a vault"),
        ("a header alone", [sqlite_header, vec![0; 4080]].concat(), ""),
    ];
    for (name, bytes, saying) in cases {
        let (folder, path) = home();
        write_private(&path, &bytes);
        assert_damaged(open_error(&path), saying);
        assert_eq!(fs::read(&path).unwrap(), bytes, "{name} was changed");
        assert_eq!(names_in(folder.path()), ["v.bulla"], "{name}");
        let again = SqliteStore::create(&path, Options::default()).err();
        assert!(matches!(again, Some(StoreError::Exists)), "{name} passes for nothing");
    }
}

#[test]
fn another_programs_database_is_told_as_that() {
    for mode in ["delete", "wal"] {
        let (_folder, path) = home();
        let connection = Connection::open(&path).unwrap();
        let sql = format!("PRAGMA journal_mode={mode}; CREATE TABLE entry(k, v)");
        connection.execute_batch(&sql).unwrap();
        drop(connection);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_damaged(open_error(&path), "not a vault");
    }
}

#[test]
fn a_schema_that_is_not_ours_to_the_byte_is_refused() {
    let cases = [
        "PRAGMA user_version=2",
        "CREATE TABLE more(x)",
        "CREATE VIEW more AS SELECT 1",
        "CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM entry; END",
        "CREATE INDEX i ON entry(v)",
        "DROP TABLE history",
        "ALTER TABLE entry RENAME TO entries",
        "ALTER TABLE entry ADD COLUMN x BLOB",
        "DROP TABLE node; CREATE TABLE node(k, v)",
        "DROP TABLE node; CREATE VIEW node AS SELECT x'00' AS k, x'00' AS v",
        "ANALYZE",
        "PRAGMA writable_schema=ON;
         UPDATE sqlite_schema SET sql = replace(sql, ' v ', '  v ') WHERE name = 'head'",
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage = 7 - rootpage
         WHERE name IN ('keyring', 'entry')",
        "PRAGMA writable_schema=ON; DELETE FROM sqlite_schema",
    ];
    for sql in cases {
        let (_folder, path) = home();
        tampered(&path, sql);
        assert_damaged(open_error(&path), "");
    }
    let (_folder, path) = home();
    tampered(&path, "PRAGMA journal_mode=DELETE");
    assert_damaged(open_error(&path), "write-ahead");
    let (_folder, path) = home();
    tampered(&path, "PRAGMA application_id=1");
    assert_damaged(open_error(&path), "not a vault");
}

#[test]
fn a_schema_that_changes_while_the_vault_is_open_is_noticed() {
    let (_folder, path) = home();
    let store = create(&path);
    append(&store, 0, 0).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("CREATE TRIGGER t AFTER INSERT ON entry BEGIN DELETE FROM head; END")
        .unwrap();
    assert_damaged(store.read().err().unwrap(), "not those of a vault");
    assert_damaged(store.write().err().unwrap(), "not those of a vault");
    connection.execute_batch("DROP TRIGGER t").unwrap();
    append(&store, 0, 1).unwrap();
    assert_eq!(appended(&*store.read().unwrap(), 0), 2);
}

#[test]
fn a_check_reads_the_schema_again() {
    let (_folder, path) = home();
    let store = create(&path);
    store.check().unwrap();
    // Unlike a statement, this leaves the schema's version as it was.
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "PRAGMA writable_schema=ON;
             UPDATE sqlite_schema SET sql = replace(sql, ' v ', '  v ') WHERE name = 'head'",
        )
        .unwrap();
    assert_damaged(store.check().unwrap_err(), "not those of a vault");
}

#[test]
fn rows_of_another_form_are_damage() {
    let (_folder, path) = home();
    // As a file that was made without STRICT and then relabelled would have them.
    tampered(
        &path,
        "PRAGMA writable_schema=ON;
         UPDATE sqlite_schema SET sql = replace(sql, ' STRICT,', '') WHERE name = 'entry';
         PRAGMA writable_schema=RESET",
    );
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "INSERT INTO entry VALUES (x'01', 'text'), ('text', x'01'), (x'02', zeroblob(20000000));
             PRAGMA writable_schema=ON;
             UPDATE sqlite_schema SET sql = replace(sql, ') WITHOUT', ') STRICT, WITHOUT')
             WHERE name = 'entry'",
        )
        .unwrap();
    drop(connection);
    let store = open(&path);
    let view = store.read().unwrap();
    assert_damaged(view.get(Table::Entry, &[1]).unwrap_err(), "not of the form");
    assert_damaged(view.get(Table::Entry, &[2]).unwrap_err(), "longer than any");
    drop(view);
    assert_damaged(store.check().unwrap_err(), "");
}

#[test]
fn a_row_that_is_too_long_is_refused_whole() {
    let (_folder, path) = home();
    let store = create(&path);
    let mut txn = store.write().unwrap();
    let error = txn.put(Table::Entry, &[1], &vec![1; 17 << 20]).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    drop(txn);
    append(&store, 0, 0).unwrap();
    assert_eq!(appended(&*store.read().unwrap(), 0), 1);
}

#[test]
fn a_file_that_was_cut_is_damaged() {
    let sound = sound();
    for len in (1..sound.len()).step_by(509).chain([sound.len() - 4096, sound.len() - 1]) {
        let (_folder, path) = home();
        write_private(&path, &sound[..len]);
        let found = SqliteStore::open(&path, Options::default()).map(drop);
        assert!(matches!(found, Err(StoreError::Damaged { .. })), "{len} bytes: {found:?}");
    }
}

/// While pages are in the log, the length of the file says nothing: it may end before them.
#[test]
fn a_file_that_grew_in_its_log_is_whole() {
    let (_folder, path) = home();
    let store = create(&path);
    let len = fs::metadata(&path).unwrap().len();
    let mut txn = store.write().unwrap();
    txn.put(Table::Entry, &[1; 32], &[7; 100_000]).unwrap();
    txn.commit().unwrap();
    assert_eq!(fs::metadata(&path).unwrap().len(), len);
    let other = open(&path);
    assert!(other.read().unwrap().get(Table::Entry, &[1; 32]).unwrap().is_some());
}

#[test]
fn bytes_after_the_end_are_damage() {
    let sound = sound();
    for more in [1, 512, 4096, 1 << 20] {
        let (_folder, path) = home();
        write_private(&path, &[sound.clone(), vec![0; more]].concat());
        let found = SqliteStore::open(&path, Options::default()).and_then(|store| store.check());
        assert!(matches!(found, Err(StoreError::Damaged { .. })), "{more} bytes: {found:?}");
    }
}

/// What a row holds is for the vault to verify. Here it matters that a flipped bit is either told
/// as damage or makes no other difference than in a value, and that nothing panics or hangs.
#[test]
fn a_flipped_bit_is_an_error_or_a_value() {
    let sound = sound();
    let (mut told, mut silent) = (0, 0);
    for place in (0..sound.len()).step_by(61).chain(0..100) {
        let mut flipped = sound.clone();
        flipped[place] ^= 1 << (place % 8);
        let (_folder, path) = home();
        write_private(&path, &flipped);
        let read_all = || {
            let store = SqliteStore::open(&path, Options::default())?;
            let view = store.read()?;
            for table in Table::ALL {
                view.scan(table, &[], &mut |key, _| {
                    assert!(key.len() <= 4096);
                    std::ops::ControlFlow::Continue(())
                })?;
            }
            drop(view);
            store.check()
        };
        match read_all() {
            Ok(()) => silent += 1,
            Err(StoreError::Damaged { .. }) => told += 1,
            // The write version: SQLite only reads files of a later one.
            Err(StoreError::ReadOnly) if place == 18 => told += 1,
            Err(other) => panic!("byte {place}: {other:?}"),
        }
    }
    assert!(told > 0 && silent > 0, "{told} told, {silent} silent");
}

#[test]
fn what_lies_beside_a_vault_cannot_change_it() {
    let sound = sound();
    let garbage: [&[u8]; 3] = [b"", &[0; 5000], &[0xff; 40_000]];
    for bytes in garbage {
        for suffix in ["-wal", "-shm"] {
            let (folder, path) = home();
            write_private(&path, &sound);
            write_private(&folder.path().join(format!("v.bulla{suffix}")), bytes);
            let store = open(&path);
            assert_eq!(appended(&*store.read().unwrap(), 0), 4);
            append(&store, 0, 4).unwrap();
            store.check().unwrap();
            drop(store);
            assert_eq!(appended(&*open(&path).read().unwrap(), 0), 5);
            assert_eq!(names_in(folder.path()), ["v.bulla"]);
        }
    }
    let (folder, path) = home();
    write_private(&path, &sound);
    write_private(&folder.path().join("v.bulla-journal"), &[1; 1000]);
    let error = open_error(&path);
    assert!(matches!(error, StoreError::Unsafe { what } if what.contains("journal")));
    assert_eq!(fs::read(&path).unwrap(), sound);
}
