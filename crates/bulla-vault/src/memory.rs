//! What a client remembers of a vault, to notice when it is shown an older state.

use std::fmt::Write as _;

use crate::OpenError;
use crate::head::Head;
use crate::keyring::Pin;
use crate::keys::VaultId;
use crate::record::SlotId;

/// The newest state of a vault that this client has seen. It holds no secret.
///
/// The client keeps it wherever it likes, hands it in when it opens the vault and saves it
/// afterwards if it [grew](Self::grew_from).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Remembered {
    pub(crate) vault_id: VaultId,
    pub(crate) incarnation: [u8; 16],
    pub(crate) epoch: u64,
    pub(crate) root: [u8; 32],
    pub(crate) key_epoch: u32,
    pub(crate) pin: Pin,
    pub(crate) last_slot: SlotId,
}

impl Remembered {
    pub(crate) fn new(head: &Head, pin: Pin, last_slot: SlotId) -> Self {
        Self {
            vault_id: head.vault_id,
            incarnation: head.incarnation,
            epoch: head.epoch,
            root: head.root.hash,
            key_epoch: head.key_epoch,
            pin,
            last_slot,
        }
    }

    /// The number of commits the vault had seen.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The pin that the vault had.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// Whether there is something to save that `earlier` did not have. A memory only grows: of two
    /// clients that save at once, the newer state has to win.
    #[must_use]
    pub fn grew_from(&self, earlier: Option<&Self>) -> bool {
        earlier.is_none_or(|earlier| {
            self.incarnation != earlier.incarnation
                || self.epoch > earlier.epoch
                || (self.epoch == earlier.epoch && self != earlier)
        })
    }

    /// Whether this state can come after `earlier`.
    pub(crate) fn follows(&self, earlier: &Self) -> Result<(), OpenError> {
        if self.incarnation != earlier.incarnation {
            return Err(OpenError::Restored);
        }
        if self.epoch < earlier.epoch || self.key_epoch < earlier.key_epoch {
            return Err(OpenError::RolledBack { seen: earlier.epoch, found: self.epoch });
        }
        if self.epoch == earlier.epoch && self.root != earlier.root {
            return Err(OpenError::Forked { epoch: self.epoch });
        }
        Ok(())
    }

    /// One line of text, for a file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { vault_id, incarnation, epoch, root, key_epoch, pin, last_slot } = self;
        format!(
            "bulla-memory 1 {} {} {epoch} {} {key_epoch} {pin} {}\n",
            hex(vault_id),
            hex(incarnation),
            hex(root),
            hex(last_slot)
        )
    }

    /// Reads what [`to_text`](Self::to_text) wrote; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.strip_prefix("bulla-memory 1 ")?.strip_suffix('\n')?.split(' ');
        let remembered = Self {
            vault_id: unhex(words.next()?)?,
            incarnation: unhex(words.next()?)?,
            epoch: words.next()?.parse().ok()?,
            root: unhex(words.next()?)?,
            key_epoch: words.next()?.parse().ok()?,
            pin: Pin::parse(words.next()?)?,
            last_slot: unhex(words.next()?)?,
        };
        words.next().is_none().then_some(remembered)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembered() -> Remembered {
        Remembered {
            vault_id: [1; 16],
            incarnation: [2; 16],
            epoch: 7,
            root: [3; 32],
            key_epoch: 1,
            pin: Pin::parse(&"ab".repeat(32)).unwrap(),
            last_slot: [4; 8],
        }
    }

    #[test]
    fn text_comes_back() {
        let text = remembered().to_text();
        assert_eq!(Remembered::parse(&text), Some(remembered()));
        for len in 0..text.len() {
            assert_eq!(Remembered::parse(&text[..len]), None);
        }
        assert_eq!(Remembered::parse(&text.replace(" 7 ", " -7 ")), None);
    }

    #[test]
    fn only_growth_is_saved() {
        let now = remembered();
        assert!(now.grew_from(None));
        assert!(!now.grew_from(Some(&now)));
        let later = Remembered { epoch: 8, ..now.clone() };
        assert!(later.grew_from(Some(&now)));
        assert!(!now.grew_from(Some(&later)));
        let restored = Remembered { incarnation: [9; 16], epoch: 1, ..now.clone() };
        assert!(restored.grew_from(Some(&now)));
    }
}
