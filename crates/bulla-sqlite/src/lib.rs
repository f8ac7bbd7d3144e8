//! The embedded store: a vault in one SQLite file, used by many processes at once.
//!
//! ```
//! use bulla_sqlite::{Options, SqliteStore};
//! use bulla_vault::store::{Store, Table};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("team.bulla");
//! let store = SqliteStore::create(&path, Options::default())?;
//! let mut txn = store.write()?;
//! txn.put(Table::Head, &[0], b"sealed bytes")?;
//! txn.commit()?;
//! assert!(store.read()?.get(Table::Head, &[0])?.is_some());
//! # Ok::<(), bulla_vault::store::StoreError>(())
//! ```
//!
//! # What lies where
//!
//! For a vault `team.bulla`:
//!
//! | name | what it is | when it is there |
//! |---|---|---|
//! | `team.bulla` | the vault | always; at rest it is all there is to copy |
//! | `team.bulla-wal` | commits that are not yet in the vault | while it is in use, and after a crash |
//! | `team.bulla-shm` | SQLite's index of that log | with it |
//! | `team.bulla-locks/` | an empty file for each name that was ever locked | once one was; never remove it while the vault is in use |
//! | `.bulla-PID-N.new*` | a vault or backup in the making, and its log | after a crash in `create` or `backup_to`: remove it |
//!
//! While `-wal` is there it is part of the vault. A file that is copied, moved or renamed without it
//! has lost commits, and a vault that is put where another one's log still lies is destroyed by it.
//! [`SqliteStore::backup_to`] makes a whole copy at any time, and never over anything.
//!
//! # Rules for the place
//!
//! The vault is a regular file of the user who runs the program, with one name, not a symbolic link,
//! and with no right for anybody else (mode 0600 or stricter). It is created so, never changed to be
//! so. Its folder belongs to that user or to root, and nobody else can write in it; the folders above
//! are not looked at. A place that breaks a rule is refused with [`StoreError::Unsafe`], before SQLite
//! has touched the file. Network file systems are refused unless [`Options::allow_network_fs`] is set:
//! NFS, SMB, AFS, 9P, Ceph, Lustre, cluster file systems, and FUSE because nothing tells what it
//! hides. They are known on Linux only.
//!
//! Where the file or its folder cannot be written, the vault is opened as immutable: no lock, no log.
//! That is refused while a log with anything in it is left, because what it holds could not be read.
//! If the file changes all the same, the next transaction says [`StoreError::Replaced`].
//!
//! # What is promised
//!
//! - **A commit is durable.** The log is written ahead and synced at each commit (`WAL`,
//!   `synchronous=FULL`), with its folder when it is new. After `kill -9` or loss of power the next
//!   to open the vault finds every acknowledged commit, and of an unacknowledged one all or nothing.
//! - **No retry after a failed write.** When the system fails to write or sync, the store is
//!   [`StoreError::Poisoned`]: nobody knows what reached the disk, and a second sync would report a
//!   success that it is not. A full disk does not poison: nothing was written, and once there is room
//!   it goes on.
//! - **Readers never wait for the writer**, nor it for them. All wait for a moment while the last
//!   process to close folds the log back. Who waits longer than [`Options::busy_wait`] is told
//!   [`StoreError::Busy`].
//! - **Nothing passes for new.** A missing, empty, foreign or damaged file is an error, each its own.
//!   The schema is compared with ours byte for byte whenever it could have changed.
//! - **A vault that is moved, removed or replaced while open** is noticed at the next transaction or
//!   commit ([`StoreError::Replaced`]), which checks that the same file still lies at the path.
//! - **Locks** exclude across processes and threads and end with their holder. Each name has its own
//!   file, so an observer learns how many names were ever locked, and which one is locked now.
//!
//! # SQLite
//!
//! It is the bundled one, 3.51.3 or newer, which is checked when a vault is opened: older ones can
//! lose commits in the log. A hostile file is met with the defensive mode on; triggers, views,
//! attached files and functions in the schema off; the sizes of b-tree cells checked; no memory map;
//! rows up to 16 MiB and 128 KiB; at most 16 tables. Each setting is read back. Deleted rows are
//! overwritten with zeros (`secure_delete`), which does not reach what the log, the file system or
//! the drive have kept; the rows are sealed all the same.
//!
//! Tables are `head`, `keyring`, `entry`, `history` and `node`, all of the form
//! `(k BLOB NOT NULL PRIMARY KEY, v BLOB NOT NULL) STRICT, WITHOUT ROWID`; `application_id` is
//! 0x62756c61 ("bula") and `user_version` is 1.
//!
//! [`StoreError::Busy`]: bulla_vault::store::StoreError::Busy
//! [`StoreError::Poisoned`]: bulla_vault::store::StoreError::Poisoned
//! [`StoreError::Replaced`]: bulla_vault::store::StoreError::Replaced
//! [`StoreError::Unsafe`]: bulla_vault::store::StoreError::Unsafe

#![forbid(unsafe_code)]

mod connection;
mod fault;
mod lock;
mod place;
mod schema;
mod store;
mod transaction;

pub use store::{Options, SqliteStore};
