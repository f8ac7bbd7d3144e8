//! Lines of JSON, an entry each: for bulk, and what `bulla export` writes.
//!
//! ```json
//! {"entry": "secret-db", "kind": "secret", "fields": [
//!   {"name": "user", "value": "app", "public": true},
//!   {"name": "password", "value": "...", "expires": "2027-01-31T23:59:59Z"},
//!   {"name": "key", "base64": "..."}]}
//! ```
//!
//! (on one line). `kind` defaults to `secret`, `public` to false. `fields` may also be an object of
//! names and texts.

use std::borrow::Cow;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_vault::{Entry, EntryName, Field, FieldName, Kind, Secret, TokenState};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::malformed;
use crate::failure::Failure;

/// The longest line, in bytes: an entry of 16 MiB in base64, with room for its names.
const MAX_LINE: u64 = 24 << 20;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    entry: Cow<'a, str>,
    #[serde(default = "secret")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    fields: Fields<'a>,
    #[serde(default, rename = "token-state", skip_serializing_if = "Option::is_none")]
    token_state: Option<State<'a>>,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Fields<'a> {
    #[serde(borrow)]
    List(Vec<LineField<'a>>),
    Texts(Texts),
}

/// An object of names and texts, with what is there twice: readers of JSON differ on which counts.
struct Texts(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of names and texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    texts.push(pair);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, text)| (name, text)))
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct LineField<'a> {
    name: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base64: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    public: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct State<'a> {
    schema: u16,
    base64: Cow<'a, str>,
}

fn secret() -> Cow<'static, str> {
    Kind::Secret.as_str().into()
}

/// Reads a file line by line and hands its entries to `take`.
pub(super) fn each(
    path: &Path,
    take: &mut dyn FnMut(EntryName, Entry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(File::open(path).map_err(|error| Failure::file("read", path, &error))?)
    };
    each_line(path, reader, &mut |_, number, line| {
        let at = |failure: Failure| failure.about(place(path, number));
        let (name, entry) = parse(line).map_err(at)?;
        take(name, entry).map_err(at)
    })
}

/// The same for a file that is read twice: first as a whole, to find the order in which the store
/// likes to be written, then in that order.
pub(super) fn each_in_order<K: Ord>(
    path: &Path,
    order: &dyn Fn(&EntryName) -> K,
    take: &mut dyn FnMut(u64, u64, EntryName, Entry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let failed = |error| Failure::file("read", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut places = Vec::new();
    each_line(path, &file, &mut |start, number, line| {
        let (name, _) = parse(line).map_err(|failure| failure.about(place(path, number)))?;
        places.push((order(&name), start, line.len(), number));
        Ok(())
    })?;
    places.sort_unstable();
    let mut line = Zeroizing::new(Vec::new());
    let total = places.len() as u64;
    for (done, (_, start, length, number)) in (1..).zip(places) {
        line.resize(length, 0);
        file.seek(SeekFrom::Start(start))
            .and_then(|_| file.read_exact(&mut line))
            .map_err(failed)?;
        let at = |failure: Failure| failure.about(place(path, number));
        let (name, entry) = parse(&line).map_err(at)?;
        take(done, total, name, entry).map_err(at)?;
    }
    Ok(())
}

fn place(path: &Path, number: usize) -> String {
    let path =
        if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy() };
    format!("{path}:{number}")
}

/// What is called with the offset, the number and the bytes of a line.
type VisitLine<'v> = dyn FnMut(u64, usize, &[u8]) -> Result<(), Failure> + 'v;

/// Calls `visit` with the offset, the number and the bytes of each line that is not blank.
fn each_line(path: &Path, reader: impl Read, visit: &mut VisitLine<'_>) -> Result<(), Failure> {
    let mut reader = BufReader::with_capacity(1 << 16, reader);
    let mut line = Zeroizing::new(Vec::with_capacity(1 << 16));
    let mut start = 0;
    for number in 1.. {
        line.clear();
        let read = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line);
        let read = read.map_err(|error| Failure::file("read", path, &error))?;
        if read == 0 {
            break;
        }
        if !line.trim_ascii().is_empty() {
            visit(start, number, &line)?;
        }
        start += read as u64;
    }
    Ok(())
}

fn parse(line: &[u8]) -> Result<(EntryName, Entry), Failure> {
    let line: Line<'_> = serde_json::from_slice(line.trim_ascii_end()).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "not an entry",
            _ => "not JSON",
        };
        malformed(format_args!("{what} (column {})", error.column()))
    })?;
    let name = EntryName::new(&line.entry)?;
    let kind = Kind::parse(&line.kind)
        .ok_or_else(|| malformed("a kind is secret, oauth-client or mailbox"))?;
    let mut entry = Entry::new(kind);
    match line.fields {
        Fields::Texts(Texts(texts)) => {
            for (name, value) in texts {
                add(&mut entry, &name, Secret::new(value.into_bytes()), false, None)?;
            }
        }
        Fields::List(list) => {
            for LineField { name, value, base64, public, expires } in list {
                let value = match (value, base64) {
                    (Some(text), None) => Secret::copied_from(text.as_bytes()),
                    (None, Some(base64)) => decoded(&base64)?,
                    _ => return Err(malformed("a field has either a value or base64")),
                };
                let expires = expires.map(|text| time(&text)).transpose()?;
                add(&mut entry, &name, value, public, expires)?;
            }
        }
    }
    if let Some(State { schema, base64 }) = line.token_state {
        entry.set_token_state(Some(TokenState { schema, bytes: decoded(&base64)? }));
    }
    Ok((name, entry))
}

fn add(
    entry: &mut Entry,
    name: &str,
    value: Secret,
    public: bool,
    expires: Option<u64>,
) -> Result<(), Failure> {
    let name = FieldName::new(name)?;
    if entry.field(&name).is_some() {
        return Err(malformed(format_args!("the field `{name}` is there twice")));
    }
    entry
        .set(Field { name, value, public, expires })
        .map_err(|error| bulla_vault::WriteError::from(error).into())
}

fn decoded(base64: &str) -> Result<Secret, Failure> {
    STANDARD.decode(base64).map(Secret::new).map_err(|_| malformed("base64 that is none"))
}

fn time(text: &str) -> Result<u64, Failure> {
    text.parse::<jiff::Timestamp>()
        .ok()
        .and_then(|time| u64::try_from(time.as_second()).ok())
        .ok_or_else(|| malformed("a time is written as 2027-01-31T23:59:59Z"))
}

/// Writes an entry as a line, its newline included.
pub(crate) fn write(name: &EntryName, entry: &Entry, out: &mut Zeroizing<Vec<u8>>) {
    let fields = entry
        .fields()
        .iter()
        .map(|field| {
            let (value, base64) = match std::str::from_utf8(field.value.expose()) {
                Ok(text) => (Some(text.into()), None),
                Err(_) => (None, Some(STANDARD.encode(field.value.expose()).into())),
            };
            LineField {
                name: field.name.as_str().into(),
                value,
                base64,
                public: field.public,
                expires: field.expires.map(|time| crate::cmd::target::time(time).into()),
            }
        })
        .collect();
    let line = Line {
        entry: name.as_str().into(),
        kind: entry.kind().as_str().into(),
        fields: Fields::List(fields),
        token_state: entry.token_state().map(|state| State {
            schema: state.schema,
            base64: STANDARD.encode(state.bytes.expose()).into(),
        }),
    };
    serde_json::to_writer(&mut **out, &line).expect("a Vec takes everything, and all is text");
    out.push(b'\n');
}
