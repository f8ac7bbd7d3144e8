//! Faults of the tree.

use bulla_testkit::vectors::Vector;

use super::Named;
use super::forge::Forge;
use crate::store::Table;

const ROOT: &[u8] = &[0];
/// The keys of the two buckets of [`wide`] that hold its entries.
const ONE: &[u8] = &[1, 0x10];
const TWO: &[u8] = &[1, 0x20];

const RECORD: usize = 56;
const CHILD: usize = 40;

pub(super) const VECTORS: &[Named] = &[
    ("node-missing", || {
        let mut forge = Forge::small();
        forge.remove(Table::Node, ROOT);
        forge.vector("the topmost node was taken away", "node")
    }),
    ("node-flipped", || {
        let mut forge = Forge::small();
        forge.edit(Table::Node, ROOT, |bytes| bytes[30] ^= 1);
        forge.vector("one bit of a bucket differs", "node")
    }),
    ("bucket-unsorted", || {
        bucket("two records of a bucket stand in the wrong order", "node", |bytes| {
            bytes.rotate_left(RECORD);
        })
    }),
    ("bucket-record-twice", || {
        bucket("a bucket has the same record twice", "node", |bytes| {
            bytes.extend_from_within(bytes.len() - RECORD..);
        })
    }),
    ("bucket-truncated", || {
        bucket("a bucket ends within its last record", "count", |bytes| {
            bytes.pop();
        })
    }),
    ("bucket-count-low", || counted("the head counts one row less than there are", 2)),
    ("bucket-count-high", || counted("the head counts one row more than there are", 4)),
    ("bucket-where-interior-should-be", || {
        let mut forge = Forge::small();
        let bytes = forge.row(Table::Node, ROOT).to_vec();
        forge.put_node(ROOT, &bytes, 33);
        forge.vector("the head counts 33 rows, the topmost node is a bucket", "node")
    }),
    ("interior-where-bucket-should-be", || {
        let mut forge = Forge::small();
        let bucket = forge.row(Table::Node, ROOT).to_vec();
        let mut interior = vec![0; 16 * CHILD];
        for record in bucket.chunks(RECORD) {
            let nibble = record[0] >> 4;
            let child = &mut interior[CHILD * usize::from(nibble)..][..CHILD];
            assert_eq!(child[0], 0, "the ids of this vault begin with different nibbles");
            child[0] = 1;
            child[8..].copy_from_slice(&crate::primitives::sha256(record));
            forge.put(Table::Node, &[1, nibble << 4], record);
        }
        forge.put_node(ROOT, &interior, 3);
        forge.vector("three rows in an interior node and three buckets", "count")
    }),
    ("interior-flipped", || {
        let mut forge = wide();
        forge.edit(Table::Node, ROOT, |bytes| bytes[CHILD + 20] ^= 1);
        forge.vector("one bit of an interior node differs", "node")
    }),
    ("interior-child-missing", || {
        let mut forge = wide();
        forge.remove(Table::Node, ONE);
        forge.vector("a bucket below the topmost node was taken away", "node")
    }),
    ("interior-children-swapped", || {
        let mut forge = wide();
        forge.swap(Table::Node, ONE, TWO);
        forge.vector("two buckets lie in each other's place", "node")
    }),
    ("interior-bucket-misplaced", || {
        let mut forge = wide();
        forge.swap(Table::Node, ONE, TWO);
        let mut root = forge.row(Table::Node, ROOT).to_vec();
        root[CHILD..3 * CHILD].rotate_left(CHILD);
        forge.put_node(ROOT, &root, 34);
        forge.vector("two buckets lie in each other's place, vouched for", "node")
    }),
    ("interior-counts-shifted", || {
        interior("one row more below one child, one less below another", "count", |bytes| {
            bytes[CHILD] += 1;
            bytes[2 * CHILD] -= 1;
        })
    }),
    ("interior-sum", || {
        let mut forge = wide();
        let root = forge.row(Table::Node, ROOT).to_vec();
        let count = 33 + 2;
        forge.put_node(ROOT, &root, count);
        forge.vector("the head counts more rows than the topmost node", "count")
    }),
    ("interior-sum-overflows", || {
        interior("two counts of 2^63 more: the sum is right modulo 2^64", "count", |bytes| {
            bytes[CHILD + 7] ^= 0x80;
            bytes[2 * CHILD + 7] ^= 0x80;
        })
    }),
    ("interior-long", || {
        interior("an interior node has a seventeenth child", "node", |bytes| {
            bytes.extend_from_slice(&[0; CHILD]);
        })
    }),
    ("interior-empty-child-with-hash", || {
        interior("a child without rows has a hash", "node", |bytes| {
            bytes[15 * CHILD + 8] = 1;
        })
    }),
];

/// A vault of 34 rows: an interior node, and the entries below its children 1 and 2.
fn wide() -> Forge {
    Forge::crowded("wide", 33, |id| matches!(id[0] >> 4, 1 | 2))
}

/// The bucket was changed, and the head vouches for it with the count that it has then.
fn bucket(comment: &str, expect: &str, change: fn(&mut Vec<u8>)) -> Vector {
    let mut forge = Forge::small();
    let mut bytes = forge.row(Table::Node, ROOT).to_vec();
    change(&mut bytes);
    let count = bytes.len().div_ceil(RECORD) as u64;
    forge.put_node(ROOT, &bytes, count);
    forge.vector(comment, expect)
}

fn counted(comment: &str, count: u64) -> Vector {
    let mut forge = Forge::small();
    let bytes = forge.row(Table::Node, ROOT).to_vec();
    forge.put_node(ROOT, &bytes, count);
    forge.vector(comment, "count")
}

/// The interior node was changed, and the head vouches for it with the count of before.
fn interior(comment: &str, expect: &str, change: fn(&mut Vec<u8>)) -> Vector {
    let mut forge = wide();
    let mut bytes = forge.row(Table::Node, ROOT).to_vec();
    change(&mut bytes);
    forge.put_node(ROOT, &bytes, 34);
    forge.vector(comment, expect)
}
