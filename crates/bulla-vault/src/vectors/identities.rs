//! Opening by identity: slots, pins, protected identities.

use bech32::{Bech32, Hrp};
use bulla_testkit::vectors::{Opener, Vector};

use super::Named;
use super::forge::{
    Forge, PASSPHRASE, Repeatable, SLOTS_AT, cheap, identity, passphrase, pin, put, secret,
};
use crate::{Identity, NewSlot, ProtectedIdentity};

pub(super) const VECTORS: &[Named] = &[
    ("identity", || by_identity(&vault(), "opened by an identity, the pin is known", "success")),
    ("identity-hint-wrong", || {
        let mut forge = vault();
        forge.rewrite_keyring(|bytes| bytes[SLOTS_AT + 9] ^= 1);
        by_identity(&forge, "the hint is another one, and is only a hint", "success")
    }),
    ("identity-unknown-pin", || {
        let mut vector = by_identity(&vault(), "nothing tells which vault is meant", "unknown-pin");
        vector.pin = None;
        vector
    }),
    ("identity-other-pin", || {
        let stranger =
            Forge::created("stranger", &NewSlot::Recipient(&ours().recipient()), |vault| {
                put(vault, "secret-gmail", secret("not yours"), 10);
            });
        let mut vector =
            by_identity(&stranger, "a stranger made a vault for our identity", "other-pin");
        vector.pin = Some(pin(&vault()));
        vector
    }),
    ("identity-other-pin-remembered", || {
        let stranger = Forge::created("stranger", &NewSlot::Recipient(&ours().recipient()), |_| {});
        let comment = "a stranger made a vault for our identity, who remembers another";
        let mut vector = by_identity(&stranger, comment, "other-pin");
        vector.pin = None;
        vector.remember = Some(vault().remembered());
        vector
    }),
    ("identity-remembered-pin", || {
        let mut vector = by_identity(&vault(), "the pin is known from memory", "success");
        vector.pin = None;
        vector.remember = Some(vault().remembered());
        vector
    }),
    ("passphrase-other-pin", || {
        let comment = "a passphrase needs no pin, but if one is given it has to be right";
        let mut vector = Forge::bare().vector(comment, "other-pin");
        vector.pin = Some("00".repeat(32));
        vector
    }),
    ("locked-wrong-identity", || {
        let mut vector = by_identity(&vault(), "the identity is another one", "locked");
        vector.openers = vec![Opener::Identity(text(&identity("somebody else")))];
        vector
    }),
    ("locked-identity-encapsulation", || {
        slot("one bit of the encapsulated key differs", |slot| slot[13] ^= 1)
    }),
    ("locked-identity-encapsulation-x25519", || {
        slot("one bit of the X25519 half of the encapsulated key differs", |s| s[13 + 1100] ^= 1)
    }),
    ("locked-identity-ciphertext", || {
        slot("one bit of the wrapped key differs", |slot| slot[1133] ^= 1)
    }),
    ("locked-identity-tag", || slot("one bit of the tag differs", |slot| slot[1180] ^= 1)),
    ("locked-identity-slot-id", || slot("another slot id", |slot| slot[1] ^= 1)),
    ("locked-identity-slot-of-another-vault", || {
        let other = Forge::created("other", &NewSlot::Recipient(&ours().recipient()), |_| {});
        let mut forge = vault();
        forge.rewrite_slots(&[other.keyring_body()[SLOTS_AT..].to_vec()]);
        by_identity(&forge, "the slot of another vault, for the same identity", "locked")
    }),
    ("locked-passphrase-for-an-identity-slot", || {
        vault().vector("a passphrase, where there is no passphrase slot", "locked")
    }),
    ("locked-identity-for-a-passphrase-slot", || {
        by_identity(&Forge::bare(), "an identity, where there is no identity slot", "locked")
    }),
    ("identity-mistyped", || {
        written("one letter of the identity is another", "identity", |text| {
            let last = text.pop().unwrap();
            text.push(if last == 'Q' { 'P' } else { 'Q' });
        })
    }),
    ("identity-mixed-case", || {
        written("the identity is half in lower case", "identity", |text| {
            let half = text.len() / 2;
            text[half..].make_ascii_lowercase();
        })
    }),
    ("identity-short", || {
        written("the identity has 31 bytes", "identity", |text| {
            let hrp = Hrp::parse_unchecked("AGE-SECRET-KEY-PQ-");
            *text = bech32::encode_upper::<Bech32>(hrp, &[7; 31]).unwrap();
        })
    }),
    ("identity-classical", || {
        written("a classical age key", "identity", |text| {
            let hrp = Hrp::parse_unchecked("AGE-SECRET-KEY-");
            *text = bech32::encode_upper::<Bech32>(hrp, &[7; 32]).unwrap();
        })
    }),
    ("protected-identity", || protected("an identity under a passphrase", "success", |_| {})),
    ("protected-identity-wrong-passphrase", || {
        let mut vector = protected("its passphrase is another one", "locked", |_| {});
        let Some(Opener::Protected { passphrase, .. }) = vector.openers.first_mut() else {
            unreachable!("that is its one opener")
        };
        passphrase.push(b'!');
        vector
    }),
    ("protected-identity-memory", || {
        protected("m was raised in place, within the bounds", "locked", |bytes| bytes[0] ^= 1)
    }),
    ("protected-identity-commitment", || {
        protected("one bit of its commitment differs", "locked", |bytes| bytes[44] ^= 1)
    }),
    ("protected-identity-tag", || {
        protected("one bit of its tag differs", "locked", |bytes| bytes[123] ^= 1)
    }),
    ("protected-identity-kdf-low", || protected("its t is 0", "kdf-bounds", |bytes| bytes[4] = 0)),
    ("protected-identity-kdf-huge", || {
        protected("its m is 2^32 - 1 KiB", "kdf-bounds", |bytes| bytes[..4].fill(0xff))
    }),
    ("protected-identity-long", || {
        protected("it has one byte too many", "identity", |bytes| bytes.push(0))
    }),
];

fn ours() -> Identity {
    identity("ours")
}

fn text(identity: &Identity) -> String {
    identity.to_text().to_string()
}

fn vault() -> Forge {
    Forge::created("identity", &NewSlot::Recipient(&ours().recipient()), |vault| {
        put(vault, "secret-gmail", secret("GOCSPX-not-a-secret"), 10);
    })
}

/// The vector for a reader with our identity, who knows the pin.
fn by_identity(forge: &Forge, comment: &str, expect: &str) -> Vector {
    let mut vector = forge.vector(comment, expect);
    vector.openers = vec![Opener::Identity(text(&ours()))];
    vector.pin = Some(pin(forge));
    vector
}

fn slot(comment: &str, change: fn(&mut [u8])) -> Vector {
    let mut forge = vault();
    forge.rewrite_keyring(|bytes| change(&mut bytes[SLOTS_AT..]));
    by_identity(&forge, comment, "locked")
}

/// The identity in another spelling.
fn written(comment: &str, expect: &str, change: fn(&mut String)) -> Vector {
    let mut vector = by_identity(&vault(), comment, expect);
    let mut spelled = text(&ours());
    change(&mut spelled);
    vector.openers = vec![Opener::Identity(spelled)];
    vector
}

fn protected(comment: &str, expect: &str, change: fn(&mut Vec<u8>)) -> Vector {
    let phrase = passphrase(PASSPHRASE.as_bytes());
    let sealed = ProtectedIdentity::seal(&ours(), &phrase, cheap(), &Repeatable::new("protected"));
    let sealed = sealed.unwrap().to_text();
    let (hrp, mut bytes) = bech32::decode(&sealed).unwrap();
    change(&mut bytes);
    let mut vector = by_identity(&vault(), comment, expect);
    vector.openers = vec![Opener::Protected {
        identity: bech32::encode_upper::<Bech32>(hrp, &bytes).unwrap(),
        passphrase: PASSPHRASE.as_bytes().to_vec(),
    }];
    vector
}
