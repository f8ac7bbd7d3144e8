//! Reading: every answer is proven by the tree before it is given.

use std::collections::BTreeMap;
use std::thread::{self, Builder};

use crate::ReadError;
use crate::error::Part;
use crate::head::Head;
use crate::keys::{EntryId, Keys, VaultId};
use crate::name::EntryName;
use crate::primitives::tags_equal;
use crate::record::{Body, Entry, Record, SlotId};
use crate::row::{self, Object, RowHead};
use crate::store::{Table, View};
use crate::tree::{self, Leaf, Step};
use crate::vault::Vault;

/// A consistent, verified state of a vault.
pub struct Snapshot<'v> {
    pub(crate) vault: &'v Vault<'v>,
    pub(crate) view: Box<dyn View + 'v>,
    pub(crate) head: Head,
}

/// One version of an entry.
pub struct Version {
    /// The entry's name.
    pub name: EntryName,
    /// What it was.
    pub state: State,
    /// Counts what people wrote under this name; begins at 1 and is never used twice.
    pub version: u64,
    /// Counts every write of the entry, those of programs included.
    pub seq: u64,
    /// The slot that wrote it.
    pub author: SlotId,
    /// When, in seconds since 1970 by the writer's clock.
    pub time: u64,
    /// Why, if the writer said so.
    pub reason: String,
    /// The numbers of the earlier versions that are kept, oldest first.
    pub kept: Vec<u64>,
}

/// What a version of an entry is.
pub enum State {
    /// An entry that is there.
    Live(Entry),
    /// An entry that was removed.
    Removed {
        /// Where it went, if it was renamed.
        moved_to: Option<EntryName>,
    },
}

impl Version {
    /// The entry, unless it was removed.
    #[must_use]
    pub fn live(&self) -> Option<&Entry> {
        match &self.state {
            State::Live(entry) => Some(entry),
            State::Removed { .. } => None,
        }
    }
}

impl<'v> Snapshot<'v> {
    pub(crate) fn new(vault: &'v Vault<'v>, view: Box<dyn View + 'v>, head: Head) -> Self {
        Self { vault, view, head }
    }

    /// The number of commits up to this state.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.head.epoch
    }

    /// Which vault this is a state of.
    #[must_use]
    pub fn vault_id(&self) -> VaultId {
        self.head.vault_id
    }

    /// Counts the vault keys that this vault has had; a rekey begins the next.
    #[must_use]
    pub fn key_epoch(&self) -> u32 {
        self.head.key_epoch
    }

    /// A digest of `bytes` for a receipt (docs/format.md, section 13), where `label` says what they are and
    /// `place` where they belong. Only who can open the vault can make or compare it. Another label,
    /// place, vault or [key epoch](Self::key_epoch) gives another digest; so with a nonce in `place`, equal
    /// bytes have different digests, and having others digested does not help to guess these.
    #[must_use]
    pub fn receipt_digest(&self, label: &str, place: &[&[u8]], bytes: &[u8]) -> [u8; 32] {
        self.vault.keys.receipt_digest(label, place, bytes)
    }

    /// Whether `digest` is the [`receipt_digest`](Self::receipt_digest) of `bytes`, in constant time.
    #[must_use]
    pub fn is_receipt_digest(
        &self,
        digest: &[u8; 32],
        label: &str,
        place: &[&[u8]],
        bytes: &[u8],
    ) -> bool {
        tags_equal(digest, &self.receipt_digest(label, place, bytes))
    }

    /// The newest version of `name`, or proof that there never was one.
    ///
    /// # Errors
    /// If the store fails or lies.
    pub fn find(&self, name: &EntryName) -> Result<Option<Version>, ReadError> {
        let Some((head, record)) = self.rows().record(name.as_str())? else { return Ok(None) };
        version(head, record).map(Some)
    }

    /// The newest versions of many names at once, which is quicker than one by one: `visit` is told
    /// the index of each name and what was found, in no order that means anything. Up to `threads`
    /// open records at the same time, this one among them.
    ///
    /// # Errors
    /// If the store fails or lies, for any of them.
    pub fn find_all(
        &self,
        names: &[EntryName],
        threads: usize,
        visit: &mut dyn FnMut(usize, Option<Version>),
    ) -> Result<(), ReadError> {
        /// How many records a thread opens: that takes some ten times as long as to start it.
        const SHARE: usize = 256;
        let mut order: Vec<_> = (0..)
            .zip(names)
            .map(|(index, name)| (self.vault.keys.entry_id(name.as_str()), index))
            .collect();
        order.sort_unstable();
        let ids: Vec<_> = order.iter().map(|(id, _)| *id).collect();
        let rows = self.rows();
        let mut fetched = Vec::new();
        tree::find_all(&*self.view, self.head.root, &ids, &mut |at, leaf| {
            let (id, index) = order[at];
            let Some(leaf) = leaf else {
                visit(index, None);
                return Ok(());
            };
            fetched.push(Fetched { index, id, leaf, row: rows.fetch(&id)? });
            if fetched.len() < SHARE * threads {
                return Ok(());
            }
            self.open_all(&std::mem::take(&mut fetched), SHARE, visit)
        })?;
        self.open_all(&fetched, SHARE, visit)
    }

    /// Opens rows and shows what is in them; each thread opens a `share` of them.
    fn open_all(
        &self,
        fetched: &[Fetched],
        share: usize,
        visit: &mut dyn FnMut(usize, Option<Version>),
    ) -> Result<(), ReadError> {
        let (keys, head) = (&self.vault.keys, &self.head);
        let open = |rows: &[Fetched]| -> Vec<Result<_, ReadError>> {
            let opened = rows.iter().map(|Fetched { index, id, leaf, row }| {
                let (row_head, record) = open(keys, head, id, *leaf, row)?;
                Ok((*index, version(row_head, record)?))
            });
            opened.collect()
        };
        let mut shares = fetched.chunks(share);
        let own = shares.next().unwrap_or_default();
        let opened: Vec<_> = thread::scope(|scope| {
            let start = |rows| (rows, Builder::new().spawn_scoped(scope, move || open(rows)));
            let others: Vec<_> = shares.map(start).collect();
            let mut opened = vec![open(own)];
            opened.extend(others.into_iter().map(|(rows, thread)| match thread {
                Ok(thread) => thread.join().expect("opening does not panic"),
                // The system allows no more of them.
                Err(_) => open(rows),
            }));
            opened
        });
        for found in opened.into_iter().flatten() {
            let (index, version) = found?;
            visit(index, Some(version));
        }
        Ok(())
    }

    /// An earlier or the newest version of `name`; `None` if that version is not kept.
    ///
    /// # Errors
    /// If the store fails or lies.
    pub fn find_version(
        &self,
        name: &EntryName,
        wanted: u64,
    ) -> Result<Option<Version>, ReadError> {
        let rows = self.rows();
        let id = self.vault.keys.entry_id(name.as_str());
        let Some((head, record)) = rows.record(name.as_str())? else { return Ok(None) };
        if head.version == wanted {
            return version(head, record).map(Some);
        }
        let Some(&(_, hash)) = head.kept.iter().find(|(version, _)| *version == wanted) else {
            return Ok(None);
        };
        let (head, record) = rows.history(&id, wanted, &hash)?;
        version(head, record).map(Some)
    }

    /// Shows every entry in its newest version, removed ones too, in no order that means anything.
    ///
    /// # Errors
    /// If the store fails or lies, or what `visit` returns.
    pub fn each<E: From<ReadError>>(
        &self,
        visit: &mut dyn FnMut(Version) -> Result<(), E>,
    ) -> Result<(), E> {
        let rows = self.rows();
        tree::walk(&*self.view, self.head.root, &mut |step| {
            let (id, leaf) = match step {
                Step::Node => return Ok(()),
                Step::Leaf(id, leaf) => (id, leaf),
                Step::Fault(fault) => return Err(fault.into()),
            };
            let (head, record) = rows.open(id, leaf)?;
            match record.body {
                Body::System(_) => Ok(()),
                _ => visit(version(head, record)?),
            }
        })
    }

    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows { vault: self.vault, view: &*self.view, head: &self.head, pending: None }
    }
}

/// A row that is still to be opened.
struct Fetched {
    /// Which of the names that are asked for it is about.
    index: usize,
    id: EntryId,
    leaf: Leaf,
    row: Vec<u8>,
}

/// Verified access to rows, of a snapshot or of a batch with changes that are not in the tree yet.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub(crate) vault: &'a Vault<'a>,
    pub(crate) view: &'a dyn View,
    pub(crate) head: &'a Head,
    pub(crate) pending: Option<&'a BTreeMap<EntryId, Leaf>>,
}

impl Rows<'_> {
    /// The newest record under `name`, or proof that there is none.
    pub(crate) fn record(&self, name: &str) -> Result<Option<(RowHead, Record)>, ReadError> {
        let id = self.vault.keys.entry_id(name);
        let pending = self.pending.and_then(|pending| pending.get(&id).copied());
        let leaf = match pending {
            Some(leaf) => Some(leaf),
            None => tree::find(self.view, self.head.root, &id)?,
        };
        let Some(leaf) = leaf else { return Ok(None) };
        self.open(&id, leaf).map(Some)
    }

    /// The record that `leaf` vouches for.
    pub(crate) fn open(&self, id: &EntryId, leaf: Leaf) -> Result<(RowHead, Record), ReadError> {
        open(&self.vault.keys, self.head, id, leaf, &self.fetch(id)?)
    }

    /// The row of an entry that is in the tree, as the store gives it.
    fn fetch(&self, id: &EntryId) -> Result<Vec<u8>, ReadError> {
        self.view.get(Table::Entry, id)?.ok_or(ReadError::Tampered(Part::Row))
    }

    /// The kept record of an earlier version that an entry row vouches for.
    pub(crate) fn history(
        &self,
        id: &EntryId,
        version: u64,
        hash: &[u8; 32],
    ) -> Result<(RowHead, Record), ReadError> {
        let key = row::history_key(id, version);
        let tampered = ReadError::Tampered(Part::History);
        let row = self.view.get(Table::History, &key)?;
        let Some(row) = row.filter(|row| row::hash(row) == *hash) else { return Err(tampered) };
        let Ok(head) = RowHead::parse(&row) else { return Err(tampered) };
        let in_place = head.object == Object::History
            && head.version == version
            && head.key_epoch == self.head.key_epoch;
        if !in_place {
            return Err(tampered);
        }
        match row::open(&self.vault.keys, &self.head.vault_id, id, &head, &row) {
            Ok(record) => Ok((head, record)),
            Err(ReadError::Tampered(Part::Row)) => Err(tampered),
            Err(other) => Err(other),
        }
    }
}

/// The record in `row`, if that is the row that `leaf` vouches for.
fn open(
    keys: &Keys,
    head: &Head,
    id: &EntryId,
    leaf: Leaf,
    row: &[u8],
) -> Result<(RowHead, Record), ReadError> {
    if row::hash(row) != leaf.hash {
        return Err(ReadError::Tampered(Part::Row));
    }
    let row_head = RowHead::parse(row)?;
    let in_place = row_head.object == Object::Entry
        && row_head.seq == leaf.seq
        && row_head.key_epoch == head.key_epoch;
    if !in_place {
        return Err(ReadError::Tampered(Part::Row));
    }
    let record = row::open(keys, &head.vault_id, id, &row_head, row)?;
    Ok((row_head, record))
}

pub(crate) fn version(head: RowHead, record: Record) -> Result<Version, ReadError> {
    let content = ReadError::Tampered(Part::Content);
    let name = EntryName::new(&record.name).map_err(|_| content)?;
    let state = match record.body {
        Body::Live(entry) => State::Live(entry),
        Body::Removed { moved_to } => State::Removed { moved_to },
        Body::System(_) => return Err(ReadError::Tampered(Part::Content)),
    };
    Ok(Version {
        name,
        state,
        version: head.version,
        seq: head.seq,
        author: record.author,
        time: record.time,
        reason: record.reason,
        kept: head.kept.iter().map(|(version, _)| *version).collect(),
    })
}
