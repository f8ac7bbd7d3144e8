//! The head: the one small record that every commit writes, and that vouches for all others.

use crate::error::Part;
use crate::keys::{Keys, VaultId};
use crate::primitives::{hmac, sha256, tags_equal};
use crate::tree::Root;
use crate::{FORMAT, OpenError, SUITE};

const MAGIC: &[u8; 8] = b"bulla-hd";
const LEN: usize = 192;
const CHECKSUM_AT: usize = 128;
const MAC_AT: usize = 160;

/// A vault's state in one record; docs/format.md draws its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Head {
    pub(crate) vault_id: VaultId,
    /// Drawn anew when a restored copy is adopted as the true one.
    pub(crate) incarnation: [u8; 16],
    /// Counts commits.
    pub(crate) epoch: u64,
    /// Counts changes of the vault key.
    pub(crate) key_epoch: u32,
    pub(crate) root: Root,
    /// SHA-256 of the keyring record.
    pub(crate) keyring_hash: [u8; 32],
}

impl Head {
    pub(crate) fn encode(&self, keys: &Keys) -> Vec<u8> {
        let Self { vault_id, incarnation, epoch, key_epoch, root, keyring_hash } = self;
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&SUITE.to_le_bytes());
        bytes.extend_from_slice(vault_id);
        bytes.extend_from_slice(incarnation);
        bytes.extend_from_slice(&epoch.to_le_bytes());
        bytes.extend_from_slice(&key_epoch.to_le_bytes());
        bytes.extend_from_slice(&root.count.to_le_bytes());
        bytes.extend_from_slice(&root.hash);
        bytes.extend_from_slice(keyring_hash);
        let checksum = sha256(&bytes);
        bytes.extend_from_slice(&checksum);
        let mac = hmac(keys.head.bytes(), &bytes);
        bytes.extend_from_slice(&mac);
        bytes
    }

    /// Reads a head whose checksum is right. What it says may still be a lie: see
    /// [`verify`](Self::verify).
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, OpenError> {
        check_start(bytes, MAGIC, Part::Head)?;
        if bytes.len() != LEN || sha256(&bytes[..CHECKSUM_AT]) != bytes[CHECKSUM_AT..MAC_AT] {
            return Err(OpenError::Damaged(Part::Head));
        }
        fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
            bytes[at..at + N].try_into().expect("the length was checked")
        }
        Ok(Self {
            vault_id: array(bytes, 12),
            incarnation: array(bytes, 28),
            epoch: u64::from_le_bytes(array(bytes, 44)),
            key_epoch: u32::from_le_bytes(array(bytes, 52)),
            root: Root { count: u64::from_le_bytes(array(bytes, 56)), hash: array(bytes, 64) },
            keyring_hash: array(bytes, 96),
        })
    }

    /// Whether a holder of the vault key wrote these bytes.
    pub(crate) fn verify(bytes: &[u8], keys: &Keys) -> bool {
        tags_equal(&hmac(keys.head.bytes(), &bytes[..MAC_AT]), &bytes[MAC_AT..])
    }
}

/// Checks what the two plain records begin with: magic, format and suite.
pub(crate) fn check_start(bytes: &[u8], magic: &[u8; 8], part: Part) -> Result<(), OpenError> {
    let damaged = OpenError::Damaged(part);
    let Some((start, rest)) = bytes.split_first_chunk::<8>() else { return Err(damaged) };
    let Some((numbers, _)) = rest.split_first_chunk::<4>() else { return Err(damaged) };
    if start != magic {
        return Err(damaged);
    }
    let [format_low, format_high, suite_low, suite_high] = *numbers;
    let format = u16::from_le_bytes([format_low, format_high]);
    let suite = u16::from_le_bytes([suite_low, suite_high]);
    if format != FORMAT || suite != SUITE {
        return Err(OpenError::Unsupported { format, suite });
    }
    Ok(())
}
