//! What each error of the libraries means for the user: exit code, stable name, and the way out.

use bulla_vault::store::StoreError;
use bulla_vault::{InvalidName, OpenError, ReadError, SealError, SlotError, WriteError};

use crate::failure::{Exit, Failure};

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let of = |exit, code| Self::new(exit, code, &error);
        match error {
            StoreError::Busy => of(Exit::Conflict, "busy")
                .hint("wait for the other process, or see who it is with `fuser`"),
            StoreError::Damaged { .. } => of(Exit::Tampered, "damaged").hint(RESTORE),
            StoreError::Exists => of(Exit::Conflict, "exists"),
            StoreError::Full => {
                of(Exit::Failed, "disk-full").hint("nothing was changed; make room and try again")
            }
            StoreError::NotFound => of(Exit::Missing, "no-vault")
                .hint("`bulla init` makes one; --vault or BULLA_VAULT says where it is"),
            StoreError::Poisoned => of(Exit::Failed, "store").hint(
                "the disk failed; what was acknowledged before is safe, so look at the disk and try again",
            ),
            StoreError::Replaced => of(Exit::Conflict, "replaced").hint("try again with the vault that is there now"),
            StoreError::ReadOnly => of(Exit::Failed, "read-only"),
            StoreError::Unsafe { .. } => of(Exit::Failed, "unsafe-place"),
            _ => of(Exit::Failed, "store"),
        }
    }
}

const RESTORE: &str = "`bulla backup restore` brings a backup back; `bulla doctor` looks closer";

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let of = |exit, code| Self::new(exit, code, &error);
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::Damaged(_) => of(Exit::Tampered, "damaged").hint(RESTORE),
            OpenError::Forked { .. } => of(Exit::Tampered, "forked").hint(
                "two copies of the vault were written to; find out which one is true, then `bulla backup adopt` it",
            ),
            OpenError::KdfBounds => of(Exit::Tampered, "kdf-bounds")
                .hint("nobody can have made such a slot with bulla; restore a backup"),
            OpenError::Locked => of(Exit::Locked, "locked")
                .hint("the passphrase or identity is wrong, or it has no slot in this vault"),
            OpenError::OutOfMemory => of(Exit::Failed, "out-of-memory")
                .hint("the passphrase's slot was made on a larger machine; use an identity here"),
            OpenError::OtherPin { .. } => of(Exit::Tampered, "other-pin").hint(
                "the vault changed its key when a slot was removed, or it is another vault; ask its owner for the pin",
            ),
            OpenError::Rekeyed => of(Exit::Locked, "rekeyed").hint("open it again"),
            OpenError::Restored => of(Exit::Tampered, "restored")
                .hint("if that is right, `bulla backup adopt` makes this client accept it"),
            OpenError::RolledBack { .. } => of(Exit::Tampered, "rolled-back").hint(
                "if a backup was restored on purpose, `bulla backup adopt` makes it the true state; --accept-rollback reads it once",
            ),
            OpenError::Tampered(_) => of(Exit::Tampered, "tampered").hint(
                "somebody without a key wrote to the vault, or it is damaged; keep this copy and restore a backup",
            ),
            OpenError::UnknownPin { .. } => of(Exit::Locked, "unknown-pin")
                .hint("ask the vault's owner for its pin and give it as --pin, BULLA_PIN or in a `# bulla-pin:` line"),
            OpenError::Unsupported { .. } => of(Exit::Failed, "unsupported").hint("install a newer bulla"),
            _ => of(Exit::Failed, "open"),
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => error.into(),
            ReadError::Open(error) => error.into(),
            ReadError::Tampered(part) => OpenError::Tampered(part).into(),
            ReadError::Newer => {
                Self::new(Exit::Failed, "newer", &error).hint("install a newer bulla")
            }
            _ => Self::new(Exit::Failed, "read", &error),
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let of = |exit, code| Self::new(exit, code, &error);
        match error {
            WriteError::Read(error) => error.into(),
            WriteError::Exists => of(Exit::Conflict, "exists"),
            WriteError::Name(_) => of(Exit::Usage, "name"),
            WriteError::Missing => of(Exit::Missing, "missing"),
            WriteError::MissingVersion(_) => {
                of(Exit::Missing, "missing-version").hint("`bulla log ENTRY` lists the versions")
            }
            WriteError::NoSuchField(_) => of(Exit::Usage, "no-such-field").hint(
                "an oauth-client has a `client-secret`, a mailbox a `refresh-token`; a plain password is an entry of kind `secret`",
            ),
            WriteError::VersionMoved { .. } => of(Exit::Conflict, "version-moved")
                .hint("somebody else wrote it meanwhile; look at it and try again"),
            _ => of(Exit::Failed, "write"),
        }
    }
}

impl From<SlotError> for Failure {
    fn from(error: SlotError) -> Self {
        let of = |exit, code| Self::new(exit, code, &error);
        match error {
            SlotError::Write(error) => error.into(),
            SlotError::Exists => of(Exit::Conflict, "slot-exists"),
            SlotError::Full => {
                of(Exit::Conflict, "slots-full").hint("remove a slot that nobody needs any more")
            }
            SlotError::InUse => of(Exit::Conflict, "slot-in-use")
                .hint("open the vault with another slot to remove this one"),
            SlotError::Label => of(Exit::Usage, "label"),
            SlotError::Missing => of(Exit::Missing, "no-slot").hint("`bulla slot ls` lists them"),
            SlotError::NoPassphrase => of(Exit::Failed, "no-passphrase"),
            _ => of(Exit::Failed, "slot"),
        }
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        Self::new(Exit::Failed, "seal", &error)
    }
}

impl From<InvalidName> for Failure {
    fn from(error: InvalidName) -> Self {
        Self::new(Exit::Usage, "name", error)
    }
}
