//! The kernel's session keyring, where `unlock` keeps a vault key for a while.
//!
//! Nothing ever falls back to a file: where the kernel or a container refuses keyrings, that is an
//! error. The key is a `user` key that only its possessor can read, with a time-out; it ends with
//! the login session at the latest.

use bulla_vault::{OpenedKey, VaultId};

use crate::failure::{Exit, Failure};

#[cfg(target_os = "linux")]
mod linux {
    use super::{Failure, OpenedKey, VaultId, refused};
    use linux_keyutils::{KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission};
    use zeroize::Zeroizing;

    /// Keeps `key` for `seconds`.
    pub(crate) fn keep(vault: &VaultId, key: &OpenedKey, seconds: usize) -> Result<(), Failure> {
        let permissions = KeyPermissionsBuilder::builder()
            .posessor(Permission::ALL)
            .user(Permission::VIEW)
            .build();
        // It is made where only this process sees it, so that whatever happens on the way it never
        // stays longer than asked for, or open to others.
        let kept = ring().and_then(|session| {
            let own = KeyRing::from_special_id(KeyRingIdentifier::Process, true)?;
            let kept = own.add_key(&description(vault), &key.expose())?;
            kept.set_perms(permissions)?;
            kept.set_timeout(seconds)?;
            session.link_key(kept)
        });
        kept.map_err(refused)
    }

    /// The key that is kept for this vault, if there is one.
    pub(crate) fn find(vault: &VaultId) -> Option<OpenedKey> {
        let key = ring().and_then(|ring| ring.search(&description(vault))).ok()?;
        let mut bytes = Zeroizing::new([0; 256]);
        let length = key.read(&mut *bytes).ok()?;
        OpenedKey::from_bytes(bytes.get(..length)?)
    }

    /// Forgets the key of this vault; tells whether there was one.
    pub(crate) fn forget(vault: &VaultId) -> Result<bool, Failure> {
        match ring().and_then(|ring| ring.search(&description(vault))) {
            Ok(key) => key.invalidate().map(|()| true).map_err(refused),
            Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => {
                Ok(false)
            }
            Err(error) => Err(refused(error)),
        }
    }

    /// Whether keys can be kept at all: tried with one that is worth nothing.
    pub(crate) fn works() -> bool {
        let tried = ring().and_then(|ring| ring.add_key("bulla:probe", b"probe"));
        tried.and_then(|key| key.invalidate()).is_ok()
    }

    /// The session's keyring, or the user's default one where no login made a session. Not to be
    /// created: a new one would end with this process.
    fn ring() -> Result<KeyRing, KeyError> {
        KeyRing::from_special_id(KeyRingIdentifier::Session, false)
    }

    fn description(vault: &VaultId) -> String {
        format!("bulla:{}", crate::printer::hex(vault))
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{find, forget, keep, works};

#[cfg(not(target_os = "linux"))]
mod other {
    use super::{Failure, OpenedKey, VaultId, refused};

    pub(crate) fn keep(_: &VaultId, _: &OpenedKey, _: usize) -> Result<(), Failure> {
        Err(refused("this system has none"))
    }

    pub(crate) fn find(_: &VaultId) -> Option<OpenedKey> {
        None
    }

    pub(crate) fn forget(_: &VaultId) -> Result<bool, Failure> {
        Ok(false)
    }

    pub(crate) fn works() -> bool {
        false
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) use other::{find, forget, keep, works};

fn refused(error: impl std::fmt::Debug) -> Failure {
    let fact = format!("the kernel keeps no keys for this session ({error:?})");
    Failure::new(Exit::Failed, "kernel-keyring", fact).hint(
        "containers often forbid it; give the passphrase or an identity to each command instead",
    )
}
