//! Faults of what was sealed: padding, encoding, content.

use bulla_testkit::vectors::Vector;

use super::Named;
use super::forge::{Forge, Opened};
use crate::padding::padded_len;
use crate::store::Table;

const NAME: &str = "a";
/// The name of the vault's own record.
const OWN: &str = "\0slots";

pub(super) const VECTORS: &[Named] = &[
    ("record", || raw("a record written by hand, as it should be", "success", live(&[]))),
    ("record-extension", || {
        let record = Record { extension: &[3, 1, 2, 3], ..Record::of(live(&[PASSWORD])) };
        recorded("extension bytes that this version knows nothing of", "success", &record)
    }),
    ("padding-class-too-large", || {
        sealed("512 bytes, where 256 would do", "padding", |plaintext| plaintext.resize(512, 0))
    }),
    ("padding-no-class", || {
        sealed("257 bytes, which is no class", "padding", |plaintext| plaintext.push(0))
    }),
    ("padding-missing", || {
        sealed("no padding at all", "padding", |plaintext| {
            let len = plaintext[0];
            plaintext.truncate(4 + usize::from(len));
        })
    }),
    ("padding-dirty", || {
        sealed("the last byte of the padding is not zero", "padding", |plaintext| {
            *plaintext.last_mut().unwrap() = 1;
        })
    }),
    ("padding-dirty-first", || {
        sealed("the first byte of the padding is not zero", "padding", |plaintext| {
            let end = 4 + usize::from(plaintext[0]);
            plaintext[end] = 0x80;
        })
    }),
    ("padding-length-beyond", || {
        sealed("the length goes beyond the plaintext", "padding", |plaintext| {
            plaintext[..4].copy_from_slice(&253u32.to_le_bytes());
        })
    }),
    ("padding-length-huge", || {
        sealed("the length is 2^32 - 1", "padding", |plaintext| plaintext[..4].fill(0xff))
    }),
    ("padding-no-length", || {
        sealed("three bytes of plaintext", "padding", |plaintext| plaintext.truncate(3))
    }),
    ("padding-empty", || sealed("no plaintext at all", "padding", |plaintext| plaintext.clear())),
    ("encoding-trailing-byte", || {
        sealed("a zero byte follows the record within its length", "encoding", |p| p[0] += 1)
    }),
    ("encoding-truncated", || {
        let mut record = Record::of(live(&[PASSWORD])).bytes();
        record.pop();
        let mut forge = Forge::bare();
        plant(&mut forge, NAME, &record);
        forge.vector("the record lacks its last byte", "encoding")
    }),
    ("encoding-long-number", || {
        let record = Record { schema: &[251, 1, 0], ..Record::of(live(&[])) };
        recorded("the schema 1 is spelled with three bytes", "encoding", &record)
    }),
    ("encoding-long-time", || {
        let record =
            Record { time: &[253, 0, 0xf1, 0x53, 0x65, 0, 0, 0, 0], ..Record::of(live(&[])) };
        recorded("a time that fits into 4 bytes is spelled with 8", "encoding", &record)
    }),
    ("encoding-u128", || {
        let mut time = [0; 17];
        time[0] = 254;
        let record = Record { time: &time, ..Record::of(live(&[])) };
        recorded("a time that is spelled with 16 bytes", "encoding", &record)
    }),
    ("encoding-number-reserved", || {
        let record = Record { time: &[255], ..Record::of(live(&[])) };
        recorded("a time that begins with 255", "encoding", &record)
    }),
    ("encoding-body-variant", || raw("a body of variant 3", "encoding", vec![3])),
    ("encoding-kind-variant", || raw("a kind of variant 3", "encoding", vec![0, 3, 0, 0])),
    ("encoding-boolean", || raw("a boolean of 2", "encoding", live(&[b"\x01x\x01v\x02\x00"]))),
    ("encoding-option", || raw("an option of 2", "encoding", live(&[b"\x01x\x01v\x00\x02"]))),
    ("encoding-text-not-utf8", || {
        raw("a field's name is not UTF-8", "encoding", live(&[b"\x01\xff\x01v\x00\x00"]))
    }),
    ("encoding-text-overlong", || {
        let comment = "a field's name is an overlong spelling of x";
        raw(comment, "encoding", live(&[b"\x02\xc1\xb8\x01v\x00\x00"]))
    }),
    ("encoding-list-bomb", || {
        let mut body = vec![0, 0, 253];
        body.extend_from_slice(&(1u64 << 60).to_le_bytes());
        raw("a list of 2^60 fields is announced", "encoding", body)
    }),
    ("encoding-bytes-bomb", || {
        raw(
            "a value of 2^32 - 1 bytes is announced",
            "encoding",
            live(&[b"\x01x\xfc\xff\xff\xff\xff"]),
        )
    }),
    ("newer-schema", || {
        let record = Record { schema: &[2], ..Record::of(live(&[])) };
        recorded("schema 2", "newer", &record)
    }),
    ("newer-schema-65535", || {
        let record = Record { schema: &[251, 0xff, 0xff], ..Record::of(live(&[])) };
        recorded("schema 65535", "newer", &record)
    }),
    ("newer-schema-of-another-shape", || {
        let record = Record { schema: &[2], ..Record::of(vec![0xff; 40]) };
        recorded("schema 2, and nothing else is as schema 1 has it", "newer", &record)
    }),
    ("content-schema-0", || {
        let record = Record { schema: &[0], ..Record::of(live(&[])) };
        recorded("schema 0", "content", &record)
    }),
    ("content-field-twice", || {
        raw("two fields have the same name", "content", live(&[PASSWORD, PASSWORD]))
    }),
    ("content-field-name-empty", || {
        raw("a field's name is empty", "content", live(&[b"\x00\x01v\x00\x00"]))
    }),
    ("content-field-name-slash", || {
        raw("a field's name holds a slash", "content", live(&[b"\x03a/b\x01v\x00\x00"]))
    }),
    ("content-field-name-dots", || {
        raw("a field is called ..", "content", live(&[b"\x02..\x01v\x00\x00"]))
    }),
    ("content-field-name-not-nfc", || {
        let comment = "a field's name is not in normalisation form C";
        raw(comment, "content", live(&[b"\x03e\xcc\x81\x01v\x00\x00"]))
    }),
    ("content-field-name-long", || {
        let field = [&[129][..], &[b'n'; 129], b"\x01v\x00\x00"].concat();
        raw("a field's name has 129 bytes", "content", live(&[&field]))
    }),
    ("content-name-of-another-id", || {
        let record = Record { name: "b", ..Record::of(live(&[PASSWORD])) };
        recorded(
            "the record names another entry than that whose id it lies under",
            "content",
            &record,
        )
    }),
    ("content-name-not-nfc", || named("the name is not in normalisation form C", "cafe\u{301}")),
    ("content-name-escape", || named("the name holds an escape character", "a\u{1b}[2J")),
    ("content-name-invisible", || named("the name holds a right-to-left override", "a\u{202e}b")),
    ("content-name-dots", || named("the name has a segment ..", "../../etc/passwd")),
    ("content-name-dash", || named("the name begins with a dash", "-rf")),
    ("content-name-space", || named("the name ends with white space", "a ")),
    ("content-name-empty", || named("the name is empty", "")),
    ("content-name-long", || named("the name has 513 bytes", &"n".repeat(513))),
    ("content-moved-to", || {
        let body = [&[1, 1, 4][..], b"../x"].concat();
        raw("a removed entry was renamed to what cannot be a name", "content", body)
    }),
    ("content-own-body-under-a-name", || {
        raw("an entry has the body of the vault's own record", "content", vec![2, 0])
    }),
    ("content-own-record-of-an-entry", || {
        let mut forge = Forge::bare();
        let record = Record { name: OWN, ..Record::of(live(&[])) };
        plant(&mut forge, OWN, &record.bytes());
        forge.vector("the vault's own record has the body of an entry", "content")
    }),
    ("ledger-padding", || {
        ledger("the inner padding of the vault's own record is not zeros", "padding", |inner| {
            *inner.last_mut().unwrap() = 1;
        })
    }),
    ("ledger-trailing-byte", || {
        ledger("a byte follows the ledger within its length", "encoding", |inner| inner[0] += 1)
    }),
    ("ledger-change-variant", || {
        ledger("a change of variant 4", "encoding", |inner| {
            let at = inner.windows(7).rposition(|part| part == b"\x00\x05owner").unwrap();
            inner[at] = 4;
        })
    }),
];

/// A field as it is encoded: `password`, with the value `v`.
const PASSWORD: &[u8] = b"\x08password\x01v\x00\x00";

/// A record in its parts, each as it is encoded.
struct Record<'a> {
    schema: &'a [u8],
    name: &'a str,
    body: Vec<u8>,
    time: &'a [u8],
    extension: &'a [u8],
}

impl Record<'_> {
    fn of(body: Vec<u8>) -> Self {
        Self { schema: &[1], name: NAME, body, time: &[7], extension: &[0] }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.schema.to_vec();
        match u8::try_from(self.name.len()) {
            Ok(short) if short < 251 => bytes.push(short),
            _ => {
                bytes.push(251);
                bytes.extend_from_slice(&u16::try_from(self.name.len()).unwrap().to_le_bytes());
            }
        }
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes.extend_from_slice(&[0xa0; 8]);
        bytes.extend_from_slice(self.time);
        bytes.push(0);
        bytes.extend_from_slice(self.extension);
        bytes
    }
}

/// The body of an entry of kind `secret` without token state.
fn live(fields: &[&[u8]]) -> Vec<u8> {
    let count = u8::try_from(fields.len()).unwrap();
    [&[0, 0, count][..], &fields.concat(), &[0]].concat()
}

/// Seals a record under the id of `name`, vouched for.
fn plant(forge: &mut Forge, name: &str, record: &[u8]) {
    let len = record.len();
    let mut plaintext = vec![0; padded_len(len).unwrap()];
    plaintext[..4].copy_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
    plaintext[4..4 + len].copy_from_slice(record);
    let row = Opened { object: 1, key_epoch: 1, seq: 1, version: 1, kept: Vec::new(), plaintext };
    let id = forge.id(name);
    let row = forge.seal(&id, &row);
    forge.put(Table::Entry, &id, &row);
    forge.vouch();
}

fn recorded(comment: &str, expect: &str, record: &Record<'_>) -> Vector {
    let mut forge = Forge::bare();
    plant(&mut forge, NAME, &record.bytes());
    forge.vector(comment, expect)
}

fn raw(comment: &str, expect: &str, body: Vec<u8>) -> Vector {
    recorded(comment, expect, &Record::of(body))
}

/// An entry under the id of a name that it cannot have.
fn named(comment: &str, name: &str) -> Vector {
    let mut forge = Forge::bare();
    plant(&mut forge, name, &Record { name, ..Record::of(live(&[PASSWORD])) }.bytes());
    forge.vector(comment, "content")
}

/// The padded plaintext was changed before it was sealed.
fn sealed(comment: &str, expect: &str, change: fn(&mut Vec<u8>)) -> Vector {
    let mut forge = Forge::bare();
    plant(&mut forge, NAME, &Record::of(live(&[PASSWORD])).bytes());
    forge.rewrite_entry(NAME, |row| change(&mut row.plaintext));
    forge.vector(comment, expect)
}

/// The padded ledger within the vault's own record was changed.
fn ledger(comment: &str, expect: &str, change: fn(&mut [u8])) -> Vector {
    let mut forge = Forge::bare();
    forge.rewrite_entry(OWN, |row| {
        // schema 1, six bytes of name, variant 2, a length of 251 and two bytes.
        let at = 4 + 1 + 7 + 1 + 3;
        let len = usize::from(u16::from_le_bytes([row.plaintext[at - 2], row.plaintext[at - 1]]));
        change(&mut row.plaintext[at..at + len]);
    });
    forge.vector(comment, expect)
}
