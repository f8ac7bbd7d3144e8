//! The two sorts of nodes, and the keys that they lie under.

use super::{BUCKET_MAX, Leaf, Records, Root};
use crate::ReadError;
use crate::error::Part;
use crate::keys::EntryId;

/// What an interior node knows of a child: the same as the head knows of the root.
pub(super) type Child = Root;

const CHILD_LEN: usize = 8 + 32;
const RECORD_LEN: usize = 16 + 8 + 32;
/// An id has 32 nibbles, so a path cannot be longer.
const MAX_DEPTH: u8 = 32;

/// `depth | prefix`: the prefix's nibbles, two a byte, the high one first, a last odd one with a
/// zero behind it.
#[derive(Clone, Copy)]
pub(super) struct NodeKey {
    bytes: [u8; 17],
}

impl NodeKey {
    pub(super) const ROOT: Self = Self { bytes: [0; 17] };

    fn depth(&self) -> u8 {
        self.bytes[0]
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..1 + usize::from(self.depth()).div_ceil(2)]
    }

    /// The nibble of `id` that tells the children of this node apart.
    pub(super) fn next_nibble(&self, id: &EntryId) -> u8 {
        nibble(id, self.depth())
    }

    /// The key of a child. A path that is longer than an id is the work of a hostile store; it
    /// stays at its depth, and no node there can be valid.
    pub(super) fn child(&self, nibble: u8) -> Self {
        let mut child = *self;
        if self.depth() < MAX_DEPTH {
            let index = usize::from(self.depth());
            child.bytes[1 + index / 2] |=
                if index.is_multiple_of(2) { nibble << 4 } else { nibble };
            child.bytes[0] += 1;
        }
        child
    }

    fn covers(&self, id: &EntryId) -> bool {
        (0..self.depth()).all(|at| {
            nibble(id, at) == nibble(self.bytes[1..].try_into().expect("16 of 17 bytes"), at)
        })
    }
}

fn nibble(id: &EntryId, at: u8) -> u8 {
    // At the end of an id there is nothing left to tell apart.
    let byte = id.get(usize::from(at / 2)).copied().unwrap_or(0);
    if at.is_multiple_of(2) { byte >> 4 } else { byte & 0xf }
}

/// Sixteen children.
#[derive(Default)]
pub(super) struct Interior(pub(super) [Child; 16]);

impl Interior {
    /// Reads a node that has been verified to be one that a parent vouches for.
    pub(super) fn parse(count: u64, bytes: &[u8]) -> Result<Self, ReadError> {
        if bytes.len() != 16 * CHILD_LEN {
            return Err(ReadError::Tampered(Part::Node));
        }
        let mut node = Self::default();
        for (child, bytes) in node.0.iter_mut().zip(bytes.chunks_exact(CHILD_LEN)) {
            let (count, hash) = bytes.split_at(8);
            child.count = u64::from_le_bytes(count.try_into().expect("8 of 40 bytes"));
            child.hash.copy_from_slice(hash);
        }
        // One set of rows has one tree: nothing is said of a child that is not there.
        if node.0.iter().any(|child| child.count == 0 && child.hash != [0; 32]) {
            return Err(ReadError::Tampered(Part::Node));
        }
        let total = node.0.iter().try_fold(0u64, |sum, child| sum.checked_add(child.count));
        if total == Some(count) { Ok(node) } else { Err(ReadError::Tampered(Part::Count)) }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 * CHILD_LEN);
        for Child { count, hash } in &self.0 {
            bytes.extend_from_slice(&count.to_le_bytes());
            bytes.extend_from_slice(hash);
        }
        bytes
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|child| child.count).sum()
    }
}

/// Reads a bucket that has been verified to be one that a parent vouches for.
pub(super) fn parse_bucket(key: &NodeKey, count: u64, bytes: &[u8]) -> Result<Records, ReadError> {
    debug_assert!(count <= BUCKET_MAX, "a larger subtree is an interior node");
    if bytes.len() as u64 != count * RECORD_LEN as u64 {
        return Err(ReadError::Tampered(Part::Count));
    }
    let records: Records = bytes
        .chunks_exact(RECORD_LEN)
        .map(|bytes| {
            let (id, rest) = bytes.split_at(16);
            let (seq, hash) = rest.split_at(8);
            (
                id.try_into().expect("16 of 56 bytes"),
                Leaf {
                    seq: u64::from_le_bytes(seq.try_into().expect("8 of 40 bytes")),
                    hash: hash.try_into().expect("32 of 32 bytes"),
                },
            )
        })
        .collect();
    let sorted = records.is_sorted_by(|(a, _), (b, _)| a < b);
    let in_place = records.iter().all(|(id, _)| key.covers(id));
    if sorted && in_place { Ok(records) } else { Err(ReadError::Tampered(Part::Node)) }
}

pub(super) fn write_bucket(records: &[(EntryId, Leaf)]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(records.len() * RECORD_LEN);
    for (id, Leaf { seq, hash }) in records {
        bytes.extend_from_slice(id);
        bytes.extend_from_slice(&seq.to_le_bytes());
        bytes.extend_from_slice(hash);
    }
    bytes
}
