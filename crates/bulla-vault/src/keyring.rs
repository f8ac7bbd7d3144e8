//! The keyring: slots, and the key by which a vault is recognised.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::bind::Binding;
use crate::error::Part;
use crate::head::check_start;
use crate::identity::Identity;
use crate::keys::Keys;
use crate::primitives::{hmac, random, sha256, tags_equal};
use crate::random::Random;
use crate::record::SlotId;
use crate::sealed;
use crate::secret::{Passphrase, VaultKey};
use crate::slot::{Place, Slot, SlotFault};
use crate::{FORMAT, OpenError, ReadError, SUITE, SealError};

const MAGIC: &[u8; 8] = b"bulla-kr";
const MAX_LEN: usize = 64 * 1024;
/// The most slots a vault can have.
pub(crate) const MAX_SLOTS: usize = 32;
/// The most of them that can be passphrases: trying each takes a whole Argon2id.
pub(crate) const MAX_PASSPHRASES: usize = 8;

const SEED_AT: usize = 68;
const SEED_LEN: usize = 32 + sealed::OVERHEAD;
const SLOTS_AT: usize = SEED_AT + SEED_LEN;
const TAIL_LEN: usize = 32 + 32 + 64;

/// SHA-256 of a vault's public signing key. It is not a secret: it tells a true vault from one that
/// somebody else made.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Pin([u8; 32]);

impl Pin {
    /// Reads 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut pin = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in pin.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |d: u8| char::from(d).to_digit(16);
            *byte = u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()?;
        }
        Some(Self(pin))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A keyring that was just written.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    pub(crate) pin: Pin,
}

impl Written {
    pub(crate) fn hash(&self) -> [u8; 32] {
        sha256(&self.bytes)
    }
}

/// A keyring as it was read: well-formed, but not yet known to be true.
pub(crate) struct Keyring {
    pub(crate) place: Place,
    pub(crate) slots: Vec<Slot>,
    public_key: [u8; 32],
    bytes: Vec<u8>,
}

impl Keyring {
    /// Writes a keyring, authenticated and signed.
    pub(crate) fn write(
        place: Place,
        keys: &Keys,
        signing: &SigningKey,
        slots: &[Slot],
        source: &dyn Random,
    ) -> Result<Written, SealError> {
        let public_key = signing.verifying_key().to_bytes();
        let mut bytes = Vec::with_capacity(4096);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&SUITE.to_le_bytes());
        let mut slot_bytes = Vec::new();
        slots.iter().for_each(|slot| slot.write(&mut slot_bytes));
        let len = SLOTS_AT + 1 + slot_bytes.len() + TAIL_LEN;
        let len = u32::try_from(len).expect("32 slots are far below 4 GiB");
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&place.vault_id);
        bytes.extend_from_slice(&place.key_epoch.to_le_bytes());
        bytes.extend_from_slice(&public_key);
        let binding = seed_binding(place, &public_key);
        let seed = signing.as_bytes();
        sealed::seal(keys.seed.bytes(), &keys.hedge, &binding, seed, source, &mut bytes)?;
        bytes.push(u8::try_from(slots.len()).expect("at most 32 slots"));
        bytes.extend_from_slice(&slot_bytes);
        let checksum = sha256(&bytes);
        bytes.extend_from_slice(&checksum);
        let mac = hmac(keys.keyring.bytes(), &bytes);
        bytes.extend_from_slice(&mac);
        let signature = signing.sign(signed(&bytes).bytes());
        bytes.extend_from_slice(&signature.to_bytes());
        Ok(Written { bytes, pin: Pin(sha256(&public_key)) })
    }

    /// Reads a keyring: first what it is, then its checksum, then within the caps.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Self, OpenError> {
        const DAMAGED: OpenError = OpenError::Damaged(Part::Keyring);
        check_start(&bytes, MAGIC, Part::Keyring)?;
        if !(SLOTS_AT + 1 + TAIL_LEN..=MAX_LEN).contains(&bytes.len()) {
            return Err(DAMAGED);
        }
        let (body, tail) = bytes.split_at(bytes.len() - TAIL_LEN);
        if sha256(body) != tail[..32] {
            return Err(DAMAGED);
        }
        fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
            bytes[at..at + N].try_into().expect("the length was checked")
        }
        if u32::from_le_bytes(array(&bytes, 12)) as usize != bytes.len() {
            return Err(DAMAGED);
        }
        let place =
            Place { vault_id: array(&bytes, 16), key_epoch: u32::from_le_bytes(array(&bytes, 32)) };
        let public_key = array(&bytes, 36);
        let mut rest = &body[SLOTS_AT + 1..];
        let mut slots: Vec<Slot> = Vec::new();
        for _ in 0..body[SLOTS_AT] {
            let slot = Slot::read(&mut rest).map_err(|fault| match fault {
                SlotFault::KdfBounds => OpenError::KdfBounds,
                SlotFault::Malformed => DAMAGED,
            })?;
            if slots.iter().any(|other| other.id == slot.id) {
                return Err(DAMAGED);
            }
            slots.push(slot);
        }
        let passphrases = slots.iter().filter(|slot| slot.is_passphrase()).count();
        let within = (1..=MAX_SLOTS).contains(&slots.len()) && passphrases <= MAX_PASSPHRASES;
        if !rest.is_empty() || !within {
            return Err(DAMAGED);
        }
        Ok(Self { place, slots, public_key, bytes })
    }

    /// Tries the passphrase slots, the one that `first` names before the others.
    pub(crate) fn open_by_passphrase(
        &self,
        passphrase: &Passphrase,
        first: Option<SlotId>,
    ) -> Result<(SlotId, VaultKey), OpenError> {
        let mut slots: Vec<_> = self.slots.iter().filter(|slot| slot.is_passphrase()).collect();
        slots.sort_by_key(|slot| Some(slot.id) != first);
        for slot in slots {
            if let Some(key) = slot.try_passphrase(self.place, passphrase)? {
                return Ok((slot.id, key));
            }
        }
        Err(OpenError::Locked)
    }

    /// Tries the identity slots, those that are hinted to be ours before the others.
    pub(crate) fn open_by_identities(
        &self,
        identities: &[Identity],
    ) -> Result<(SlotId, VaultKey), OpenError> {
        // A hint costs an expansion of the identity's keys, so there has to be something to choose.
        if let ([identity], [slot]) = (identities, &self.slots[..]) {
            let key = slot.try_identity(self.place, identity).ok_or(OpenError::Locked)?;
            return Ok((slot.id, key));
        }
        let mut pairs: Vec<_> = identities
            .iter()
            .flat_map(|identity| {
                let recipient = identity.recipient();
                self.slots
                    .iter()
                    .map(move |slot| (!slot.is_hinted(self.place, &recipient), slot, identity))
            })
            .collect();
        pairs.sort_by_key(|(unlikely, ..)| *unlikely);
        for (_, slot, identity) in pairs {
            if let Some(key) = slot.try_identity(self.place, identity) {
                return Ok((slot.id, key));
            }
        }
        Err(OpenError::Locked)
    }

    /// Checks that a holder of the vault key wrote this, and that the vault's own key signed it.
    pub(crate) fn verify(&self, keys: &Keys) -> Result<(), OpenError> {
        let (authenticated, tail) = self.bytes.split_at(self.bytes.len() - 32 - 64);
        let (mac, signature) = tail.split_at(32);
        if !tags_equal(&hmac(keys.keyring.bytes(), authenticated), mac) {
            return Err(OpenError::Tampered(Part::Keyring));
        }
        let message = signed(&self.bytes[..self.bytes.len() - 64]);
        let signature = Signature::from_bytes(signature.try_into().expect("64 bytes at the end"));
        VerifyingKey::from_bytes(&self.public_key)
            .and_then(|key| key.verify_strict(message.bytes(), &signature))
            .map_err(|_| OpenError::Tampered(Part::Signature))
    }

    /// The key that signs this vault's keyrings.
    pub(crate) fn signing_key(&self, keys: &Keys) -> Result<SigningKey, ReadError> {
        let binding = seed_binding(self.place, &self.public_key);
        let seed =
            sealed::open(keys.seed.bytes(), &binding, &self.bytes[SEED_AT..SEED_AT + SEED_LEN])
                .map_err(ReadError::Tampered)?;
        let seed: &[u8; 32] =
            seed.as_slice().try_into().map_err(|_| ReadError::Tampered(Part::Keyring))?;
        let key = SigningKey::from_bytes(seed);
        if key.verifying_key().to_bytes() == self.public_key {
            Ok(key)
        } else {
            Err(ReadError::Tampered(Part::Keyring))
        }
    }

    pub(crate) fn pin(&self) -> Pin {
        Pin(sha256(&self.public_key))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        sha256(&self.bytes)
    }
}

/// Makes a new signing key.
pub(crate) fn generate_signing_key(source: &dyn Random) -> Result<SigningKey, SealError> {
    let seed = zeroize::Zeroizing::new(random::<32>(source)?);
    Ok(SigningKey::from_bytes(&seed))
}

fn seed_binding(place: Place, public_key: &[u8; 32]) -> Binding {
    Binding::new("signing seed")
        .part(&SUITE.to_le_bytes())
        .part(&place.vault_id)
        .part(&place.key_epoch.to_le_bytes())
        .part(public_key)
}

/// What is signed: the label keeps keyrings apart from anything else that this key may sign.
fn signed(bytes: &[u8]) -> Binding {
    Binding::new("bulla/1 signed keyring").part(bytes)
}
