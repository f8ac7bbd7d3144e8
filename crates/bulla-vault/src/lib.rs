//! An encrypted, versioned store of credentials that does not trust the place it is stored in.
//!
//! A vault is a set of named entries, each with fields, earlier versions and the record of who wrote
//! it. All of that is sealed; what lies in the [store] tells how many rows there are, how large
//! they are roughly, and when they change. Whoever can write the store can destroy the vault, but not
//! read it, nor change, swap, drop or replay a part of it unnoticed.
//!
//! ```
//! use bulla_vault::store::MemoryStore;
//! use bulla_vault::{
//!     Entry, EntryName, Expect, Field, FieldName, Kdf, Kind, LockedVault, NewSlot, Passphrase,
//!     Secret, Stamp, SystemRandom, Unlock, Vault,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryStore::new();
//! let passphrase = Passphrase::new(Secret::copied_from(b"correct horse")).expect("not too long");
//! let slot = NewSlot::Passphrase(&passphrase, Kdf::DEFAULT);
//! Vault::create(&store, &SystemRandom, "owner", &slot, Stamp::default())?;
//!
//! // Another time, another process.
//! let locked = LockedVault::find(&store, &SystemRandom)?;
//! let vault = locked.unlock(Unlock::Passphrase(&passphrase), &Expect::default())?;
//! let name = EntryName::new("secret-db")?;
//! let mut entry = Entry::new(Kind::Secret);
//! entry.set(Field {
//!     name: FieldName::new("password")?,
//!     value: Secret::copied_from(b"hunter2"),
//!     public: false,
//!     expires: None,
//! })?;
//! let mut batch = vault.write(Stamp { time: 1_790_000_000, reason: "rotated".to_owned() })?;
//! assert_eq!(batch.put(&name, entry, None)?, 1);
//! batch.commit()?;
//!
//! let found = vault.read()?.find(&name)?.expect("it was just written");
//! let entry = found.live().expect("nobody removed it");
//! let password = entry.field(&FieldName::new("password")?).expect("it was set");
//! assert_eq!(password.value.expose(), b"hunter2");
//! # Ok(())
//! # }
//! ```
//!
//! # The pieces
//!
//! - [`LockedVault`] is a vault that was found, and says nothing that is proven. [`Unlock`] opens it,
//!   [`Expect`] is what the client knows beforehand.
//! - [`Vault`] holds the key. [`Vault::read`] gives a [`Snapshot`], [`Vault::write`] a [`Batch`] of
//!   changes that happen together or not at all.
//! - [`Vault::remembered`] is what the client should keep, to notice an older state next time.
//! - Slots say who can open a vault: [`Vault::add_slot`], [`Vault::rekey`].
//! - [`Snapshot::check`] verifies everything there is.
//!
//! The format is specified in docs/format.md, byte for byte.
//!
//! # Security notes
//!
//! - This crate has no file, network, terminal, clock or environment of its own. Time comes in with a
//!   [`Stamp`], randomness through [`Random`], rows through [`store::Store`].
//! - An identity opens a vault whoever made it: know its [`Pin`] beforehand. A passphrase proves that
//!   the vault is the right one.
//! - Types that hold secrets cannot be printed, compared or copied by accident, and are wiped. What
//!   the compiler or the allocator copies is not.
//! - Nobody keeps a [`Snapshot`] or a [`Batch`] over a prompt, a key derivation or the network.

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
pub use name::{EntryName, FieldName, InvalidName, is_invisible};
pub use open::{Expect, LockedVault, OpenedKey, SlotSort, Unlock};
pub use random::{NoRandomness, Random, SystemRandom};
pub use record::{Entry, Field, Kind, NoSuchField, SlotId, TokenState};
pub use rekey::{OwnSlot, RekeyStep, Rekeyed};
pub use secret::{Passphrase, Secret};
pub use slots::{NewSlot, SlotChange, SlotError, SlotEvent, SlotInfo};
pub use snapshot::{Snapshot, State, Version};
pub use vault::{Stamp, Vault};

/// The format that this crate writes.
pub(crate) const FORMAT: u16 = 1;
/// The one set of algorithms of format 1.
pub(crate) const SUITE: u16 = 1;
