//! Identity files: lines of text, as age writes them.

use super::{Identity, ParseKeyError, ProtectedIdentity};
use crate::keyring::Pin;

/// What an identity file holds.
///
/// One key a line; blank lines and lines that begin with `#` are skipped, but for
/// `# bulla-pin: PIN`, which names a vault that its owner has checked.
pub struct IdentityFile {
    /// Keys that are ready to use.
    pub identities: Vec<Identity>,
    /// Keys that want a passphrase first.
    pub protected: Vec<ProtectedIdentity>,
    /// The pins of vaults that may be opened with these keys.
    pub pins: Vec<Pin>,
}

impl IdentityFile {
    /// The largest file worth reading, in bytes.
    pub const MAX_LEN: usize = 64 * 1024;

    /// Reads a whole file.
    ///
    /// # Errors
    /// The number of the first line that is neither a key nor a comment, and what is wrong with it;
    /// a file without any key is an error as well.
    pub fn parse(text: &str) -> Result<Self, IdentityFileError> {
        let mut file = Self { identities: Vec::new(), protected: Vec::new(), pins: Vec::new() };
        for (index, line) in text.lines().enumerate() {
            let at = |reason| IdentityFileError::Line { number: index + 1, reason };
            let line = line.trim();
            if let Some(comment) = line.strip_prefix('#') {
                if let Some(pin) = comment.trim().strip_prefix("bulla-pin:") {
                    file.pins.push(
                        Pin::parse(pin.trim())
                            .ok_or(IdentityFileError::Pin { number: index + 1 })?,
                    );
                }
            } else if ProtectedIdentity::looks_like(line) {
                file.protected.push(ProtectedIdentity::parse(line).map_err(at)?);
            } else if !line.is_empty() {
                file.identities.push(Identity::parse(line).map_err(at)?);
            }
        }
        if file.identities.is_empty() && file.protected.is_empty() {
            return Err(IdentityFileError::Empty);
        }
        Ok(file)
    }
}

/// A file is not an identity file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityFileError {
    /// No line holds a key.
    #[error("the identity file holds no key")]
    Empty,
    /// A line is no key that we can use.
    #[error("line {number} of the identity file: {reason}")]
    Line {
        /// Counted from 1.
        number: usize,
        /// What is wrong with the line.
        reason: ParseKeyError,
    },
    /// The pin of a `# bulla-pin:` line is mistyped.
    #[error("line {number} of the identity file: the pin is mistyped")]
    Pin {
        /// Counted from 1.
        number: usize,
    },
}
