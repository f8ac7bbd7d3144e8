//! One connection to SQLite, set up and made sure of.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use bulla_vault::store::StoreError;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use crate::{fault, schema};

/// The longest row that SQLite writes or reads for us, in bytes: a record of 16 MiB, and room for
/// what stands beside it.
pub(crate) const LONGEST_ROW: usize = (16 << 20) + (128 << 10);

/// SQLite before 3.51.3 can lose commits where a checkpoint meets a writer that starts the log anew
/// (the "WAL-reset" fault), so an older one is never used.
const OLDEST_SQLITE: i32 = 3_051_003;

// What we are compiled against; `open` asks what we are linked with.
const _: () = assert!(rusqlite::ffi::SQLITE_VERSION_NUMBER >= OLDEST_SQLITE);

/// How the file is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Access {
    /// Many processes read and write.
    Shared,
    /// Nobody writes: there is no log, no lock and no other file.
    Immutable,
}

/// Opens the file, which exists, and makes sure of every setting and of the schema. Gives the
/// version of the schema too.
pub(crate) fn open(
    path: &Path,
    access: Access,
    busy_wait: Duration,
) -> Result<(Connection, i64), StoreError> {
    let opening = fault::during("open");
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(StoreError::Unsafe { what: "SQLite is older than 3.51.3 and may lose writes" });
    }
    let connection = match access {
        Access::Shared => Connection::open_with_flags(path, FLAGS | READ_WRITE),
        Access::Immutable => Connection::open_with_flags(
            uri(path, "immutable=1"),
            FLAGS | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_READ_ONLY,
        ),
    }
    .map_err(&opening)?;
    connection.busy_timeout(busy_wait.min(LONGEST_WAIT)).map_err(&opening)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    set_up(&connection).map_err(&opening)?.then_some(()).ok_or(SETTING_REFUSED)?;

    // SQLite opens a file for reading only where it may not write, and says nothing.
    if access == Access::Shared && connection.is_readonly("main").map_err(&opening)? {
        return Err(StoreError::ReadOnly);
    }
    let mode: String =
        connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(&opening)?;
    connection.execute_batch("BEGIN").map_err(&opening)?;
    let schema = schema::verify(&connection)?;
    // Asked for after the schema, so that another program's file is called that.
    if access == Access::Shared && mode != "wal" {
        return Err(StoreError::Damaged { what: "the file is not in write-ahead mode" });
    }
    connection.execute_batch("COMMIT").map_err(&opening)?;
    Ok((connection, schema))
}

/// Opens a new file, for laying it out. It is not durable before the caller has synced it.
pub(crate) fn open_new(path: &Path) -> rusqlite::Result<Connection> {
    let new = Connection::open_with_flags(path, FLAGS | READ_WRITE)?;
    new.pragma_update(None, "page_size", PAGE)?;
    new.execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF")?;
    Ok(new)
}

/// Bytes of a page in files that we make; those of another size are read as well.
///
/// A row of up to a quarter of a page stays in its place, and a longer one takes pages of its own.
/// With SQLite's usual 4096 the buckets of the tree and every second entry would do that: measured
/// with a million entries of 760 bytes, adding one and importing all take about a fifth longer than
/// with 8192. With 16384 reading one does.
const PAGE: u32 = 8192;

/// Opens a new file, for copying all pages of another into it. It is not durable before the caller
/// has synced it, and not locked, so that it may lie on a network.
pub(crate) fn open_copy(path: &Path) -> rusqlite::Result<Connection> {
    let flags = FLAGS | OpenFlags::SQLITE_OPEN_URI | READ_WRITE;
    let copy = Connection::open_with_flags(uri(path, "nolock=1"), flags)?;
    copy.execute_batch("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF")?;
    Ok(copy)
}

const FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX
    .union(OpenFlags::SQLITE_OPEN_NOFOLLOW)
    .union(OpenFlags::SQLITE_OPEN_PRIVATE_CACHE)
    .union(OpenFlags::SQLITE_OPEN_EXRESCODE);

const READ_WRITE: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE;

/// 24 days; SQLite counts milliseconds in 31 bits.
const LONGEST_WAIT: Duration = Duration::from_millis(i32::MAX as u64);

/// Room for each statement of each table and those of transactions.
const STATEMENTS: usize = 32;

const SETTING_REFUSED: StoreError = StoreError::Unsafe { what: "SQLite refused a safe setting" };

/// Makes every setting and asks for it again; `false` if one did not take.
fn set_up(connection: &Connection) -> rusqlite::Result<bool> {
    let switches = [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ];
    for (switch, on) in switches {
        if connection.set_db_config(switch, on)? != on {
            return Ok(false);
        }
    }
    let longest = i32::try_from(LONGEST_ROW).expect("a constant below 2^31");
    let limits = [
        (Limit::SQLITE_LIMIT_LENGTH, longest),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, 1000),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        // Five tables; a hostile file with a million of them is refused before it is read.
        (Limit::SQLITE_LIMIT_SCHEMA, 16),
    ];
    for (limit, value) in limits {
        connection.set_limit(limit, value)?;
        if connection.limit(limit)? != value {
            return Ok(false);
        }
    }
    connection.execute_batch(PRAGMAS)?;
    for (question, answer) in PRAGMA_ANSWERS {
        if schema::pragma(connection, question)? != *answer {
            return Ok(false);
        }
    }
    Ok(true)
}

/// On Apple's systems a plain fsync leaves data in the drive's cache.
const PRAGMAS: &str = if cfg!(target_vendor = "apple") {
    "PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;
     PRAGMA secure_delete=ON; PRAGMA fullfsync=ON; PRAGMA checkpoint_fullfsync=ON"
} else {
    "PRAGMA synchronous=FULL; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;
     PRAGMA secure_delete=ON"
};

const PRAGMA_ANSWERS: &[(&str, i64)] = &[
    ("PRAGMA synchronous", 2),
    ("PRAGMA cell_size_check", 1),
    ("PRAGMA mmap_size", 0),
    ("PRAGMA secure_delete", 1),
];

/// A path as a `file:` URI, with everything escaped that is not certain to stand for itself.
fn uri(path: &Path, query: &str) -> String {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").expect("a string takes everything");
        }
    }
    uri + "?" + query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_sqlite_does_not_lose_commits() {
        assert!(rusqlite::version_number() >= OLDEST_SQLITE);
    }

    #[test]
    fn a_path_cannot_add_to_the_query() {
        assert_eq!(
            uri(Path::new("/a b/?mode=rwc&%41#.bulla"), "immutable=1"),
            "file:/a%20b/%3Fmode%3Drwc%26%2541%23.bulla?immutable=1"
        );
    }

    #[test]
    fn every_connection_is_set_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("v");
        let new = open_new(&std::fs::File::create_new(&path).map(|_| path.clone()).unwrap());
        schema::lay_out(&new.unwrap()).unwrap();
        let (connection, _) = open(&path, Access::Shared, Duration::ZERO).unwrap();

        let asked = |question: &str| schema::pragma(&connection, question).unwrap();
        assert_eq!(asked("PRAGMA synchronous"), 2);
        assert_eq!(asked("PRAGMA secure_delete"), 1);
        assert_eq!(asked("PRAGMA cell_size_check"), 1);
        assert_eq!(asked("PRAGMA trusted_schema"), 0);
        assert_eq!(asked("PRAGMA mmap_size"), 0);
        assert_eq!(asked("PRAGMA page_size"), i64::from(PAGE));

        let refused = [
            "ATTACH ':memory:' AS more",
            "PRAGMA writable_schema=ON; DELETE FROM sqlite_schema",
            "CREATE VIEW more AS SELECT 1; SELECT * FROM more",
            &format!("SELECT {}", "1+".repeat(600) + "1"),
        ];
        for statement in refused {
            connection.execute_batch(statement).expect_err(statement);
        }
        let blob = |len| format!("SELECT length(zeroblob({len}))");
        schema::pragma(&connection, &blob(LONGEST_ROW)).unwrap();
        schema::pragma(&connection, &blob(LONGEST_ROW + 1)).unwrap_err();
        // Triggers are off, so this one does nothing.
        connection
            .execute_batch(
                "CREATE TRIGGER t AFTER INSERT ON head BEGIN DELETE FROM head; END;
                 INSERT INTO head VALUES (x'00', x'00')",
            )
            .unwrap();
        assert_eq!(asked("SELECT count(*) FROM head"), 1);
    }
}
