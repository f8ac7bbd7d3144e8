//! Vaults that have to open.

use bulla_testkit::vectors::Opener;

use super::Named;
use super::forge::{
    Forge, PASSPHRASE, at, cheap, entry, identity, mailbox, passphrase, put, secret,
};
use crate::{
    Entry, EntryName, Field, FieldName, Kdf, Kind, NewSlot, OwnSlot, Secret, Stamp, TokenState,
};

pub(super) const VECTORS: &[Named] = &[
    ("empty", || Forge::bare().vector("a vault without entries", "success")),
    ("one-entry", || {
        let forge = Forge::by_passphrase("one-entry", |vault| {
            put(vault, "secret-gmail", secret("GOCSPX-not-a-secret"), 10);
        });
        forge.vector("one entry with one field", "success")
    }),
    ("small", || Forge::small().vector("two entries, kept versions", "success")),
    ("read-one", || {
        let mut vector = Forge::small().vector("one entry is looked up", "success");
        vector.read = Some("secret-gmail".to_owned());
        vector
    }),
    ("read-absent", || {
        let mut vector =
            Forge::small().vector("there is no such entry, which is proven", "success");
        vector.read = Some("secret-Gmail".to_owned());
        vector
    }),
    ("kinds", || {
        let forge = Forge::by_passphrase("kinds", |vault| {
            put(vault, "plain", entry(Kind::Secret, &[("password", b"p"), ("note", b"n")]), 10);
            let fields: &[(&str, &[u8])] = &[("client-secret", b"s"), ("client-id", b"i")];
            put(vault, "app", entry(Kind::OauthClient, fields), 10);
            put(vault, "box", mailbox("refresh"), 10);
            put(vault, "none", Entry::new(Kind::Secret), 10);
        });
        forge.vector("each kind of entry, and an entry without fields", "success")
    }),
    ("values", || {
        let every: Vec<u8> = (0..=255).collect();
        let long = vec![b'x'; 5000];
        let fields: &[(&str, &[u8])] = &[
            ("empty", b""),
            ("nul", b"\0"),
            ("every-byte", &every),
            ("not-utf8", b"\xff\xfe\xc3("),
            ("crlf", b"a\r\nb\r\n"),
            ("l250", &long[..250]),
            ("l251", &long[..251]),
            ("l5000", &long),
        ];
        let forge = Forge::by_passphrase("values", |vault| {
            put(vault, "values", entry(Kind::Secret, fields), 10);
        });
        forge.vector("values are bytes, of any length; the record is padded by Padme", "success")
    }),
    ("record-of-4092-bytes", || {
        // The record around the value has 39 bytes.
        let value = vec![b'v'; 4092 - 39];
        let forge = Forge::by_passphrase("record-of-4092-bytes", |vault| {
            put(vault, "full", entry(Kind::Secret, &[("password", &value)]), 10);
        });
        let id = forge.id("full");
        let plaintext = forge.open(crate::store::Table::Entry, &id).plaintext;
        assert_eq!(plaintext[..4], 4092u32.to_le_bytes());
        forge.vector("a record that fills its class of 4,096 bytes, without padding", "success")
    }),
    ("names", || {
        let forge = Forge::by_passphrase("names", |vault| {
            for name in ["caf\u{e9}", "\u{5bc6}\u{78bc}/\u{1f511}", "a b/c=d;e%f", &"n".repeat(512)]
            {
                put(vault, name, secret("x"), 10);
            }
            let fields: &[(&str, &[u8])] =
                &[("cl\u{e9}", b"1"), ("two words", b"2"), ("k=v", b"3")];
            put(vault, "fields", entry(Kind::Secret, fields), 10);
        });
        forge.vector("names with other letters, with spaces, of the greatest length", "success")
    }),
    ("public-and-expiring", || {
        let forge = Forge::by_passphrase("public-and-expiring", |vault| {
            let mut app = Entry::new(Kind::OauthClient);
            for (name, public, expires) in [
                ("client-id", true, None),
                ("client-secret", false, Some(1_800_000_000)),
                ("both", true, Some(u64::MAX)),
                ("epoch", false, Some(0)),
            ] {
                let name = FieldName::new(name).unwrap();
                let value = Secret::copied_from(b"v");
                app.set(Field { name, value, public, expires }).unwrap();
            }
            put(vault, "app", app, 10);
        });
        forge.vector("fields that are public, that expire, and both", "success")
    }),
    ("token-state", || {
        let forge = Forge::by_passphrase("token-state", |vault| {
            let mut account = mailbox("refresh");
            let bytes = Secret::copied_from(b"opaque \x00 state");
            account.set_token_state(Some(TokenState { schema: 300, bytes }));
            put(vault, "mailbox/a@example.com", account, 10);
            let mut batch = vault.write(at(20)).unwrap();
            let name = EntryName::new("mailbox/a@example.com").unwrap();
            let mut account = mailbox("refresh");
            let bytes = Secret::copied_from(b"fresher");
            account.set_token_state(Some(TokenState { schema: 1, bytes }));
            batch.overwrite(&name, account).unwrap();
            batch.commit().unwrap();
        });
        let comment = "a grant's state, overwritten once: seq grows, the version does not";
        forge.vector(comment, "success")
    }),
    ("reasons", || {
        let forge = Forge::by_passphrase("reasons", |vault| {
            let stamp = Stamp { time: u64::MAX, reason: "rotated: leak \u{2116} 7\n".to_owned() };
            let mut batch = vault.write(stamp).unwrap();
            batch.put(&EntryName::new("a").unwrap(), secret("1"), None).unwrap();
            batch.commit().unwrap();
        });
        forge.vector("a reason, and the last second there is", "success")
    }),
    ("removed", || {
        let forge = Forge::by_passphrase("removed", |vault| {
            for name in ["kept", "purged"] {
                put(vault, name, secret("1"), 10);
                put(vault, name, secret("2"), 20);
            }
            let mut batch = vault.write(at(30)).unwrap();
            batch.remove(&EntryName::new("kept").unwrap(), false).unwrap();
            batch.remove(&EntryName::new("purged").unwrap(), true).unwrap();
            batch.commit().unwrap();
        });
        forge.vector("two removed entries, one with its earlier versions", "success")
    }),
    ("written-after-removal", || {
        let forge = Forge::by_passphrase("written-after-removal", |vault| {
            let name = EntryName::new("phoenix").unwrap();
            put(vault, "phoenix", secret("1"), 10);
            let mut batch = vault.write(at(20)).unwrap();
            batch.remove(&name, false).unwrap();
            batch.commit().unwrap();
            put(vault, "phoenix", secret("3"), 30);
        });
        forge.vector("version 2 was a removal, and is not kept", "success")
    }),
    ("renamed", || {
        let forge = Forge::by_passphrase("renamed", |vault| {
            put(vault, "old", secret("1"), 10);
            put(vault, "old", secret("2"), 20);
            let mut batch = vault.write(at(30)).unwrap();
            let (old, new) = (EntryName::new("old").unwrap(), EntryName::new("new").unwrap());
            batch.rename(&old, &new).unwrap();
            batch.commit().unwrap();
        });
        forge.vector("a renamed entry with its history; the old name knows the new one", "success")
    }),
    ("renamed-back", || {
        let forge = Forge::by_passphrase("renamed-back", |vault| {
            let (old, new) = (EntryName::new("old").unwrap(), EntryName::new("new").unwrap());
            put(vault, "old", secret("1"), 10);
            for (from, to, time) in [(&old, &new, 20), (&new, &old, 30)] {
                let mut batch = vault.write(at(time)).unwrap();
                batch.rename(from, to).unwrap();
                batch.commit().unwrap();
            }
        });
        forge.vector("under a name that was used before, versions are shifted", "success")
    }),
    ("ten-kept-versions", || {
        let forge = Forge::by_passphrase("ten-kept-versions", |vault| {
            for number in 1..=13 {
                put(vault, "often", secret(&number.to_string()), number);
            }
        });
        forge.vector("thirteen versions, of which the writer kept ten before the newest", "success")
    }),
    ("bucket-full", || {
        Forge::crowded("bucket-full", 31, |_| true)
            .vector("32 rows, the vault's own included: the most that one bucket holds", "success")
    }),
    ("one-interior-node", || {
        Forge::crowded("one-interior-node", 32, |_| true)
            .vector("33 rows: an interior node and its buckets", "success")
    }),
    ("deep-tree", || {
        let starts = |id: &[u8; 16]| id[0] == 0xb7 && id[1] >> 4 == 3;
        Forge::crowded("deep-tree", 33, starts).vector(
            "33 ids begin with the nibbles b 7 3: interior nodes at the depths 0 to 3",
            "success",
        )
    }),
    ("two-passphrases-and-an-identity", || {
        let (friend, phrase) = (identity("friend"), passphrase(b"second"));
        let forge = Forge::by_passphrase("slots", |vault| {
            put(vault, "a", secret("1"), 10);
            vault.add_slot("second", &NewSlot::Passphrase(&phrase, cheap()), at(20)).unwrap();
            let recipient = friend.recipient();
            vault.add_slot("friend", &NewSlot::Recipient(&recipient), at(30)).unwrap();
        });
        let mut vector = forge.vector("three slots; each of them opens the vault", "success");
        vector.openers.push(Opener::Passphrase(b"second".to_vec()));
        vector.openers.push(Opener::Identity(friend.to_text().to_string()));
        vector.pin = Some(super::forge::pin(&forge));
        vector
    }),
    ("eight-passphrases", || {
        let forge = Forge::by_passphrase("eight-passphrases", |vault| {
            for number in 2..=8u8 {
                let phrase = passphrase(&[b'0' + number]);
                let slot = NewSlot::Passphrase(&phrase, cheap());
                vault.add_slot(&format!("number {number}"), &slot, at(number.into())).unwrap();
            }
        });
        let mut vector = forge.vector("as many passphrases as there can be", "success");
        vector.openers = vec![Opener::Passphrase(b"8".to_vec())];
        vector
    }),
    ("passphrase-changed", || {
        let phrase = passphrase(b"newer");
        let forge = Forge::by_passphrase("passphrase-changed", |vault| {
            vault.change_passphrase(&phrase, cheap(), at(10)).unwrap();
        });
        let mut vector = forge.vector("a changed passphrase", "success");
        vector.openers = vec![Opener::Passphrase(b"newer".to_vec())];
        vector
    }),
    ("passphrase-bytes", || {
        let odd: &[u8] = b" \xff\x00\r\n\xc3\xa9 ";
        let phrase = passphrase(odd);
        let slot = NewSlot::Passphrase(&phrase, cheap());
        let forge = Forge::created("passphrase-bytes", &slot, |_| {});
        let mut vector = forge.vector("a passphrase is bytes as they were typed", "success");
        vector.openers = vec![Opener::Passphrase(odd.to_vec())];
        vector
    }),
    ("passphrase-longest", || {
        let long = vec![b'p'; 4096];
        let phrase = passphrase(&long);
        let slot = NewSlot::Passphrase(&phrase, cheap());
        let forge = Forge::created("passphrase-longest", &slot, |_| {});
        let mut vector = forge.vector("a passphrase of 4,096 bytes", "success");
        vector.openers = vec![Opener::Passphrase(long)];
        vector
    }),
    ("kdf-one-pass", || {
        let phrase = passphrase(PASSPHRASE.as_bytes());
        let slot = NewSlot::Passphrase(&phrase, Kdf::new(46 * 1024, 1, 3).unwrap());
        let forge = Forge::created("kdf-one-pass", &slot, |_| {});
        forge.vector("m = 47,104 KiB, t = 1, p = 3", "success")
    }),
    ("rekeyed", || {
        let phrase = passphrase(PASSPHRASE.as_bytes());
        let forge = Forge::by_passphrase("rekeyed", |vault| {
            put(vault, "a", secret("1"), 10);
            put(vault, "a", secret("2"), 20);
            let own = OwnSlot::Passphrase(&phrase, cheap());
            vault.rekey(&own, None, at(30), &mut |_| {}).unwrap();
        });
        forge.vector("key epoch 2: all ids are new, versions and history stay", "success")
    }),
    ("rekeyed-without-a-slot", || {
        let phrase = passphrase(PASSPHRASE.as_bytes());
        let (friend, left) = (identity("friend").recipient(), identity("left").recipient());
        let forge = Forge::by_passphrase("rekeyed-without-a-slot", |vault| {
            vault.add_slot("friend", &NewSlot::Recipient(&friend), at(10)).unwrap();
            vault.add_slot("left", &NewSlot::Recipient(&left), at(20)).unwrap();
            let own = OwnSlot::Passphrase(&phrase, cheap());
            vault.rekey(&own, Some("left"), at(30), &mut |_| {}).unwrap();
        });
        let mut vector = forge.vector("a slot was removed: key epoch 2, a new pin", "success");
        vector.openers.push(Opener::Identity(identity("friend").to_text().to_string()));
        vector.pin = Some(super::forge::pin(&forge));
        vector
    }),
    ("adopted", || {
        let forge = Forge::by_passphrase("adopted", |vault| {
            put(vault, "a", secret("1"), 10);
            vault.write(at(20)).unwrap().adopt().unwrap();
        });
        forge.vector("a restored copy that was adopted: a new incarnation", "success")
    }),
];
