//! Any XML 1.0 document: references are resolved in all attributes, texts and CDATA sections.
//!
//! `quick-xml` decides what is XML; entities that a document type declares are not expanded, and what
//! uses them is not touched. What is a name in a document is decided by [`Names`].

use std::collections::BTreeSet;
use std::ops::Range;

use memchr::memmem;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion, escape};
use zeroize::Zeroizing;

use super::{Content, Malformed, Output, Part, Refusal, Role, Scalar, Syntax, Text, utf8};
use crate::expression::{self, has_hits, hits, may_refer};
use crate::problem::Rule;
use crate::secret::Draft;

/// XML with names of a certain kind.
pub(super) struct Xml(pub(super) Names);

/// Which scalars are names and not values.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Names {
    /// Those of the elements and attributes.
    Elements,
    /// Genesys': `list_pair@key` is a section, `str_pair@key` an option, `str_pair@value` its value.
    Genesys,
}

impl Syntax for Xml {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let text = utf8(src)?;
        let wrong = |at, what| Err(Malformed::new(at, Rule::WrongEncoding, what));
        match Encoding::declared(src) {
            Encoding::Ascii(at) if !text.is_ascii() => {
                return wrong(at, "the file declares another encoding than UTF-8 and is not ASCII");
            }
            Encoding::Other(at) => {
                return wrong(
                    at,
                    "the file declares an encoding whose readers may not read ASCII as it is, or does so \
                     in more than 256 bytes; write `encoding=\"UTF-8\"`",
                );
            }
            _ => {}
        }
        Scan {
            src: text,
            names: self.0,
            open: Vec::new(),
            set: None,
            text: None,
            pieces: Vec::new(),
            instructions: Vec::new(),
        }
        .run(found)
    }

    fn encode(
        &self,
        src: &[u8],
        span: Range<usize>,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        let ascii = matches!(Encoding::declared(src), Encoding::Ascii(_));
        let place = Place::of(src, &span);
        match place {
            Place::CharacterData => check_character_data(&content.joined())?,
            Place::Text if content.parts.iter().all(|part| part.bytes().is_empty()) => {
                return Err(Refusal("is empty, which between tags would be no text at all"));
            }
            _ => {}
        }
        if matches!(place, Place::CharacterData) {
            out.bytes.push(CDATA);
        }
        for &part in content.parts {
            write(part, place, ascii, out)?;
        }
        if matches!(place, Place::CharacterData) {
            out.bytes.push(b"]]>");
        }
        Ok(())
    }

    fn may_hide(&self, src: &[u8]) -> bool {
        // A letter by its number, a piece by an entity's name, or a word in pieces.
        [&b"&#"[..], b"<!ENTITY"].iter().any(|sign| memmem::find(src, sign).is_some())
            || may_refer(&without_breaks(src))
    }
}

/// Whether it is a Genesys application with a mail client in it.
pub(super) fn is_genesys(src: &[u8]) -> bool {
    memmem::find(src, b"<list_pair").is_some()
        && ["pop-client", "smtp-client"]
            .iter()
            .any(|name| memmem::find(src, name.as_bytes()).is_some())
}

/// Whether it begins as an XML document does, or as a configuration of .NET.
pub(super) fn claims(src: &[u8]) -> bool {
    let text = src.strip_prefix(b"\xef\xbb\xbf").unwrap_or(src).trim_ascii_start();
    let begins = |sign: &[u8]| {
        let rest = text.strip_prefix(sign);
        rest.and_then(<[u8]>::first).is_some_and(|b| b.is_ascii_whitespace() || *b == b'>')
    };
    begins(b"<?xml") || begins(b"<configuration")
}

const CDATA: &[u8] = b"<![CDATA[";

/// More attributes than any known element has; what tells them apart compares each with each.
const MAX_ATTRIBUTES: usize = 1_000;

struct Scan<'a> {
    src: &'a str,
    names: Names,
    /// Where the elements begin that are open.
    open: Vec<usize>,
    /// The element that held the last section.
    set: Option<usize>,
    /// Where the text began that is being read.
    text: Option<usize>,
    /// The texts and CDATA sections since the last tag, which readers join.
    pieces: Vec<Scalar>,
    /// The instructions among them.
    instructions: Vec<Scalar>,
}

impl Scan<'_> {
    fn run(mut self, found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let src = self.src;
        // The reader does not count a byte order mark.
        let bom = if src.starts_with('\u{feff}') { 3 } else { 0 };
        let mut reader = Reader::from_str(&src[bom..]);
        let position = |reader: &Reader<&[u8]>| {
            usize::try_from(reader.buffer_position()).map_or(src.len(), |at| bom + at)
        };
        loop {
            let start = position(&reader);
            let event = reader.read_event().map_err(|_| malformed(start))?;
            let end = position(&reader);
            if matches!(event, Event::Text(_) | Event::GeneralRef(_)) {
                self.text.get_or_insert(start);
                continue;
            }
            if let Some(from) = self.text.take() {
                let text = self.text(from..start);
                self.pieces.push(text);
            }
            if matches!(event, Event::Start(_) | Event::Empty(_) | Event::End(_) | Event::Eof) {
                check_joined(src.as_bytes(), &mut self.pieces)?;
                self.pieces.drain(..).chain(self.instructions.drain(..)).for_each(&mut *found);
            }
            match event {
                Event::Start(tag) => {
                    self.element(&tag, start..end, found)?;
                    self.open.push(start);
                }
                Event::Empty(tag) => self.element(&tag, start..end, found)?,
                Event::End(_) => {
                    self.open.pop();
                }
                Event::CData(_) => {
                    let inner = start + CDATA.len()..end - "]]>".len();
                    let text = self.newlines(inner);
                    self.pieces.push(self.content(start..end, text));
                }
                // Entities and default values that are declared there could hide a reference.
                Event::DocType(text) if text.contains('[') => {
                    return Err(Malformed {
                        what: "the document type has declarations of its own",
                        ..malformed(start)
                    });
                }
                // No reader makes a value of these, so a reference in one is a mistake.
                Event::DocType(_) | Event::PI(_) => {
                    self.instructions.push(self.content(start..end, Text::Opaque))
                }
                Event::Eof if self.open.is_empty() => return Ok(()),
                Event::Eof => return Err(malformed(end)),
                _ => {}
            }
        }
    }

    fn element(
        &mut self,
        tag: &BytesStart<'_>,
        span: Range<usize>,
        found: &mut dyn FnMut(Scalar),
    ) -> Result<(), Malformed> {
        let name = tag.local_name();
        let genesys = self.names == Names::Genesys;
        let section = genesys && name.as_ref() == "list_pair";
        let option = genesys && name.as_ref() == "str_pair";
        if section {
            let parent = self.open.last().copied();
            if self.set.is_none() || self.set != parent {
                self.set = parent;
                let at = span.start..span.start;
                found(Scalar {
                    span: at.clone(),
                    text: Text::Verbatim(at),
                    role: Role::Set,
                    depth: self.open.len(),
                    owner: None,
                });
            }
        }
        let named = span.start + 1..span.start + 1 + tag.name().as_ref().len();
        let mut at = named.end;
        let mut scalars = Vec::new();
        for (number, attribute) in tag.attributes().enumerate() {
            let attribute =
                attribute.ok().filter(|_| number < MAX_ATTRIBUTES).ok_or(malformed(at))?;
            // Between the name and the value stand blanks, `=` and the quote.
            let rest = &self.src[at..];
            let key_at = at + (rest.len() - rest.trim_start().len());
            let key_end = key_at + attribute.key.as_ref().len();
            let quote = self.src[key_end..].find(['"', '\'']).ok_or(malformed(at))?;
            let value = key_end + quote + 1..key_end + quote + 1 + attribute.value.len();
            at = value.end + 1;
            let role = match attribute.key.as_ref() {
                key if key == "key" && section => Role::Section,
                key if key == "key" && option => Role::Key,
                _ => Role::Value,
            };
            let text = if self.src[value.clone()].contains(['&', '\t', '\n', '\r']) {
                match attribute.normalized_value(XmlVersion::Implicit1_0) {
                    Ok(text) => Text::Decoded(Zeroizing::new(text.into_owned().into_bytes())),
                    Err(_) => Text::Opaque,
                }
            } else {
                Text::Verbatim(value.clone())
            };
            let depth = self.open.len() + usize::from(!genesys);
            scalars.extend((!genesys).then(|| Self::name(key_at..key_end, depth)));
            scalars.push(Scalar { span: value, text, role, depth, owner: None });
        }
        if genesys {
            // A name before its value, whatever their order in the tag.
            scalars.sort_by_key(|scalar| scalar.role == Role::Value);
            scalars.into_iter().for_each(found);
        } else {
            let depth = self.open.len();
            found(Self::name(named.clone(), depth));
            if !scalars.is_empty() {
                scalars.into_iter().for_each(&mut *found);
                // Once more, for the text that may follow.
                found(Self::name(named, depth));
            }
        }
        Ok(())
    }

    fn name(span: Range<usize>, depth: usize) -> Scalar {
        Scalar {
            span: span.clone(),
            text: Text::Verbatim(span),
            role: Role::Key,
            depth,
            owner: None,
        }
    }

    /// The text between two tags.
    fn text(&self, span: Range<usize>) -> Scalar {
        let text = if self.src[span.clone()].contains('&') {
            let raw = Zeroizing::new(self.src[span.clone()].replace("\r\n", "\n"));
            match escape::unescape(&raw.replace('\r', "\n")) {
                Ok(text) => Text::Decoded(Zeroizing::new(text.into_owned().into_bytes())),
                Err(_) => Text::Opaque,
            }
        } else {
            self.newlines(span.clone())
        };
        self.content(span, text)
    }

    /// What stands in the innermost element, whose name lies as deep as its text.
    fn content(&self, span: Range<usize>, text: Text) -> Scalar {
        let depth =
            self.open.len() - usize::from(self.names == Names::Elements && !self.open.is_empty());
        Scalar { span, text, role: Role::Value, depth, owner: None }
    }

    /// A text in which only line ends are decoded (XML 1.0 section 2.11).
    fn newlines(&self, span: Range<usize>) -> Text {
        let raw = &self.src[span.clone()];
        if raw.contains('\r') {
            let text = raw.replace("\r\n", "\n").replace('\r', "\n");
            Text::Decoded(Zeroizing::new(text.into_bytes()))
        } else {
            Text::Verbatim(span)
        }
    }
}

/// Looks at the texts and CDATA sections between two tags as readers do, who join them whatever divides
/// them: refuses references that are others, or none, in what comes of it, and URLs that only then are
/// some.
fn check_joined(src: &[u8], pieces: &mut [Scalar]) -> Result<(), Malformed> {
    if pieces.len() < 2 {
        return Ok(());
    }
    if pieces.iter().any(|piece| matches!(piece.text, Text::Opaque)) {
        // What cannot be decoded may be anything, and so may the whole.
        pieces.iter_mut().for_each(|piece| piece.text = Text::Opaque);
    }
    let mut whole = Zeroizing::new(Vec::new());
    // Where in the whole each of them begins.
    let mut starts = Vec::with_capacity(pieces.len());
    for piece in &*pieces {
        starts.push(whole.len());
        whole.extend_from_slice(written(src, piece));
    }
    if !has_hits(&whole) {
        return Ok(());
    }
    let apart =
        pieces.iter().zip(&starts).flat_map(|(piece, &at)| references(written(src, piece), at));
    let apart: BTreeSet<_> = apart.collect();
    let together: BTreeSet<_> = references(&whole, 0).collect();
    for &(at, _, rule) in together.symmetric_difference(&apart) {
        let number = starts.partition_point(|&start| start <= at) - 1;
        let piece = &mut pieces[number];
        let at = match &piece.text {
            Text::Verbatim(range) => range.start + at - starts[number],
            _ => piece.span.start,
        };
        match rule {
            Some(rule @ Rule::UnencodedInUrl) => return Err(Malformed::new(at, rule, IN_URL)),
            // It is told there.
            _ if has_hits(&src[piece.span.clone()]) => piece.text = Text::Opaque,
            _ => return Err(Malformed::new(at, Rule::StrayReference, DIVIDED)),
        }
    }
    Ok(())
}

/// The text of a piece; if it cannot be decoded, as it is written.
fn written<'a>(src: &'a [u8], piece: &'a Scalar) -> &'a [u8] {
    match &piece.text {
        Text::Opaque => &src[piece.span.clone()],
        text => text.bytes(src),
    }
}

/// The references in `text` and what is wrong with it, with the offset `base`.
fn references(text: &[u8], base: usize) -> impl Iterator<Item = (usize, usize, Option<Rule>)> {
    let (expressions, wrong) = expression::find(text, hits(text).into_iter(), true);
    let whole = 0..text.len();
    let resolved = expressions.into_iter().filter(move |e| !e.is_typed() || e.span == whole);
    let resolved = resolved.map(|e| (e.span.start, e.span.end, None));
    let wrong = wrong.into_iter().map(|wrong| (wrong.at, wrong.at, Some(wrong.rule)));
    resolved.chain(wrong).map(move |(start, end, rule)| (base + start, base + end, rule))
}

/// What is wrong with a reference that is another or none in the whole text.
const DIVIDED: &str = "readers join the text around comments, instructions and CDATA sections, and no \
                       reference is resolved in what comes of it; write the text in one piece";

/// The same where a URL comes of it.
const IN_URL: &str = "a value in the user information of a URL needs the filter `url`; readers join the text \
                      around comments, instructions and CDATA sections";

/// A document without comments, instructions and the marks of CDATA sections.
fn without_breaks(src: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(src.len()));
    let mut rest = src;
    while let Some(at) = memchr::memchr2(b'<', b']', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let behind = |end: &[u8]| memmem::find(rest, end).map_or(rest.len(), |at| at + end.len());
        let skipped = match rest {
            _ if rest.starts_with(CDATA) => CDATA.len(),
            [b']', b']', b'>', ..] => 3,
            [b'<', b'!', b'-', b'-', ..] => behind(b"-->"),
            [b'<', b'?', ..] => behind(b"?>"),
            _ => {
                out.push(rest[0]);
                1
            }
        };
        rest = &rest[skipped..];
    }
    out.extend_from_slice(rest);
    out
}

/// Where in a document a text stands, which decides how it is written.
#[derive(Clone, Copy)]
enum Place {
    /// In an attribute, between two of these quotes.
    Attribute(u8),
    /// In a CDATA section.
    CharacterData,
    /// Between two tags.
    Text,
}

impl Place {
    fn of(src: &[u8], span: &Range<usize>) -> Self {
        // What precedes a text is the end of a tag, a comment or an instruction.
        let before = span.start.checked_sub(1).and_then(|at| src.get(at));
        match before {
            _ if src[span.clone()].starts_with(CDATA) => Self::CharacterData,
            Some(&quote @ (b'"' | b'\'')) => Self::Attribute(quote),
            _ => Self::Text,
        }
    }
}

fn write(part: Part<'_>, place: Place, ascii: bool, out: &mut Output) -> Result<(), Refusal> {
    out.part(part, |bytes, out| {
        let text = std::str::from_utf8(bytes).map_err(|_| place.lost())?;
        for c in text.chars() {
            let forbidden = matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}'
                | '\u{fffe}' | '\u{ffff}');
            if forbidden {
                return Err(place.lost());
            }
            let numbered = (ascii && !c.is_ascii())
                // Read as other characters by XML 1.1.
                || matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}')
                || c == '\r'
                || (matches!(c, '\n' | '\t') && matches!(place, Place::Attribute(_)));
            match (place, c) {
                (Place::CharacterData, _) if numbered => {
                    return Err(place.lost());
                }
                (Place::CharacterData, _) => push(c, out),
                (_, '&') => out.push(b"&amp;"),
                (_, '<') => out.push(b"&lt;"),
                (_, '>') => out.push(b"&gt;"),
                (Place::Attribute(b'"'), '"') => out.push(b"&quot;"),
                (Place::Attribute(b'\''), '\'') => out.push(b"&apos;"),
                _ if numbered => {
                    out.push(Zeroizing::new(format!("&#{};", u32::from(c))).as_bytes());
                }
                _ => push(c, out),
            }
        }
        Ok(())
    })
}

impl Place {
    /// What it cannot carry; which of it a value holds is not told.
    fn lost(self) -> Refusal {
        Refusal(match self {
            Self::CharacterData => {
                "holds `]]>`, a control character, another that the section would alter or what is not \
                 UTF-8, which a CDATA section cannot carry; text without one carries all that XML does"
            }
            _ => {
                "holds a control character, U+FFFE, U+FFFF or what is not UTF-8, which XML 1.0 cannot carry"
            }
        })
    }
}

fn push(c: char, out: &mut Draft) {
    out.push(c.encode_utf8(&mut *Zeroizing::new([0; 4])).as_bytes());
}

fn check_character_data(content: &Draft) -> Result<(), Refusal> {
    match memmem::find(content.bytes(), b"]]>") {
        Some(_) => Err(Place::CharacterData.lost()),
        None => Ok(()),
    }
}

/// No declaration is longer, and none is searched further, as this is done for every place.
const MAX_DECLARATION: usize = 256;

/// What a file says of its own encoding.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Encoding {
    /// One with the characters of ASCII at their places, declared here: what is none of them is written by
    /// number.
    Ascii(usize),
    /// One, declared here, that some reader may make other characters of ASCII by, or that is not clear.
    Other(usize),
    Utf8,
}

impl Encoding {
    /// What the declaration says that a file begins with, if it does.
    fn declared(src: &[u8]) -> Self {
        let bom = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let text = &src[bom..src.len().min(bom + MAX_DECLARATION)];
        let is_one = text.strip_prefix(b"<?xml").is_some_and(|rest| {
            // Not `<?xml-stylesheet`.
            rest.first().is_some_and(u8::is_ascii_whitespace)
        });
        if !is_one {
            return Self::Utf8;
        }
        let Some(end) = memmem::find(text, b"?>") else { return Self::Other(bom) };
        let text = &text[..end];
        let Some(at) = memmem::find(text, b"encoding") else { return Self::Utf8 };
        let mut quoted = text[at..].split(|b| matches!(b, b'"' | b'\''));
        let name = quoted.nth(1).unwrap_or_default().to_ascii_lowercase();
        match &name[..] {
            b"utf-8" => Self::Utf8,
            name if is_ascii_alike(name) => Self::Ascii(bom + at),
            _ => Self::Other(bom + at),
        }
    }
}

/// Whether every reader that knows the encoding of this name, in small letters, reads bytes of ASCII as
/// ASCII. To some, `utf8` is one of single bytes.
fn is_ascii_alike(name: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"utf8",
        b"ascii",
        b"us-ascii",
        b"latin1",
        b"latin-1",
        b"koi8-r",
        b"koi8-u",
        b"big5",
        b"gb2312",
        b"gbk",
        b"gb18030",
        b"euc-jp",
        b"euc-kr",
        b"euc-tw",
        b"tis-620",
    ];
    const FAMILIES: &[&[u8]] = &[b"iso-8859-", b"iso8859-", b"windows-125", b"cp125"];
    NAMES.contains(&name)
        || FAMILIES.iter().any(|family| {
            let rest = name.strip_prefix(*family);
            rest.is_some_and(|number| {
                (1..=2).contains(&number.len()) && number.iter().all(u8::is_ascii_digit)
            })
        })
}

fn malformed(at: usize) -> Malformed {
    Malformed::new(at, Rule::Malformed, "the file is no well-formed XML here")
}
