//! The layout of the file: what SQLite is told to make, and the check that it is what lies there.

use bulla_vault::store::{StoreError, Table};
use rusqlite::Connection;

use crate::fault;

/// `PRAGMA application_id`: the letters "bula", so that `file` and we know whose it is.
pub(crate) const APPLICATION_ID: i32 = 0x6275_6c61;

/// `PRAGMA user_version`: the layout below. It says nothing about what the rows hold.
pub(crate) const LAYOUT: i32 = 1;

/// The statements of one table, prepared once per connection.
pub(crate) struct Statements {
    name: &'static str,
    create: &'static str,
    pub(crate) get: &'static str,
    pub(crate) scan: &'static str,
    pub(crate) put: &'static str,
    pub(crate) delete: &'static str,
}

pub(crate) fn statements(table: Table) -> &'static Statements {
    match table {
        Table::Head => &HEAD,
        Table::Keyring => &KEYRING,
        Table::Entry => &ENTRY,
        Table::History => &HISTORY,
        Table::Node => &NODE,
    }
}

/// Makes the tables in an empty database.
pub(crate) fn lay_out(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", LAYOUT)?;
    Table::ALL.iter().try_for_each(|table| connection.execute_batch(statements(*table).create))
}

/// Compares the whole schema with ours, byte for byte, and gives its version: as long as SQLite
/// gives the same one, nothing has changed.
///
/// The caller holds a transaction, so that all answers are of one moment.
pub(crate) fn verify(connection: &Connection) -> Result<i64, StoreError> {
    let read = fault::during("read");
    if pragma(connection, "PRAGMA application_id").map_err(&read)? != i64::from(APPLICATION_ID) {
        return Err(StoreError::Damaged { what: "the file is not a vault" });
    }
    if pragma(connection, "PRAGMA user_version").map_err(&read)? != i64::from(LAYOUT) {
        return Err(StoreError::Damaged { what: "the layout of the file is of another version" });
    }
    let version = version(connection).map_err(&read)?;

    let mut select = connection.prepare(ALL_OBJECTS).map_err(&read)?;
    let mut found = select.query([]).map_err(&read)?;
    // The tables are made in one order and never moved, so even the pages they begin at are known.
    // Page 1 is the schema itself.
    for (table, root) in Table::ALL.into_iter().zip(2_i64..) {
        let Statements { name, create, .. } = statements(table);
        let row = found.next().map_err(&read)?.ok_or(OTHER_TABLES)?;
        let same = row.get_ref(0).map_err(&read)? == "table".into()
            && row.get_ref(1).map_err(&read)? == (*name).into()
            && row.get_ref(2).map_err(&read)? == (*name).into()
            && row.get_ref(3).map_err(&read)? == rusqlite::types::ValueRef::Integer(root)
            && row.get_ref(4).map_err(&read)? == (*create).into();
        if !same {
            return Err(OTHER_TABLES);
        }
    }
    match found.next().map_err(&read)? {
        Some(_) => Err(OTHER_TABLES),
        None => Ok(version),
    }
}

/// The schema's version; the question also makes a transaction that has just begun take its
/// snapshot.
pub(crate) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    pragma(connection, "PRAGMA schema_version")
}

pub(crate) fn pragma(connection: &Connection, question: &str) -> rusqlite::Result<i64> {
    connection.prepare_cached(question)?.query_row([], |row| row.get(0))
}

const OTHER_TABLES: StoreError =
    StoreError::Damaged { what: "its tables are not those of a vault" };

const ALL_OBJECTS: &str = "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema";

// Each statement is a constant, so none is ever put together from anything that came in.
macro_rules! statements {
    ($table:literal) => {
        Statements {
            name: $table,
            create: concat!(
                "CREATE TABLE ",
                $table,
                "(k BLOB NOT NULL PRIMARY KEY, v BLOB NOT NULL) STRICT, WITHOUT ROWID"
            ),
            get: concat!("SELECT v FROM ", $table, " WHERE k = ?1"),
            scan: concat!("SELECT k, v FROM ", $table, " WHERE k > ?1 ORDER BY k"),
            put: concat!("INSERT OR REPLACE INTO ", $table, "(k, v) VALUES (?1, ?2)"),
            delete: concat!("DELETE FROM ", $table, " WHERE k = ?1"),
        }
    };
}

static HEAD: Statements = statements!("head");
static KEYRING: Statements = statements!("keyring");
static ENTRY: Statements = statements!("entry");
static HISTORY: Statements = statements!("history");
static NODE: Statements = statements!("node");
