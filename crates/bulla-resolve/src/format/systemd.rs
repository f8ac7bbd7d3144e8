//! Unit files of systemd and their drop-ins.
//!
//! Every setting has rules of its own. Where secrets go, these are known: `Environment=` and the
//! arguments of `Exec` lines are words with quotes, escapes and specifiers, the latter with variables
//! too; `SetCredential=` has escapes and nothing else. In all other settings only characters are
//! placed that none of them takes for anything else. The rules are those of systemd.syntax(7),
//! systemd.unit(5), systemd.service(5) and systemd.exec(5).

mod words;

use std::ops::Range;

use memchr::{memchr, memchr3};

use super::lines::{halved, is_blank, opaque, trimmed, verbatim};
use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, Text};
use crate::expression::{has_hits, has_letters};
use crate::secret::Draft;
use words::{Word, unescaped};

pub(super) struct Systemd;

impl Syntax for Systemd {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let mut depth = 0;
        let mut at = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        while at < src.len() {
            let (pieces, next) = logical_line(src, at);
            at = next;
            let Some(first) = pieces.first().cloned() else { continue };
            let whole = first.start..pieces.last().map_or(first.end, |last| last.end);
            if whole.len() > MAX_LINE || text(&src[whole.clone()]).is_none() {
                found(opaque(whole, depth));
            } else if src[first.start] == b'[' {
                depth = 1;
                let header = trimmed(src, first);
                let closed = pieces.len() == 1 && src[header.clone()].ends_with(b"]");
                found(if closed {
                    verbatim(header.start + 1..header.end - 1, Role::Section, 0)
                } else {
                    opaque(whole, 0)
                });
            } else {
                setting(src, pieces, depth, &mut |scalar, _| found(scalar));
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
        let whole = content.joined();
        let (setting, line) = out.notes.look_up(src, span.start);
        setting.check(whole.bytes())?;
        let (quote, outside) = quote(src, &span, setting, whole.bytes());
        let mark = quote.filter(|_| !outside);
        let start = out.bytes.len();
        out.bytes.push(mark.as_slice());
        let mut left = whole.len();
        for &part in content.parts {
            out.part(part, |bytes, out| {
                for &byte in bytes {
                    left -= 1;
                    setting.write(byte, quote, left == 0, out);
                }
                Ok(())
            })?;
        }
        out.bytes.push(mark.as_slice());
        if line - span.len() + out.bytes.len() - start > MAX_LINE {
            return Err(Refusal("makes a line of more than a megabyte, which systemd refuses"));
        }
        Ok(())
    }

    fn may_hide(&self, src: &[u8]) -> bool {
        // Letters by number, or in quotes of their own.
        memchr3(b'\\', b'\'', b'"', src).is_some()
    }
}

/// Whether a path is that of a unit, such as `a.service`, or of a drop-in for one, such as
/// `a.service.d/b.conf`.
pub(super) fn is_unit(path: &str) -> bool {
    let mut names = path.rsplit(['/', '\\']);
    let file = names.next().unwrap_or(path);
    let ends_as_unit = |name: &str| UNITS.iter().any(|unit| name.ends_with(unit));
    let folder = names.next().and_then(|folder| folder.strip_suffix(".d"));
    ends_as_unit(file) || (file.ends_with(".conf") && folder.is_some_and(ends_as_unit))
}

/// How the names of units end.
const UNITS: &[&str] = &[
    ".automount",
    ".mount",
    ".path",
    ".scope",
    ".service",
    ".slice",
    ".socket",
    ".swap",
    ".target",
    ".timer",
];

/// What systemd reads as one line.
const MAX_LINE: usize = 1_000_000;

/// What Linux takes for one variable or argument, with some room for the name.
const MAX_ITEM: usize = 130_000;

/// How the value of a setting is read.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Setting {
    /// Escapes only, behind a name and a colon.
    Credential,
    /// Words `NAME=value` with quotes, escapes and specifiers.
    Environment,
    /// Words with quotes, escapes, specifiers and, if so, variables.
    Exec { variables: bool },
    /// Anything.
    Other,
    /// Text with specifiers.
    Text,
}

impl Setting {
    fn named(key: &[u8]) -> Self {
        match key {
            b"Environment" => Self::Environment,
            b"SetCredential" => Self::Credential,
            b"Description" | b"Options" => Self::Text,
            b"ExecCondition" | b"ExecReload" | b"ExecStart" | b"ExecStartPost"
            | b"ExecStartPre" | b"ExecStop" | b"ExecStopPost" | b"ExecStopPre" => {
                Self::Exec { variables: true }
            }
            _ => Self::Other,
        }
    }

    fn check(self, value: &[u8]) -> Result<(), Refusal> {
        if self == Self::Credential {
            return Ok(());
        }
        let lost = self.lost();
        let text = text(value).filter(|text| !text.contains('\0')).ok_or(lost)?;
        let is_trimmed = || value != text.trim_matches([' ', '\t']).as_bytes();
        let is_lost = match self {
            Self::Environment | Self::Exec { .. } if value.len() > MAX_ITEM => {
                return Err(Refusal("is longer than a variable or argument can be"));
            }
            Self::Other | Self::Text => {
                text.contains(|c: char| c.is_ascii_control())
                    || is_trimmed()
                    || (self == Self::Other && text.contains(['"', '\'', '\\', '%']))
                    || (self == Self::Text && text.ends_with('\\'))
            }
            _ => false,
        };
        if is_lost { Err(lost) } else { Ok(()) }
    }

    /// What a setting cannot carry; which of it a value holds is not told.
    fn lost(self) -> Refusal {
        Refusal(match self {
            Self::Other => {
                "holds a quote, `\\`, `%`, a control character or what is no text in UTF-8, or begins or \
                 ends with a blank, which settings lose or read differently; SetCredential= carries it, \
                 and all but NUL and what is no text Environment= and the arguments of Exec lines"
            }
            Self::Text => {
                "holds a control character or what is no text in UTF-8, begins or ends with a blank, or \
                 ends with a backslash, which this setting would lose; SetCredential= carries it, and \
                 all but NUL and what is no text Environment= and the arguments of Exec lines"
            }
            _ => "holds a NUL or what is no text in UTF-8, which here only SetCredential= carries",
        })
    }

    /// Writes a byte between quotes or without; `last` says whether it is the last.
    fn write(self, byte: u8, quote: Option<u8>, last: bool, out: &mut Draft) {
        let words = matches!(self, Self::Environment | Self::Exec { .. });
        let escapes = words || self == Self::Credential;
        match byte {
            b'%' if words || self == Self::Text => out.push(b"%%"),
            b'$' if self == (Self::Exec { variables: true }) => out.push(b"$$"),
            b'\\' if escapes => out.push(br"\\"),
            b'\n' if escapes => out.push(br"\n"),
            b'\r' if escapes => out.push(br"\r"),
            b'\t' if escapes => out.push(br"\t"),
            b' ' if (words && quote.is_none()) || (self == Self::Credential && last) => {
                out.push(br"\s");
            }
            b'"' | b'\'' if words && quote.is_none_or(|quote| quote == byte) => {
                out.push(&[b'\\', byte]);
            }
            _ if escapes
                && (byte.is_ascii_control() || (self == Self::Credential && !byte.is_ascii())) =>
            {
                let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
                out.push(&[b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
            }
            _ => out.push(&[byte]),
        }
    }
}

/// How the values of one line are read, which may be many: to find the line's beginning anew for each would
/// take the square of the time.
#[derive(Default)]
pub(super) struct Notes {
    /// The line with those that continue it.
    line: Range<usize>,
    /// How many bytes its parts take up.
    length: usize,
    /// Where its values begin.
    settings: Vec<(usize, Setting)>,
}

impl Notes {
    /// The setting that the value at `at` belongs to, and the length of its line. It is asked for in the
    /// order of one file.
    fn look_up(&mut self, src: &[u8], at: usize) -> (Setting, usize) {
        if at < self.line.start {
            *self = Self::default();
        }
        while self.line.end <= at && self.line.end < src.len() {
            let bom = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            let start = self.line.end.max(bom);
            let (pieces, next) = logical_line(src, start);
            self.line = start..next;
            self.settings.clear();
            if let (true, [first, ..]) = (at < next, &pieces[..]) {
                self.length = pieces.last().map_or(0, |last| last.end - first.start);
                setting(src, pieces, 0, &mut |scalar, setting| {
                    if scalar.role == Role::Value {
                        self.settings.push((scalar.span.start, setting));
                    }
                });
            }
        }
        let found = self.settings.binary_search_by_key(&at, |&(start, _)| start);
        (found.map_or(Setting::Other, |number| self.settings[number].1), self.length)
    }
}

/// The quotes that the content of a place is written in, and whether these stand outside of it.
fn quote(src: &[u8], span: &Range<usize>, setting: Setting, value: &[u8]) -> (Option<u8>, bool) {
    let is_quote = |b: &&u8| matches!(b, b'"' | b'\'');
    let own = src[span.clone()].first().filter(is_quote).copied();
    match setting {
        Setting::Environment => {
            let name = src[..span.start].iter().rev().skip(1);
            let before = name.copied().find(|&b| !is_name(b));
            match before.filter(|b| is_quote(&b)) {
                Some(quote) => (Some(quote), true),
                None => (own, false),
            }
        }
        Setting::Exec { .. } => {
            let needs = value.is_empty() || value == b";" || value.contains(&b' ');
            (own.or(needs.then_some(b'"')), false)
        }
        _ => (None, false),
    }
}

/// Hands out the values of a line and how they are read.
fn setting(
    src: &[u8],
    pieces: Vec<Range<usize>>,
    depth: usize,
    found: &mut dyn FnMut(Scalar, Setting),
) {
    let first = pieces[0].clone();
    let end = pieces[pieces.len() - 1].end;
    let Some(equals) = memchr(b'=', &src[first.clone()]).map(|at| first.start + at) else {
        return found(opaque(first.start..end, depth), Setting::Other);
    };
    let key = trimmed(src, first.start..equals);
    let setting = Setting::named(&src[key.clone()]);
    found(verbatim(key, Role::Key, depth), setting);
    let value = trimmed(src, equals + 1..first.end);
    if let Setting::Environment | Setting::Exec { .. } = setting {
        let mut pieces = pieces;
        pieces[0] = value;
        return words(src, &pieces, setting, depth, found);
    }
    if pieces.len() > 1 {
        return found(opaque(value.start..end, depth), setting);
    }
    match setting {
        Setting::Credential => match memchr(b':', &src[value.clone()]) {
            Some(colon) => {
                let colon = value.start + colon;
                found(verbatim(value.start..colon, Role::Key, depth), setting);
                let span = colon + 1..value.end;
                let text = decoded(src, &span, unescaped(&src[span.clone()]));
                found(Scalar { span, text, role: Role::Value, depth, owner: None }, setting);
            }
            None => found(opaque(value, depth), setting),
        },
        Setting::Text => {
            let text = decoded(src, &value, halved(&src[value.clone()], b'%'));
            found(Scalar { span: value, text, role: Role::Value, depth, owner: None }, setting);
        }
        _ => {
            let plain = !src[value.clone()].iter().any(|b| b"\"'\\%".contains(b));
            let scalar =
                if plain { verbatim(value, Role::Value, depth) } else { opaque(value, depth) };
            found(scalar, setting);
        }
    }
}

/// The words of an `Environment` or `Exec` setting.
fn words(
    src: &[u8],
    pieces: &[Range<usize>],
    setting: Setting,
    depth: usize,
    found: &mut dyn FnMut(Scalar, Setting),
) {
    let mut program = matches!(setting, Setting::Exec { .. });
    let mut setting = setting;
    for piece in pieces {
        let mut at = piece.start;
        loop {
            at += src[at..piece.end].iter().take_while(|&&b| is_space(b)).count();
            if at == piece.end {
                break;
            }
            // A quote that does not close here makes all that follows unclear.
            let Some(word) = Word::read(src, at..piece.end) else {
                let rest = at..pieces[pieces.len() - 1].end;
                return found(opaque(rest, depth), setting);
            };
            let span = word.span.clone();
            at = span.end;
            let raw = &src[span.clone()];
            match setting {
                Setting::Exec { .. } if program => {
                    program = false;
                    setting = Setting::Exec { variables: !has_no_variables(raw) };
                    found(opaque(span, depth), setting);
                }
                Setting::Exec { .. } if raw == b";" => {
                    program = true;
                    found(opaque(span, depth), setting);
                }
                Setting::Exec { variables } => {
                    let text = word.text.and_then(|text| halved(&text, b'%'));
                    let text = text
                        .and_then(|text| if variables { halved(&text, b'$') } else { Some(text) });
                    let text = decoded(src, &word.inner, text);
                    found(Scalar { span, text, role: Role::Value, depth, owner: None }, setting);
                }
                _ => assignment(src, &word, depth, found),
            }
        }
    }
}

/// An item of `Environment=`.
fn assignment(src: &[u8], word: &Word, depth: usize, found: &mut dyn FnMut(Scalar, Setting)) {
    let setting = Setting::Environment;
    let item = word.inner.clone();
    let name =
        item.start..item.start + src[item.clone()].iter().take_while(|&&b| is_name(b)).count();
    let begins = src.get(name.start).is_some_and(|b| !b.is_ascii_digit());
    if name.is_empty() || !begins || name.end >= item.end || src[name.end] != b'=' {
        // A reference that only its quotes or escapes keep from being seen is told as one in a name.
        let hidden = word.text.as_ref().filter(|text| has_hits(text));
        let scalar = match hidden.filter(|_| !has_letters(&src[word.span.clone()])) {
            Some(text) => {
                let (span, text) = (word.span.clone(), Text::Decoded(text.clone()));
                Scalar { span, text, role: Role::Key, depth, owner: None }
            }
            None => opaque(word.span.clone(), depth),
        };
        return found(scalar, setting);
    }
    let text = word.text.as_ref().and_then(|text| halved(&text[name.len() + 1..], b'%'));
    let span = name.end + 1..item.end;
    found(verbatim(name, Role::Key, depth), setting);
    let inner = match &src[span.clone()] {
        [first @ (b'"' | b'\''), .., last] if first == last => span.start + 1..span.end - 1,
        _ => span.clone(),
    };
    let text = decoded(src, &inner, text);
    found(Scalar { span, text, role: Role::Value, depth, owner: None }, setting);
}

/// `bytes` as systemd takes text: UTF-8 without what Unicode says is no character.
pub(super) fn text(bytes: &[u8]) -> Option<&str> {
    let is_none = |c: char| matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii() || !text.contains(is_none))
}

/// What a value stands for, told by where it stands if it is written just so.
fn decoded(src: &[u8], span: &Range<usize>, text: Option<words::Bytes>) -> Text {
    match text {
        Some(text) if src[span.clone()] == *text.as_slice() => Text::Verbatim(span.clone()),
        Some(text) => Text::Decoded(text),
        None => Text::Opaque,
    }
}

/// The line at `at` with those that continue it, without blanks before them and the backslashes, and
/// where the next begins. A comment or an empty line has no parts.
fn logical_line(src: &[u8], mut at: usize) -> (Vec<Range<usize>>, usize) {
    let mut pieces = Vec::new();
    while at < src.len() {
        let end = memchr3(b'\n', b'\r', 0, &src[at..]).map_or(src.len(), |found| at + found);
        let line = at..end;
        at = end + if src[end..].starts_with(b"\r\n") { 2 } else { 1 };
        if is_comment(&src[line.clone()]) {
            if pieces.is_empty() {
                break;
            }
            continue;
        }
        let continued = is_continued(&src[line.clone()]);
        let end = line.end - usize::from(continued);
        let piece = trimmed(src, line.start..end).start..end;
        if !piece.is_empty() || continued {
            pieces.push(piece);
        }
        if !continued {
            break;
        }
    }
    // What begins with an empty line that is continued has its name further down.
    let empty = pieces.iter().take_while(|piece| piece.is_empty()).count();
    pieces.drain(..empty);
    (pieces, at)
}

fn is_comment(line: &[u8]) -> bool {
    matches!(line.trim_ascii_start().first(), Some(b'#' | b';'))
}

fn is_continued(line: &[u8]) -> bool {
    line.iter().rev().take_while(|&&b| b == b'\\').count() % 2 == 1
}

/// Whether the prefix of a program turns variables off.
fn has_no_variables(program: &[u8]) -> bool {
    program.iter().take_while(|b| b"@-:+!|\"'".contains(b)).any(|&b| b == b':')
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn is_space(b: u8) -> bool {
    is_blank(b) || matches!(b, b'\n' | b'\r')
}
