//! The types that hold secrets.
//!
//! None of them can be printed, serialised, compared with `==` or cloned by accident: they have no
//! `Debug`, `Display`, `Serialize`, `PartialEq` or `Clone`. All of them are wiped when dropped.

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A secret value of any length, such as a client secret or a refresh token. It is bytes, not text.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over `bytes` without copying them; the buffer is wiped with the secret, spare capacity
    /// included.
    ///
    /// A buffer that was grown while it was filled has left copies behind that nobody wipes: fill
    /// one that was made large enough.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Copies `bytes` into a buffer of just that size.
    #[must_use]
    pub fn copied_from(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }

    /// The secret bytes themselves, for the one place that needs them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Whether both hold the same bytes, in time that depends on their lengths only.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// What a person types to open a slot: bytes as typed, neither trimmed nor normalised.
pub struct Passphrase(Secret);

impl Passphrase {
    /// The longest passphrase, in bytes: longer than anybody types, short enough to read from a
    /// pipe into one buffer.
    pub const MAX_LEN: usize = 4096;

    /// Takes over a passphrase of 1 to [`MAX_LEN`](Self::MAX_LEN) bytes, or returns `None`.
    #[must_use]
    pub fn new(secret: Secret) -> Option<Self> {
        (1..=Self::MAX_LEN).contains(&secret.expose().len()).then_some(Self(secret))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// Whether both are the same, for a prompt that asks twice.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.same_as(&other.0)
    }
}

/// Declares one 32-byte key type per purpose, so that keys cannot be mistaken for each other.
macro_rules! keys {
    ($($(#[$doc:meta])* $vis:vis $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Zeroize, ZeroizeOnDrop)]
        $vis struct $name([u8; 32]);

        impl $name {
            /// Lets `fill` write the key in place, so that no copy of it stays behind.
            pub(crate) fn fill<E>(
                fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>,
            ) -> Result<Self, E> {
                let mut key = Self([0; 32]);
                fill(&mut key.0)?;
                Ok(key)
            }

            pub(crate) fn bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }
    )*};
}

keys! {
    /// The vault key, root of everything; whoever has it has the vault. It never keys a cipher.
    pub(crate) VaultKey;
    /// Authenticates the head.
    pub(crate) HeadKey;
    /// Authenticates the keyring.
    pub(crate) KeyringKey;
    /// Turns names into entry ids.
    pub(crate) NameKey;
    /// Yields the one-time keys of records.
    pub(crate) DataKey;
    /// Keeps salts unpredictable should the system's randomness fail or repeat.
    pub(crate) HedgeKey;
    /// Yields the one-time key that seals the signing seed.
    pub(crate) SeedKey;
    /// Turns what a lock is about into the name that the store sees.
    pub(crate) LockKey;
    /// Authenticates receipts and what they tell of rendered files.
    pub(crate) ReceiptKey;
    /// What Argon2id makes of a passphrase.
    pub(crate) SlotKey;
}

impl VaultKey {
    /// Takes a vault key over from where it was unwrapped to, wiping that place.
    pub(crate) fn from_bytes(bytes: &mut [u8; 32]) -> Self {
        let key = Self(*bytes);
        bytes.zeroize();
        key
    }
}
