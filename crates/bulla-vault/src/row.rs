//! Rows of the entry and history tables: a plain head and a sealed record.

use crate::bind::Binding;
use crate::error::Part;
use crate::keys::{EntryId, Keys, VaultId};
use crate::primitives::sha256;
use crate::random::{NoRandomness, Random};
use crate::record::{Record, RecordFault};
use crate::sealed;
use crate::{ReadError, WriteError};

/// How many earlier versions an entry row can name.
pub(crate) const MAX_KEPT: usize = 64;

const KEPT_AT: usize = 23;
const KEPT_LEN: usize = 40;

/// Whether a row holds the newest state of an entry or an earlier one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Object {
    Entry = 1,
    History = 2,
}

/// The plain head of a row. The sealed record is bound to all of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct RowHead {
    pub(crate) object: Object,
    pub(crate) key_epoch: u32,
    /// Counts every write of this id.
    pub(crate) seq: u64,
    /// Counts what people wrote.
    pub(crate) version: u64,
    /// The earlier versions that are kept, oldest first, each with the hash of its row.
    pub(crate) kept: Vec<(u64, [u8; 32])>,
}

impl RowHead {
    /// Reads the head of a row whose hash has been verified.
    pub(crate) fn parse(row: &[u8]) -> Result<Self, ReadError> {
        parse(row).ok_or(ReadError::Tampered(Part::Row))
    }

    fn bytes(&self) -> Vec<u8> {
        let Self { object, key_epoch, seq, version, kept } = self;
        let count = u16::try_from(kept.len()).expect("at most MAX_KEPT are kept");
        let mut bytes = Vec::with_capacity(KEPT_AT + kept.len() * KEPT_LEN + 512);
        bytes.push(*object as u8);
        bytes.extend_from_slice(&key_epoch.to_le_bytes());
        bytes.extend_from_slice(&seq.to_le_bytes());
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        for (version, hash) in kept {
            bytes.extend_from_slice(&version.to_le_bytes());
            bytes.extend_from_slice(hash);
        }
        bytes
    }

    fn binding(head: &[u8], vault_id: &VaultId, id: &EntryId) -> Binding {
        Binding::new("record").part(&crate::SUITE.to_le_bytes()).part(vault_id).part(id).part(head)
    }
}

fn parse(row: &[u8]) -> Option<RowHead> {
    let object = match row.first()? {
        1 => Object::Entry,
        2 => Object::History,
        _ => return None,
    };
    let count = usize::from(u16::from_le_bytes(row.get(21..KEPT_AT)?.try_into().ok()?));
    if count > MAX_KEPT || (object == Object::History && count != 0) {
        return None;
    }
    let list = row.get(KEPT_AT..KEPT_AT + count * KEPT_LEN)?;
    let kept: Vec<_> = list
        .chunks_exact(KEPT_LEN)
        .map(|item| {
            let (version, hash) = item.split_at(8);
            (
                u64::from_le_bytes(version.try_into().expect("8 of 40 bytes")),
                hash.try_into().expect("32 of 40 bytes"),
            )
        })
        .collect();
    let head = RowHead {
        object,
        key_epoch: u32::from_le_bytes(row.get(1..5)?.try_into().ok()?),
        seq: u64::from_le_bytes(row.get(5..13)?.try_into().ok()?),
        version: u64::from_le_bytes(row.get(13..21)?.try_into().ok()?),
        kept,
    };
    let ascending = head.kept.is_sorted_by(|(a, _), (b, _)| a < b);
    let earlier = head.kept.last().is_none_or(|(last, _)| *last < head.version);
    (ascending && earlier).then_some(head)
}

/// Seals `record` into a row.
pub(crate) fn seal(
    keys: &Keys,
    vault_id: &VaultId,
    id: &EntryId,
    head: &RowHead,
    record: &Record,
    random: &dyn Random,
) -> Result<Vec<u8>, WriteError> {
    let mut row = head.bytes();
    let binding = RowHead::binding(&row, vault_id, id);
    let padded = record.encode().map_err(|_| WriteError::TooLarge)?;
    sealed::seal(keys.data.bytes(), &keys.hedge, &binding, &padded, random, &mut row)
        .map_err(|NoRandomness| WriteError::NoRandomness)?;
    Ok(row)
}

/// Opens the record of a row whose hash has been verified and whose head is `head`.
pub(crate) fn open(
    keys: &Keys,
    vault_id: &VaultId,
    id: &EntryId,
    head: &RowHead,
    row: &[u8],
) -> Result<Record, ReadError> {
    let (plain_head, sealed_record) = row.split_at(KEPT_AT + head.kept.len() * KEPT_LEN);
    let binding = RowHead::binding(plain_head, vault_id, id);
    let padded =
        sealed::open(keys.data.bytes(), &binding, sealed_record).map_err(ReadError::Tampered)?;
    let record = Record::decode(&padded).map_err(|fault| match fault {
        RecordFault::Padding => ReadError::Tampered(Part::Padding),
        RecordFault::Encoding => ReadError::Tampered(Part::Encoding),
        RecordFault::Content => ReadError::Tampered(Part::Content),
        RecordFault::Newer => ReadError::Newer,
    })?;
    if keys.entry_id(&record.name) != *id || !record.has_canonical_name() {
        return Err(ReadError::Tampered(Part::Content));
    }
    Ok(record)
}

/// The key of a row in the history table.
pub(crate) fn history_key(id: &EntryId, version: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(id);
    key[16..].copy_from_slice(&version.to_le_bytes());
    key
}

/// What the tree and an entry row hold of a row.
pub(crate) fn hash(row: &[u8]) -> [u8; 32] {
    sha256(row)
}
