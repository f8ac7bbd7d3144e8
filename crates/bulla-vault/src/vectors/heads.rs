//! Faults of the head record.

use bulla_testkit::vectors::Vector;

use super::Named;
use super::forge::Forge;
use crate::open::ONLY;
use crate::primitives::sha256;
use crate::store::Table;

pub(super) const VECTORS: &[Named] = &[
    ("head-missing", || {
        let mut forge = Forge::bare();
        forge.remove(Table::Head, ONLY);
        forge.vector("there is no head", "damaged")
    }),
    ("head-empty", || edited("the head has no bytes", |bytes| bytes.clear())),
    ("head-zeros", || edited("the head is all zeros", |bytes| bytes.fill(0))),
    ("head-truncated", || {
        edited("the head lacks its last byte", |bytes| {
            bytes.pop();
        })
    }),
    ("head-truncated-in-numbers", || {
        edited("the head ends within its suite number", |bytes| bytes.truncate(11))
    }),
    ("head-trailing-byte", || edited("one byte follows the head", |bytes| bytes.push(0))),
    ("head-magic", || {
        rewritten("the magic of a keyring", "damaged", |b| b[6..8].copy_from_slice(b"kr"))
    }),
    ("head-format-0", || rewritten("format 0", "unsupported", |bytes| bytes[8] = 0)),
    ("head-format-2", || rewritten("format 2", "unsupported", |bytes| bytes[8] = 2)),
    ("head-format-65535", || rewritten("format 65535", "unsupported", |b| b[8..10].fill(0xff))),
    ("head-suite-0", || rewritten("suite 0", "unsupported", |bytes| bytes[10] = 0)),
    ("head-suite-2", || rewritten("suite 2", "unsupported", |bytes| bytes[10] = 2)),
    ("head-format-2-shape", || {
        let mut forge = Forge::bare();
        forge.edit(Table::Head, ONLY, |bytes| {
            bytes[8] = 2;
            bytes.truncate(40);
        });
        let comment = "format 2 is named before its length and checksum are looked at";
        forge.vector(comment, "unsupported")
    }),
    ("head-flipped", || edited("one bit of the epoch differs", |bytes| bytes[44] ^= 1)),
    ("head-checksum-flipped", || edited("one bit of the checksum differs", |b| b[128] ^= 0x80)),
    ("head-mac-flipped", || {
        let mut forge = Forge::bare();
        forge.edit(Table::Head, ONLY, |bytes| bytes[191] ^= 1);
        forge.vector("one bit of the MAC differs", "head-mac")
    }),
    ("head-epoch-raised", || checksummed("a higher epoch, the checksum put right", 44)),
    ("head-count-raised", || checksummed("a higher count, the checksum put right", 56)),
    ("head-root-changed", || checksummed("another root, the checksum put right", 64)),
    ("head-incarnation-changed", || checksummed("another incarnation, the checksum put right", 28)),
    ("head-of-another-vault", || {
        let mut forge = Forge::bare();
        let other = Forge::small();
        forge.put(Table::Head, ONLY, other.row(Table::Head, ONLY));
        let comment = "the head of another vault: its id is not that of the keyring";
        forge.vector(comment, "damaged")
    }),
    ("head-key-epoch", || {
        rewritten("the key epoch is not that of the keyring", "damaged", |bytes| bytes[52] = 2)
    }),
    ("head-vouches-for-another-keyring", || {
        rewritten("another hash of the keyring, under a true MAC", "keyring-hash", |bytes| {
            bytes[96] ^= 1;
        })
    }),
];

/// Damaged as bytes are by accident.
fn edited(comment: &str, change: fn(&mut Vec<u8>)) -> Vector {
    let mut forge = Forge::bare();
    forge.edit(Table::Head, ONLY, change);
    forge.vector(comment, "damaged")
}

/// Written so by a holder of the key.
fn rewritten(comment: &str, expect: &str, change: fn(&mut Vec<u8>)) -> Vector {
    let mut forge = Forge::bare();
    forge.rewrite_head(change);
    forge.vector(comment, expect)
}

/// Changed by somebody who has no key but can count.
fn checksummed(comment: &str, at: usize) -> Vector {
    let mut forge = Forge::bare();
    forge.edit(Table::Head, ONLY, |bytes| {
        bytes[at] ^= 0x40;
        let checksum = sha256(&bytes[..128]);
        bytes[128..160].copy_from_slice(&checksum);
    });
    forge.vector(comment, "head-mac")
}
