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
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_vault::{Entry, EntryName, Field, FieldName, Kind, Secret, TokenState};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::malformed;
use crate::failure::Failure;
use crate::files::open_regular;

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

/// Entries of a file or a stream, looked at before anything is written: to find what is wrong with them,
/// and the order in which the store likes to be written.
pub(super) struct Lines<'p> {
    path: &'p Path,
    /// Offset, length and number of each line, in that order.
    places: Vec<(u64, usize, usize)>,
    again: Again,
    /// What of a stream was not read ahead.
    rest: Option<Reader<'p>>,
}

/// Where lines are read for the second time.
enum Again {
    File(File),
    Memory(Zeroizing<Vec<u8>>),
}

/// How much of a stream is read ahead and kept, in bytes.
const AHEAD: usize = 64 << 20;

impl<'p> Lines<'p> {
    /// Looks at all lines of a file, or at those in the first 64 MiB of a stream.
    pub(super) fn read<K: Ord>(
        path: &'p Path,
        order: &dyn Fn(&EntryName) -> K,
    ) -> Result<Self, Failure> {
        let failed = |error| Failure::file("read", path, &error);
        let mut found = Vec::new();
        let mut look = |start, number, line: &[u8]| {
            let (name, _) = parse(line).map_err(|failure| failure.about(place(path, number)))?;
            found.push((order(&name), (start, line.len(), number)));
            Ok::<_, Failure>(())
        };
        let file =
            if path == Path::new("-") { None } else { open_regular(path).map_err(failed)? };
        let (again, rest) = if let Some(file) = file {
            let mut reader = Reader::new(path, Box::new(file.try_clone().map_err(failed)?));
            while let Some((start, number, line)) = reader.next()? {
                look(start, number, line)?;
            }
            (Again::File(file), None)
        } else {
            let mut reader = if path == Path::new("-") {
                Reader::new(path, Box::new(io::stdin().lock()))
            } else {
                Reader::new(path, Box::new(File::open(path).map_err(failed)?))
            };
            let mut ahead = Zeroizing::new(Vec::new());
            let rest = loop {
                if ahead.len() >= AHEAD {
                    break Some(reader);
                }
                let Some((_, number, line)) = reader.next()? else { break None };
                look(ahead.len() as u64, number, line)?;
                append(&mut ahead, line);
            };
            (Again::Memory(ahead), rest)
        };
        found.sort_unstable();
        let places = found.into_iter().map(|(_, place)| place).collect();
        Ok(Self { path, places, again, rest })
    }

    /// Whether there may be more than was read ahead.
    pub(super) fn go_on(&self) -> bool {
        self.rest.is_some()
    }

    /// Hands all entries to `take`, with how many it has got and how many there are; 0 if that is not
    /// known.
    pub(super) fn each(
        self,
        take: &mut dyn FnMut(u64, u64, EntryName, Entry) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Self { path, places, again, rest } = self;
        let total = if rest.is_some() { 0 } else { places.len() as u64 };
        let mut done = 0;
        let mut take = |number: usize, line: &[u8]| {
            let at = |failure: Failure| failure.about(place(path, number));
            let (name, entry) = parse(line).map_err(at)?;
            done += 1;
            take(done, total, name, entry).map_err(at)
        };
        match again {
            Again::Memory(ahead) => {
                for (start, length, number) in places {
                    let start = usize::try_from(start).expect("it is an index into memory");
                    take(number, &ahead[start..start + length])?;
                }
            }
            Again::File(mut file) => {
                let mut line = Zeroizing::new(Vec::new());
                for (start, length, number) in places {
                    line.resize(length, 0);
                    file.seek(SeekFrom::Start(start))
                        .and_then(|_| file.read_exact(&mut line))
                        .map_err(|error| Failure::file("read", path, &error))?;
                    take(number, &line)?;
                }
            }
        }
        if let Some(mut rest) = rest {
            while let Some((_, number, line)) = rest.next()? {
                take(number, line)?;
            }
        }
        Ok(())
    }
}

/// Adds a line, wiping every buffer that was too small.
fn append(ahead: &mut Zeroizing<Vec<u8>>, line: &[u8]) {
    let needed = ahead.len() + line.len();
    if needed > ahead.capacity() {
        let capacity = needed.max((2 * ahead.capacity()).clamp(1 << 16, AHEAD));
        let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
        larger.extend_from_slice(ahead);
        *ahead = larger;
    }
    ahead.extend_from_slice(line);
}

fn place(path: &Path, number: usize) -> String {
    let path =
        if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy() };
    format!("{path}:{number}")
}

/// The offset, the number and the bytes of a line.
type Found<'a> = (u64, usize, &'a [u8]);

/// Reads lines one by one.
struct Reader<'p> {
    path: &'p Path,
    from: BufReader<Box<dyn Read>>,
    line: Zeroizing<Vec<u8>>,
    start: u64,
    number: usize,
}

impl<'p> Reader<'p> {
    fn new(path: &'p Path, from: Box<dyn Read>) -> Self {
        let from = BufReader::with_capacity(1 << 16, from);
        Self { path, from, line: Zeroizing::new(Vec::with_capacity(1 << 16)), start: 0, number: 0 }
    }

    /// The next line that is not blank.
    fn next(&mut self) -> Result<Option<Found<'_>>, Failure> {
        loop {
            self.line.clear();
            let read = (&mut self.from).take(MAX_LINE).read_until(b'\n', &mut self.line);
            let read = read.map_err(|error| Failure::file("read", self.path, &error))?;
            let start = self.start;
            self.start += read as u64;
            self.number += 1;
            if read == 0 {
                return Ok(None);
            }
            if !self.line.trim_ascii().is_empty() {
                return Ok(Some((start, self.number, &self.line)));
            }
        }
    }
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
