//! An encrypted, versioned store of credentials that does not trust the place it is stored in.

#![forbid(unsafe_code)]

mod batch;
mod bind;
mod check;
mod codec;
mod create;
mod error;
mod head;
mod identity;
mod kdf;
mod keyring;
mod keys;
mod memory;
mod name;
mod open;
mod padding;
mod primitives;
mod random;
mod record;
mod rekey;
mod row;
mod sealed;
mod secret;
mod slot;
mod slots;
mod snapshot;
pub mod store;
mod tree;
mod vault;
#[cfg(test)]
mod vectors;

pub use batch::{Batch, KEPT_VERSIONS};
pub use check::{Fault, Report};
pub use error::{OpenError, Part, ReadError, SealError, WriteError};
pub use identity::{
    Identity, IdentityFile, IdentityFileError, ParseKeyError, ProtectedIdentity, Recipient,
};
pub use kdf::Kdf;
pub use keyring::Pin;
pub use keys::{EntryId, VaultId};
pub use memory::Remembered;
pub use name::{EntryName, FieldName, InvalidName};
pub use open::{Expect, LockedVault, OpenedKey, SlotSort, Unlock};
pub use random::{NoRandomness, Random, SystemRandom};
pub use record::{Entry, Field, Kind, NoSuchField, SlotId, TokenState};
pub use rekey::{OwnSlot, Rekeyed};
pub use secret::{Passphrase, Secret};
pub use slots::{NewSlot, SlotChange, SlotError, SlotEvent, SlotInfo};
pub use snapshot::{Snapshot, State, Version};
pub use vault::{Stamp, Vault};

/// The format that this crate writes.
pub(crate) const FORMAT: u16 = 1;
/// The one set of algorithms of format 1.
pub(crate) const SUITE: u16 = 1;
