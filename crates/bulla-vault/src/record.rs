//! What an entry is in memory, and how it lies in a sealed record.
//!
//! The types of the record are separate from those in memory: a change to one of them shows here,
//! where it is converted, and not silently on disk.

use std::collections::BTreeSet;

use bincode::{BorrowDecode, Encode};
use zeroize::Zeroizing;

use crate::codec::{DecodeFault, TooLarge, decode_padded, encode_padded};
use crate::name::{EntryName, FieldName};
use crate::secret::Secret;

/// The schema of the records that this version writes.
const SCHEMA: u16 = 1;

/// Identifies a slot; random, and visible to the store.
pub type SlotId = [u8; 8];

/// What sort of credential an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// Free fields, such as a password.
    Secret,
    /// An application registered with an OAuth provider: client id and client secret.
    OauthClient,
    /// A mailbox and the grant that opens it.
    Mailbox,
}

impl Kind {
    /// The name that people use: `secret`, `oauth-client` or `mailbox`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::OauthClient => "oauth-client",
            Self::Mailbox => "mailbox",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Secret, Self::OauthClient, Self::Mailbox].into_iter().find(|k| k.as_str() == name)
    }
}

/// A named set of fields: what a section of a configuration is.
pub struct Entry {
    kind: Kind,
    fields: Vec<Field>,
    token_state: Option<TokenState>,
}

/// One value of an entry.
pub struct Field {
    /// Unique within its entry.
    pub name: FieldName,
    /// The value, exactly as it was put in.
    pub value: Secret,
    /// Whether the value may be shown on a screen. It is sealed like any other.
    pub public: bool,
    /// When the value stops working, in seconds since 1970, if that is known.
    pub expires: Option<u64>,
}

/// The life of a mailbox's grant. Its inner form has a schema number of its own; this crate keeps
/// the bytes and does not look into them.
pub struct TokenState {
    /// The schema of `bytes`.
    pub schema: u16,
    /// The state itself.
    pub bytes: Secret,
}

impl Entry {
    /// An entry without fields.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, fields: Vec::new(), token_state: None }
    }

    /// What sort of credential this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The fields in the order in which they were added.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of that name.
    #[must_use]
    pub fn field(&self, name: &FieldName) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == *name)
    }

    /// Adds a field, or replaces the one of the same name in its place.
    ///
    /// # Errors
    /// If the kind does not have such a field: only a `secret` has one called `password`, because
    /// in a mail server's configuration that word means three different things.
    pub fn set(&mut self, field: Field) -> Result<(), NoSuchField> {
        if field.name.as_str() == "password" && self.kind != Kind::Secret {
            return Err(NoSuchField { kind: self.kind });
        }
        match self.fields.iter_mut().find(|old| old.name == field.name) {
            Some(old) => *old = field,
            None => self.fields.push(field),
        }
        Ok(())
    }

    /// Removes the field of that name; tells whether there was one.
    pub fn remove(&mut self, name: &FieldName) -> bool {
        let before = self.fields.len();
        self.fields.retain(|field| field.name != *name);
        self.fields.len() != before
    }

    /// The state of the grant, for a mailbox that has one.
    #[must_use]
    pub fn token_state(&self) -> Option<&TokenState> {
        self.token_state.as_ref()
    }

    /// Sets or removes the state of the grant.
    pub fn set_token_state(&mut self, state: Option<TokenState>) {
        self.token_state = state;
    }

    /// Whether both hold the same, secrets included.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let same_state = match (&self.token_state, &other.token_state) {
            (None, None) => true,
            (Some(a), Some(b)) => a.schema == b.schema && a.bytes.same_as(&b.bytes),
            _ => false,
        };
        self.kind == other.kind
            && same_state
            && self.fields.len() == other.fields.len()
            && self.fields.iter().zip(&other.fields).all(|(a, b)| {
                a.name == b.name
                    && a.public == b.public
                    && a.expires == b.expires
                    && a.value.same_as(&b.value)
            })
    }
}

/// A kind of entry does not have a field called `password`.
#[derive(Debug, thiserror::Error)]
#[error("an entry of kind `{}` has no field `password`", kind.as_str())]
pub struct NoSuchField {
    /// The kind that was asked.
    pub kind: Kind,
}

/// One record as it was sealed: a state of one entry, who left it so, and when.
pub(crate) struct Record {
    /// The name whose keyed hash the record lies under. Records of the vault's own have names that
    /// no [`EntryName`] can have.
    pub(crate) name: String,
    pub(crate) body: Body,
    pub(crate) author: SlotId,
    pub(crate) time: u64,
    pub(crate) reason: String,
    /// What later versions may add; kept as it is.
    pub(crate) extension: Vec<u8>,
}

pub(crate) enum Body {
    Live(Entry),
    Removed { moved_to: Option<EntryName> },
    System(Zeroizing<Vec<u8>>),
}

impl Record {
    /// Whether the name is one that we give: an entry's, or a name of the vault's own, which no
    /// entry can have.
    pub(crate) fn has_canonical_name(&self) -> bool {
        match self.body {
            Body::Live(_) | Body::Removed { .. } => canonical_entry_name(&self.name).is_ok(),
            Body::System(_) => self.name.starts_with('\0'),
        }
    }

    /// Encodes and pads.
    pub(crate) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, TooLarge> {
        let Self { name, body, author, time, reason, extension } = self;
        let body = match body {
            Body::Live(entry) => BodyOnDisk::Live(entry.to_disk()),
            Body::Removed { moved_to } => {
                BodyOnDisk::Removed { moved_to: moved_to.as_ref().map(|name| name.as_str()) }
            }
            Body::System(bytes) => BodyOnDisk::System(bytes),
        };
        encode_padded(&RecordOnDisk {
            schema: SCHEMA,
            name,
            body,
            author: *author,
            time: *time,
            reason,
            extension,
        })
    }

    /// Decodes what [`encode`](Self::encode) made.
    pub(crate) fn decode(padded: &[u8]) -> Result<Self, RecordFault> {
        // The schema stands first, so that a newer one is known before the rest is looked at.
        if let Some(schema) = first_number(padded)
            && schema > u64::from(SCHEMA)
        {
            return Err(RecordFault::Newer);
        }
        let disk: RecordOnDisk<'_> = decode_padded(padded)?;
        let RecordOnDisk { schema, name, body, author, time, reason, extension } = disk;
        if schema != SCHEMA {
            return Err(RecordFault::Content);
        }
        let body = match body {
            BodyOnDisk::Live(entry) => Body::Live(Entry::from_disk(entry)?),
            BodyOnDisk::Removed { moved_to } => {
                Body::Removed { moved_to: moved_to.map(canonical_entry_name).transpose()? }
            }
            BodyOnDisk::System(bytes) => Body::System(Zeroizing::new(bytes.to_vec())),
        };
        Ok(Self {
            name: name.to_owned(),
            body,
            author,
            time,
            reason: reason.to_owned(),
            extension: extension.to_vec(),
        })
    }
}

/// Why an opened record is none.
#[derive(Debug)]
pub(crate) enum RecordFault {
    Padding,
    Encoding,
    Content,
    Newer,
}

impl From<DecodeFault> for RecordFault {
    fn from(fault: DecodeFault) -> Self {
        match fault {
            DecodeFault::Padding => Self::Padding,
            DecodeFault::Encoding => Self::Encoding,
        }
    }
}

#[derive(BorrowDecode, Encode)]
struct RecordOnDisk<'a> {
    schema: u16,
    name: &'a str,
    body: BodyOnDisk<'a>,
    author: SlotId,
    time: u64,
    reason: &'a str,
    extension: &'a [u8],
}

#[derive(BorrowDecode, Encode)]
enum BodyOnDisk<'a> {
    Live(EntryOnDisk<'a>),
    Removed { moved_to: Option<&'a str> },
    System(&'a [u8]),
}

#[derive(BorrowDecode, Encode)]
struct EntryOnDisk<'a> {
    kind: KindOnDisk,
    fields: Vec<FieldOnDisk<'a>>,
    token_state: Option<(u16, &'a [u8])>,
}

#[derive(BorrowDecode, Encode)]
enum KindOnDisk {
    Secret,
    OauthClient,
    Mailbox,
}

#[derive(BorrowDecode, Encode)]
struct FieldOnDisk<'a> {
    name: &'a str,
    value: &'a [u8],
    public: bool,
    expires: Option<u64>,
}

impl Entry {
    fn to_disk(&self) -> EntryOnDisk<'_> {
        let Self { kind, fields, token_state } = self;
        EntryOnDisk {
            kind: match kind {
                Kind::Secret => KindOnDisk::Secret,
                Kind::OauthClient => KindOnDisk::OauthClient,
                Kind::Mailbox => KindOnDisk::Mailbox,
            },
            fields: fields
                .iter()
                .map(|Field { name, value, public, expires }| FieldOnDisk {
                    name: name.as_str(),
                    value: value.expose(),
                    public: *public,
                    expires: *expires,
                })
                .collect(),
            token_state: token_state.as_ref().map(|s| (s.schema, s.bytes.expose())),
        }
    }

    fn from_disk(disk: EntryOnDisk<'_>) -> Result<Self, RecordFault> {
        let EntryOnDisk { kind, fields, token_state } = disk;
        let mut entry = Self {
            kind: match kind {
                KindOnDisk::Secret => Kind::Secret,
                KindOnDisk::OauthClient => Kind::OauthClient,
                KindOnDisk::Mailbox => Kind::Mailbox,
            },
            fields: Vec::with_capacity(fields.len()),
            token_state: token_state
                .map(|(schema, bytes)| TokenState { schema, bytes: Secret::copied_from(bytes) }),
        };
        let mut names = BTreeSet::new();
        for FieldOnDisk { name, value, public, expires } in fields {
            let canonical = FieldName::new(name).map_err(|_| RecordFault::Content)?;
            if canonical.as_str() != name || !names.insert(name) {
                return Err(RecordFault::Content);
            }
            entry.fields.push(Field {
                name: canonical,
                value: Secret::copied_from(value),
                public,
                expires,
            });
        }
        Ok(entry)
    }
}

fn canonical_entry_name(name: &str) -> Result<EntryName, RecordFault> {
    let canonical = EntryName::new(name).map_err(|_| RecordFault::Content)?;
    if canonical.as_str() == name { Ok(canonical) } else { Err(RecordFault::Content) }
}

/// The number that a padded record begins with.
fn first_number(padded: &[u8]) -> Option<u64> {
    match *padded.get(4..)? {
        [251, a, b, ..] => Some(u16::from_le_bytes([a, b]).into()),
        [small, ..] if small < 251 => Some(small.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
