//! An open vault.

use std::cell::RefCell;

use crate::batch::Batch;
use crate::head::Head;
use crate::keyring::Pin;
use crate::keys::{EntryId, Keys, VaultId};
use crate::memory::Remembered;
use crate::name::EntryName;
use crate::open::{OpenedKey, verified_head};
use crate::random::Random;
use crate::record::SlotId;
use crate::secret::VaultKey;
use crate::slot::Place;
use crate::snapshot::Snapshot;
use crate::store::{Lock, Store, StoreError, View};
use crate::{OpenError, ReadError, WriteError};

/// A vault whose key is at hand.
///
/// It holds no snapshot: each [`read`](Self::read) and [`write`](Self::write) looks at the store
/// anew, verifies what it finds, and refuses a state that is older than one it has seen.
pub struct Vault<'s> {
    pub(crate) store: &'s dyn Store,
    pub(crate) random: &'s dyn Random,
    pub(crate) key: VaultKey,
    pub(crate) keys: Keys,
    pub(crate) place: Place,
    pub(crate) slot: SlotId,
    pub(crate) seen: RefCell<Remembered>,
}

/// Who writes, when and why: kept with every record, sealed.
#[derive(Clone, Debug, Default)]
pub struct Stamp {
    /// Seconds since 1970.
    pub time: u64,
    /// What a person gave as the reason; may be empty.
    pub reason: String,
}

impl<'s> Vault<'s> {
    pub(crate) fn new(
        store: &'s dyn Store,
        random: &'s dyn Random,
        key: VaultKey,
        keys: Keys,
        pin: Pin,
        head: &Head,
        slot: SlotId,
    ) -> Self {
        let place = Place { vault_id: head.vault_id, key_epoch: head.key_epoch };
        let seen = RefCell::new(Remembered::new(head, pin, slot));
        Self { store, random, key, keys, place, slot, seen }
    }

    /// Which vault this is.
    #[must_use]
    pub fn id(&self) -> VaultId {
        self.place.vault_id
    }

    /// The vault's pin.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.seen.borrow().pin
    }

    /// The slot that opened it.
    #[must_use]
    pub fn slot(&self) -> SlotId {
        self.slot
    }

    /// The newest state seen through this value, for the client to save.
    #[must_use]
    pub fn remembered(&self) -> Remembered {
        self.seen.borrow().clone()
    }

    /// Whether the newest state seen through this value could follow what `earlier` remembers.
    ///
    /// # Errors
    /// [`OpenError::Restored`], [`OpenError::RolledBack`] or [`OpenError::Forked`] if it could not.
    pub fn agrees_with(&self, earlier: &Remembered) -> Result<(), OpenError> {
        self.seen.borrow().follows(earlier)
    }

    /// The vault key, to be kept where it is as well protected as in this process.
    #[must_use]
    pub fn key(&self) -> OpenedKey {
        let mut copy = zeroize::Zeroizing::new(*self.key.bytes());
        OpenedKey { place: self.place, slot: self.slot, key: VaultKey::from_bytes(&mut copy) }
    }

    /// One verified snapshot of the vault. Keep it for a moment only.
    ///
    /// # Errors
    /// If the state cannot be read, is not true, or is older than one seen before.
    pub fn read(&self) -> Result<Snapshot<'_>, ReadError> {
        let view = self.store.read()?;
        let head = self.current_head(&*view)?;
        Ok(Snapshot::new(self, view, head))
    }

    /// Becomes the sole writer. Nothing changes until [`Batch::commit`].
    ///
    /// # Errors
    /// As for [`read`](Self::read), and if the store is busy or cannot be written.
    pub fn write(&self, stamp: Stamp) -> Result<Batch<'_>, WriteError> {
        let txn = self.store.write()?;
        let head = self.current_head(&*txn)?;
        Ok(Batch::new(self, txn, head, stamp))
    }

    /// Takes the lock on one entry, for work on it that leaves the machine.
    ///
    /// # Errors
    /// If another holder kept it for too long.
    pub fn lock(&self, name: &EntryName) -> Result<Box<dyn Lock + 's>, StoreError> {
        self.store.lock(&self.keys.lock_name(&self.keys.entry_id(name.as_str())))
    }

    /// Whether somebody holds that lock, and so is at work on the entry.
    ///
    /// # Errors
    /// What went wrong with the store.
    pub fn is_locked(&self, name: &EntryName) -> Result<bool, StoreError> {
        self.store.is_locked(&self.keys.lock_name(&self.keys.entry_id(name.as_str())))
    }

    /// Under which id the store knows an entry. A large number of writes is fastest in the order of
    /// these, since that is how stores keep their rows.
    #[must_use]
    pub fn entry_id(&self, name: &EntryName) -> EntryId {
        self.keys.entry_id(name.as_str())
    }

    /// Reads and verifies the head, and remembers it.
    fn current_head(&self, view: &dyn View) -> Result<Head, ReadError> {
        let head = verified_head(view, &self.keys, self.place)?;
        Remembered::new(&head, self.pin(), self.slot).follows(&self.seen.borrow())?;
        self.see(&head);
        Ok(head)
    }

    /// Remembers a head that was verified or written.
    pub(crate) fn see(&self, head: &Head) {
        let seen = &mut *self.seen.borrow_mut();
        *seen = Remembered::new(head, seen.pin, self.slot);
    }
}

impl From<OpenError> for WriteError {
    fn from(error: OpenError) -> Self {
        Self::Read(ReadError::Open(error))
    }
}
