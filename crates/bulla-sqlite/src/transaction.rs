//! Views and the writer: one connection each, for as long as they last.

use std::io::ErrorKind;
use std::ops::{ControlFlow, Deref};

use bulla_vault::store::{StoreError, Table, Txn, View, Visit};
use rusqlite::{Connection, Error, OptionalExtension, Statement};

use crate::connection::LONGEST_ROW;
use crate::fault;
use crate::schema::statements;
use crate::store::{Idle, SqliteStore};

/// A connection that is lent for one transaction, and ends it.
pub(crate) struct Session<'s> {
    store: &'s SqliteStore,
    idle: Option<Idle>,
}

impl<'s> Session<'s> {
    pub(crate) fn new(store: &'s SqliteStore, idle: Idle) -> Self {
        Self { store, idle: Some(idle) }
    }
}

impl Deref for Session<'_> {
    type Target = Idle;

    fn deref(&self) -> &Idle {
        self.idle.as_ref().expect("there is one until the session is dropped")
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let Some(idle) = self.idle.take() else { return };
        let ended = idle.connection.is_autocommit() || run(&idle.connection, "ROLLBACK").is_ok();
        // A connection that cannot even give up its transaction is closed, which does it.
        if ended {
            self.store.give_back(idle);
        }
    }
}

pub(crate) fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.raw_execute().map(|_| ())
}

impl View for Session<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.connection
            .prepare_cached(statements(table).get)
            .and_then(|mut get| {
                get.query_row([key], |row| Ok(row.get_ref(0)?.as_blob()?.to_vec())).optional()
            })
            .map_err(fault::during("read"))
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(statements(table).scan)
            .and_then(|mut scan| each_row(&mut scan, after, visit))
            .map_err(fault::during("read"))
    }
}

fn each_row(scan: &mut Statement<'_>, after: &[u8], visit: &mut Visit<'_>) -> Result<(), Error> {
    let mut rows = scan.query([after])?;
    while let Some(row) = rows.next()? {
        let (key, value) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
        if let ControlFlow::Break(()) = visit(key, value) {
            break;
        }
    }
    Ok(())
}

/// The sole writer.
pub(crate) struct Writer<'s> {
    pub(crate) session: Session<'s>,
    /// SQLite ends a transaction by itself after some errors. What was put then would be committed
    /// at once, row by row, so nothing is put after an error.
    failed: bool,
}

impl<'s> Writer<'s> {
    pub(crate) fn new(session: Session<'s>) -> Self {
        Self { session, failed: false }
    }

    fn change(
        &mut self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<usize>,
    ) -> Result<(), StoreError> {
        if self.failed {
            return Err(ALREADY_FAILED);
        }
        change(&self.session.connection).map(|_| ()).map_err(|error| {
            self.failed = true;
            self.session.store.write_failed(fault::during("write")(error))
        })
    }
}

impl View for Writer<'_> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.session.get(table, key)
    }

    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.session.scan(table, after, visit)
    }
}

impl Txn for Writer<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if key.len() + value.len() + ROW_HEADER > LONGEST_ROW {
            return Err(StoreError::Io { doing: "write", kind: ErrorKind::FileTooLarge });
        }
        self.change(|connection| {
            connection.prepare_cached(statements(table).put)?.execute([key, value])
        })
    }

    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.change(|connection| {
            connection.prepare_cached(statements(table).delete)?.execute([key])
        })
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        if self.failed {
            return Err(ALREADY_FAILED);
        }
        // What is committed into a file that no longer lies at the vault's place is lost.
        self.session.store.still_good()?;
        run(&self.session.connection, "COMMIT")
            .map_err(|error| self.session.store.write_failed(fault::during("commit")(error)))
    }
}

const ALREADY_FAILED: StoreError = StoreError::Io { doing: "write", kind: ErrorKind::Other };

/// More than SQLite puts before a row of two values.
const ROW_HEADER: usize = 32;
