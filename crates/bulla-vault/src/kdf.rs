//! What a passphrase costs: Argon2id parameters and their bounds.

use crate::SealError;
use crate::primitives::{OutOfMemory, argon2id};
use crate::secret::{Passphrase, SlotKey};

/// Argon2id parameters within the bounds of format 1 (RFC 9106).
///
/// The same bounds hold for making and for opening, so that nothing is ever made that cannot be
/// opened, and so that a hostile file can neither exhaust the machine nor weaken a passphrase.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kdf {
    m_kib: u32,
    t: u32,
    p: u32,
}

impl Kdf {
    /// The second choice of RFC 9106 section 4: 64 MiB, 3 passes, 4 lanes. The first choice wants
    /// 2 GiB, which is more than a small deploy host can give.
    pub const DEFAULT: Self = Self { m_kib: 64 * 1024, t: 3, p: 4 };

    /// `m_kib` KiB of memory, `t` passes, `p` lanes; `None` outside the bounds: 19 MiB to 1 GiB with
    /// 2 to 16 passes, or 46 MiB to 1 GiB with one; 1 to 16 lanes. The lower ends are the least that
    /// the OWASP cheat sheet on password storage accepts.
    #[must_use]
    pub fn new(m_kib: u32, t: u32, p: u32) -> Option<Self> {
        let least = if t == 1 { 46 * 1024 } else { 19 * 1024 };
        let fits = (least..=1024 * 1024).contains(&m_kib)
            && (1..=16).contains(&t)
            && (1..=16).contains(&p);
        fits.then_some(Self { m_kib, t, p })
    }

    /// Memory in KiB, passes, lanes.
    #[must_use]
    pub fn costs(&self) -> (u32, u32, u32) {
        (self.m_kib, self.t, self.p)
    }

    /// Does the work of one try, on nothing, for whoever wants to know how long it takes.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn rehearse(&self) -> Result<(), SealError> {
        let mut key = [0; 32];
        Ok(argon2id(b"rehearsal", &[0; 32], self.m_kib, self.t, self.p, &mut key)?)
    }

    /// `m | t | p`, each a `u32`, as they stand in slots and bindings.
    pub(crate) fn bytes(&self) -> [u8; 12] {
        let mut bytes = [0; 12];
        for (place, number) in bytes.chunks_exact_mut(4).zip([self.m_kib, self.t, self.p]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    pub(crate) fn slot_key(
        &self,
        passphrase: &Passphrase,
        salt: &[u8; 32],
    ) -> Result<SlotKey, OutOfMemory> {
        SlotKey::fill(|out| argon2id(passphrase.expose(), salt, self.m_kib, self.t, self.p, out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_those_of_the_format() {
        for (m, t, p, fits) in [
            (19 * 1024, 2, 1, true),
            (19 * 1024 - 1, 2, 1, false),
            (19 * 1024, 1, 1, false),
            (46 * 1024, 1, 1, true),
            (46 * 1024 - 1, 1, 1, false),
            (1024 * 1024, 16, 16, true),
            (1024 * 1024 + 1, 2, 1, false),
            (64 * 1024, 17, 4, false),
            (64 * 1024, 0, 4, false),
            (64 * 1024, 3, 0, false),
            (64 * 1024, 3, 17, false),
            (u32::MAX, u32::MAX, u32::MAX, false),
        ] {
            assert_eq!(Kdf::new(m, t, p).is_some(), fits, "{m} {t} {p}");
        }
        let (m, t, p) = Kdf::DEFAULT.costs();
        assert!(Kdf::new(m, t, p).is_some());
    }
}
