//! What each error of the libraries means for the user: exit code, stable name, and the way out.

mod oauth;
mod resolve;

use bulla_vault::store::StoreError;
use bulla_vault::{InvalidName, OpenError, ReadError, SealError, SlotError, WriteError};

use crate::failure::{Exit, Failure};

pub(crate) use resolve::{RENDER_THE_CHART, exit_of, set_command};

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let of = |exit, code| Self::new(exit, code, &error);
        match error {
            StoreError::Busy => of(Exit::Conflict, "busy")
                .hint("wait for the other process, or see who it is with `fuser`"),
            StoreError::Damaged { .. } => of(Exit::Tampered, "damaged").hint(RESTORE),
            StoreError::Disk { .. } => of(Exit::Failed, "store").hint(
                "look for it in the system's log: a disk that breaks, a quota or a limit on files that is used up, a file system that was made read-only; what was acknowledged before is safe",
            ),
            StoreError::Exists => of(Exit::Conflict, "exists").hint(
                "a file of that name is there, or what a vault of that name left; look at it before you move it away",
            ),
            StoreError::Full => {
                of(Exit::Failed, "disk-full").hint("nothing was changed; make room and try again")
            }
            StoreError::NotFound => of(Exit::Missing, "no-vault")
                .hint("`bulla init` makes one; --vault or BULLA_VAULT says where it is"),
            StoreError::Poisoned => of(Exit::Failed, "store").hint(
                "the disk failed; what was acknowledged before is safe, so look at the disk and try again",
            ),
            StoreError::Replaced => of(Exit::Conflict, "replaced").hint("try again with the vault that is there now"),
            StoreError::ReadOnly => of(Exit::Failed, "read-only")
                .hint("the file, its folder or the file system is read-only for this user"),
            StoreError::Unsafe { what } => {
                let failure = of(Exit::Failed, "unsafe-place");
                match unsafe_place(what) {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
            }
            _ => of(Exit::Failed, "store")
                .hint("`bulla doctor` looks at the vault and at what lies around it"),
        }
    }
}

/// What makes a place fit again. It is told by what bulla-sqlite says of it; the cases hold the two
/// together.
fn unsafe_place(what: &str) -> Option<&'static str> {
    let hint = match what {
        "others than its owner can write in the folder of the vault" => {
            "`chmod go-w` on that folder keeps them out; a folder of its own is best"
        }
        "the folder of the vault is another user's" => {
            "keep the vault in a folder of your own, which nobody else can write in"
        }
        "others than its owner can read or write the vault" => {
            "`chmod 600` on the file keeps them out; it is sealed, so who has read it knows no secret"
        }
        "the vault is another user's" => "run this as the user whose vault it is",
        "the vault is a symbolic link" => "give the path that it leads to",
        "the vault is not a regular file" => "--vault or BULLA_VAULT names the vault's file itself",
        "the vault has a second name (a hard link)" => {
            "remove the other name: what is written by one of them is not seen by the other"
        }
        "a rollback journal lies beside the vault" => {
            "bulla never makes one; find out who did, and move the file that ends in `-journal` away"
        }
        "the vault was not closed or is in use, and cannot be written here" => {
            "open it once where it can be written (`bulla ls`), or copy it with `bulla backup create` there"
        }
        "the vault lies on a network file system" => {
            "--allow-network-fs uses it all the same; that is safe as long as only one machine does"
        }
        "a lock beside the vault is not a regular file" => {
            "look at what lies in the folder that ends in `-locks`; bulla makes empty files there"
        }
        _ => return None,
    };
    Some(hint)
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
                .hint("the passphrase's slot was made on a larger machine, or a limit on processes is too low here; use an identity"),
            OpenError::OtherPin { .. } => of(Exit::Tampered, "other-pin").hint(
                "the vault changed its key when a slot was removed, or it is another vault; ask its owner for the pin",
            ),
            // What was given opens the vault, or did a moment ago: somebody else was faster.
            OpenError::Rekeyed => of(Exit::Conflict, "rekeyed").hint("run the command again"),
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
            OpenError::TooOld { .. } => of(Exit::Tampered, "too-old").hint(
                "--min-epoch or BULLA_MIN_EPOCH demands it; this may be an old copy: get the newest vault",
            ),
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
            WriteError::Exists => of(Exit::Conflict, "exists")
                .hint("choose another name, or `bulla rm` the entry that has it"),
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
            SlotError::Exists => of(Exit::Conflict, "slot-exists")
                .hint("give it another label; `bulla slot ls` lists those in use"),
            SlotError::Full => {
                of(Exit::Conflict, "slots-full").hint("remove a slot that nobody needs any more")
            }
            SlotError::InUse => of(Exit::Conflict, "slot-in-use")
                .hint("open the vault with another slot to remove this one"),
            SlotError::Label => of(Exit::Usage, "label"),
            SlotError::Missing => of(Exit::Missing, "no-slot").hint("`bulla slot ls` lists them"),
            SlotError::NoPassphrase => of(Exit::Failed, "no-passphrase")
                .hint("an identity opens it; `bulla identity new` makes another one"),
            SlotError::SameRecipient(_) => of(Exit::Conflict, "same-recipient").hint(
                "nothing was changed; to give the slot another label, `bulla slot rm` it first",
            ),
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
