//! Every environment variable that bulla reads.

/// Path of the vault.
pub(crate) const VAULT: &str = "BULLA_VAULT";
/// Path of a file that holds the passphrase.
pub(crate) const PASSPHRASE_FILE: &str = "BULLA_PASSPHRASE_FILE";
/// Path of an identity file.
pub(crate) const IDENTITY_FILE: &str = "BULLA_IDENTITY_FILE";
/// The pin that the vault has to have.
pub(crate) const PIN: &str = "BULLA_PIN";
/// The least epoch that the vault has to be at.
pub(crate) const MIN_EPOCH: &str = "BULLA_MIN_EPOCH";
/// Where systemd puts a service's credentials; one named `bulla-identity` is an identity file.
pub(crate) const CREDENTIALS_DIRECTORY: &str = "CREDENTIALS_DIRECTORY";
/// The user's home, from which the next three have their defaults.
pub(crate) const HOME: &str = "HOME";
/// Where the default vault lies: `bulla/vault.bulla` in it.
pub(crate) const XDG_DATA_HOME: &str = "XDG_DATA_HOME";
/// Where the default identity lies: `bulla/identity` in it.
pub(crate) const XDG_CONFIG_HOME: &str = "XDG_CONFIG_HOME";
/// Where bulla remembers the newest state of each vault: `bulla/memory` in it.
pub(crate) const XDG_STATE_HOME: &str = "XDG_STATE_HOME";
