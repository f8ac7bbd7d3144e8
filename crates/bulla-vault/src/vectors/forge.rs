//! A vault taken apart.
//!
//! The layouts are written down here a second time, by offsets as docs/format.md has them, so that
//! a change of what the crate writes shows.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::OnceLock;

use bulla_testkit::vectors::{Opener, Row, Vector};
use ed25519_dalek::{Signer, SigningKey};

use crate::bind::Binding;
use crate::keyring::Keyring;
use crate::keys::{EntryId, Keys};
use crate::open::ONLY;
use crate::primitives::{hmac, sha256};
use crate::random::{NoRandomness, Random};
use crate::secret::VaultKey;
use crate::slot::Place;
use crate::store::{MemoryStore, Store, Table};
use crate::tree::{self, Leaf, Root};
use crate::{
    Entry, EntryName, Field, FieldName, Identity, Kdf, Kind, NewSlot, Passphrase, Secret, Stamp,
    Vault, sealed,
};

/// What opens the vaults that a passphrase opens.
pub(super) const PASSPHRASE: &str = "correct horse battery staple";

/// The offset of the slots in a keyring.
pub(super) const SLOTS_AT: usize = 181;

/// Every row of a vault, and its key.
#[derive(Clone)]
pub(super) struct Forge {
    pub(super) rows: BTreeMap<(Table, Vec<u8>), Vec<u8>>,
    key: [u8; 32],
}

/// The plain head of a row, and the plaintext of its box.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) object: u8,
    pub(super) key_epoch: u32,
    pub(super) seq: u64,
    pub(super) version: u64,
    pub(super) kept: Vec<(u64, [u8; 32])>,
    pub(super) plaintext: Vec<u8>,
}

impl Forge {
    /// A vault with the vault's own record only.
    pub(super) fn bare() -> Self {
        static MADE: OnceLock<Forge> = OnceLock::new();
        MADE.get_or_init(|| Self::by_passphrase("bare", |_| {})).clone()
    }

    /// A vault with an entry that has two kept versions, and another entry.
    pub(super) fn small() -> Self {
        static MADE: OnceLock<Forge> = OnceLock::new();
        MADE.get_or_init(|| {
            Self::by_passphrase("small", |vault| {
                for (value, time) in [("one", 10), ("two", 20), ("three", 30)] {
                    put(vault, "secret-gmail", secret(value), time);
                }
                put(vault, "mailbox/support@example.com", mailbox("refresh-me"), 40);
            })
        })
        .clone()
    }

    /// A vault with `more` entries besides its own record, all of whose ids satisfy `starts`.
    pub(super) fn crowded(seed: &str, more: usize, starts: impl Fn(&EntryId) -> bool) -> Self {
        Self::by_passphrase(seed, |vault| {
            let names = (0..).map(|number| format!("entry-{number}"));
            let fitting = names.filter(|name| starts(&vault.keys.entry_id(name)));
            let mut batch = vault.write(at(10)).unwrap();
            for name in fitting.take(more) {
                let entry = secret(&name);
                batch.put(&EntryName::new(&name).unwrap(), entry, None).unwrap();
            }
            batch.commit().unwrap();
        })
    }

    /// A vault that [`PASSPHRASE`] opens, after what `story` did with it.
    pub(super) fn by_passphrase(seed: &str, story: impl FnOnce(&mut Vault<'_>)) -> Self {
        let phrase = passphrase(PASSPHRASE.as_bytes());
        Self::created(seed, &NewSlot::Passphrase(&phrase, cheap()), story)
    }

    /// A vault with one slot, after what `story` did with it.
    pub(super) fn created(
        seed: &str,
        slot: &NewSlot<'_>,
        story: impl FnOnce(&mut Vault<'_>),
    ) -> Self {
        let store = MemoryStore::new();
        let random = Repeatable::new(seed);
        let mut vault = Vault::create(&store, &random, "owner", slot, at(1)).unwrap();
        story(&mut vault);
        Self::of(&store, &vault)
    }

    /// What `store` holds of an open vault.
    pub(super) fn of(store: &MemoryStore, vault: &Vault<'_>) -> Self {
        let mut rows = BTreeMap::new();
        let view = store.read().unwrap();
        for table in Table::ALL {
            view.scan(table, b"", &mut |key, value| {
                rows.insert((table, key.to_vec()), value.to_vec());
                ControlFlow::Continue(())
            })
            .unwrap();
        }
        Self { rows, key: *vault.key.bytes() }
    }

    /// The vector of this vault, for a reader with [`PASSPHRASE`].
    pub(super) fn vector(&self, comment: &str, expect: &str) -> Vector {
        let table = |table| match table {
            Table::Head => "head",
            Table::Keyring => "keyring",
            Table::Entry => "entry",
            Table::History => "history",
            Table::Node => "node",
        };
        let rows = self.rows.iter().map(|((of, key), value)| Row {
            table: table(*of).to_owned(),
            key: key.clone(),
            value: value.clone(),
        });
        Vector {
            comment: comment.to_owned(),
            expect: expect.to_owned(),
            openers: vec![Opener::Passphrase(PASSPHRASE.as_bytes().to_vec())],
            rows: rows.collect(),
            ..Vector::default()
        }
    }

    /// What a reader remembers of this state.
    pub(super) fn remembered(&self) -> String {
        let head = self.row(Table::Head, ONLY);
        format!(
            "bulla-memory 1 {} {} {} {} {} {} {}",
            hex(&head[12..28]),
            hex(&head[28..44]),
            u64::from_le_bytes(head[44..52].try_into().unwrap()),
            hex(&head[64..96]),
            self.place().key_epoch,
            pin(self),
            hex(&[0; 8]),
        )
    }

    /// Changes a row and nothing else.
    pub(super) fn edit(&mut self, table: Table, key: &[u8], change: impl FnOnce(&mut Vec<u8>)) {
        change(self.row_mut(table, key));
    }

    pub(super) fn row(&self, table: Table, key: &[u8]) -> &[u8] {
        &self.rows[&(table, key.to_vec())]
    }

    pub(super) fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.rows.insert((table, key.to_vec()), value.to_vec());
    }

    pub(super) fn remove(&mut self, table: Table, key: &[u8]) -> Vec<u8> {
        self.rows.remove(&(table, key.to_vec())).unwrap()
    }

    /// Exchanges the values of two rows.
    pub(super) fn swap(&mut self, table: Table, a: &[u8], b: &[u8]) {
        let (of_a, of_b) = (self.row(table, a).to_vec(), self.row(table, b).to_vec());
        self.put(table, a, &of_b);
        self.put(table, b, &of_a);
    }

    /// Changes what the head says (its first 128 bytes), and puts checksum and MAC right.
    pub(super) fn rewrite_head(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.row(Table::Head, ONLY)[..128].to_vec();
        change(&mut bytes);
        let checksum = sha256(&bytes);
        bytes.extend_from_slice(&checksum);
        let mac = hmac(self.keys().head.bytes(), &bytes);
        bytes.extend_from_slice(&mac);
        self.put(Table::Head, ONLY, &bytes);
    }

    /// Changes what the keyring says (all before its checksum), and puts the checksum, the MAC, the
    /// signature and the head's hash right.
    pub(super) fn rewrite_keyring(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        let signing = self.signing_key();
        self.rewrite_keyring_with(&signing, change);
    }

    /// As [`rewrite_keyring`](Self::rewrite_keyring), but signed with a key of choice.
    pub(super) fn rewrite_keyring_with(
        &mut self,
        signing: &SigningKey,
        change: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut bytes = self.keyring_body();
        change(&mut bytes);
        let checksum = sha256(&bytes);
        bytes.extend_from_slice(&checksum);
        let mac = hmac(self.keys().keyring.bytes(), &bytes);
        bytes.extend_from_slice(&mac);
        let message = Binding::new("bulla/1 signed keyring").part(&bytes);
        bytes.extend_from_slice(&signing.sign(message.bytes()).to_bytes());
        self.put(Table::Keyring, ONLY, &bytes);
        self.vouch_for_keyring();
    }

    /// Gives the keyring other slots, everything else right.
    pub(super) fn rewrite_slots(&mut self, slots: &[Vec<u8>]) {
        let count = u8::try_from(slots.len()).unwrap();
        let slots = slots.concat();
        let len = u32::try_from(SLOTS_AT + slots.len() + 128).unwrap();
        self.rewrite_keyring(|bytes| {
            bytes.truncate(SLOTS_AT - 1);
            bytes[12..16].copy_from_slice(&len.to_le_bytes());
            bytes.push(count);
            bytes.extend_from_slice(&slots);
        });
    }

    /// Makes the head state the hash of the keyring that is there.
    pub(super) fn vouch_for_keyring(&mut self) {
        let hash = sha256(self.row(Table::Keyring, ONLY));
        self.rewrite_head(|bytes| bytes[96..128].copy_from_slice(&hash));
    }

    /// The keyring up to its checksum.
    pub(super) fn keyring_body(&self) -> Vec<u8> {
        let keyring = self.row(Table::Keyring, ONLY);
        keyring[..keyring.len() - 128].to_vec()
    }

    /// The slots of a keyring that has none but passphrase slots.
    pub(super) fn passphrase_slots(&self) -> Vec<Vec<u8>> {
        self.keyring_body()[SLOTS_AT..].chunks(133).map(<[u8]>::to_vec).collect()
    }

    /// The id of an entry.
    pub(super) fn id(&self, name: &str) -> EntryId {
        self.keys().entry_id(name)
    }

    pub(super) fn history_key(&self, name: &str, version: u64) -> Vec<u8> {
        [&self.id(name)[..], &version.to_le_bytes()].concat()
    }

    /// Opens a row of the entry or of the history table.
    pub(super) fn open(&self, table: Table, key: &[u8]) -> Opened {
        let row = self.row(table, key);
        let word = |at: usize| u64::from_le_bytes(row[at..at + 8].try_into().unwrap());
        let count = usize::from(u16::from_le_bytes([row[21], row[22]]));
        let (head, sealed) = row.split_at(23 + 40 * count);
        let kept = head[23..].chunks(40).map(|item| {
            let version = u64::from_le_bytes(item[..8].try_into().unwrap());
            (version, item[8..].try_into().unwrap())
        });
        let binding = self.binding(&key[..16].try_into().unwrap(), head);
        Opened {
            object: row[0],
            key_epoch: u32::from_le_bytes(row[1..5].try_into().unwrap()),
            seq: word(5),
            version: word(13),
            kept: kept.collect(),
            plaintext: sealed::open(self.keys().data.bytes(), &binding, sealed).unwrap().to_vec(),
        }
    }

    /// Seals a row, whatever it says.
    pub(super) fn seal(&self, id: &EntryId, row: &Opened) -> Vec<u8> {
        let Opened { object, key_epoch, seq, version, kept, plaintext } = row;
        let mut bytes = vec![*object];
        bytes.extend_from_slice(&key_epoch.to_le_bytes());
        bytes.extend_from_slice(&seq.to_le_bytes());
        bytes.extend_from_slice(&version.to_le_bytes());
        bytes.extend_from_slice(&u16::try_from(kept.len()).unwrap().to_le_bytes());
        for (version, hash) in kept {
            bytes.extend_from_slice(&version.to_le_bytes());
            bytes.extend_from_slice(hash);
        }
        let (keys, binding) = (self.keys(), self.binding(id, &bytes));
        let random = Repeatable::new("forged");
        sealed::seal(keys.data.bytes(), &keys.hedge, &binding, plaintext, &random, &mut bytes)
            .unwrap();
        bytes
    }

    /// Changes the newest row of an entry, seals it again, and makes tree and head vouch for it.
    pub(super) fn rewrite_entry(&mut self, name: &str, change: impl FnOnce(&mut Opened)) {
        let id = self.id(name);
        let mut row = self.open(Table::Entry, &id);
        change(&mut row);
        let sealed = self.seal(&id, &row);
        self.put(Table::Entry, &id, &sealed);
        self.vouch();
    }

    /// Changes a kept version, seals it again, and makes entry, tree and head vouch for it.
    pub(super) fn rewrite_history(
        &mut self,
        name: &str,
        version: u64,
        change: impl FnOnce(&mut Opened),
    ) {
        let key = self.history_key(name, version);
        let mut row = self.open(Table::History, &key);
        change(&mut row);
        let sealed = self.seal(&self.id(name), &row);
        self.put(Table::History, &key, &sealed);
        self.vouch_for_history(name, version);
    }

    /// Makes the entry state the hash of a kept version that is there.
    pub(super) fn vouch_for_history(&mut self, name: &str, version: u64) {
        let hash = sha256(self.row(Table::History, &self.history_key(name, version)));
        self.rewrite_entry(name, |entry| {
            entry.kept.iter_mut().find(|(kept, _)| *kept == version).unwrap().1 = hash;
        });
    }

    /// Builds the tree anew over the entry rows that are there, and makes the head state it.
    pub(super) fn vouch(&mut self) {
        self.vouch_but(|_| {});
    }

    /// As [`vouch`](Self::vouch), with other leaves.
    pub(super) fn vouch_but(&mut self, change: impl FnOnce(&mut BTreeMap<EntryId, Leaf>)) {
        let mut leaves: BTreeMap<EntryId, Leaf> = self
            .rows
            .iter()
            .filter(|((table, _), _)| *table == Table::Entry)
            .map(|((_, key), row)| {
                let seq = row.get(5..13).map_or(0, |n| u64::from_le_bytes(n.try_into().unwrap()));
                (key.as_slice().try_into().unwrap(), Leaf { seq, hash: sha256(row) })
            })
            .collect();
        change(&mut leaves);
        let store = MemoryStore::new();
        let mut txn = store.write().unwrap();
        let root = tree::apply(&mut *txn, Root::default(), &leaves).unwrap();
        self.rows.retain(|(table, _), _| *table != Table::Node);
        txn.scan(Table::Node, b"", &mut |key, value| {
            self.rows.insert((Table::Node, key.to_vec()), value.to_vec());
            ControlFlow::Continue(())
        })
        .unwrap();
        self.vouch_for_root(root.count, root.hash);
    }

    /// Puts a node in its place, and makes those above it and the head vouch for it.
    pub(super) fn put_node(&mut self, key: &[u8], bytes: &[u8], count: u64) {
        let (mut key, mut bytes, mut count) = (key.to_vec(), bytes.to_vec(), count);
        loop {
            self.put(Table::Node, &key, &bytes);
            let hash = sha256(&bytes);
            if key[0] == 0 {
                return self.vouch_for_root(count, hash);
            }
            let nibble = usize::from(pop_nibble(&mut key));
            bytes = self.row(Table::Node, &key).to_vec();
            bytes[40 * nibble..40 * nibble + 8].copy_from_slice(&count.to_le_bytes());
            bytes[40 * nibble + 8..40 * nibble + 40].copy_from_slice(&hash);
            let counts = bytes.chunks(40).map(|c| u64::from_le_bytes(c[..8].try_into().unwrap()));
            count = counts.fold(0, u64::wrapping_add);
        }
    }

    pub(super) fn vouch_for_root(&mut self, count: u64, hash: [u8; 32]) {
        self.rewrite_head(|bytes| {
            bytes[56..64].copy_from_slice(&count.to_le_bytes());
            bytes[64..96].copy_from_slice(&hash);
        });
    }

    pub(super) fn keys(&self) -> Keys {
        Keys::derive(&self.vault_key(), &self.place().vault_id)
    }

    pub(super) fn vault_key(&self) -> VaultKey {
        VaultKey::from_bytes(&mut self.key.clone())
    }

    pub(super) fn place(&self) -> Place {
        let head = self.row(Table::Head, ONLY);
        Place {
            vault_id: head[12..28].try_into().unwrap(),
            key_epoch: u32::from_le_bytes(head[52..56].try_into().unwrap()),
        }
    }

    fn signing_key(&self) -> SigningKey {
        let keyring = Keyring::parse(self.row(Table::Keyring, ONLY).to_vec()).ok().unwrap();
        keyring.signing_key(&self.keys()).unwrap()
    }

    fn binding(&self, id: &EntryId, head: &[u8]) -> Binding {
        let vault_id = self.place().vault_id;
        Binding::new("record").part(&1u16.to_le_bytes()).part(&vault_id).part(id).part(head)
    }

    fn row_mut(&mut self, table: Table, key: &[u8]) -> &mut Vec<u8> {
        self.rows.get_mut(&(table, key.to_vec())).unwrap()
    }
}

/// Takes the last nibble off the key of a node, and returns it.
fn pop_nibble(key: &mut Vec<u8>) -> u8 {
    key[0] -= 1;
    if key[0].is_multiple_of(2) {
        key.pop().unwrap() >> 4
    } else {
        let last = key.last_mut().unwrap();
        let nibble = *last & 0xf;
        *last &= 0xf0;
        nibble
    }
}

/// Bytes that look random and are always the same for one seed.
pub(super) struct Repeatable {
    seed: String,
    drawn: Cell<u64>,
}

impl Repeatable {
    pub(super) fn new(seed: &str) -> Self {
        Self { seed: seed.to_owned(), drawn: Cell::new(0) }
    }
}

impl Random for Repeatable {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        for chunk in bytes.chunks_mut(32) {
            let number = self.drawn.replace(self.drawn.get() + 1);
            let block = hmac(self.seed.as_bytes(), &number.to_le_bytes());
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
        Ok(())
    }
}

/// The cheapest parameters that the format allows.
pub(super) fn cheap() -> Kdf {
    Kdf::new(19 * 1024, 2, 1).unwrap()
}

pub(super) fn passphrase(bytes: &[u8]) -> Passphrase {
    Passphrase::new(Secret::copied_from(bytes)).unwrap()
}

pub(super) fn identity(seed: &str) -> Identity {
    Identity::generate(&Repeatable::new(seed)).unwrap()
}

/// A moment in November 2023.
pub(super) fn at(seconds: u64) -> Stamp {
    Stamp { time: 1_700_000_000 + seconds, reason: String::new() }
}

pub(super) fn entry(kind: Kind, fields: &[(&str, &[u8])]) -> Entry {
    let mut entry = Entry::new(kind);
    for (name, value) in fields {
        let (name, value) = (FieldName::new(name).unwrap(), Secret::copied_from(value));
        entry.set(Field { name, value, public: false, expires: None }).unwrap();
    }
    entry
}

pub(super) fn secret(value: &str) -> Entry {
    entry(Kind::Secret, &[("password", value.as_bytes())])
}

pub(super) fn mailbox(token: &str) -> Entry {
    entry(Kind::Mailbox, &[("refresh-token", token.as_bytes())])
}

pub(super) fn put(vault: &Vault<'_>, name: &str, entry: Entry, seconds: u64) {
    let mut batch = vault.write(at(seconds)).unwrap();
    batch.put(&EntryName::new(name).unwrap(), entry, None).unwrap();
    batch.commit().unwrap();
}

/// The pin of a vault, as 64 digits.
pub(super) fn pin(forge: &Forge) -> String {
    hex(&sha256(&forge.keyring_body()[36..68]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
