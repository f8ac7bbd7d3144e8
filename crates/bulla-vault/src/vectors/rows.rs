//! Faults of rows: where they lie, what their plain heads say, and their boxes.

use bulla_testkit::vectors::Vector;

use super::Named;
use super::forge::{Forge, Opened, mailbox, put, secret};
use crate::primitives::sha256;
use crate::store::Table;
use crate::tree::Leaf;

const GMAIL: &str = "secret-gmail";
const MAILBOX: &str = "mailbox/support@example.com";
/// The name of the vault's own record.
const OWN: &str = "\0slots";

pub(super) const VECTORS: &[Named] = &[
    ("row-missing", || {
        let mut forge = Forge::small();
        forge.remove(Table::Entry, &forge.id(GMAIL));
        forge.vector("an entry row was taken away", "row")
    }),
    ("row-all-missing", || {
        let mut forge = Forge::small();
        forge.rows.retain(|(table, _), _| *table != Table::Entry);
        forge.vector("all entry rows were taken away", "row")
    }),
    ("row-swapped", || {
        let mut forge = Forge::small();
        forge.swap(Table::Entry, &forge.id(GMAIL), &forge.id(MAILBOX));
        forge.vector("two entry rows lie in each other's place", "row")
    }),
    ("row-replayed", || {
        let mut forge = Forge::small();
        let id = forge.id(GMAIL);
        forge.put(Table::Entry, &id, earlier().row(Table::Entry, &id));
        forge.vector("one entry row is as it was before, all others are new", "row")
    }),
    ("row-of-another-vault", || {
        let mut forge = Forge::small();
        let other = Forge::by_passphrase("other", |vault| put(vault, GMAIL, secret("x"), 10));
        let row = other.row(Table::Entry, &other.id(GMAIL)).to_vec();
        forge.put(Table::Entry, &forge.id(GMAIL), &row);
        forge.vouch();
        forge.vector("the row of another vault, of the same name, vouched for", "commitment")
    }),
    ("row-flipped", || edited("one bit of a row differs", |row| row[60] ^= 1)),
    ("row-truncated", || {
        edited("a row lacks its last byte", |row| {
            row.pop();
        })
    }),
    ("row-empty", || edited("a row has no bytes", |row| row.clear())),
    ("row-trailing-byte", || edited("one byte follows a row", |row| row.push(0))),
    ("row-head-truncated", || vouched("the plain head ends within n", "row", |r| r.truncate(22))),
    ("row-list-truncated", || {
        vouched("the list of kept versions ends within its second item", "row", |r| r.truncate(70))
    }),
    ("row-box-truncated", || {
        vouched("the box is shorter than salt, commitment and tag", "row", |row| {
            row.truncate(23 + 2 * 40 + 79);
        })
    }),
    ("row-object-0", || resealed("object 0", "row", |row| row.object = 0)),
    ("row-object-3", || resealed("object 3", "row", |row| row.object = 3)),
    ("row-object-history", || {
        resealed("the object of a history row, in the entry table", "row", |row| {
            row.object = 2;
            row.kept.clear();
        })
    }),
    ("row-seq-unlike-tree", || {
        let mut forge = Forge::small();
        let id = forge.id(GMAIL);
        forge.vouch_but(|leaves| leaves.get_mut(&id).unwrap().seq += 1);
        forge.vector("the tree has another seq than the row", "row")
    }),
    ("row-key-epoch", || {
        resealed("the key epoch is not that of the head", "row", |row| row.key_epoch = 2)
    }),
    ("row-65-kept-versions", || {
        resealed("65 kept versions are listed", "row", |row| {
            row.version = 100;
            row.kept = (1..=65).map(|version| (version, [7; 32])).collect();
        })
    }),
    ("row-kept-versions-unsorted", || {
        resealed("the kept versions are listed in descending order", "row", |r| r.kept.reverse())
    }),
    ("row-kept-version-twice", || {
        resealed("a kept version is listed twice", "row", |row| row.kept[1] = row.kept[0])
    }),
    ("own-record-missing", || {
        let mut forge = Forge::small();
        forge.remove(Table::Entry, &forge.id(OWN));
        forge.vouch();
        forge.vector("the vault has no record of its own, neither as a row nor in the tree", "row")
    }),
    ("box-moved", || {
        let mut forge = Forge::small();
        let (from, to) = (forge.id(MAILBOX), forge.id(GMAIL));
        let row = forge.row(Table::Entry, &from).to_vec();
        forge.put(Table::Entry, &to, &row);
        forge.vouch();
        forge.vector("a row lies under another id, vouched for", "commitment")
    }),
    ("box-version", || {
        vouched("another version in the plain head", "commitment", |row| row[13] += 1)
    }),
    ("box-kept-hash", || {
        vouched("another hash of a kept version in the plain head", "commitment", |r| r[40] ^= 1)
    }),
    ("box-salt", || vouched("one bit of the salt differs", "commitment", |row| boxed(row)[0] ^= 1)),
    ("box-commitment", || {
        vouched("one bit of the commitment differs", "commitment", |row| boxed(row)[63] ^= 0x80)
    }),
    ("box-ciphertext", || {
        vouched("one bit of the ciphertext differs", "tag", |row| boxed(row)[64] ^= 1)
    }),
    ("box-tag", || {
        vouched("one bit of the tag differs", "tag", |row| *row.last_mut().unwrap() ^= 1)
    }),
    ("box-tag-truncated", || {
        vouched("the tag lacks its last byte", "tag", |row| {
            row.pop();
        })
    }),
    ("history-missing", || {
        let mut forge = Forge::small();
        forge.remove(Table::History, &forge.history_key(GMAIL, 1));
        forge.vector("a kept version was taken away", "history")
    }),
    ("history-swapped", || {
        let mut forge = Forge::small();
        let (one, two) = (forge.history_key(GMAIL, 1), forge.history_key(GMAIL, 2));
        forge.swap(Table::History, &one, &two);
        forge.vector("two kept versions lie in each other's place", "history")
    }),
    ("history-flipped", || {
        let mut forge = Forge::small();
        forge.edit(Table::History, &forge.history_key(GMAIL, 2), |row| row[100] ^= 1);
        forge.vector("one bit of a kept version differs", "history")
    }),
    ("history-empty", || {
        kept_edited("a kept version has no bytes, vouched for", "history", |row| row.clear())
    }),
    ("history-box-truncated", || {
        let comment = "the box of a kept version is shorter than salt, commitment and tag";
        kept_edited(comment, "history", |row| row.truncate(23 + 79))
    }),
    ("history-object-entry", || {
        kept("the object of an entry row, in the history table", "history", |row| row.object = 1)
    }),
    ("history-version", || {
        kept("a version that is not that of its key", "history", |row| row.version = 2)
    }),
    ("history-key-epoch", || {
        kept("the key epoch is not that of the head", "history", |row| row.key_epoch = 2)
    }),
    ("history-with-history", || {
        kept("a kept version lists a kept version", "history", |row| row.kept = vec![(0, [7; 32])])
    }),
    ("history-commitment", || {
        let comment = "one bit of a kept version's commitment differs";
        kept_edited(comment, "commitment", |row| row[23 + 32] ^= 1)
    }),
    ("history-tag", || {
        let comment = "one bit of a kept version's tag differs";
        kept_edited(comment, "tag", |row| *row.last_mut().unwrap() ^= 1)
    }),
    ("history-padding", || {
        let comment = "the padding of a kept version is not zeros";
        kept(comment, "padding", |row| *row.plaintext.last_mut().unwrap() = 1)
    }),
    ("stray-entry", || {
        let mut forge = Forge::small();
        let row = forge.row(Table::Entry, &forge.id(MAILBOX)).to_vec();
        forge.put(Table::Entry, &[7; 16], &row);
        forge.vector("an entry row that the tree does not know", "stray")
    }),
    ("stray-entry-dropped-from-tree", || {
        let mut forge = Forge::small();
        let id = forge.id(MAILBOX);
        forge.vouch_but(|leaves| {
            leaves.remove(&id);
        });
        forge.vector("the tree was made without an entry whose row is there", "stray")
    }),
    ("stray-history", || {
        let mut forge = Forge::small();
        let row = forge.row(Table::History, &forge.history_key(GMAIL, 1)).to_vec();
        forge.put(Table::History, &forge.history_key(MAILBOX, 1), &row);
        forge.vector("a history row that no entry lists", "stray")
    }),
    ("stray-node", || {
        let mut forge = Forge::small();
        let root = forge.row(Table::Node, &[0]).to_vec();
        forge.put(Table::Node, &[1, 0x70], &root);
        forge.vector("a node that no other node leads to", "stray")
    }),
    ("stray-head", || {
        let mut forge = Forge::small();
        let head = earlier().row(Table::Head, &[0]).to_vec();
        forge.put(Table::Head, &[1], &head);
        forge.vector("a second row in the head table", "stray")
    }),
    ("stray-keyring", || {
        let mut forge = Forge::small();
        let keyring = forge.row(Table::Keyring, &[0]).to_vec();
        forge.put(Table::Keyring, &[0, 0], &keyring);
        forge.vector("a second row in the keyring table", "stray")
    }),
    ("tree-vouches-for-no-row", || {
        let mut forge = Forge::small();
        forge.vouch_but(|leaves| {
            leaves.insert([7; 16], Leaf { seq: 1, hash: sha256(b"") });
        });
        forge.vector("the tree has a leaf for which there is no row", "row")
    }),
];

/// The vault of [`Forge::small`] before its third version of the entry.
fn earlier() -> Forge {
    Forge::by_passphrase("small", |vault| {
        put(vault, GMAIL, secret("one"), 10);
        put(vault, GMAIL, secret("two"), 20);
        put(vault, MAILBOX, mailbox("refresh-me"), 40);
    })
}

/// Changed by somebody who has no key.
fn edited(comment: &str, change: fn(&mut Vec<u8>)) -> Vector {
    let mut forge = Forge::small();
    forge.edit(Table::Entry, &forge.id(GMAIL), change);
    forge.vector(comment, "row")
}

/// The row was changed, and tree and head vouch for it.
fn vouched(comment: &str, expect: &str, change: fn(&mut Vec<u8>)) -> Vector {
    let mut forge = Forge::small();
    let id = forge.id(GMAIL);
    forge.edit(Table::Entry, &id, change);
    let hash = sha256(forge.row(Table::Entry, &id));
    // A row may be too short to have a seq.
    forge.vouch_but(|leaves| {
        leaves.insert(id, Leaf { seq: 3, hash });
    });
    forge.vector(comment, expect)
}

/// What was sealed was changed before, and everything vouches for it.
fn resealed(comment: &str, expect: &str, change: fn(&mut Opened)) -> Vector {
    let mut forge = Forge::small();
    forge.rewrite_entry(GMAIL, change);
    forge.vector(comment, expect)
}

/// As [`resealed`], of a kept version.
fn kept(comment: &str, expect: &str, change: fn(&mut Opened)) -> Vector {
    let mut forge = Forge::small();
    forge.rewrite_history(GMAIL, 1, change);
    forge.vector(comment, expect)
}

/// As [`vouched`], of a kept version.
fn kept_edited(comment: &str, expect: &str, change: fn(&mut Vec<u8>)) -> Vector {
    let mut forge = Forge::small();
    forge.edit(Table::History, &forge.history_key(GMAIL, 1), change);
    forge.vouch_for_history(GMAIL, 1);
    forge.vector(comment, expect)
}

/// The box of a row that lists two kept versions.
fn boxed(row: &mut [u8]) -> &mut [u8] {
    &mut row[23 + 2 * 40..]
}
