//! Slots: the ways to unwrap the vault key.

use crate::bind::Binding;
use crate::identity::{ENC_LEN, Identity, Recipient};
use crate::kdf::Kdf;
use crate::keys::{Commitment, VaultId, slot_keys};
use crate::primitives::{hmac, random, tags_equal};
use crate::random::Random;
use crate::record::SlotId;
use crate::secret::{Passphrase, VaultKey};
use crate::{OpenError, SUITE, SealError};

const PASSPHRASE: u8 = 1;
const IDENTITY: u8 = 2;

/// One way to unwrap the vault key, as it stands in the keyring.
pub(crate) struct Slot {
    pub(crate) id: SlotId,
    pub(crate) lock: SlotLock,
}

pub(crate) enum SlotLock {
    Passphrase { kdf: Kdf, salt: [u8; 32], commitment: Commitment, sealed: [u8; 48] },
    Identity { hint: [u8; 4], enc: Box<[u8; ENC_LEN]>, sealed: [u8; 48] },
}

/// What a slot is bound to besides itself.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) vault_id: VaultId,
    pub(crate) key_epoch: u32,
}

impl Slot {
    pub(crate) fn for_passphrase(
        place: Place,
        id: SlotId,
        vault_key: &VaultKey,
        passphrase: &Passphrase,
        kdf: Kdf,
        source: &dyn Random,
    ) -> Result<Self, SealError> {
        let salt = random(source)?;
        let binding = passphrase_binding(place, id, &kdf, &salt);
        let (key, commitment) = slot_keys(&kdf.slot_key(passphrase, &salt)?, &binding);
        let mut sealed = [0; 48];
        sealed[..32].copy_from_slice(vault_key.bytes());
        let tag = key.seal(binding.bytes(), &mut sealed[..32]);
        sealed[32..].copy_from_slice(&tag);
        Ok(Self { id, lock: SlotLock::Passphrase { kdf, salt, commitment, sealed } })
    }

    pub(crate) fn for_recipient(
        place: Place,
        id: SlotId,
        vault_key: &VaultKey,
        recipient: &Recipient,
        source: &dyn Random,
    ) -> Result<Self, SealError> {
        let info = identity_binding(place, id);
        let (enc, sealed) = recipient.seal(&info, vault_key.bytes(), source)?;
        let hint = hint(place, id, recipient);
        Ok(Self { id, lock: SlotLock::Identity { hint, enc: Box::new(enc), sealed } })
    }

    /// Tries a passphrase; `None` if this slot does not open with it.
    pub(crate) fn try_passphrase(
        &self,
        place: Place,
        passphrase: &Passphrase,
    ) -> Result<Option<VaultKey>, OpenError> {
        let SlotLock::Passphrase { kdf, salt, commitment, sealed } = &self.lock else {
            return Ok(None);
        };
        let binding = passphrase_binding(place, self.id, kdf, salt);
        let slot_key = kdf.slot_key(passphrase, salt).map_err(|_| OpenError::OutOfMemory)?;
        let (key, expected) = slot_keys(&slot_key, &binding);
        if !tags_equal(&expected, commitment) {
            return Ok(None);
        }
        let (ciphertext, tag) = sealed.split_at(32);
        let opened = VaultKey::fill(|out| {
            out.copy_from_slice(ciphertext);
            key.open(binding.bytes(), out, tag.try_into().expect("16 of 48 bytes")).ok_or(())
        });
        Ok(opened.ok())
    }

    /// Whether the slot was probably made for this recipient: one in 2^32 others looks the same.
    pub(crate) fn is_hinted(&self, place: Place, recipient: &Recipient) -> bool {
        matches!(self.lock, SlotLock::Identity { hint: found, .. }
            if found == hint(place, self.id, recipient))
    }

    /// Tries an identity; `None` if this slot does not open with it.
    pub(crate) fn try_identity(&self, place: Place, identity: &Identity) -> Option<VaultKey> {
        let SlotLock::Identity { enc, sealed, .. } = &self.lock else { return None };
        let mut opened = identity.open(&identity_binding(place, self.id), enc, sealed)?;
        Some(VaultKey::from_bytes(&mut opened))
    }

    pub(crate) fn is_passphrase(&self) -> bool {
        matches!(self.lock, SlotLock::Passphrase { .. })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match &self.lock {
            SlotLock::Passphrase { kdf, salt, commitment, sealed } => {
                out.push(PASSPHRASE);
                out.extend_from_slice(&self.id);
                out.extend_from_slice(&kdf.bytes());
                out.extend_from_slice(salt);
                out.extend_from_slice(commitment);
                out.extend_from_slice(sealed);
            }
            SlotLock::Identity { hint, enc, sealed } => {
                out.push(IDENTITY);
                out.extend_from_slice(&self.id);
                out.extend_from_slice(hint);
                out.extend_from_slice(&enc[..]);
                out.extend_from_slice(sealed);
            }
        }
    }

    /// Reads one slot off the front of `bytes`.
    pub(crate) fn read(bytes: &mut &[u8]) -> Result<Self, SlotFault> {
        fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], SlotFault> {
            let (taken, rest) = bytes.split_first_chunk().ok_or(SlotFault::Malformed)?;
            *bytes = rest;
            Ok(*taken)
        }
        let [sort] = take(bytes)?;
        let id = take(bytes)?;
        let lock = match sort {
            PASSPHRASE => {
                let mut number = || take(bytes).map(u32::from_le_bytes);
                let kdf = Kdf::new(number()?, number()?, number()?).ok_or(SlotFault::KdfBounds)?;
                SlotLock::Passphrase {
                    kdf,
                    salt: take(bytes)?,
                    commitment: take(bytes)?,
                    sealed: take(bytes)?,
                }
            }
            IDENTITY => SlotLock::Identity {
                hint: take(bytes)?,
                enc: Box::new(take(bytes)?),
                sealed: take(bytes)?,
            },
            _ => return Err(SlotFault::Malformed),
        };
        Ok(Self { id, lock })
    }
}

/// Why bytes are no slot.
pub(crate) enum SlotFault {
    KdfBounds,
    Malformed,
}

fn passphrase_binding(place: Place, id: SlotId, kdf: &Kdf, salt: &[u8; 32]) -> Binding {
    placed("passphrase slot", place, id).part(&kdf.bytes()).part(salt)
}

fn identity_binding(place: Place, id: SlotId) -> Binding {
    placed("bulla/1 identity slot", place, id)
}

fn placed(label: &str, place: Place, id: SlotId) -> Binding {
    Binding::new(label)
        .part(&SUITE.to_le_bytes())
        .part(&place.vault_id)
        .part(&place.key_epoch.to_le_bytes())
        .part(&id)
}

/// Lets an identity find its slot without opening the others.
fn hint(place: Place, id: SlotId, recipient: &Recipient) -> [u8; 4] {
    let mac = hmac(recipient.bytes(), placed("bulla/1 hint", place, id).bytes());
    mac[..4].try_into().expect("4 of 32 bytes")
}
