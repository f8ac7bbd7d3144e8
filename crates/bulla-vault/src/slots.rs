//! The slots of an open vault: who they belong to, and how they are added and changed.

use bincode::{BorrowDecode, Encode};
use zeroize::Zeroizing;

use crate::batch::Batch;
use crate::codec::{DecodeFault, decode_padded, encode_padded};
use crate::error::Part;
use crate::identity::Recipient;
use crate::keyring::{Keyring, MAX_PASSPHRASES, MAX_SLOTS};
use crate::keys::Keys;
use crate::open::{ONLY, verified_state};
use crate::primitives::random;
use crate::random::Random;
use crate::record::{Body, SlotId};
use crate::secret::{Passphrase, VaultKey};
use crate::slot::{Place, Slot, SlotLock};
use crate::snapshot::{Rows, Snapshot};
use crate::store::Table;
use crate::vault::{Stamp, Vault};
use crate::{Kdf, OpenError, ReadError, SealError, SlotSort, WriteError};

/// The name of the record that says whose the slots are. No entry can have it.
pub(crate) const SLOTS: &str = "\0slots";

/// The most events that the ledger keeps.
const MAX_EVENTS: usize = 1000;

/// The longest label in bytes.
const MAX_LABEL: usize = 64;

/// What a new slot is to be opened with.
pub enum NewSlot<'a> {
    /// A passphrase, and what it shall cost to try one.
    Passphrase(&'a Passphrase, Kdf),
    /// The identity of this recipient.
    Recipient(&'a Recipient),
}

/// A slot as the holder of the vault key sees it.
pub struct SlotInfo {
    /// Its id, which is also the author of what was written through it.
    pub id: SlotId,
    /// What people call it; unique in the vault.
    pub label: String,
    /// What it is opened with.
    pub sort: SlotSort,
    /// Whose identity opens it, for an identity slot.
    pub recipient: Option<Recipient>,
    /// When it was added, in seconds since 1970.
    pub added: u64,
}

/// One line of the ledger of slot changes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotEvent {
    /// Seconds since 1970.
    pub time: u64,
    /// The slot through which it was done.
    pub author: SlotId,
    /// What was done.
    pub change: SlotChange,
}

/// A change of who can open a vault.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SlotChange {
    /// A slot with this label was added; the first one made the vault.
    Added(String),
    /// The slot with this label was removed.
    Removed(String),
    /// The passphrase of the slot with this label was changed.
    PassphraseChanged(String),
    /// The vault key was changed.
    Rekeyed,
}

/// Slots cannot be changed like this.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SlotError {
    /// A slot has that label already.
    #[error("there is a slot of that label already")]
    Exists,
    /// There are 32 slots, or 8 passphrases.
    #[error("the vault has {MAX_SLOTS} slots, or {MAX_PASSPHRASES} passphrases, which is the most")]
    Full,
    /// The label is empty, longer than 64 bytes, or holds control characters.
    #[error("a label has 1 to {MAX_LABEL} bytes and no control characters")]
    Label,
    /// It is the only slot, or the one that was used to open the vault.
    #[error("the slot is the one that opened the vault, or the last one")]
    InUse,
    /// There is no slot of that label.
    #[error("there is no slot of that label")]
    Missing,
    /// The slot is opened by an identity and has no passphrase.
    #[error("the slot has no passphrase")]
    NoPassphrase,
    /// The identity of that recipient opens the slot of this label already: with two, removing one
    /// would take nothing from its holder.
    #[error("the identity of this recipient opens slot `{0}` already")]
    SameRecipient(String),
    /// Who asked for a new vault key gave it up.
    #[error("the vault key was not changed")]
    Stopped,
    /// The slot could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The new slot did not open when it was tried, so nothing was changed.
    #[error("the new slot does not open; nothing was changed")]
    Unusable,
    /// The vault could not be read or written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<ReadError> for SlotError {
    fn from(error: ReadError) -> Self {
        Self::Write(WriteError::Read(error))
    }
}

impl From<OpenError> for SlotError {
    fn from(error: OpenError) -> Self {
        Self::Write(error.into())
    }
}

impl Snapshot<'_> {
    /// The slots of the vault, in their order.
    ///
    /// # Errors
    /// If the store fails or lies.
    pub fn slots(&self) -> Result<Vec<SlotInfo>, ReadError> {
        let keyring = current_keyring(self.rows())?;
        let ledger = Ledger::read(self.rows())?;
        if ledger.owners.len() != keyring.slots.len() {
            return Err(ReadError::Tampered(Part::Content));
        }
        keyring
            .slots
            .iter()
            .map(|slot| {
                let owner = ledger
                    .owners
                    .iter()
                    .find(|owner| owner.id == slot.id)
                    .ok_or(ReadError::Tampered(Part::Content))?;
                let sort = match slot.lock {
                    SlotLock::Passphrase { kdf, .. } => SlotSort::Passphrase(kdf),
                    SlotLock::Identity { .. } => SlotSort::Identity,
                };
                Ok(SlotInfo {
                    id: owner.id,
                    label: owner.label.clone(),
                    sort,
                    recipient: owner.recipient.clone(),
                    added: owner.added,
                })
            })
            .collect()
    }

    /// What was done to the slots, oldest first; the last thousand changes are kept.
    ///
    /// # Errors
    /// If the store fails or lies.
    pub fn slot_events(&self) -> Result<Vec<SlotEvent>, ReadError> {
        Ok(Ledger::read(self.rows())?.events)
    }
}

impl Vault<'_> {
    /// Adds a slot and returns its id. The other slots and the entries stay as they are.
    ///
    /// # Errors
    /// [`SlotError`]; nothing was changed then.
    pub fn add_slot(
        &self,
        label: &str,
        new: &NewSlot<'_>,
        stamp: Stamp,
    ) -> Result<SlotId, SlotError> {
        check_label(label)?;
        let slot = seal_slot(self.place, &self.key, new, self.random)?;
        let id = slot.id;
        let mut batch = self.write(stamp)?;
        let (mut keyring, mut ledger) =
            (current_keyring(batch.rows())?, Ledger::read(batch.rows())?);
        if ledger.owners.iter().any(|owner| owner.label == label) {
            return Err(SlotError::Exists);
        }
        if let NewSlot::Recipient(recipient) = new
            && let Some(twin) = ledger.owner_of(recipient)
        {
            return Err(SlotError::SameRecipient(twin.label.clone()));
        }
        keyring.slots.push(slot);
        check_room(&keyring.slots)?;
        ledger.owners.push(Owner::new(id, label, new, batch.stamp.time));
        ledger.note(&batch, SlotChange::Added(label.to_owned()));
        batch.put_keyring(&keyring, &ledger)?;
        batch.commit()?;
        Ok(id)
    }

    /// Changes the passphrase of the slot that opened the vault.
    ///
    /// Who has an old copy of the vault can still open that copy with the old passphrase.
    ///
    /// # Errors
    /// [`SlotError::NoPassphrase`] if that slot is an identity's; nothing was changed then.
    pub fn change_passphrase(
        &self,
        passphrase: &Passphrase,
        kdf: Kdf,
        stamp: Stamp,
    ) -> Result<(), SlotError> {
        let new = NewSlot::Passphrase(passphrase, kdf);
        let sealed = seal_slot_as(self.slot, self.place, &self.key, &new, self.random)?;
        let mut batch = self.write(stamp)?;
        let (mut keyring, mut ledger) =
            (current_keyring(batch.rows())?, Ledger::read(batch.rows())?);
        let slot = keyring.slots.iter_mut().find(|slot| slot.id == self.slot);
        let slot = slot.ok_or(SlotError::Missing)?;
        if !slot.is_passphrase() {
            return Err(SlotError::NoPassphrase);
        }
        *slot = sealed;
        let label = ledger.label(self.slot).ok_or(SlotError::Missing)?;
        ledger.note(&batch, SlotChange::PassphraseChanged(label));
        batch.put_keyring(&keyring, &ledger)?;
        batch.commit()?;
        Ok(())
    }
}

impl Batch<'_> {
    /// Writes the keyring anew, signed with the key it had, and the record of whose slots they are.
    fn put_keyring(&mut self, changed: &Keyring, ledger: &Ledger) -> Result<(), SlotError> {
        let Vault { keys, random, place, .. } = self.vault;
        let signing = changed.signing_key(keys)?;
        let keyring = Keyring::write(*place, keys, &signing, &changed.slots, *random)?;
        self.txn.put(Table::Keyring, ONLY, &keyring.bytes).map_err(WriteError::from)?;
        self.head.keyring_hash = keyring.hash();
        self.touched = true;
        self.put_system(SLOTS, ledger.to_body()?)?;
        Ok(())
    }
}

/// The keyring that the head vouches for, verified.
pub(crate) fn current_keyring(rows: Rows<'_>) -> Result<Keyring, ReadError> {
    let bytes = rows.view.get(Table::Keyring, ONLY)?;
    let bytes = bytes.ok_or(OpenError::Damaged(Part::Keyring))?;
    let keyring = Keyring::parse(bytes)?;
    keyring.verify(&rows.vault.keys)?;
    let (_, newer) = verified_state(rows.view, &rows.vault.keys, &keyring)?;
    Ok(newer.unwrap_or(keyring))
}

/// Seals a slot under a new id and tries whether it opens, before anything depends on it.
pub(crate) fn seal_slot(
    place: Place,
    key: &VaultKey,
    new: &NewSlot<'_>,
    source: &dyn Random,
) -> Result<Slot, SlotError> {
    let id = random(source).map_err(SealError::from)?;
    seal_slot_as(id, place, key, new, source)
}

pub(crate) fn seal_slot_as(
    id: SlotId,
    place: Place,
    key: &VaultKey,
    new: &NewSlot<'_>,
    source: &dyn Random,
) -> Result<Slot, SlotError> {
    match new {
        NewSlot::Recipient(recipient) => {
            Ok(Slot::for_recipient(place, id, key, recipient, source)?)
        }
        NewSlot::Passphrase(passphrase, kdf) => {
            let slot = Slot::for_passphrase(place, id, key, passphrase, *kdf, source)?;
            match slot.try_passphrase(place, passphrase)? {
                Some(opened) if opened.bytes() == key.bytes() => Ok(slot),
                _ => Err(SlotError::Unusable),
            }
        }
    }
}

pub(crate) fn check_label(label: &str) -> Result<(), SlotError> {
    let fits = (1..=MAX_LABEL).contains(&label.len()) && !label.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(SlotError::Label) }
}

fn check_room(slots: &[Slot]) -> Result<(), SlotError> {
    let passphrases = slots.iter().filter(|slot| slot.is_passphrase()).count();
    let fits = slots.len() <= MAX_SLOTS && passphrases <= MAX_PASSPHRASES;
    if fits { Ok(()) } else { Err(SlotError::Full) }
}

/// Whose the slots are, and what was done to them: the sealed record beside the entries.
pub(crate) struct Ledger {
    pub(crate) owners: Vec<Owner>,
    pub(crate) events: Vec<SlotEvent>,
}

pub(crate) struct Owner {
    pub(crate) id: SlotId,
    pub(crate) label: String,
    pub(crate) recipient: Option<Recipient>,
    pub(crate) added: u64,
}

impl Owner {
    pub(crate) fn new(id: SlotId, label: &str, new: &NewSlot<'_>, added: u64) -> Self {
        let recipient = match new {
            NewSlot::Passphrase(..) => None,
            NewSlot::Recipient(recipient) => Some((*recipient).clone()),
        };
        Self { id, label: label.to_owned(), recipient, added }
    }
}

impl Ledger {
    pub(crate) fn read(rows: Rows<'_>) -> Result<Self, ReadError> {
        let record = rows.record(SLOTS)?;
        match record {
            Some((_, crate::record::Record { body: Body::System(bytes), .. })) => {
                Self::from_bytes(&bytes)
            }
            _ => Err(ReadError::Tampered(Part::Row)),
        }
    }

    pub(crate) fn label(&self, id: SlotId) -> Option<String> {
        self.owners.iter().find(|owner| owner.id == id).map(|owner| owner.label.clone())
    }

    fn owner_of(&self, recipient: &Recipient) -> Option<&Owner> {
        self.owners.iter().find(|owner| owner.recipient.as_ref() == Some(recipient))
    }

    pub(crate) fn note(&mut self, batch: &Batch<'_>, change: SlotChange) {
        self.events.push(SlotEvent { time: batch.stamp.time, author: batch.vault.slot, change });
        let surplus = self.events.len().saturating_sub(MAX_EVENTS);
        self.events.drain(..surplus);
    }

    pub(crate) fn to_body(&self) -> Result<Body, WriteError> {
        let disk = LedgerOnDisk {
            owners: self
                .owners
                .iter()
                .map(|Owner { id, label, recipient, added }| OwnerOnDisk {
                    id: *id,
                    label,
                    recipient: recipient.as_ref().map(Recipient::bytes),
                    added: *added,
                })
                .collect(),
            events: self.events.iter().map(SlotEvent::to_disk).collect(),
        };
        let bytes = encode_padded(&disk).map_err(|_| WriteError::TooLarge)?;
        Ok(Body::System(Zeroizing::new(bytes.to_vec())))
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        const CONTENT: ReadError = ReadError::Tampered(Part::Content);
        let LedgerOnDisk { owners, events } =
            decode_padded(bytes).map_err(|fault| match fault {
                DecodeFault::Padding => ReadError::Tampered(Part::Padding),
                DecodeFault::Encoding => ReadError::Tampered(Part::Encoding),
            })?;
        let owners: Vec<Owner> = owners
            .into_iter()
            .map(|OwnerOnDisk { id, label, recipient, added }| {
                let recipient = recipient
                    .map(|bytes| Recipient::from_bytes(bytes).ok_or(CONTENT))
                    .transpose()?;
                Ok(Owner { id, label: label.to_owned(), recipient, added })
            })
            .collect::<Result<_, ReadError>>()?;
        let unique = owners.iter().enumerate().all(|(index, owner)| {
            check_label(&owner.label).is_ok()
                && owners[..index].iter().all(|o| o.id != owner.id && o.label != owner.label)
        });
        if !unique {
            return Err(CONTENT);
        }
        Ok(Self { owners, events: events.into_iter().map(SlotEvent::from_disk).collect() })
    }
}

#[derive(BorrowDecode, Encode)]
struct LedgerOnDisk<'a> {
    owners: Vec<OwnerOnDisk<'a>>,
    events: Vec<EventOnDisk<'a>>,
}

#[derive(BorrowDecode, Encode)]
struct OwnerOnDisk<'a> {
    id: SlotId,
    label: &'a str,
    recipient: Option<&'a [u8]>,
    added: u64,
}

#[derive(BorrowDecode, Encode)]
struct EventOnDisk<'a> {
    time: u64,
    author: SlotId,
    change: ChangeOnDisk<'a>,
}

#[derive(BorrowDecode, Encode)]
enum ChangeOnDisk<'a> {
    Added(&'a str),
    Removed(&'a str),
    PassphraseChanged(&'a str),
    Rekeyed,
}

impl SlotEvent {
    fn to_disk(&self) -> EventOnDisk<'_> {
        let Self { time, author, change } = self;
        let change = match change {
            SlotChange::Added(label) => ChangeOnDisk::Added(label),
            SlotChange::Removed(label) => ChangeOnDisk::Removed(label),
            SlotChange::PassphraseChanged(label) => ChangeOnDisk::PassphraseChanged(label),
            SlotChange::Rekeyed => ChangeOnDisk::Rekeyed,
        };
        EventOnDisk { time: *time, author: *author, change }
    }

    fn from_disk(disk: EventOnDisk<'_>) -> Self {
        let EventOnDisk { time, author, change } = disk;
        let change = match change {
            ChangeOnDisk::Added(label) => SlotChange::Added(label.to_owned()),
            ChangeOnDisk::Removed(label) => SlotChange::Removed(label.to_owned()),
            ChangeOnDisk::PassphraseChanged(label) => {
                SlotChange::PassphraseChanged(label.to_owned())
            }
            ChangeOnDisk::Rekeyed => SlotChange::Rekeyed,
        };
        Self { time, author, change }
    }
}

/// The keys of a vault that is being made, with which its first keyring is written.
pub(crate) struct Fresh {
    pub(crate) place: Place,
    pub(crate) key: VaultKey,
    pub(crate) keys: Keys,
}

impl Fresh {
    pub(crate) fn generate(place: Place, source: &dyn Random) -> Result<Self, SealError> {
        let key = VaultKey::fill(|bytes| source.fill(bytes))?;
        let keys = Keys::derive(&key, &place.vault_id);
        Ok(Self { place, key, keys })
    }
}
