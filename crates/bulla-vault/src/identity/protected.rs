//! An identity at rest under a passphrase of its own.

use zeroize::Zeroizing;

use super::{Identity, ParseKeyError, decode, encode_upper};
use crate::bind::Binding;
use crate::kdf::Kdf;
use crate::keys::{Commitment, slot_keys};
use crate::primitives::{random, tags_equal};
use crate::random::Random;
use crate::secret::Passphrase;
use crate::{OpenError, SealError};

const HRP: &str = "bulla-protected-identity-";
const LEN: usize = 12 + 32 + 32 + 48;

/// `BULLA-PROTECTED-IDENTITY-1...`: an identity sealed as the vault key is sealed in a passphrase
/// slot, for a file on a person's machine.
pub struct ProtectedIdentity {
    kdf: Kdf,
    salt: [u8; 32],
    commitment: Commitment,
    sealed: [u8; 48],
}

impl ProtectedIdentity {
    /// Seals `identity` under `passphrase`.
    ///
    /// # Errors
    /// If there is no randomness or not enough memory for `kdf`.
    pub fn seal(
        identity: &Identity,
        passphrase: &Passphrase,
        kdf: Kdf,
        source: &dyn Random,
    ) -> Result<Self, SealError> {
        let salt = random(source)?;
        let binding = binding(&kdf, &salt);
        let (key, commitment) = slot_keys(&kdf.slot_key(passphrase, &salt)?, &binding);
        let mut sealed = [0; 48];
        sealed[..32].copy_from_slice(&identity.0);
        let tag = key.seal(binding.bytes(), &mut sealed[..32]);
        sealed[32..].copy_from_slice(&tag);
        Ok(Self { kdf, salt, commitment, sealed })
    }

    /// Opens it again.
    ///
    /// # Errors
    /// [`OpenError::Locked`] for a wrong passphrase and for anything else that makes it fail.
    pub fn open(&self, passphrase: &Passphrase) -> Result<Identity, OpenError> {
        let binding = binding(&self.kdf, &self.salt);
        let key = self.kdf.slot_key(passphrase, &self.salt).map_err(|_| OpenError::OutOfMemory)?;
        let (key, commitment) = slot_keys(&key, &binding);
        if !tags_equal(&commitment, &self.commitment) {
            return Err(OpenError::Locked);
        }
        let mut identity = Identity([0; 32]);
        identity.0.copy_from_slice(&self.sealed[..32]);
        let tag = self.sealed[32..].try_into().expect("16 of 48 bytes");
        key.open(binding.bytes(), &mut identity.0, &tag).ok_or(OpenError::Locked)?;
        Ok(identity)
    }

    pub(super) fn looks_like(text: &str) -> bool {
        text.get(..HRP.len()).is_some_and(|start| start.eq_ignore_ascii_case(HRP))
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// If it is mistyped, or demands more or less of Argon2id than the bounds allow.
    pub fn parse(text: &str) -> Result<Self, ParseKeyError> {
        let mut bytes = Zeroizing::new([0; LEN]);
        decode(HRP, text, &mut bytes[..])?;
        let word = |at: usize| {
            u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes within the array"))
        };
        let kdf = Kdf::new(word(0), word(4), word(8)).ok_or(ParseKeyError::KdfBounds)?;
        Ok(Self {
            kdf,
            salt: bytes[12..44].try_into().expect("32 bytes within the array"),
            commitment: bytes[44..76].try_into().expect("32 bytes within the array"),
            sealed: bytes[76..].try_into().expect("48 bytes within the array"),
        })
    }

    /// The text form; it can be stored like any file that holds a sealed secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(&self.kdf.bytes());
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.commitment);
        bytes.extend_from_slice(&self.sealed);
        encode_upper(HRP, &bytes)
    }
}

fn binding(kdf: &Kdf, salt: &[u8; 32]) -> Binding {
    Binding::new("protected identity")
        .part(&crate::SUITE.to_le_bytes())
        .part(&kdf.bytes())
        .part(salt)
}
