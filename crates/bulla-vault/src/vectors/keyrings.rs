//! Faults of the keyring record and of its slots.

use bulla_testkit::vectors::{Opener, Vector};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use super::Named;
use super::forge::{Forge, PASSPHRASE, SLOTS_AT, at, cheap, identity, passphrase};
use crate::NewSlot;
use crate::open::ONLY;
use crate::primitives::sha256;
use crate::slot::Slot;
use crate::store::Table;

pub(super) const VECTORS: &[Named] = &[
    ("keyring-missing", || {
        let mut forge = Forge::bare();
        forge.remove(Table::Keyring, ONLY);
        forge.vector("there is no keyring", "damaged")
    }),
    ("keyring-empty", || edited("the keyring has no bytes", |bytes| bytes.clear())),
    ("keyring-truncated", || {
        edited("the keyring lacks its last byte", |bytes| {
            bytes.pop();
        })
    }),
    ("keyring-truncated-in-slots", || {
        edited("the keyring ends within its slots", |bytes| bytes.truncate(300))
    }),
    ("keyring-trailing-byte", || edited("one byte follows the keyring", |bytes| bytes.push(0))),
    ("keyring-flipped", || edited("one bit of a salt differs", |bytes| bytes[210] ^= 4)),
    ("keyring-checksum-flipped", || {
        edited("one bit of the checksum differs", |bytes| {
            let at = bytes.len() - 128;
            bytes[at] ^= 1;
        })
    }),
    ("keyring-magic", || {
        rewritten("the magic of a head", "damaged", |b| b[6..8].copy_from_slice(b"hd"))
    }),
    ("keyring-format-0", || rewritten("format 0", "unsupported", |bytes| bytes[8] = 0)),
    ("keyring-format-2", || rewritten("format 2", "unsupported", |bytes| bytes[8] = 2)),
    ("keyring-suite-2", || rewritten("suite 2", "unsupported", |bytes| bytes[10] = 2)),
    ("keyring-length-short", || {
        rewritten("a length field that is one too low", "damaged", |bytes| bytes[12] -= 1)
    }),
    ("keyring-length-long", || {
        rewritten("a length field of 2^32 - 1", "damaged", |bytes| bytes[12..16].fill(0xff))
    }),
    ("keyring-no-slots", || slots("there are no slots", "damaged", |slots| slots.clear())),
    ("keyring-33-slots", || {
        slots("33 slots, 8 of them passphrases", "damaged", |slots| {
            copy(slots, 8);
            slots.extend((8..33).map(|n| [&[2, n][..], &[7; 7], &[n; 1172]].concat()));
        })
    }),
    ("keyring-9-passphrases", || slots("9 passphrase slots", "damaged", |slots| copy(slots, 9))),
    ("keyring-fewer-slots-than-counted", || {
        rewritten("two slots are announced, one is there", "damaged", |b| b[SLOTS_AT - 1] = 2)
    }),
    ("keyring-more-slots-than-counted", || {
        let mut forge = Forge::bare();
        let mut slots = forge.passphrase_slots();
        copy(&mut slots, 2);
        forge.rewrite_slots(&slots);
        forge.rewrite_keyring(|bytes| bytes[SLOTS_AT - 1] = 1);
        forge.vector("one slot is announced, two are there", "damaged")
    }),
    ("keyring-duplicate-slot-ids", || {
        slots("two slots have the same id", "damaged", |slots| slots.push(slots[0].clone()))
    }),
    ("keyring-slot-sort-0", || slots("a slot of sort 0", "damaged", |slots| slots[0][0] = 0)),
    ("keyring-slot-sort-3", || slots("a slot of sort 3", "damaged", |slots| slots[0][0] = 3)),
    ("kdf-memory-low", || kdf("m is one KiB below the bound", 19 * 1024 - 1, 2, 1)),
    ("kdf-memory-low-for-one-pass", || kdf("m is too low for t = 1", 46 * 1024 - 1, 1, 1)),
    ("kdf-memory-high", || kdf("m is one KiB above the bound", 1024 * 1024 + 1, 2, 1)),
    ("kdf-memory-huge", || kdf("m is 2^32 - 1 KiB", u32::MAX, 2, 1)),
    ("kdf-no-passes", || kdf("t is 0", 64 * 1024, 0, 1)),
    ("kdf-passes-high", || kdf("t is 17", 64 * 1024, 17, 1)),
    ("kdf-no-lanes", || kdf("p is 0", 64 * 1024, 2, 0)),
    ("kdf-lanes-high", || kdf("p is 17", 64 * 1024, 2, 17)),
    ("kdf-bounds-of-another-slot", || {
        slots(
            "the slot that would open comes first, a second one has t = 2^32 - 1",
            "kdf-bounds",
            |slots| {
                copy(slots, 2);
                slots[1][13..17].fill(0xff);
            },
        )
    }),
    ("locked-wrong-passphrase", || {
        let mut vector = Forge::bare().vector("the passphrase is another one", "locked");
        vector.openers = vec![Opener::Passphrase(b"Correct horse battery staple".to_vec())];
        vector
    }),
    ("locked-untrimmed-passphrase", || {
        let mut vector = Forge::bare().vector("passphrases are not trimmed", "locked");
        let typed = format!("{PASSPHRASE}\n");
        vector.openers = vec![Opener::Passphrase(typed.into_bytes())];
        vector
    }),
    ("locked-slot-of-another-vault", || {
        slots("the slot of another vault, of the same passphrase", "locked", |slots| {
            *slots = Forge::small().passphrase_slots();
        })
    }),
    ("locked-slot-id", || slots("another slot id", "locked", |slots| slots[0][1] ^= 1)),
    ("locked-slot-memory", || {
        slots("m was raised in place, within the bounds", "locked", |slots| slots[0][9] ^= 1)
    }),
    ("locked-slot-salt", || slots("one bit of the salt differs", "locked", |s| s[0][21] ^= 1)),
    ("locked-slot-commitment", || {
        slots("one bit of the commitment differs", "locked", |slots| slots[0][53] ^= 1)
    }),
    ("locked-slot-ciphertext", || {
        slots("one bit of the wrapped key differs", "locked", |slots| slots[0][85] ^= 1)
    }),
    ("locked-slot-tag", || slots("one bit of the tag differs", "locked", |s| s[0][132] ^= 1)),
    ("locked-vault-id", || {
        let mut forge = Forge::bare();
        forge.rewrite_keyring(|bytes| bytes[16] ^= 1);
        forge.rewrite_head(|bytes| bytes[12] ^= 1);
        forge.vector("head and keyring state another vault id", "locked")
    }),
    ("locked-key-epoch", || {
        let mut forge = Forge::bare();
        forge.rewrite_keyring(|bytes| bytes[32] = 2);
        forge.rewrite_head(|bytes| bytes[52] = 2);
        forge.vector("head and keyring state another key epoch", "locked")
    }),
    ("keyring-slot-appended", || {
        let mut forge = Forge::bare();
        let keyring = forge.row(Table::Keyring, ONLY).to_vec();
        let mut slots = forge.passphrase_slots();
        copy(&mut slots, 2);
        forge.rewrite_slots(&slots);
        forge.edit(Table::Keyring, ONLY, |bytes| {
            let mac_at = bytes.len() - 96;
            bytes[mac_at..].copy_from_slice(&keyring[keyring.len() - 96..]);
        });
        forge.vouch_for_keyring();
        let comment = "a slot was added and the checksum put right, the MAC is that of before";
        forge.vector(comment, "keyring-mac")
    }),
    ("keyring-mac-flipped", || tail("one bit of the MAC differs", "keyring-mac", 96)),
    ("keyring-signature-flipped", || tail("one bit of the signature's R", "signature", 64)),
    ("keyring-signature-s-flipped", || tail("one bit of the signature's S", "signature", 32)),
    ("keyring-signed-by-another", || {
        let mut forge = Forge::bare();
        forge.rewrite_keyring_with(&SigningKey::from_bytes(&[7; 32]), |_| {});
        forge.vector("the MAC is right, the signature is of another key", "signature")
    }),
    ("keyring-signed-without-label", || {
        let mut forge = Forge::bare();
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        forge.rewrite_keyring(|bytes| bytes[36..68].copy_from_slice(&public));
        forge.edit(Table::Keyring, ONLY, |bytes| {
            let (message, _) = bytes.split_at(bytes.len() - 64);
            let signature = key.sign(message).to_bytes();
            let at = bytes.len() - 64;
            bytes[at..].copy_from_slice(&signature);
        });
        forge.vouch_for_keyring();
        forge.vector("the signature is over the bytes alone", "signature")
    }),
    ("keyring-signature-malleable", || {
        let mut forge = Forge::bare();
        forge.edit(Table::Keyring, ONLY, |bytes| {
            let at = bytes.len() - 32;
            add_group_order(&mut bytes[at..]);
        });
        forge.vouch_for_keyring();
        forge.vector("the signature's S is out of range: the group's order was added", "signature")
    }),
    ("keyring-small-order-key", || {
        let mut forge = Forge::bare();
        let mut neutral = [0; 32];
        neutral[0] = 1;
        forge.rewrite_keyring(|bytes| bytes[36..68].copy_from_slice(&neutral));
        forge.edit(Table::Keyring, ONLY, |bytes| {
            let at = bytes.len() - 64;
            bytes[at..at + 32].copy_from_slice(&neutral);
            bytes[at + 32..].fill(0);
        });
        forge.vouch_for_keyring();
        let comment = "the public key is of order 1, so that one signature fits everything";
        forge.vector(comment, "signature")
    }),
    ("keyring-public-key-no-point", || {
        let mut forge = Forge::bare();
        let no_point = (2..=255)
            .map(|y| std::array::from_fn(|at| if at == 0 { y } else { 0 }))
            .find(|bytes: &[u8; 32]| VerifyingKey::from_bytes(bytes).is_err())
            .unwrap();
        forge.rewrite_keyring(|bytes| bytes[36..68].copy_from_slice(&no_point));
        forge.vector("the public key is no point of the curve", "signature")
    }),
    ("keyring-seed-commitment", || {
        rewritten("the commitment of the signing seed differs", "commitment", |b| b[100] ^= 1)
    }),
    ("keyring-seed-tag", || {
        rewritten("the tag of the signing seed differs", "tag", |bytes| bytes[179] ^= 1)
    }),
    ("keyring-older", || {
        let before = Forge::bare();
        let mut forge = Forge::by_passphrase("bare", |vault| {
            let friend = identity("friend").recipient();
            vault.add_slot("friend", &NewSlot::Recipient(&friend), at(2)).unwrap();
        });
        forge.put(Table::Keyring, ONLY, before.row(Table::Keyring, ONLY));
        let comment = "the keyring is the one from before a slot was added";
        forge.vector(comment, "keyring-hash")
    }),
    ("keyring-owner-without-slot", || {
        let mut forge = Forge::by_passphrase("bare", |vault| {
            let friend = identity("friend").recipient();
            vault.add_slot("friend", &NewSlot::Recipient(&friend), at(2)).unwrap();
        });
        forge.rewrite_slots(&Forge::bare().passphrase_slots());
        forge.vector("the vault's own record knows a slot that is not there", "content")
    }),
    ("keyring-slot-without-owner", || {
        let mut forge = Forge::bare();
        let mut slots = forge.passphrase_slots();
        let phrase = passphrase(b"unheard of");
        let (place, key) = (forge.place(), forge.vault_key());
        let random = super::forge::Repeatable::new("unowned");
        let slot = Slot::for_passphrase(place, [9; 8], &key, &phrase, cheap(), &random).unwrap();
        let mut bytes = Vec::new();
        slot.write(&mut bytes);
        slots.push(bytes);
        forge.rewrite_slots(&slots);
        forge.vector("the vault's own record does not know one of the slots", "content")
    }),
];

/// Damaged as bytes are by accident.
fn edited(comment: &str, change: fn(&mut Vec<u8>)) -> Vector {
    let mut forge = Forge::bare();
    forge.edit(Table::Keyring, ONLY, change);
    forge.vector(comment, "damaged")
}

/// Written so by a holder of all keys.
fn rewritten(comment: &str, expect: &str, change: fn(&mut Vec<u8>)) -> Vector {
    let mut forge = Forge::bare();
    forge.rewrite_keyring(change);
    forge.vector(comment, expect)
}

fn slots(comment: &str, expect: &str, change: fn(&mut Vec<Vec<u8>>)) -> Vector {
    let mut forge = Forge::bare();
    let mut slots = forge.passphrase_slots();
    change(&mut slots);
    forge.rewrite_slots(&slots);
    forge.vector(comment, expect)
}

fn kdf(comment: &str, m_kib: u32, t: u32, p: u32) -> Vector {
    let mut forge = Forge::bare();
    let mut slots = forge.passphrase_slots();
    for (at, number) in [(9, m_kib), (13, t), (17, p)] {
        slots[0][at..at + 4].copy_from_slice(&number.to_le_bytes());
    }
    forge.rewrite_slots(&slots);
    forge.vector(comment, "kdf-bounds")
}

/// One bit of the last bytes differs, and the head vouches for it.
fn tail(comment: &str, expect: &str, from_end: usize) -> Vector {
    let mut forge = Forge::bare();
    forge.edit(Table::Keyring, ONLY, |bytes| {
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
    });
    forge.vouch_for_keyring();
    forge.vector(comment, expect)
}

/// Copies the first slot until there are `count`, each with an id of its own.
fn copy(slots: &mut Vec<Vec<u8>>, count: u8) {
    for number in 1..count {
        let mut slot = slots[0].clone();
        slot[1] ^= number;
        slots.push(slot);
    }
}

/// Adds 2^252 + 27742317777372353535851937790883648493 (RFC 8032 section 5.1).
fn add_group_order(scalar: &mut [u8]) {
    let low = 27_742_317_777_372_353_535_851_937_790_883_648_493_u128.to_le_bytes();
    let mut order = [0; 32];
    order[..16].copy_from_slice(&low);
    order[31] = 0x10;
    let mut carry = 0;
    for (byte, add) in scalar.iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "S is below the order, so that twice the order still fits");
}

#[test]
fn the_forged_checksum_is_that_of_the_format() {
    let forge = Forge::bare();
    let keyring = forge.row(Table::Keyring, ONLY);
    let (body, tail) = keyring.split_at(keyring.len() - 128);
    assert_eq!(sha256(body), tail[..32]);
    let mut again = forge.clone();
    again.rewrite_keyring(|_| {});
    assert_eq!(again.rows, forge.rows);
}
