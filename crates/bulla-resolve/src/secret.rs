//! Secret bytes: wiped when dropped, and never printed, compared or copied by accident.

use zeroize::{Zeroize, Zeroizing};

/// A secret value of any length: bytes, not text.
///
/// It has no `Debug`, `Display`, `PartialEq` or `Clone`, so that no log line, error or assertion can
/// show what is in it.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over `bytes` without copying them; the buffer is wiped with the secret.
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
}

/// A secret that is being written. Where it has to grow, the smaller buffer is wiped.
#[derive(Default)]
pub(crate) struct Draft(Zeroizing<Vec<u8>>);

impl Draft {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(capacity)))
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.max(2 * self.0.capacity()));
            larger.extend_from_slice(&self.0);
            self.0.zeroize();
            self.0 = Zeroizing::new(larger);
        }
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn finish(self) -> Secret {
        Secret(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_keeps_what_it_was_given_as_it_grows() {
        let mut draft = Draft::default();
        for n in 0..=255u8 {
            draft.push(&[n]);
        }
        assert_eq!(draft.len(), 256);
        assert!(draft.finish().expose().iter().copied().eq(0..=255));
    }
}
