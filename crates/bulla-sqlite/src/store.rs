//! The store: its connections, and what is done with the file as a whole.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bulla_vault::store::{Lock, Store, StoreError, Txn, View};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use crate::connection::{self, Access};
use crate::place::{Draft, Identity, Place};
use crate::transaction::{Session, Writer, run};
use crate::{fault, lock, schema};

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Opens a vault on a network file system all the same. That is sound only as long as all
    /// processes that use it run on one machine.
    pub allow_network_fs: bool,
    /// How long a transaction waits for another process to finish. The longest wait there is in
    /// ordinary use is that for a bulk import.
    pub busy_wait: Duration,
    /// How long [`Store::lock`] waits for the holder to finish its work on the network.
    pub lock_wait: Duration,
}

impl Default for Options {
    /// No network file system; 30 seconds for a transaction, which is several times an import of a
    /// million entries; 2 minutes for a lock, which is more than one token request with its retries.
    fn default() -> Self {
        Self {
            allow_network_fs: false,
            busy_wait: Duration::from_secs(30),
            lock_wait: Duration::from_secs(120),
        }
    }
}

/// A vault's rows in one SQLite file. See the [crate's page](crate) for all it promises.
///
/// Threads may share it. Dropping the last store that has the file open, of all processes, folds the
/// log back into it.
pub struct SqliteStore {
    place: Place,
    options: Options,
    access: Access,
    identity: Identity,
    /// Connections without a transaction. Each view and the writer has one of its own while it
    /// lasts, so there are as many as were ever in use at once.
    idle: Mutex<Vec<Idle>>,
    poisoned: AtomicBool,
}

/// A connection, and the version of the schema that was found to be ours.
pub(crate) struct Idle {
    pub(crate) connection: Connection,
    schema: Cell<i64>,
}

impl SqliteStore {
    /// Makes a new, empty store at `path` and opens it.
    ///
    /// # Errors
    /// As for [`create_with`](Self::create_with).
    pub fn create(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        Self::create_with(&path, options.clone(), |_| Ok::<_, StoreError>(()))?;
        Self::open(path, options)
    }

    /// Makes a new store at `path` with what `fill` puts into it, and gives what `fill` gave.
    ///
    /// It comes into being whole: before `fill` has succeeded and all of it is durable there is
    /// nothing at `path`. Whoever is killed on the way leaves a hidden file `.bulla-*.new` behind.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if anything is there, even a left-over log of a vault of that name;
    /// [`StoreError::Unsafe`] if the folder is not fit for a vault; else what went wrong, in `fill`
    /// or here.
    pub fn create_with<T, E: From<StoreError>>(
        path: impl AsRef<Path>,
        options: Options,
        fill: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let place = Place::of(path.as_ref())?;
        place.check_folder()?;
        if !options.allow_network_fs {
            place.check_filesystem()?;
        }
        let draft = Draft::of(&place)?;
        connection::open_new(&draft.path)
            .and_then(|connection| {
                schema::lay_out(&connection)?;
                connection.close().map_err(|(_, error)| error)
            })
            .map_err(fault::during("create"))?;
        let store = Self::open(&draft.path, options)?;
        let filled = fill(&store)?;
        drop(store);
        draft.publish()?;
        Ok(filled)
    }

    /// Opens the store at `path`, which has to exist.
    ///
    /// Where the file or its folder cannot be written, it is opened for reading, provided that no
    /// log is left beside it. A process that wants to write it once it can drops this store first:
    /// POSIX takes all of a process's locks on a file away when any descriptor of it is closed.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if nothing is there; [`StoreError::Damaged`] if the file is empty,
    /// another program's, or not as we wrote it; [`StoreError::Unsafe`] if file or folder break a
    /// rule; else what went wrong.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let place = Place::of(path.as_ref())?;
        place.check_file()?;
        place.check_folder()?;
        if !options.allow_network_fs {
            place.check_filesystem()?;
        }
        let access = place.access()?;
        let identity = place.identity(access)?;
        let store = Self {
            place,
            options,
            access,
            identity,
            idle: Mutex::default(),
            poisoned: AtomicBool::new(false),
        };
        let first = store.connect()?;
        store.give_back(first);
        // SQLite counts a page that was cut as a whole one, until somebody reads it.
        let session = store.begin("BEGIN")?;
        if store.surplus(&session)?.is_some_and(|bytes| bytes < 0) {
            return Err(StoreError::Damaged { what: "the file ends before its last page does" });
        }
        drop(session);
        Ok(store)
    }

    /// Where the vault lies, without symbolic links.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Copies the store as it is now into a new file at `path`, while others go on using it.
    ///
    /// The copy is one file, durable, and a store like this one. It may lie on a network file
    /// system, where it can be kept but not used.
    ///
    /// # Errors
    /// As for [`create`](Self::create); then there is nothing at `path`.
    pub fn backup_to(&self, path: impl AsRef<Path>) -> Result<(), StoreError> {
        let place = Place::of(path.as_ref())?;
        place.check_folder()?;
        let session = self.begin("BEGIN")?;
        let draft = Draft::of(&place)?;
        let copying = fault::during("copy");
        let mut copy = connection::open_copy(&draft.path).map_err(&copying)?;
        // All pages in one step, under the snapshot of this session.
        let step = Backup::new(&session.connection, &mut copy)
            .and_then(|backup| backup.step(-1))
            .map_err(&copying)?;
        if step != StepResult::Done {
            return Err(StoreError::Busy);
        }
        copy.close().map_err(|(_, error)| copying(error))?;
        drop(session);
        connection::open(&draft.path, Access::Immutable, self.options.busy_wait)?;
        draft.publish()
    }

    /// Checks the whole file: SQLite's own structure, the layout, and that the file ends where its
    /// last page does. It reads every page. What the rows hold is for the vault to verify.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with what was found first, else what went wrong.
    pub fn check(&self) -> Result<(), StoreError> {
        let session = self.begin("BEGIN")?;
        let read = fault::during("read");
        let connection = &session.connection;
        schema::verify(connection)?;
        let verdict: String = connection
            .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
            .map_err(&read)?;
        if verdict != "ok" {
            return Err(StoreError::Damaged {
                what: "its structure is not that of a sound SQLite file",
            });
        }
        match self.surplus(&session)? {
            Some(bytes) if bytes != 0 => {
                Err(StoreError::Damaged { what: "the file does not end where its last page does" })
            }
            _ => Ok(()),
        }
    }

    /// How many bytes the file has behind its last page; fewer than none if it was cut. `None` while
    /// some pages are in the log.
    fn surplus(&self, session: &Session<'_>) -> Result<Option<i64>, StoreError> {
        let asked =
            |question| schema::pragma(&session.connection, question).map_err(fault::during("read"));
        let pages = asked("PRAGMA page_count")?.saturating_mul(asked("PRAGMA page_size")?);
        let len = self.place.len_at_rest()?;
        Ok(len.map(|len| i64::try_from(len).unwrap_or(i64::MAX).saturating_sub(pages)))
    }

    /// Begins a transaction on a connection of its own.
    fn begin(&self, statement: &'static str) -> Result<Session<'_>, StoreError> {
        self.still_good()?;
        let idle = match self.idle().pop() {
            Some(idle) => idle,
            None => self.connect()?,
        };
        let session = Session::new(self, idle);
        let doing = if statement == "BEGIN" { "read" } else { "write" };
        run(&session.connection, statement).map_err(fault::during(doing))?;
        // BEGIN alone takes no snapshot; this does.
        let found = schema::version(&session.connection).map_err(fault::during(doing))?;
        if found != session.schema.get() {
            session.schema.set(schema::verify(&session.connection)?);
        }
        Ok(session)
    }

    fn connect(&self) -> Result<Idle, StoreError> {
        let (connection, schema) =
            connection::open(&self.place.path, self.access, self.options.busy_wait)?;
        Ok(Idle { connection, schema: Cell::new(schema) })
    }

    pub(crate) fn give_back(&self, idle: Idle) {
        self.idle().push(idle);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file is still the one that was opened, and no write to it has failed.
    pub(crate) fn still_good(&self) -> Result<(), StoreError> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned);
        }
        match self.place.identity(self.access) {
            Ok(identity) if identity == self.identity => Ok(()),
            Ok(_) | Err(StoreError::NotFound) => Err(StoreError::Replaced),
            Err(error) => Err(error),
        }
    }

    /// After an error of the system nobody knows what reached the disk: the kernel may have dropped
    /// what it could not write and say so only once. A second try would seem to succeed.
    pub(crate) fn write_failed(&self, error: StoreError) -> StoreError {
        if matches!(error, StoreError::Disk { .. } | StoreError::Io { .. }) {
            self.poisoned.store(true, Ordering::Release);
        }
        error
    }

    fn locks(&self) -> PathBuf {
        self.place.beside("-locks")
    }
}

impl Store for SqliteStore {
    fn read(&self) -> Result<Box<dyn View + '_>, StoreError> {
        Ok(Box::new(self.begin("BEGIN")?))
    }

    fn write(&self) -> Result<Box<dyn Txn + '_>, StoreError> {
        if self.access == Access::Immutable {
            return Err(StoreError::ReadOnly);
        }
        let session = self.begin("BEGIN IMMEDIATE")?;
        session
            .connection
            .pragma_update(None, "cache_size", WRITER_CACHE_KIB)
            .map_err(fault::during("write"))?;
        Ok(Box::new(Writer::new(session)))
    }

    fn lock(&self, name: &[u8; 16]) -> Result<Box<dyn Lock + '_>, StoreError> {
        if self.access == Access::Immutable {
            return Err(StoreError::ReadOnly);
        }
        lock::take(&self.locks(), name, self.options.lock_wait)
    }

    fn is_locked(&self, name: &[u8; 16]) -> Result<bool, StoreError> {
        if self.access == Access::Immutable {
            return Err(StoreError::ReadOnly);
        }
        lock::is_held(&self.locks(), name)
    }
}

/// 64 MiB of pages, as SQLite counts them: negative, in KiB. What a writer changes beyond this goes
/// to the log early, and a bulk import would write the same pages many times. It is a limit; only
/// what is used is taken.
const WRITER_CACHE_KIB: i32 = -65_536;
