//! Secret bytes: wiped when dropped, and never printed, compared or copied by accident.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret value: a token, a client secret, the body of a request that holds one.
///
/// It has no `Debug`, `Display`, `PartialEq` or `Clone`, so that no log line, error or assertion can
/// show what is in it.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over `bytes` without copying them; the buffer is wiped with the secret.
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

    /// Whether both are the same, in a time that tells nothing about where they differ.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Whether both are there and the same, or neither is there.
    #[must_use]
    pub fn are_same(a: Option<&Self>, b: Option<&Self>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => a.same_as(b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    /// A second copy, made on purpose.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::copied_from(&self.0)
    }

    /// The secret as text. What this crate makes secrets of has been checked to be ASCII; what
    /// comes from elsewhere may not be.
    pub(crate) fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}
