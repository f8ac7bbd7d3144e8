//! The store port: where sealed bytes lie.
//!
//! A store moves opaque bytes. It never sees a key, a name or a plaintext, and the vault never
//! believes it: everything that comes out of [`View::get`] and [`View::scan`] is verified before
//! use. So a store has to promise only what its caller cannot check for itself, and the suite in
//! `bulla-testkit` holds every store to it:
//!
//! - a [`View`] is one snapshot: what others commit meanwhile does not show in it;
//! - a [`Txn`] is the sole writer, and a view that includes its own changes;
//! - [`Txn::commit`] returns only when the changes survive `kill -9` and loss of power, all of them
//!   or none; a `Txn` that is dropped has changed nothing;
//! - a store that is damaged says so. It never passes for an empty one.
//!
//! Nobody holds a `View` or a `Txn` over a prompt, over Argon2 or over the network.

use std::ops::ControlFlow;

mod memory;

pub use memory::MemoryStore;

/// The five tables of a vault. Keys and values are bytes; docs/format.md says what they mean.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Table {
    /// One row: the head record, written at every commit.
    Head,
    /// One row: the keyring, written only when slots change.
    Keyring,
    /// The newest state of every entry, by entry id.
    Entry,
    /// Kept earlier versions, by entry id and version.
    History,
    /// The nodes of the authenticated tree, by depth and prefix.
    Node,
}

impl Table {
    /// All tables, in the order in which a store lays them out.
    pub const ALL: [Self; 5] = [Self::Head, Self::Keyring, Self::Entry, Self::History, Self::Node];
}

/// A place for sealed bytes that many processes may use at once.
pub trait Store {
    /// One consistent snapshot of what is committed now.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] if the store cannot be what we wrote, else what went wrong with it.
    fn read(&self) -> Result<Box<dyn View + '_>, StoreError>;

    /// Becomes the sole writer, waiting for another writer to finish for as long as the store was
    /// told to.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if the wait was in vain, [`StoreError::ReadOnly`] if the store cannot
    /// be written at all.
    fn write(&self) -> Result<Box<dyn Txn + '_>, StoreError>;

    /// Takes a lock for work that leaves the machine, such as a token refresh. It works across
    /// processes, excludes neither readers nor writers, and dies with its holder.
    ///
    /// `name` is keyed: it tells an observer nothing about what is locked.
    ///
    /// # Errors
    /// [`StoreError::Busy`] if another holder kept it for too long.
    fn lock(&self, name: &[u8; 16]) -> Result<Box<dyn Lock + '_>, StoreError>;

    /// Whether somebody holds that lock now. Who asks leaves no trace: an observer of the store does
    /// not learn what was asked about.
    ///
    /// # Errors
    /// What went wrong with the store.
    fn is_locked(&self, name: &[u8; 16]) -> Result<bool, StoreError>;
}

/// A consistent snapshot of a store.
pub trait View {
    /// The value under `key`, or `None`.
    ///
    /// # Errors
    /// What went wrong with the store.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Shows `visit` every row whose key is greater than `after`, in the order of the keys, until
    /// it breaks. An empty `after` starts at the first row: no table has an empty key.
    ///
    /// # Errors
    /// What went wrong with the store.
    fn scan(&self, table: Table, after: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;
}

/// What [`View::scan`] calls with the key and the value of each row.
pub type Visit<'v> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'v;

/// The sole writer: a [`View`] that sees its own changes.
pub trait Txn: View {
    /// Sets the value under `key`, which is not empty.
    ///
    /// # Errors
    /// What went wrong with the store; the transaction is then only good for being dropped.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes the row under `key`, if there is one.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    fn delete(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError>;

    /// Makes all changes durable and visible at once.
    ///
    /// # Errors
    /// Then none of the changes happened.
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// A held lock; dropping it lets the next one in.
pub trait Lock {}

/// Why a store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process kept the store or the lock to itself for longer than we wait.
    #[error("the vault is busy: another process is writing to it")]
    Busy,
    /// The store's own structure is not what we wrote.
    #[error("the vault is damaged: {what}")]
    Damaged {
        /// What was found to be wrong, without any of the store's bytes.
        what: &'static str,
    },
    /// The disk, or the file system on it, did not do what it was asked to, and it is not known more
    /// exactly why: it breaks, a quota is used up, or it was made read-only.
    #[error("cannot {doing} the vault: the disk or its file system failed")]
    Disk {
        /// The verb of the operation, as in [`Io`](Self::Io).
        doing: &'static str,
    },
    /// Something is already where a new store was to be made.
    #[error("something is already at this place")]
    Exists,
    /// No room is left where the store lies.
    #[error("no space is left where the vault lies")]
    Full,
    /// An operation of the system failed.
    #[error("cannot {doing} the vault: {kind}")]
    Io {
        /// The verb of the operation: "open", "read", "write".
        doing: &'static str,
        /// The kind of failure; the system's own text may hold paths and is not kept.
        kind: std::io::ErrorKind,
    },
    /// There is no store at this place.
    #[error("there is no vault here")]
    NotFound,
    /// A write failed in a way that leaves open what reached the disk. The handle is of no more
    /// use; whoever opens the store anew sees what was committed.
    #[error("an earlier write to the vault failed, so it has to be opened again")]
    Poisoned,
    /// The store can be read but not written.
    #[error("the vault cannot be written")]
    ReadOnly,
    /// The store was moved, removed or replaced by another while it was open.
    #[error("the vault was replaced or removed while it was in use")]
    Replaced,
    /// The place is one where a store is not safe, such as a folder that others can write.
    #[error("{what}")]
    Unsafe {
        /// Which rule the place breaks.
        what: &'static str,
    },
}
