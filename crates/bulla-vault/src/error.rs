//! What can go wrong, sorted by who has to do something about it.

use crate::keyring::Pin;
use crate::name::InvalidName;
use crate::record::NoSuchField;
use crate::store::StoreError;

/// A part of a vault that can be found to be damaged or tampered with.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Part {
    /// A record's commitment does not belong to its key.
    Commitment,
    /// A record was sealed by us and says something that we never write.
    Content,
    /// The number of entries differs from what the head says.
    Count,
    /// A record's encoding is not the one form that we write.
    Encoding,
    /// The head record.
    Head,
    /// A kept earlier version is missing or is not the one that was kept.
    History,
    /// The keyring record.
    Keyring,
    /// The head vouches for another keyring than the one that is there.
    KeyringHash,
    /// A node of the tree is missing or is not the one that its parent vouches for.
    Node,
    /// A record's padding is not the one form that we write.
    Padding,
    /// A row is missing or is not the one that the tree vouches for.
    Row,
    /// The signature on the keyring.
    Signature,
    /// There is a row that the tree does not know.
    Stray,
    /// A record's authentication tag.
    Tag,
}

impl Part {
    /// A stable name in kebab case, as test vectors use it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commitment => "commitment",
            Self::Content => "content",
            Self::Count => "count",
            Self::Encoding => "encoding",
            Self::Head => "head",
            Self::History => "history",
            Self::Keyring => "keyring",
            Self::KeyringHash => "keyring-hash",
            Self::Node => "node",
            Self::Padding => "padding",
            Self::Row => "row",
            Self::Signature => "signature",
            Self::Stray => "stray",
            Self::Tag => "tag",
        }
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A vault cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A checksum is wrong, or what should be there is not: bit rot, truncation, another file.
    #[error("the vault is damaged ({0})")]
    Damaged(Part),
    /// This vault and the one that this client remembers went different ways from the same epoch.
    #[error(
        "the vault has forked: at epoch {epoch} it held something else when this client last saw it"
    )]
    Forked {
        /// The epoch that both have.
        epoch: u64,
    },
    /// A slot demands more or less of Argon2id than the bounds allow.
    #[error("a slot's key derivation parameters are out of bounds")]
    KdfBounds,
    /// No slot opens with what was given. A wrong passphrase, a slot that was altered and a vault
    /// of somebody else look the same.
    #[error("no slot of the vault opens with this key")]
    Locked,
    /// Not enough memory for Argon2id, or no thread.
    #[error("not enough memory or threads to derive the key")]
    OutOfMemory,
    /// The vault signs with another key than the expected one.
    #[error("the vault's pin is not the expected one: it is {found}")]
    OtherPin {
        /// The pin of the vault at hand.
        found: Pin,
    },
    /// The vault key was changed since this client learned it.
    #[error("the vault was rekeyed meanwhile")]
    Rekeyed,
    /// Somebody adopted a restored copy as the true vault since this client last saw it.
    #[error("the vault was restored from a backup since this client last saw it")]
    Restored,
    /// The vault is older than what this client has already seen.
    #[error(
        "the vault is an older state: it is at epoch {found}, and epoch {seen} was seen before"
    )]
    RolledBack {
        /// The epoch that this client has seen.
        seen: u64,
        /// The epoch of the vault at hand.
        found: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault is older than what the client was told to demand.
    #[error("the vault is too old: it is at epoch {found}, and at least {least} is demanded")]
    TooOld {
        /// The least epoch that was demanded.
        least: u64,
        /// The epoch of the vault at hand.
        found: u64,
    },
    /// A slot opened, and then something that only a holder of the vault key can write was wrong.
    #[error("the vault has been tampered with ({0})")]
    Tampered(Part),
    /// An identity opens the vault, but nothing says that it is the right vault.
    #[error("the vault's pin is unknown here: it is {found}")]
    UnknownPin {
        /// The pin of the vault at hand.
        found: Pin,
    },
    /// A later version of bulla made this.
    #[error("the vault has format {format}, suite {suite}, which this version does not know")]
    Unsupported {
        /// The format number found.
        format: u16,
        /// The suite number found.
        suite: u16,
    },
}

/// Something in an open vault cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A record has a schema that this version does not know.
    #[error("the entry was written by a newer version of bulla")]
    Newer,
    /// The vault changed hands, forked or was rolled back since it was opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is there is not what was written.
    #[error("the vault has been tampered with ({0})")]
    Tampered(Part),
}

/// A change to an open vault cannot be made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is an entry of that name already.
    #[error("there is an entry of that name already")]
    Exists,
    /// A name breaks a rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// There is no entry of that name.
    #[error("there is no such entry")]
    Missing,
    /// There is no such earlier version, or it is not kept any more.
    #[error("version {0} is not kept")]
    MissingVersion(u64),
    /// A kind of entry does not have a field called `password`.
    #[error(transparent)]
    NoSuchField(#[from] NoSuchField),
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
    /// What is there could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An entry is larger than 16 MiB, padding included.
    #[error("the entry is larger than 16 MiB")]
    TooLarge,
    /// The entry is not at the version that the caller built on.
    #[error("the entry is at version {found}, not {expected}")]
    VersionMoved {
        /// What the caller asked for.
        expected: u64,
        /// What is there; 0 if there is nothing.
        found: u64,
    },
}

impl From<StoreError> for WriteError {
    fn from(error: StoreError) -> Self {
        Self::Read(ReadError::Store(error))
    }
}

/// A slot, a keyring or an identity file cannot be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    NoRandomness,
    /// Not enough memory for Argon2id, or no thread.
    #[error("not enough memory or threads to derive the key")]
    OutOfMemory,
}

impl From<crate::random::NoRandomness> for SealError {
    fn from(_: crate::random::NoRandomness) -> Self {
        Self::NoRandomness
    }
}

impl From<crate::primitives::OutOfMemory> for SealError {
    fn from(_: crate::primitives::OutOfMemory) -> Self {
        Self::OutOfMemory
    }
}

impl From<crate::random::NoRandomness> for WriteError {
    fn from(_: crate::random::NoRandomness) -> Self {
        Self::NoRandomness
    }
}
