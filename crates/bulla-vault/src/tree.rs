//! The authenticated tree over all entry rows.
//!
//! A radix trie over entry ids with fan-out 16. A subtree of at most [`BUCKET_MAX`] records is one
//! bucket, a larger one an interior node, so that one set of records has one tree and one root.
//! Nodes are plain SHA-256; the root stands in the head, under its MAC. Every node is verified
//! against the hash that its parent holds before anything in it is believed, so that a hostile
//! store can make a lookup fail but not lie: the answer "there is none" is as proven as a record.

use std::collections::BTreeMap;

use crate::error::Part;
use crate::keys::EntryId;
use crate::primitives::sha256;
use crate::store::{StoreError, Table, Txn, View};
use crate::{ReadError, WriteError};

mod node;

use node::{Child, Interior, NodeKey, parse_bucket, write_bucket};

/// The most records that one bucket holds.
///
/// At 32 a bucket is at most 1.8 kB, which is about what an update must rewrite anyway in the
/// interior nodes above it, and 1,000,000 entries are four levels of interior nodes.
pub(crate) const BUCKET_MAX: u64 = 32;

/// What the tree knows of one entry row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Leaf {
    pub(crate) seq: u64,
    /// SHA-256 of the row.
    pub(crate) hash: [u8; 32],
}

/// How many records a tree holds, and the hash of its topmost node (zeros if it is empty).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Root {
    pub(crate) count: u64,
    pub(crate) hash: [u8; 32],
}

/// Finds the leaf of `id`, or proves that there is none.
pub(crate) fn find(view: &dyn View, root: Root, id: &EntryId) -> Result<Option<Leaf>, ReadError> {
    let mut at = root;
    let mut key = NodeKey::ROOT;
    loop {
        if at.count == 0 {
            return Ok(None);
        }
        let bytes = verified(view, &key, at)?;
        if at.count <= BUCKET_MAX {
            let records = parse_bucket(&key, at.count, &bytes)?;
            let found = records.binary_search_by_key(id, |(id, _)| *id);
            return Ok(found.ok().map(|index| records[index].1));
        }
        let nibble = key.next_nibble(id);
        at = Interior::parse(at.count, &bytes)?.0[usize::from(nibble)];
        key = key.child(nibble);
    }
}

/// Finds the leaves of many ids, which are sorted, reading and verifying no node twice. `found` is
/// told the index of each and its leaf, or that there is none.
pub(crate) fn find_all(
    view: &dyn View,
    root: Root,
    ids: &[EntryId],
    found: &mut dyn FnMut(usize, Option<Leaf>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    find_below(view, &NodeKey::ROOT, root, ids, 0, found)
}

fn find_below(
    view: &dyn View,
    key: &NodeKey,
    at: Child,
    ids: &[EntryId],
    first: usize,
    found: &mut dyn FnMut(usize, Option<Leaf>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    if ids.is_empty() {
        return Ok(());
    }
    let records = match at.count {
        0 => Records::new(),
        1..=BUCKET_MAX => parse_bucket(key, at.count, &verified(view, key, at)?)?,
        _ => {
            let node = Interior::parse(at.count, &verified(view, key, at)?)?;
            let mut first = first;
            let mut rest = ids;
            for (nibble, child) in (0..).zip(node.0) {
                let below = rest.partition_point(|id| key.next_nibble(id) <= nibble);
                let (ids, others) = rest.split_at(below);
                find_below(view, &key.child(nibble), child, ids, first, found)?;
                first += below;
                rest = others;
            }
            return Ok(());
        }
    };
    for (index, id) in (first..).zip(ids) {
        let leaf = records.binary_search_by_key(id, |(id, _)| *id).ok();
        found(index, leaf.map(|at| records[at].1))?;
    }
    Ok(())
}

/// What a walk through the tree comes by.
pub(crate) enum Step<'a> {
    /// A node that is as its parent vouches for.
    Node,
    /// A record of a bucket.
    Leaf(&'a EntryId, Leaf),
    /// A node that cannot be believed; what hangs below it is not walked.
    Fault(ReadError),
}

/// Walks the whole tree in the order of the ids, verifying every node on the way.
pub(crate) fn walk<E>(
    view: &dyn View,
    root: Root,
    visit: &mut dyn FnMut(Step<'_>) -> Result<(), E>,
) -> Result<(), E> {
    walk_below(view, &NodeKey::ROOT, root, visit)
}

fn walk_below<E>(
    view: &dyn View,
    key: &NodeKey,
    at: Child,
    visit: &mut dyn FnMut(Step<'_>) -> Result<(), E>,
) -> Result<(), E> {
    if at.count == 0 {
        return Ok(());
    }
    let node = verified(view, key, at).and_then(|bytes| {
        if at.count <= BUCKET_MAX {
            parse_bucket(key, at.count, &bytes).map(Node::Bucket)
        } else {
            Interior::parse(at.count, &bytes).map(|node| Node::Interior(Box::new(node)))
        }
    });
    match node {
        Err(fault) => visit(Step::Fault(fault)),
        Ok(Node::Bucket(records)) => {
            visit(Step::Node)?;
            records.iter().try_for_each(|(id, leaf)| visit(Step::Leaf(id, *leaf)))
        }
        Ok(Node::Interior(node)) => {
            visit(Step::Node)?;
            (0..)
                .zip(node.0)
                .try_for_each(|(nibble, child)| walk_below(view, &key.child(nibble), child, visit))
        }
    }
}

enum Node {
    Bucket(Records),
    Interior(Box<Interior>),
}

/// Adds or replaces leaves, rewrites the nodes above them, and returns the new root.
///
/// One pass whatever the size: a single change rewrites one path, a million changes to an empty
/// tree build it from the bottom up.
pub(crate) fn apply(
    txn: &mut dyn Txn,
    root: Root,
    changes: &BTreeMap<EntryId, Leaf>,
) -> Result<Root, WriteError> {
    let changes: Vec<_> = changes.iter().map(|(id, leaf)| (*id, *leaf)).collect();
    if changes.is_empty() { Ok(root) } else { merge(txn, &NodeKey::ROOT, root, &changes) }
}

/// The leaf records of one subtree, in the order of the ids.
type Records = Vec<(EntryId, Leaf)>;

fn merge(
    txn: &mut dyn Txn,
    key: &NodeKey,
    at: Child,
    changes: &[(EntryId, Leaf)],
) -> Result<Child, WriteError> {
    if at.count > BUCKET_MAX {
        let mut node = Interior::parse(at.count, &verified(&*txn, key, at)?)?;
        for (nibble, child) in (0..).zip(&mut node.0) {
            let below = below(key, nibble, changes);
            if !below.is_empty() {
                *child = merge(txn, &key.child(nibble), *child, below)?;
            }
        }
        return Ok(put_interior(txn, key, &node)?);
    }
    let existing = if at.count == 0 {
        Records::new()
    } else {
        parse_bucket(key, at.count, &verified(&*txn, key, at)?)?
    };
    Ok(build(txn, key, &merged(existing, changes))?)
}

fn build(
    txn: &mut dyn Txn,
    key: &NodeKey,
    records: &[(EntryId, Leaf)],
) -> Result<Child, StoreError> {
    let count = records.len() as u64;
    if count == 0 {
        return Ok(Child::default());
    }
    if count <= BUCKET_MAX {
        let bytes = write_bucket(records);
        txn.put(Table::Node, key.bytes(), &bytes)?;
        return Ok(Child { count, hash: sha256(&bytes) });
    }
    let mut node = Interior::default();
    for (nibble, child) in (0..).zip(&mut node.0) {
        *child = build(txn, &key.child(nibble), below(key, nibble, records))?;
    }
    put_interior(txn, key, &node)
}

fn put_interior(txn: &mut dyn Txn, key: &NodeKey, node: &Interior) -> Result<Child, StoreError> {
    let bytes = node.bytes();
    txn.put(Table::Node, key.bytes(), &bytes)?;
    Ok(Child { count: node.count(), hash: sha256(&bytes) })
}

/// The part of sorted `records` that lies in one child of the node at `key`.
fn below<'r>(key: &NodeKey, nibble: u8, records: &'r [(EntryId, Leaf)]) -> &'r [(EntryId, Leaf)] {
    let start = records.partition_point(|(id, _)| key.next_nibble(id) < nibble);
    let end = records.partition_point(|(id, _)| key.next_nibble(id) <= nibble);
    &records[start..end]
}

fn merged(existing: Records, changes: &[(EntryId, Leaf)]) -> Records {
    let mut all: BTreeMap<_, _> = existing.into_iter().collect();
    all.extend(changes.iter().copied());
    all.into_iter().collect()
}

fn verified(view: &dyn View, key: &NodeKey, at: Child) -> Result<Vec<u8>, ReadError> {
    let bytes = view.get(Table::Node, key.bytes())?.ok_or(ReadError::Tampered(Part::Node))?;
    if sha256(&bytes) == at.hash { Ok(bytes) } else { Err(ReadError::Tampered(Part::Node)) }
}

#[cfg(test)]
mod tests;
