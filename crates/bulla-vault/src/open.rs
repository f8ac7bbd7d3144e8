//! From a store to an open vault.

use crate::error::Part;
use crate::head::Head;
use crate::identity::Identity;
use crate::keyring::{Keyring, Pin};
use crate::keys::{Keys, VaultId};
use crate::memory::Remembered;
use crate::random::Random;
use crate::record::SlotId;
use crate::secret::{Passphrase, VaultKey};
use crate::slot::{Place, SlotLock};
use crate::store::{Store, Table, View};
use crate::vault::Vault;
use crate::{Kdf, OpenError};

/// The key of the one row in the head table and in the keyring table.
pub(crate) const ONLY: &[u8] = &[0];

/// A vault that was found and is well-formed, and that nobody has opened yet.
///
/// Nothing that it says of itself is proven at this point.
pub struct LockedVault<'s> {
    store: &'s dyn Store,
    random: &'s dyn Random,
    keyring: Keyring,
}

/// How to open a vault.
pub enum Unlock<'a> {
    /// With a passphrase, which also proves that the vault is the right one.
    Passphrase(&'a Passphrase),
    /// With any of these identities. That proves nothing about who made the vault, so its pin has
    /// to be known.
    Identities(&'a [Identity]),
    /// With the vault key itself, as kept by [`Vault::key`].
    Key(OpenedKey),
}

/// What a client knows beforehand about the vault that it wants to open.
#[derive(Default)]
pub struct Expect {
    /// Pins that are acceptable; if there are none, the remembered one is.
    pub pins: Vec<Pin>,
    /// What this client remembers of the vault.
    pub remembered: Option<Remembered>,
    /// The least epoch to accept, for a client without a memory.
    pub min_epoch: Option<u64>,
    /// Open the vault even if it is an older or another state than the remembered one.
    pub accept_rollback: bool,
}

/// What anybody can see of a slot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SlotSort {
    /// A passphrase, and what it costs to try one.
    Passphrase(Kdf),
    /// A recipient.
    Identity,
}

impl<'s> LockedVault<'s> {
    /// Finds the vault in `store` and checks its shape.
    ///
    /// # Errors
    /// [`OpenError::Damaged`], [`OpenError::Unsupported`], [`OpenError::KdfBounds`] or what went
    /// wrong with the store.
    pub fn find(store: &'s dyn Store, random: &'s dyn Random) -> Result<Self, OpenError> {
        let view = store.read()?;
        // The head is looked at as well, so that a damaged vault asks for no passphrase.
        let head = Head::parse(&read(&*view, Table::Head, Part::Head)?)?;
        let keyring = Keyring::parse(read(&*view, Table::Keyring, Part::Keyring)?)?;
        if head.vault_id != keyring.place.vault_id || head.key_epoch != keyring.place.key_epoch {
            return Err(OpenError::Damaged(Part::Keyring));
        }
        Ok(Self { store, random, keyring })
    }

    /// Which vault it claims to be.
    #[must_use]
    pub fn vault_id(&self) -> VaultId {
        self.keyring.place.vault_id
    }

    /// The pin that it claims to have.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.keyring.pin()
    }

    /// The sorts of its slots, in their order.
    pub fn slots(&self) -> impl Iterator<Item = (SlotId, SlotSort)> {
        self.keyring.slots.iter().map(|slot| {
            let sort = match slot.lock {
                SlotLock::Passphrase { kdf, .. } => SlotSort::Passphrase(kdf),
                SlotLock::Identity { .. } => SlotSort::Identity,
            };
            (slot.id, sort)
        })
    }

    /// Opens it: slot, keyring MAC, signature, pin, head, memory, in this order.
    ///
    /// # Errors
    /// [`OpenError::Locked`] if no slot opens, whatever the cause. Once one has opened, anything
    /// else that is wrong has a name of its own.
    pub fn unlock(&self, unlock: Unlock<'_>, expect: &Expect) -> Result<Vault<'s>, OpenError> {
        let Self { store, random, keyring } = self;
        let (store, random) = (*store, *random);
        let first = expect.remembered.as_ref().map(|remembered| remembered.last_slot);
        let needs_pin = matches!(unlock, Unlock::Identities(_));
        let (slot, vault_key) = match unlock {
            Unlock::Passphrase(passphrase) => keyring.open_by_passphrase(passphrase, first)?,
            Unlock::Identities(identities) => keyring.open_by_identities(identities)?,
            Unlock::Key(opened) => {
                if !same_place(opened.place, keyring.place) {
                    return Err(OpenError::Rekeyed);
                }
                (opened.slot, opened.key)
            }
        };
        let keys = Keys::derive(&vault_key, &keyring.place.vault_id);
        keyring.verify(&keys)?;
        check_pin(keyring.pin(), needs_pin, expect)?;
        let view = store.read()?;
        let (head, newer) = verified_state(&*view, &keys, keyring)?;
        let pin = newer.as_ref().unwrap_or(keyring).pin();
        drop(view);
        let vault = Vault::new(store, random, vault_key, keys, pin, &head, slot);
        check_memory(&vault, expect)?;
        Ok(vault)
    }
}

/// A vault key together with the vault that it opens, for a keeper such as the kernel's keyring.
pub struct OpenedKey {
    pub(crate) place: Place,
    pub(crate) slot: SlotId,
    pub(crate) key: VaultKey,
}

impl OpenedKey {
    const LEN: usize = 16 + 4 + 8 + 32;

    /// The bytes to keep. They are the vault key: whoever has them has the vault.
    #[must_use]
    pub fn expose(&self) -> zeroize::Zeroizing<Vec<u8>> {
        let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(Self::LEN));
        bytes.extend_from_slice(&self.place.vault_id);
        bytes.extend_from_slice(&self.place.key_epoch.to_le_bytes());
        bytes.extend_from_slice(&self.slot);
        bytes.extend_from_slice(self.key.bytes());
        bytes
    }

    /// Takes back what [`expose`](Self::expose) gave.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (vault_id, rest) = bytes.split_first_chunk()?;
        let (key_epoch, rest) = rest.split_first_chunk()?;
        let (slot, rest) = rest.split_first_chunk()?;
        let key: &[u8; 32] = rest.try_into().ok()?;
        let place = Place { vault_id: *vault_id, key_epoch: u32::from_le_bytes(*key_epoch) };
        let Ok(key) = VaultKey::fill::<std::convert::Infallible>(|out| {
            out.copy_from_slice(key);
            Ok(())
        });
        Some(Self { place, slot: *slot, key })
    }
}

/// Reads the head that vouches for everything, and the keyring that it vouches for. `keyring` is
/// the one that was verified before; if it has changed since, the new one is verified and given.
pub(crate) fn verified_state(
    view: &dyn View,
    keys: &Keys,
    keyring: &Keyring,
) -> Result<(Head, Option<Keyring>), OpenError> {
    let head = verified_head(view, keys, keyring.place)?;
    let bytes = read(view, Table::Keyring, Part::Keyring)?;
    let newer = if bytes == keyring.bytes() {
        None
    } else {
        let newer = Keyring::parse(bytes)?;
        newer.verify(keys)?;
        Some(newer)
    };
    if newer.as_ref().unwrap_or(keyring).hash() != head.keyring_hash {
        return Err(OpenError::Tampered(Part::KeyringHash));
    }
    Ok((head, newer))
}

/// Reads the head and checks that a holder of the vault key wrote it for this vault.
pub(crate) fn verified_head(view: &dyn View, keys: &Keys, place: Place) -> Result<Head, OpenError> {
    let bytes = read(view, Table::Head, Part::Head)?;
    let head = Head::parse(&bytes)?;
    if head.vault_id == place.vault_id && head.key_epoch > place.key_epoch {
        return Err(OpenError::Rekeyed);
    }
    let ours = Place { vault_id: head.vault_id, key_epoch: head.key_epoch };
    if !same_place(ours, place) || !Head::verify(&bytes, keys) {
        return Err(OpenError::Tampered(Part::Head));
    }
    Ok(head)
}

fn read(view: &dyn View, table: Table, part: Part) -> Result<Vec<u8>, OpenError> {
    view.get(table, ONLY)?.ok_or(OpenError::Damaged(part))
}

fn same_place(a: Place, b: Place) -> bool {
    a.vault_id == b.vault_id && a.key_epoch == b.key_epoch
}

fn check_pin(found: Pin, needs_pin: bool, expect: &Expect) -> Result<(), OpenError> {
    let remembered = expect.remembered.as_ref().map(|remembered| remembered.pin);
    if !expect.pins.is_empty() {
        return if expect.pins.contains(&found) {
            Ok(())
        } else {
            Err(OpenError::OtherPin { found })
        };
    }
    match remembered {
        _ if !needs_pin => Ok(()),
        None => Err(OpenError::UnknownPin { found }),
        Some(pin) if pin == found => Ok(()),
        Some(_) => Err(OpenError::OtherPin { found }),
    }
}

fn check_memory(vault: &Vault<'_>, expect: &Expect) -> Result<(), OpenError> {
    if expect.accept_rollback {
        return Ok(());
    }
    let found = vault.remembered().epoch;
    if let Some(least) = expect.min_epoch
        && found < least
    {
        return Err(OpenError::TooOld { least, found });
    }
    expect.remembered.as_ref().map_or(Ok(()), |remembered| vault.agrees_with(remembered))
}
