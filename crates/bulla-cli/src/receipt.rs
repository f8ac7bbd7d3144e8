//! Receipts: what a render wrote, from which state of the vault. docs/format.md, section 13, says what
//! they are made of.

use std::fmt;

use bulla_resolve::Reference;
use bulla_vault::{Snapshot, VaultId};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use crate::printer::hex;

/// What a render wrote.
pub(crate) struct Receipt {
    pub(crate) vault: VaultId,
    pub(crate) key_epoch: u64,
    pub(crate) epoch: u64,
    /// When, by the clock of who rendered.
    pub(crate) time: String,
    pub(crate) files: Vec<Written>,
}

/// A file that was written.
pub(crate) struct Written {
    /// Its path as it was given.
    pub(crate) path: String,
    /// Random, so that neither digest is equal to any other, which would tell that two files are.
    pub(crate) nonce: [u8; 16],
    /// The keyed digest of its template.
    pub(crate) template: [u8; 32],
    /// The keyed digest of its contents.
    pub(crate) digest: [u8; 32],
    /// The values that went into it, with their versions.
    pub(crate) values: Vec<(Reference, u64)>,
}

impl Written {
    /// What both digests are bound to.
    pub(crate) fn place<'a>(nonce: &'a [u8; 16], path: &'a str) -> [&'a [u8]; 2] {
        [nonce, path.as_bytes()]
    }
}

impl Receipt {
    /// The file that tells it, signed with the key that the vault has for that.
    pub(crate) fn sealed(&self, snapshot: &Snapshot<'_>) -> Vec<u8> {
        let mut members = self.members();
        let mac = snapshot.receipt_digest(RECEIPT, &[], canonical(&members).as_bytes());
        members.insert("mac".to_owned(), hex(&mac).into());
        format!("{:#}\n", Value::Object(members)).into_bytes()
    }

    fn members(&self) -> Map<String, Value> {
        let value = |(reference, version): &(Reference, u64)| json!({"reference": reference.to_string(), "version": version});
        let file = |file: &Written| {
            json!({
                "digest": hex(&file.digest),
                "nonce": hex(&file.nonce),
                "path": file.path,
                "template-digest": hex(&file.template),
                "values": file.values.iter().map(value).collect::<Vec<_>>(),
            })
        };
        let members = [
            ("bulla-receipt", FORM.into()),
            ("epoch", self.epoch.into()),
            ("files", self.files.iter().map(file).collect()),
            ("key-epoch", self.key_epoch.into()),
            ("time", self.time.as_str().into()),
            ("vault", hex(&self.vault).into()),
        ];
        members.map(|(name, value): (&str, Value)| (name.to_owned(), value)).into_iter().collect()
    }
}

/// A receipt as it was read. Nothing in it is to be believed before it is found to be authentic.
pub(crate) struct Read {
    pub(crate) receipt: Receipt,
    /// All but the MAC.
    signed: String,
    mac: [u8; 32],
}

impl Read {
    /// Reads the bytes of a file.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, NoReceipt> {
        let Ok(Unique(Value::Object(mut members))) = serde_json::from_slice(bytes) else {
            return Err(NoReceipt::Malformed);
        };
        match members.get("bulla-receipt").and_then(Value::as_u64) {
            Some(FORM) => {}
            Some(_) => return Err(NoReceipt::Unsupported),
            None => return Err(NoReceipt::Malformed),
        }
        let mac = members.remove("mac").as_ref().and_then(bytes_of);
        let signed = canonical(&members);
        let receipt = parsed(&members).zip(mac);
        let (receipt, mac) = receipt.ok_or(NoReceipt::Malformed)?;
        Ok(Self { receipt, signed, mac })
    }

    /// Whether it is as somebody wrote it who could open the vault, under the key that it has now.
    pub(crate) fn is_authentic(&self, snapshot: &Snapshot<'_>) -> bool {
        snapshot.is_receipt_digest(&self.mac, RECEIPT, &[], self.signed.as_bytes())
    }
}

/// Why a file is no receipt.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum NoReceipt {
    #[error("it is no receipt of `bulla render`")]
    Malformed,
    #[error("it is a receipt of a form that this bulla does not know")]
    Unsupported,
}

/// What the digest of a file is of.
pub(crate) const OUTPUT: &str = "output";
/// What the digest of its template is of.
pub(crate) const TEMPLATE: &str = "template";
/// What the MAC of a receipt is of.
const RECEIPT: &str = "receipt";
/// The number of this form.
const FORM: u64 = 1;

/// RFC 8785, for what receipts are made of: a `Map` is sorted by name, and all numbers are whole.
fn canonical(members: &Map<String, Value>) -> String {
    serde_json::to_string(members).expect("text and numbers can be written")
}

fn parsed(members: &Map<String, Value>) -> Option<Receipt> {
    Some(Receipt {
        vault: bytes_of(members.get("vault")?)?,
        key_epoch: members.get("key-epoch")?.as_u64()?,
        epoch: members.get("epoch")?.as_u64()?,
        time: members.get("time")?.as_str()?.to_owned(),
        files: members.get("files")?.as_array()?.iter().map(file).collect::<Option<_>>()?,
    })
}

fn file(value: &Value) -> Option<Written> {
    let value_of = |value: &Value| {
        let reference = Reference::parse(value.get("reference")?.as_str()?).ok()?;
        Some((reference, value.get("version")?.as_u64()?))
    };
    Some(Written {
        path: value.get("path")?.as_str()?.to_owned(),
        nonce: bytes_of(value.get("nonce")?)?,
        template: bytes_of(value.get("template-digest")?)?,
        digest: bytes_of(value.get("digest")?)?,
        values: value.get("values")?.as_array()?.iter().map(value_of).collect::<Option<_>>()?,
    })
}

/// The bytes that hexadecimal digits stand for, if there are just so many.
fn bytes_of<const N: usize>(value: &Value) -> Option<[u8; N]> {
    let digits = value.as_str()?;
    if digits.len() != 2 * N || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}

/// A value of JSON in which no member stands twice. Of two, one would be signed, and another reader may
/// show the other.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Unique;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value whose members have different names")
    }

    fn visit_unit<E>(self) -> Result<Unique, E> {
        Ok(Unique(Value::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Unique, E> {
        Ok(Unique(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Unique, A::Error> {
        let mut array = Vec::new();
        while let Some(Unique(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Unique(array.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Unique, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, Unique>()? {
            if object.insert(name, value).is_some() {
                return Err(de::Error::custom("a member stands twice"));
            }
        }
        Ok(Unique(object.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_does_not_depend_on_how_it_is_written() {
        let digest = "0a".repeat(32);
        let id = "0b".repeat(16);
        let text = format!(
            r#"{{"vault":"{id}","time":"t\u00e9\u000a","mac":"{digest}", "key-epoch":1,
            "files":[{{"path":"a","values":[{{"version":2,"reference":"bulla://a/b"}}],
            "template-digest":"{digest}","nonce":"{id}","digest":"{digest}"}}],"epoch":3,"bulla-receipt":1}}"#
        );
        let read = Read::parse(text.as_bytes()).unwrap();
        let signed = format!(
            "{{\"bulla-receipt\":1,\"epoch\":3,\"files\":[{{\"digest\":\"{digest}\",\"nonce\":\"{id}\",\
             \"path\":\"a\",\"template-digest\":\"{digest}\",\"values\":[{{\"reference\":\"bulla://a/b\",\"version\":2}}]}}],\
             \"key-epoch\":1,\"time\":\"t\u{e9}\\n\",\"vault\":\"{id}\"}}"
        );
        assert_eq!(read.signed, signed);
        assert_eq!(canonical(&read.receipt.members()), signed);
    }
}
