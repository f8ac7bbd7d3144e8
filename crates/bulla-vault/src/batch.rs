//! Writing: any number of changes, one commit.

use std::collections::BTreeMap;

use crate::head::Head;
use crate::keys::EntryId;
use crate::name::EntryName;
use crate::open::ONLY;
use crate::primitives::random;
use crate::record::{Body, Entry, Record};
use crate::row::{self, MAX_KEPT, Object, RowHead};
use crate::snapshot::{Rows, Version};
use crate::store::{Table, Txn};
use crate::tree::{self, Leaf};
use crate::vault::{Stamp, Vault};
use crate::{ReadError, WriteError};

/// How many earlier versions of an entry are kept: enough to undo a bad week, few enough that a
/// revoked secret does not lie around for years.
pub const KEPT_VERSIONS: usize = 10;

const _: () = assert!(KEPT_VERSIONS <= MAX_KEPT);

/// Changes that happen together or not at all. Dropping it undoes them all.
pub struct Batch<'v> {
    pub(crate) vault: &'v Vault<'v>,
    pub(crate) txn: Box<dyn Txn + 'v>,
    pub(crate) head: Head,
    pub(crate) stamp: Stamp,
    pub(crate) changes: BTreeMap<EntryId, Leaf>,
    /// Whether something other than an entry changed, so that a commit is due.
    pub(crate) touched: bool,
}

/// What is under a name before a change: nothing, or a row and its record.
type Before = Option<(RowHead, Record)>;

impl<'v> Batch<'v> {
    pub(crate) fn new(
        vault: &'v Vault<'v>,
        txn: Box<dyn Txn + 'v>,
        head: Head,
        stamp: Stamp,
    ) -> Self {
        Self { vault, txn, head, stamp, changes: BTreeMap::new(), touched: false }
    }

    /// The newest version of `name`, with the changes made so far.
    ///
    /// # Errors
    /// If the store fails or lies.
    pub fn find(&self, name: &EntryName) -> Result<Option<Version>, ReadError> {
        let Some((head, record)) = self.rows().record(name.as_str())? else { return Ok(None) };
        crate::snapshot::version(head, record).map(Some)
    }

    /// Writes `entry` as the next version of `name` and returns its number. The version before is
    /// kept.
    ///
    /// With `expected`, the newest version has to be that one; 0 means that there must be none, or
    /// a removed one.
    ///
    /// # Errors
    /// [`WriteError::VersionMoved`], or what went wrong with the store or the entry's size.
    pub fn put(
        &mut self,
        name: &EntryName,
        entry: Entry,
        expected: Option<u64>,
    ) -> Result<u64, WriteError> {
        let before = self.rows().record(name.as_str())?;
        if let Some(expected) = expected {
            let found = match &before {
                Some((head, Record { body: Body::Live(_), .. })) => head.version,
                _ => 0,
            };
            if found != expected {
                return Err(WriteError::VersionMoved { expected, found });
            }
        }
        self.next_version(name.as_str(), before, Body::Live(entry))
    }

    /// Writes `entry` over the newest version of `name` without making a new one: for programs
    /// that keep a token alive. Who wrote the version, when and why stays as it was.
    ///
    /// # Errors
    /// [`WriteError::Missing`] if there is no such entry, or what went wrong with the store.
    pub fn overwrite(&mut self, name: &EntryName, entry: Entry) -> Result<(), WriteError> {
        let (head, record) = self.live(name)?;
        let head = RowHead { seq: head.seq + 1, ..head };
        let id = self.vault.keys.entry_id(name.as_str());
        let record = Record { body: Body::Live(entry), ..record };
        self.put_row(&id, &head, &record)
    }

    /// Removes `name`, leaving a mark, so that its version numbers are never used again. The
    /// versions before are kept unless `purge` says otherwise.
    ///
    /// # Errors
    /// [`WriteError::Missing`] if there is nothing to remove, or what went wrong with the store.
    pub fn remove(&mut self, name: &EntryName, purge: bool) -> Result<(), WriteError> {
        let before = self.rows().record(name.as_str())?.ok_or(WriteError::Missing)?;
        let removed = matches!(before.1.body, Body::Removed { .. });
        let nothing_kept = before.0.kept.is_empty();
        if removed && (!purge || nothing_kept) {
            return Err(WriteError::Missing);
        }
        let body = Body::Removed { moved_to: None };
        self.next_version(name.as_str(), Some(before), body)?;
        if purge { self.forget_history(name) } else { Ok(()) }
    }

    /// Writes what version `wanted` of `name` was as its next version, and returns its number.
    ///
    /// # Errors
    /// [`WriteError::Missing`], [`WriteError::MissingVersion`] if that version is not kept or was a
    /// removal, or what went wrong with the store.
    pub fn revert(&mut self, name: &EntryName, wanted: u64) -> Result<u64, WriteError> {
        let (head, record) = self.rows().record(name.as_str())?.ok_or(WriteError::Missing)?;
        let missing = WriteError::MissingVersion(wanted);
        let id = self.vault.keys.entry_id(name.as_str());
        let earlier = if head.version == wanted {
            self.rows().record(name.as_str())?.ok_or(WriteError::Missing)?.1
        } else {
            let kept = head.kept.iter().find(|(version, _)| *version == wanted);
            let Some((_, hash)) = kept else { return Err(missing) };
            self.rows().history(&id, wanted, hash)?.1
        };
        if !matches!(earlier.body, Body::Live(_)) {
            return Err(missing);
        }
        self.next_version(name.as_str(), Some((head, record)), earlier.body)
    }

    /// Renames an entry with its history. The old name keeps a mark that tells the new one. Versions
    /// keep their numbers, unless the new name was in use before: then they go on from there.
    ///
    /// # Errors
    /// [`WriteError::Missing`], [`WriteError::Exists`], or what went wrong with the store.
    pub fn rename(&mut self, from: &EntryName, to: &EntryName) -> Result<(), WriteError> {
        if from == to {
            return Err(WriteError::Exists);
        }
        let (head, record) = self.live(from)?;
        let (from_id, to_id) =
            (self.vault.keys.entry_id(from.as_str()), self.vault.keys.entry_id(to.as_str()));
        let there = self.rows().record(to.as_str())?;
        let (mut new_head, offset) = match there {
            Some((_, Record { body: Body::Live(_) | Body::System(_), .. })) => {
                return Err(WriteError::Exists);
            }
            // The mark of an earlier removal is itself a version; it is not worth keeping.
            Some((there, _)) => (RowHead { seq: there.seq + 1, ..there.clone() }, there.version),
            None => (self.first_row(), 0),
        };
        for (version, hash) in &head.kept {
            let (old, mut kept) = self.rows().history(&from_id, *version, hash)?;
            to.as_str().clone_into(&mut kept.name);
            let moved = RowHead { version: version + offset, ..old };
            let hash = self.put_history(&to_id, &moved, &kept)?;
            new_head.kept.push((moved.version, hash));
            self.txn.delete(Table::History, &row::history_key(&from_id, *version))?;
        }
        new_head.version = head.version + offset;
        self.drop_oldest(&to_id, &mut new_head)?;
        let moved = Record { name: to.as_str().to_owned(), ..record };
        self.put_row(&to_id, &new_head, &moved)?;
        let mark =
            RowHead { seq: head.seq + 1, version: head.version + 1, kept: Vec::new(), ..head };
        let body = Body::Removed { moved_to: Some(to.clone()) };
        let record = self.stamped(from.as_str().to_owned(), body, Vec::new());
        self.put_row(&from_id, &mark, &record)
    }

    /// Makes the changes durable and visible.
    ///
    /// # Errors
    /// Then none of them happened.
    pub fn commit(mut self) -> Result<(), WriteError> {
        if self.changes.is_empty() && !self.touched {
            return Ok(());
        }
        self.head.root = tree::apply(&mut *self.txn, self.head.root, &self.changes)?;
        self.head.epoch += 1;
        let bytes = self.head.encode(&self.vault.keys);
        self.txn.put(Table::Head, ONLY, &bytes)?;
        self.txn.commit()?;
        self.vault.see(&self.head);
        Ok(())
    }

    /// Commits this state as the true one, whatever other clients have seen: for a vault that was
    /// restored from a backup.
    ///
    /// # Errors
    /// As for [`commit`](Self::commit).
    pub fn adopt(mut self) -> Result<(), WriteError> {
        self.head.incarnation = random(self.vault.random)?;
        self.touched = true;
        self.commit()
    }

    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows { vault: self.vault, view: &*self.txn, head: &self.head, pending: Some(&self.changes) }
    }

    /// Writes a record of the vault's own; it has versions, but no earlier one is kept.
    pub(crate) fn put_system(&mut self, name: &str, body: Body) -> Result<(), WriteError> {
        let before = self.rows().record(name)?;
        let head = match before {
            Some((head, _)) => RowHead { seq: head.seq + 1, version: head.version + 1, ..head },
            None => self.first_row(),
        };
        let id = self.vault.keys.entry_id(name);
        let record = self.stamped(name.to_owned(), body, Vec::new());
        self.put_row(&id, &head, &record)
    }

    fn live(&self, name: &EntryName) -> Result<(RowHead, Record), WriteError> {
        let found = self.rows().record(name.as_str())?;
        found.filter(|(_, record)| matches!(record.body, Body::Live(_))).ok_or(WriteError::Missing)
    }

    fn first_row(&self) -> RowHead {
        RowHead {
            object: Object::Entry,
            key_epoch: self.head.key_epoch,
            seq: 1,
            version: 1,
            kept: Vec::new(),
        }
    }

    fn stamped(&self, name: String, body: Body, extension: Vec<u8>) -> Record {
        Record {
            name,
            body,
            author: self.vault.slot,
            time: self.stamp.time,
            reason: self.stamp.reason.clone(),
            extension,
        }
    }

    /// Seals what was there into the history and `body` as the next version.
    fn next_version(&mut self, name: &str, before: Before, body: Body) -> Result<u64, WriteError> {
        let id = self.vault.keys.entry_id(name);
        let (head, extension) = match before {
            None => (self.first_row(), Vec::new()),
            Some((head, record)) => {
                let mut next =
                    RowHead { seq: head.seq + 1, version: head.version + 1, ..head.clone() };
                let extension = record.extension.clone();
                // The mark of a removal is not worth a place in the history.
                if matches!(record.body, Body::Live(_)) {
                    let kept = RowHead { kept: Vec::new(), ..head };
                    let hash = self.put_history(&id, &kept, &record)?;
                    next.kept.push((kept.version, hash));
                    self.drop_oldest(&id, &mut next)?;
                }
                (next, extension)
            }
        };
        let record = self.stamped(name.to_owned(), body, extension);
        self.put_row(&id, &head, &record)?;
        Ok(head.version)
    }

    fn put_row(&mut self, id: &EntryId, head: &RowHead, record: &Record) -> Result<(), WriteError> {
        let Vault { keys, random, place, .. } = self.vault;
        let row = row::seal(keys, &place.vault_id, id, head, record, *random)?;
        self.txn.put(Table::Entry, id, &row)?;
        self.changes.insert(*id, Leaf { seq: head.seq, hash: row::hash(&row) });
        Ok(())
    }

    fn put_history(
        &mut self,
        id: &EntryId,
        head: &RowHead,
        record: &Record,
    ) -> Result<[u8; 32], WriteError> {
        let Vault { keys, random, place, .. } = self.vault;
        let head = RowHead { object: Object::History, ..head.clone() };
        let row = row::seal(keys, &place.vault_id, id, &head, record, *random)?;
        self.txn.put(Table::History, &row::history_key(id, head.version), &row)?;
        Ok(row::hash(&row))
    }

    fn drop_oldest(&mut self, id: &EntryId, head: &mut RowHead) -> Result<(), WriteError> {
        let surplus = head.kept.len().saturating_sub(KEPT_VERSIONS);
        for (version, _) in head.kept.drain(..surplus) {
            self.txn.delete(Table::History, &row::history_key(id, version))?;
        }
        Ok(())
    }

    fn forget_history(&mut self, name: &EntryName) -> Result<(), WriteError> {
        let id = self.vault.keys.entry_id(name.as_str());
        let (mut head, record) = self.rows().record(name.as_str())?.ok_or(WriteError::Missing)?;
        for (version, _) in head.kept.drain(..) {
            self.txn.delete(Table::History, &row::history_key(&id, version))?;
        }
        self.put_row(&id, &head, &record)
    }
}
