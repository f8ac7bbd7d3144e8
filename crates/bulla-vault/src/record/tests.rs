use proptest::prelude::*;
use wincode::{SchemaRead, SchemaWrite};

use super::*;

/// The record as another crate would declare it: the way out of bincode.
#[derive(Debug, PartialEq, SchemaRead, SchemaWrite)]
struct Mirror {
    schema: u16,
    name: String,
    body: MirrorBody,
    author: [u8; 8],
    time: u64,
    reason: String,
    extension: Vec<u8>,
}

#[derive(Debug, PartialEq, SchemaRead, SchemaWrite)]
enum MirrorBody {
    Live { kind: MirrorKind, fields: Vec<MirrorField>, token_state: Option<(u16, Vec<u8>)> },
    Removed { moved_to: Option<String> },
    System(Vec<u8>),
}

#[derive(Debug, PartialEq, SchemaRead, SchemaWrite)]
enum MirrorKind {
    Secret,
    OauthClient,
    Mailbox,
}

#[derive(Debug, PartialEq, SchemaRead, SchemaWrite)]
struct MirrorField {
    name: String,
    value: Vec<u8>,
    public: bool,
    expires: Option<u64>,
}

macro_rules! varint {
    () => {
        wincode::config::Configuration::default().with_varint_encoding()
    };
}

fn mirror_body() -> impl Strategy<Value = MirrorBody> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..300);
    let field = (bytes(), any::<bool>(), any::<Option<u64>>());
    let live = (
        0..3,
        prop::collection::btree_map("[a-z]{1,8}", field, 0..5),
        prop::option::of((any::<u16>(), bytes())),
    )
        .prop_map(|(kind, fields, token_state)| MirrorBody::Live {
            kind: match kind {
                0 => MirrorKind::Secret,
                1 => MirrorKind::OauthClient,
                _ => MirrorKind::Mailbox,
            },
            fields: fields
                .into_iter()
                .map(|(name, (value, public, expires))| MirrorField {
                    name,
                    value,
                    public,
                    expires,
                })
                .collect(),
            token_state,
        });
    let removed = prop::option::of("[a-z]{1,9}(/[a-z]{1,9})?")
        .prop_map(|moved_to| MirrorBody::Removed { moved_to });
    prop_oneof![4 => live, 1 => removed, 1 => bytes().prop_map(MirrorBody::System)]
}

fn mirror() -> impl Strategy<Value = Mirror> {
    let extension = prop::collection::vec(any::<u8>(), 0..20);
    ("\\PC{0,40}", mirror_body(), any::<[u8; 8]>(), any::<u64>(), "\\PC{0,20}", extension).prop_map(
        |(name, body, author, time, reason, extension)| Mirror {
            schema: 1,
            name,
            body,
            author,
            time,
            reason,
            extension,
        },
    )
}

fn record(mirror: &Mirror) -> Record {
    let body = match &mirror.body {
        MirrorBody::Live { kind, fields, token_state } => Body::Live(Entry {
            kind: match kind {
                MirrorKind::Secret => Kind::Secret,
                MirrorKind::OauthClient => Kind::OauthClient,
                MirrorKind::Mailbox => Kind::Mailbox,
            },
            fields: fields
                .iter()
                .map(|field| Field {
                    name: FieldName::new(&field.name).unwrap(),
                    value: Secret::copied_from(&field.value),
                    public: field.public,
                    expires: field.expires,
                })
                .collect(),
            token_state: token_state.as_ref().map(|(schema, bytes)| TokenState {
                schema: *schema,
                bytes: Secret::copied_from(bytes),
            }),
        }),
        MirrorBody::Removed { moved_to } => {
            Body::Removed { moved_to: moved_to.as_ref().map(|name| EntryName::new(name).unwrap()) }
        }
        MirrorBody::System(bytes) => Body::System(Zeroizing::new(bytes.clone())),
    };
    Record {
        name: mirror.name.clone(),
        body,
        author: mirror.author,
        time: mirror.time,
        reason: mirror.reason.clone(),
        extension: mirror.extension.clone(),
    }
}

proptest! {
    #[test]
    fn decode_undoes_encode(mirror in mirror()) {
        let record = record(&mirror);
        let bytes = record.encode().unwrap();
        let back = Record::decode(&bytes).ok().unwrap();
        prop_assert!(*back.encode().unwrap() == *bytes);
        prop_assert_eq!(&back.name, &record.name);
        if let (Body::Live(a), Body::Live(b)) = (&back.body, &record.body) {
            prop_assert!(a.same_as(b));
        }
    }

    /// Another crate reads what bincode wrote and writes the same bytes.
    #[test]
    fn wincode_agrees_with_bincode(mirror in mirror()) {
        let padded = record(&mirror).encode().unwrap();
        let ours = unpadded(&padded);
        let theirs: Mirror = wincode::config::deserialize(ours, varint!()).unwrap();
        prop_assert_eq!(&theirs, &mirror);
        prop_assert_eq!(wincode::config::serialize(&mirror, varint!()).unwrap(), ours);
    }

    #[test]
    fn noise_is_an_error_and_never_more(noise in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = Record::decode(&padded(&noise));
        let _ = Record::decode(&noise);
    }
}

fn unpadded(padded: &[u8]) -> &[u8] {
    let len = u32::from_le_bytes(padded[..4].try_into().unwrap()) as usize;
    &padded[4..4 + len]
}

fn simple() -> Record {
    let mut entry = Entry::new(Kind::Secret);
    entry
        .set(Field {
            name: FieldName::new("password").unwrap(),
            value: Secret::copied_from(b"hunter2"),
            public: false,
            expires: None,
        })
        .unwrap();
    Record {
        name: "a".to_owned(),
        body: Body::Live(entry),
        author: [1; 8],
        time: 300,
        reason: String::new(),
        extension: b"later".to_vec(),
    }
}

fn padded(bytes: &[u8]) -> Vec<u8> {
    let mut padded = vec![0; crate::padding::padded_len(bytes.len()).unwrap()];
    padded[..4].copy_from_slice(&u32::try_from(bytes.len()).unwrap().to_le_bytes());
    padded[4..4 + bytes.len()].copy_from_slice(bytes);
    padded
}

fn fault(bytes: &[u8]) -> RecordFault {
    Record::decode(&padded(bytes)).err().unwrap()
}

#[test]
fn the_bytes_are_those_of_the_format() {
    let expected = b"\x01\x01a\0\0\x01\x08password\x07hunter2\0\0\0\
        \x01\x01\x01\x01\x01\x01\x01\x01\xfb\x2c\x01\0\x05later";
    assert_eq!(unpadded(&simple().encode().unwrap()), expected);
}

#[test]
fn what_a_later_version_added_is_kept() {
    let record = Record::decode(&simple().encode().unwrap()).ok().unwrap();
    assert_eq!(record.extension, b"later");
}

#[test]
fn a_newer_schema_is_said_to_be_newer() {
    let padded_record = simple().encode().unwrap();
    let mut bytes = unpadded(&padded_record).to_vec();
    bytes[0] = 2;
    assert!(matches!(fault(&bytes), RecordFault::Newer));
    bytes.splice(..1, [251, 1, 2]);
    assert!(matches!(fault(&bytes), RecordFault::Newer));
}

#[test]
fn every_other_spelling_is_refused() {
    let padded_record = simple().encode().unwrap();
    let bytes = unpadded(&padded_record);
    let mut trailing = bytes.to_vec();
    trailing.push(0);
    assert!(matches!(fault(&trailing), RecordFault::Encoding));
    let mut long_number = bytes.to_vec();
    long_number.splice(1..2, [251, 1, 0]);
    assert!(matches!(fault(&long_number), RecordFault::Encoding));
    for len in 0..bytes.len() {
        assert!(Record::decode(&padded(&bytes[..len])).is_err());
    }
}

#[test]
fn a_length_bomb_is_an_error() {
    let mut bomb = b"\x01\x01a\0\0".to_vec();
    bomb.extend([253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);
    assert!(matches!(fault(&bomb), RecordFault::Encoding));
}

#[test]
fn padding_has_one_form() {
    let good = simple().encode().unwrap();
    let mut dirty = good.to_vec();
    *dirty.last_mut().unwrap() = 1;
    assert!(matches!(Record::decode(&dirty), Err(RecordFault::Padding)));
    let mut longer = good.to_vec();
    longer.resize(512, 0);
    assert!(matches!(Record::decode(&longer), Err(RecordFault::Padding)));
    assert!(matches!(Record::decode(&good[..200]), Err(RecordFault::Padding)));
    assert!(matches!(Record::decode(b""), Err(RecordFault::Padding)));
}

#[test]
fn twin_fields_and_odd_names_are_refused() {
    let twins = b"\x01\x01a\0\0\x02\x01f\x01x\0\0\x01f\x01y\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    assert!(matches!(fault(twins), RecordFault::Content));
    let slash = b"\x01\x01a\0\0\x01\x03f/f\x01x\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    assert!(matches!(fault(slash), RecordFault::Content));
}

#[test]
fn only_a_secret_has_a_password() {
    let field = || Field {
        name: FieldName::new("password").unwrap(),
        value: Secret::copied_from(b"x"),
        public: false,
        expires: None,
    };
    assert!(Entry::new(Kind::Secret).set(field()).is_ok());
    assert!(Entry::new(Kind::Mailbox).set(field()).is_err());
    assert!(Entry::new(Kind::OauthClient).set(field()).is_err());
}

/// Records within 45 bytes of the cap were once written and could not be read again, because
/// bincode counts each length as eight bytes.
#[test]
fn what_just_fits_is_read_again() {
    let with = |fields: Vec<(String, usize)>| {
        let mut record = simple();
        let mut entry = Entry::new(Kind::Secret);
        for (name, len) in fields {
            let value = Secret::new(vec![7; len]);
            let name = FieldName::new(&name).unwrap();
            entry.fields.push(Field { name, value, public: false, expires: None });
        }
        record.body = Body::Live(entry);
        record
    };
    let mut fitted = 0;
    for len in crate::padding::MAX_PADDED - 64..crate::padding::MAX_PADDED - 40 {
        if let Ok(padded) = with(vec![("f".to_owned(), len)]).encode() {
            fitted += 1;
            assert!(Record::decode(&padded).is_ok(), "{len}");
        }
    }
    assert!(fitted > 0);
    // As many fields as possible take the most memory for their bytes.
    let many = (0..50_000).map(|n| (format!("{n:x}"), 0)).collect();
    assert!(Record::decode(&with(many).encode().unwrap()).is_ok());
}
