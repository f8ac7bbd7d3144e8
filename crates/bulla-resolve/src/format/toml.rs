//! TOML 1.0, and what 1.1 adds where a template uses it.
//!
//! `toml_parser` decides what is TOML, where its tokens are and what they decode to. Whether a key
//! stands twice is left to whoever reads the file.

use std::ops::Range;

use memchr::{memchr, memchr_iter};
use toml_parser::decoder::{Encoding, StringBuilder};
use toml_parser::parser::{EventReceiver, RecursionGuard, ValidateWhitespace, parse_document};
use toml_parser::{ErrorSink, ParseError, Source, Span};
use zeroize::Zeroizing;

use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, Text, utf8};
use crate::problem::Rule;
use crate::secret::Draft;

pub(super) struct Toml;

impl Syntax for Toml {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let bom = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let source = Source::new(&utf8(src)?[bom..]);
        let tokens = source.lex().into_vec();
        let mut nodes =
            Nodes { source, bom, found, table: 0, open: Vec::new(), names: Names::None };
        let mut nodes = ValidateWhitespace::new(&mut nodes, source);
        let mut nodes = RecursionGuard::new(&mut nodes, MAX_DEPTH);
        let mut error = None::<ParseError>;
        parse_document(&tokens, &mut nodes, &mut error);
        match error {
            None => Ok(()),
            Some(error) => {
                let at = error.unexpected().or(error.context()).map_or(0, |span| span.start());
                let what = if error.description().starts_with("cannot recurse") {
                    "the file nests deeper than 128 levels"
                } else {
                    "the file is no TOML here"
                };
                Err(Malformed::new(bom + at, Rule::Malformed, what))
            }
        }
    }

    fn encode(
        &self,
        src: &[u8],
        span: Range<usize>,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        if content.typed {
            content.parts.iter().for_each(|&part| out.copy(part));
            return Ok(());
        }
        let whole = content.joined();
        let text = std::str::from_utf8(whole.bytes())
            .map_err(|_| Refusal("is not UTF-8, as TOML has to be"))?;
        let token = &src[span];
        let style = Style::of(token).filter(|style| style.carries(text)).unwrap_or(Style::Basic);
        out.bytes.push(style.quotes());
        if style.has_lines() {
            // A line end behind the quotes is none of the text.
            let kept = opening(token).len();
            out.bytes.push(if kept == 3 && text.starts_with('\n') {
                b"\n"
            } else {
                &token[3..kept]
            });
        }
        let mut quoted = true;
        let mut left = text.chars().count();
        for &part in content.parts {
            let _: Result<(), Refusal> = out.part(part, |bytes, out| {
                for c in std::str::from_utf8(bytes).unwrap_or_default().chars() {
                    left -= 1;
                    // In more than one line, a quote is only escaped next to another.
                    let plain = match style {
                        Style::Literal | Style::LiteralLines => true,
                        Style::Basic => c != '"' && c != '\\' && !c.is_ascii_control(),
                        Style::BasicLines if c == '"' => !quoted && left > 0,
                        Style::BasicLines => {
                            c != '\\' && (!c.is_ascii_control() || matches!(c, '\t' | '\n'))
                        }
                    };
                    quoted = plain && c == '"';
                    if plain {
                        out.push(c.encode_utf8(&mut [0; 4]).as_bytes());
                    } else {
                        escape(c, out);
                    }
                }
                Ok(())
            });
        }
        out.bytes.push(style.quotes());
        Ok(())
    }

    fn may_hide(&self, src: &[u8]) -> bool {
        // A letter of the scheme by its number, or a line's end in the midst of it.
        memchr_iter(b'\\', src)
            .any(|at| src.get(at + 1).is_some_and(|next| b"uUx \t\r\n".contains(next)))
    }
}

/// Collections inside of each other, as in JSON.
const MAX_DEPTH: u32 = 128;

/// The ways to write a string.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Style {
    Basic,
    BasicLines,
    Literal,
    LiteralLines,
}

impl Style {
    /// The style of a token; `None` for what is no string.
    fn of(token: &[u8]) -> Option<Self> {
        [Self::BasicLines, Self::LiteralLines, Self::Basic, Self::Literal]
            .into_iter()
            .find(|style| token.starts_with(style.quotes()))
    }

    fn quotes(self) -> &'static [u8] {
        match self {
            Self::Basic => b"\"",
            Self::BasicLines => b"\"\"\"",
            Self::Literal => b"'",
            Self::LiteralLines => b"'''",
        }
    }

    fn has_lines(self) -> bool {
        matches!(self, Self::BasicLines | Self::LiteralLines)
    }

    /// Whether a string of this style can be just `text`.
    fn carries(self, text: &str) -> bool {
        let is_plain = |c: char| c == '\t' || !c.is_ascii_control();
        match self {
            Self::Basic | Self::BasicLines => true,
            Self::Literal => text.chars().all(|c| is_plain(c) && c != '\''),
            Self::LiteralLines => {
                text.chars().all(|c| is_plain(c) || c == '\n')
                    && !text.ends_with('\'')
                    && !text.contains("'''")
            }
        }
    }
}

/// The quotes of a string, and the line end that may follow them.
fn opening(token: &[u8]) -> &[u8] {
    let Some(style) = Style::of(token) else { return &[] };
    let quotes = style.quotes().len();
    let line_end = match &token[quotes..] {
        [b'\n', ..] if style.has_lines() => 1,
        [b'\r', b'\n', ..] if style.has_lines() => 2,
        _ => 0,
    };
    &token[..quotes + line_end]
}

fn escape(c: char, out: &mut Draft) {
    match c {
        '"' => out.push(b"\\\""),
        '\\' => out.push(b"\\\\"),
        '\x08' => out.push(b"\\b"),
        '\t' => out.push(b"\\t"),
        '\n' => out.push(b"\\n"),
        '\x0c' => out.push(b"\\f"),
        '\r' => out.push(b"\\r"),
        c => out.push(Zeroizing::new(format!("\\u{:04X}", u32::from(c))).as_bytes()),
    }
}

/// What the parser finds, as scalars.
struct Nodes<'a, 'f> {
    source: Source<'a>,
    bom: usize,
    found: &'f mut dyn FnMut(Scalar),
    /// How many names the header of the table has.
    table: usize,
    /// The depth of what is in each open array and inline table.
    open: Vec<usize>,
    names: Names,
}

/// The dotted name that is being read.
#[derive(Clone, Copy)]
enum Names {
    /// Of a table, after so many names.
    Header(usize),
    /// Of a value, after so many names.
    Key(usize),
    None,
}

impl Nodes<'_, '_> {
    /// The depth of a value that stands here.
    fn depth(&self) -> usize {
        let around = self.open.last().copied().unwrap_or(self.table);
        match self.names {
            Names::Key(count) => around + count - 1,
            Names::Header(_) | Names::None => around,
        }
    }

    fn open(&mut self) {
        self.open.push(self.depth() + 1);
        self.names = Names::None;
    }

    fn close(&mut self) {
        self.open.pop();
        self.names = Names::None;
    }

    fn close_header(&mut self) {
        if let Names::Header(count) = self.names {
            self.table = count;
        }
        self.names = Names::None;
    }

    fn scalar_at(
        &mut self,
        span: Span,
        encoding: Option<Encoding>,
        role: Role,
        depth: usize,
        error: &mut dyn ErrorSink,
    ) {
        let Some(raw) = self.source.get(span) else { return };
        let token = raw.as_bytes();
        let mut decoded = Decoded(Zeroizing::new(Vec::with_capacity(token.len())));
        let raw = toml_parser::Raw::new_unchecked(raw.as_str(), encoding, span);
        if role == Role::Value {
            let _ = raw.decode_scalar(&mut decoded, error);
        } else {
            raw.decode_key(&mut decoded, error);
        }
        let start = self.bom + span.start();
        let span = start..start + token.len();
        let (opening, closing) = match encoding {
            Some(_) => (opening(token).len(), Style::of(token).map_or(0, |s| s.quotes().len())),
            None => (0, 0),
        };
        let inner = opening..token.len().saturating_sub(closing).max(opening);
        let text = if encoding.is_none() || token[inner.clone()] == **decoded.0 {
            Text::Verbatim(start + inner.start..start + inner.end)
        } else {
            Text::Decoded(decoded.0)
        };
        // Some readers make line feeds of these.
        let text = if memchr(b'\r', &token[inner]).is_some() { Text::Opaque } else { text };
        (self.found)(Scalar { span, text, role, depth, owner: None });
    }
}

impl EventReceiver for Nodes<'_, '_> {
    fn std_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.names = Names::Header(0);
    }

    fn std_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.close_header();
    }

    fn array_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.names = Names::Header(0);
    }

    fn array_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.close_header();
    }

    fn inline_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.open();
        true
    }

    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.close();
    }

    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.open();
        true
    }

    fn array_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.close();
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let (role, depth) = match self.names {
            Names::Header(count) => {
                self.names = Names::Header(count + 1);
                (Role::Section, count)
            }
            Names::Key(count) => {
                self.names = Names::Key(count + 1);
                (Role::Key, self.depth())
            }
            Names::None => {
                self.names = Names::Key(1);
                (Role::Key, self.depth())
            }
        };
        self.scalar_at(span, encoding, role, depth, error);
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        self.scalar_at(span, encoding, Role::Value, self.depth(), error);
        self.names = Names::None;
    }
}

/// A string as it is decoded, in a buffer that does not grow.
struct Decoded(Zeroizing<Vec<u8>>);

impl<'s> StringBuilder<'s> for Decoded {
    fn clear(&mut self) {
        self.0.clear();
    }

    fn push_str(&mut self, text: &'s str) -> bool {
        self.0.extend_from_slice(text.as_bytes());
        true
    }

    fn push_char(&mut self, c: char) -> bool {
        self.0.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        true
    }
}
