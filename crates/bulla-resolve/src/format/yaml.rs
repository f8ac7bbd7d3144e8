//! YAML 1.1 and 1.2, any number of documents.
//!
//! `saphyr-parser` decides what is YAML and what a scalar decodes to. It tells where a node begins in
//! characters, tag and anchor included; where the token itself begins and ends in bytes is found
//! here. A file that is [`simple`] is read without it. How a value is written is in [`style`].

mod aliases;
mod brackets;
mod simple;
mod style;

use std::ops::Range;

use saphyr_parser::{Event, ScalarStyle, Tag};
use zeroize::Zeroizing;

use self::brackets::{Added, Readable, before_adding};
use super::kubernetes::{self, Node, SHORT};
use super::lines::{opaque, verbatim};
use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, Text, utf8};
use crate::expression::{self, UNQUOTED};
use crate::problem::{About, Rule};
use crate::reference::SCHEME;

pub(crate) use aliases::{Aliased, InSecret, aliased, in_secrets};

pub(super) struct Yaml;

impl Syntax for Yaml {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let bom = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let text = &utf8(src)?[bom..];
        if text.len() <= SHORT && !kubernetes::may_hold_secret(src) {
            let mut scalars = Vec::with_capacity(text.len() / 16);
            let keep = |node| {
                if let Node::Scalar(scalar) = node {
                    scalars.push(scalar);
                }
            };
            if simple::walk(text, bom, keep).is_some() {
                scalars.into_iter().for_each(found);
                return Ok(());
            }
        } else if simple::is_simple(text) {
            let walk = |found: &mut dyn FnMut(Node)| {
                let read = simple::walk(text, bom, found);
                debug_assert!(read.is_some(), "it is simple");
                Ok(())
            };
            return kubernetes::scan(src, walk, found);
        }
        let readable = Readable::of(text);
        let anchored = kubernetes::may_hold_secret(src) && aliases::may_make_secret(&readable);
        let role = if anchored { Role::Encoded } else { Role::Value };
        let mut breaks = breaks(text).map(|at| bom + at).peekable();
        let labels = labels(text);
        if breaks.peek().is_none() && labels.is_empty() {
            return kubernetes::scan(src, |found| walk(&readable, bom, role, found), found);
        }
        let mut spans = Vec::new();
        let mut note = |scalar: Scalar| {
            spans.push(scalar.span.clone());
            found(scalar);
        };
        kubernetes::scan(src, |found| walk(&readable, bom, role, found), &mut note)?;
        // Where the last scalar ends that begins at or before this.
        let scalar_end = |at: usize| {
            let before = spans.partition_point(|span| span.start <= at);
            before.checked_sub(1).map_or(bom, |last| spans[last].end)
        };
        for (line, at) in labels.into_iter().map(|(line, at)| (bom + line, bom + at)) {
            let start = line.max(scalar_end(at));
            // What is neither in a scalar nor in a comment.
            if start <= at && !has_comment(&src[start..at], start == line) {
                let ends = |b: &u8| b.is_ascii_whitespace();
                let length = src[at..].iter().position(ends).unwrap_or(src.len() - at);
                found(verbatim(at..at + length, Role::Key, 0));
            }
        }
        // What stands behind a break in a comment is content to readers of YAML 1.1.
        let mut done = 0;
        for at in breaks {
            if at >= done && scalar_end(at) <= at {
                let length = memchr::memchr(b'\n', &src[at..]).unwrap_or(src.len() - at);
                done = at + length;
                let hidden = &text[at - bom..done - bom];
                // A quote in it may go on, and an escape in it hide a reference.
                if !expression::has_hits(hidden.as_bytes()) && !is_comment(hidden) {
                    return Err(Malformed::new(at, Rule::Malformed, HIDDEN));
                }
                found(opaque(at..done, 0));
            }
        }
        Ok(())
    }

    fn encode(
        &self,
        src: &[u8],
        span: Range<usize>,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        style::encode(src, span, content, out)
    }

    fn may_hide(&self, src: &[u8]) -> bool {
        expression::may_escape_letters(src)
    }
}

/// Whether Helm, or another tool with Go's templates, is to make YAML of `text`.
fn is_go_template(text: &str) -> bool {
    let is_action = |rest: &str| {
        let rest = rest.trim_start_matches(['-', ' ']);
        let words =
            [".Chart", ".Release", ".Values", "else", "end", "if ", "include ", "range ", "with "];
        words.iter().any(|word| rest.starts_with(word))
    };
    text.match_indices("{{").any(|(at, open)| is_action(&text[at + open.len()..]))
}

/// What is wrong with text behind a break in a comment.
const HIDDEN: &str = "this comment holds U+0085, U+2028 or U+2029, which ends it in YAML 1.1, and what \
                      stands behind is no comment there; take the character out";

/// What ends a line in YAML 1.1 and not in 1.2.
const BREAKS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// Where one of [`BREAKS`] stands.
fn breaks(text: &str) -> impl Iterator<Item = usize> {
    let rest = if text.is_ascii() { "" } else { text };
    rest.match_indices(BREAKS).map(|(at, _)| at)
}

/// Where references stand that may be a part of a tag, an anchor, an alias or a directive, behind where
/// their lines begin.
fn labels(text: &str) -> Vec<(usize, usize)> {
    let (mut line, mut done) = (0, 0);
    let label = |at: usize| {
        // No further back than the last one, as lines may be long and hold many.
        let before = &text[done..at];
        line = before.rfind('\n').map_or(line, |end| done + end + 1);
        done = at;
        let word = before.rsplit([' ', '\t', '\n']).next().unwrap_or_default();
        let may_be_one = text[line..].starts_with('%') || word.contains(['!', '&', '*']);
        may_be_one.then_some((line, at))
    };
    expression::hits(text.as_bytes()).into_iter().filter_map(label).collect()
}

/// Whether a comment begins in `text`, which stands outside of scalars.
fn has_comment(text: &[u8], at_line_start: bool) -> bool {
    let begins = |at| if at == 0 { at_line_start } else { matches!(text[at - 1], b' ' | b'\t') };
    memchr::memchr_iter(b'#', text).any(begins)
}

/// Whether all lines that YAML 1.1 sees in `text` are blank or comments.
fn is_comment(text: &str) -> bool {
    let lines = text.split(BREAKS).map(|line| line.trim_matches(BLANKS));
    lines.into_iter().all(|line| line.is_empty() || line.starts_with('#'))
}

/// Goes through the nodes of a file that begins with `bom` bytes before a text. `anchored` is the role of
/// values in nodes with an anchor.
fn walk(
    readable: &Readable<'_>,
    bom: usize,
    anchored: Role,
    found: &mut dyn FnMut(Node),
) -> Result<(), Malformed> {
    let text = readable.text();
    let mut place = readable.cursor();
    let mut nodes = Nodes::default();
    // How many collections are open from the outermost with an anchor on.
    let mut inside = 0_usize;
    for event in readable.parser() {
        let (event, marks) = event.map_err(|error| {
            let at = place.byte(error.marker().index());
            let malformed = |at, what| Malformed::new(bom + at, Rule::Malformed, what);
            match unquoted_braces(text, at) {
                Some(braces) => malformed(braces, UNQUOTED),
                None if error.info() == "recursion limit exceeded" => {
                    malformed(at, "the file nests deeper than can be read here")
                }
                None if is_go_template(text) => {
                    malformed(at, "the file is no YAML here, but a template of Helm or the like")
                        .about(Some(About::Chart))
                }
                None => malformed(at, "the file is no YAML here"),
            }
        })?;
        match event {
            Event::Scalar(decoded, style, anchor, tag) => {
                let role = match nodes.node() {
                    Role::Value if inside > 0 || anchor != 0 => anchored,
                    role => role,
                };
                let start = place.byte(marks.start.index());
                let start = begin(text, start, (&decoded, style), anchor != 0 || tag.is_some());
                let end = place.byte(marks.end.index());
                let end = end.max(start);
                let token = Token { text, start, end, decoded: &decoded };
                let (span, mut inner) = token.read(style);
                // A tag makes something else of the text than the text.
                if tag.is_some_and(|tag| changes_type(&tag)) {
                    inner = Inner::Opaque;
                }
                found(Node::Scalar(Scalar {
                    span: bom + span.start..bom + span.end,
                    text: match inner {
                        Inner::Decoded => {
                            let bytes = decoded.into_owned().into_bytes();
                            Text::Decoded(Zeroizing::new(bytes))
                        }
                        Inner::Opaque => Text::Opaque,
                        Inner::Verbatim(inner) => {
                            Text::Verbatim(bom + inner.start..bom + inner.end)
                        }
                    },
                    role,
                    depth: nodes.depth(),
                    owner: None,
                }));
            }
            Event::Alias(_) => {
                nodes.node();
            }
            Event::MappingStart(anchor, _) | Event::SequenceStart(anchor, _) => {
                inside += usize::from(inside > 0 || anchor != 0);
                nodes.open(matches!(event, Event::MappingStart(..)));
                found(Node::Open);
            }
            Event::MappingEnd | Event::SequenceEnd => {
                inside = inside.saturating_sub(1);
                nodes.close();
                found(Node::Close);
            }
            _ => {}
        }
    }
    Ok(())
}

/// What the collections around a node make of it.
#[derive(Default)]
struct Nodes {
    open: Vec<Collection>,
}

struct Collection {
    /// Whether the next node in it is a key; `None` in a sequence.
    key_next: Option<bool>,
    /// Whether all of it is a part of a key.
    in_key: bool,
}

impl Nodes {
    /// Takes note of one more node and gives its role.
    fn node(&mut self) -> Role {
        let Some(collection) = self.open.last_mut() else { return Role::Value };
        let is_key = match &mut collection.key_next {
            Some(key_next) => std::mem::replace(key_next, !*key_next),
            None => false,
        };
        if is_key || collection.in_key { Role::Key } else { Role::Value }
    }

    fn open(&mut self, mapping: bool) {
        let in_key = self.node() == Role::Key;
        self.open.push(Collection { key_next: mapping.then_some(true), in_key });
    }

    fn close(&mut self) {
        self.open.pop();
    }

    fn depth(&self) -> usize {
        self.open.len()
    }
}

/// A scalar as it is written.
struct Token<'a> {
    text: &'a str,
    start: usize,
    /// Where the parser says that it ends: exact for a plain scalar only.
    end: usize,
    decoded: &'a str,
}

/// What YAML takes for white space; others are content.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// Whether a tag makes a number, a truth value, bytes or the like of a scalar's text. What a tag of
/// an application's own makes of it is that application's affair.
fn changes_type(tag: &Tag) -> bool {
    const CORE: &str = "tag:yaml.org,2002:";
    let whole = format!("{}{}", tag.handle, tag.suffix);
    // By YAML 1.2 `!` makes a text; PyYAML and ruamel read on as if nothing stood there, not even quotes.
    if whole == "!" {
        return true;
    }
    let of_core = whole.strip_prefix("!!").or_else(|| Some(whole.split_once(CORE)?.1));
    of_core.is_some_and(|kind| kind != "str")
}

/// What a token decodes to.
enum Inner {
    Decoded,
    Opaque,
    Verbatim(Range<usize>),
}

impl Token<'_> {
    fn read(&self, style: ScalarStyle) -> (Range<usize>, Inner) {
        let start = self.start;
        match style {
            ScalarStyle::Plain => {
                let end = start + self.text[start..self.end].trim_end_matches(BLANKS).len();
                // An empty scalar may be given as `~`, or lie before a comment.
                if self.decoded.is_empty() || end == start {
                    return (start..start, Inner::Verbatim(start..start));
                }
                (start..end, self.inner(start..end))
            }
            ScalarStyle::DoubleQuoted | ScalarStyle::SingleQuoted => {
                match closing(self.text.as_bytes(), start) {
                    Some(close) => (start..close + 1, self.inner(start + 1..close)),
                    None => (start..self.end, Inner::Opaque),
                }
            }
            ScalarStyle::Literal | ScalarStyle::Folded => {
                // Blank lines at the end stay outside, so that whatever replaces the block ends
                // where its last line did. Blanks at the end of that line are a part of it, and so are
                // lines with a tab, which no reader takes behind a scalar in quotes.
                let end = start + self.text[start..self.end].trim_end_matches(BLANKS).len();
                let blank = &self.text[end..self.end];
                let tab = blank.rfind('\t').unwrap_or(0);
                let line = blank[tab..].split(['\r', '\n']).next();
                (start..end + tab + line.map_or(0, str::len), Inner::Decoded)
            }
        }
    }

    fn inner(&self, inner: Range<usize>) -> Inner {
        let raw = &self.text[inner.clone()];
        if raw == self.decoded {
            Inner::Verbatim(inner)
        } else if raw.contains(['\n', '\r', '\\', '\'']) {
            Inner::Decoded
        } else {
            // The token was not found where it should be.
            Inner::Opaque
        }
    }
}

/// The end of the quoted scalar that begins at `start`.
fn closing(text: &[u8], start: usize) -> Option<usize> {
    let quote = *text.get(start)?;
    let mut at = start + 1;
    match quote {
        b'"' => loop {
            at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
            if text[at] == b'"' {
                return Some(at);
            }
            at += 2;
        },
        b'\'' => loop {
            at += memchr::memchr(b'\'', text.get(at..)?)?;
            if text.get(at + 1) != Some(&b'\'') {
                return Some(at);
            }
            at += 2;
        },
        _ => None,
    }
}

/// Where a scalar begins, for which the parser says `at`: behind its tag and anchor, if it has any, or at
/// the header of a block.
fn begin(text: &str, at: usize, (decoded, style): (&str, ScalarStyle), has_marks: bool) -> usize {
    if has_marks {
        return token_start(text, at);
    }
    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    // At the end of a file, a block without content begins at its header.
    let is_header = || text[at..].starts_with(['|', '>']) && decoded.bytes().all(|b| b == b'\n');
    if is_block && !is_header() { block_start(text, at) } else { at }
}

/// Skips the tag and anchor that a node begins with, and the blanks, line ends and comments behind
/// them.
fn token_start(text: &str, at: usize) -> usize {
    let bytes = text.as_bytes();
    let mut start = at;
    let mut skipped = at;
    loop {
        match bytes.get(skipped) {
            Some(b'!' | b'&') => {
                let verbatim = bytes[skipped..].starts_with(b"!<");
                let ends = |b: &u8| b.is_ascii_whitespace() || (!verbatim && b",[]{}".contains(b));
                let length = bytes[skipped..].iter().position(ends);
                skipped += length.unwrap_or(bytes.len() - skipped);
                start = skipped;
            }
            Some(b' ' | b'\t' | b'\n' | b'\r') if start > at => skipped += 1,
            Some(b'#') if start > at && skipped > start => {
                let length = memchr::memchr(b'\n', &bytes[skipped..]);
                skipped += length.unwrap_or(bytes.len() - skipped);
            }
            _ => return if start > at { skipped } else { at },
        }
    }
}

/// Where a block scalar begins whose content begins at `content`: at the `|` or `>` that ends the
/// last line above it that is not blank.
fn block_start(text: &str, content: usize) -> usize {
    let is_header = |rest: &str| {
        let rest =
            rest[1..].trim_start_matches(['+', '-', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
        rest.trim_end().is_empty() || rest.trim_start_matches([' ', '\t']).starts_with('#')
    };
    let mut above = &text[..content];
    while let Some(end) = above.rfind('\n') {
        above = &above[..end];
        let start = above.rfind('\n').map_or(0, |at| at + 1);
        let line = &above[start..];
        if line.trim().is_empty() {
            continue;
        }
        let header = line.match_indices(['|', '>']).map(|(at, _)| at).find(|&at| {
            let before = line[..at].chars().next_back();
            before.is_none_or(|c| c == ' ' || c == '\t') && is_header(&line[at..])
        });
        return header.map_or(content, |at| start + at);
    }
    content
}

/// Where a value begins with a reference in braces that are not quoted, in the line of `at` or in the
/// one above: what stands behind such braces is no YAML.
fn unquoted_braces(text: &str, at: usize) -> Option<usize> {
    let above = text[..at].rfind('\n').and_then(|end| text[..end].rfind('\n'));
    let start = above.map_or(0, |end| end + 1);
    let lines = &text[start..at + text[at..].find('\n').unwrap_or(text.len() - at)];
    lines.rmatch_indices("{{").map(|(braces, _)| start + braces).find(|&braces| {
        let before = text[..braces].trim_end_matches([' ', '\t']);
        text[braces + 2..].trim_start_matches([' ', '\t']).starts_with(SCHEME)
            && before.ends_with([':', '-', '[', ',', '\n'])
    })
}

/// Turns the parser's offsets in characters into offsets in bytes.
struct Cursor<'a> {
    text: &'a [u8],
    /// What the parser was given in addition.
    added: &'a [Added],
    ascii: bool,
    character: usize,
    byte: usize,
}

impl<'a> Cursor<'a> {
    fn new(text: &'a str) -> Self {
        Self { text: text.as_bytes(), added: &[], ascii: text.is_ascii(), character: 0, byte: 0 }
    }

    /// The offset in the file's text.
    fn byte(&mut self, character: usize) -> usize {
        before_adding(self.added, self.walk(character))
    }

    /// The offsets asked for are close to each other.
    fn walk(&mut self, character: usize) -> usize {
        if self.ascii {
            return character.min(self.text.len());
        }
        let is_start = |byte: u8| !(0x80..0xc0).contains(&byte);
        while self.character < character && self.byte < self.text.len() {
            self.byte += 1;
            while self.text.get(self.byte).is_some_and(|&b| !is_start(b)) {
                self.byte += 1;
            }
            self.character += 1;
        }
        while self.character > character {
            self.byte -= 1;
            while !is_start(self.text[self.byte]) {
                self.byte -= 1;
            }
            self.character -= 1;
        }
        self.byte
    }
}
