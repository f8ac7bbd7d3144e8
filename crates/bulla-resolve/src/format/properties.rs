//! Java's `.properties`, by the rules of `java.util.Properties`.
//!
//! `load(InputStream)` takes the bytes for ISO 8859-1, `load(Reader)` and frameworks often for UTF-8.
//! So values are written in ASCII, everything else by number, and what stands in a file outside of
//! ASCII is left as it is: a value with such characters in it can hold no reference.

use std::iter::{Cloned, Flatten};
use std::ops::Range;
use std::slice;

use memchr::{memchr, memchr2};
use zeroize::Zeroizing;

use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, Text};
use crate::problem::Rule;
use crate::secret::Draft;

pub(super) struct Properties;

impl Syntax for Properties {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let mut line = Line { src, pieces: Vec::new(), next: 0 };
        while line.read() {
            line.scan(found)?;
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
        let marks = escapes_marks(&src[span.clone()]);
        let mut first = true;
        for &part in content.parts {
            out.part(part, |bytes, out| {
                let text = std::str::from_utf8(bytes)
                    .map_err(|_| Refusal("is not UTF-8, as a text of Java has to be"))?;
                for c in text.chars() {
                    let is_mark = matches!(c, '=' | ':' | '#' | '!');
                    let separates = matches!(c, '=' | ':') && !has_separator(&src[..span.start]);
                    if (is_mark && marks) || (first && (c == ' ' || separates)) {
                        out.push(b"\\");
                    }
                    escape(c, out);
                    first = false;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn may_hide(&self, src: &[u8]) -> bool {
        // A letter by its number, with a backslash for nothing, or behind a line's end.
        let hides = |next: &u8| match next {
            b'n' | b'r' | b't' | b'f' => false,
            next => next.is_ascii_alphanumeric() || matches!(next, b'\r' | b'\n'),
        };
        memchr::memchr_iter(b'\\', src).any(|at| src.get(at + 1).is_some_and(hides))
    }
}

/// A line as Java reads it, which may go on over several lines of the file.
struct Line<'a> {
    src: &'a [u8],
    /// Where its bytes are, without the backslashes, line ends and blanks in between.
    pieces: Vec<Range<usize>>,
    /// Where the line behind it begins.
    next: usize,
}

/// The offsets of bytes.
type Offsets<'a> = Flatten<Cloned<slice::Iter<'a, Range<usize>>>>;

impl Line<'_> {
    /// Goes on to the next line that is neither blank nor a comment, and says whether there is one.
    fn read(&mut self) -> bool {
        self.pieces.clear();
        while self.next < self.src.len() {
            let start = self.next + blanks(&self.src[self.next..]);
            let rest = &self.src[start..];
            let end = start + memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            let length = if self.src[end..].starts_with(b"\r\n") { 2 } else { 1 };
            self.next = (end + length).min(self.src.len());
            let text = &self.src[start..end];
            // What a lone backslash goes on to may still be a comment.
            if self.pieces.is_empty() && matches!(text.first(), None | Some(b'#' | b'!')) {
                continue;
            }
            let goes_on = text.iter().rev().take_while(|&&b| b == b'\\').count() % 2 == 1;
            let piece = start..end - usize::from(goes_on);
            if !piece.is_empty() || !self.pieces.is_empty() {
                self.pieces.push(piece);
            }
            if !goes_on {
                break;
            }
        }
        !self.pieces.is_empty()
    }

    fn scan(&self, found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let src = self.src;
        let (mut key, value) = self.split();
        let mut scalar = |span: Range<usize>, text, role| {
            found(Scalar { span, text, role, depth: 0, owner: None });
        };
        let mut text = self.decode(key.clone())?;
        // A reference at the beginning of a line is torn apart at its colon, and would not be found.
        if text.bytes(src).ends_with(b"bulla") && src[key.end..].starts_with(b"://") {
            (key.end, text) = (value.end, Text::Opaque);
        }
        scalar(key, text, Role::Key);
        let text = self.decode(value.clone())?;
        // Readers disagree on the encoding.
        let text = if src[value.clone()].is_ascii() { text } else { Text::Opaque };
        scalar(value, text, Role::Value);
        Ok(())
    }

    fn offsets(&self) -> Offsets<'_> {
        self.pieces.iter().cloned().flatten()
    }

    /// Where the key and the value are.
    fn split(&self) -> (Range<usize>, Range<usize>) {
        let start = self.pieces[0].start;
        let end = self.pieces[self.pieces.len() - 1].end;
        let mut offsets = self.offsets();
        let mut escaped = false;
        let Some(key_end) = offsets.find(|&at| {
            let byte = self.src[at];
            let ends = !escaped && (is_blank(byte) || matches!(byte, b'=' | b':'));
            escaped = byte == b'\\' && !escaped;
            ends
        }) else {
            return (start..end, end..end);
        };
        let mut separated = !is_blank(self.src[key_end]);
        let value = offsets.find(|&at| {
            let byte = self.src[at];
            let separates = !separated && matches!(byte, b'=' | b':');
            separated |= separates;
            !separates && !is_blank(byte)
        });
        (start..key_end, value.unwrap_or(end)..end)
    }

    /// What Java makes of the bytes at `span`; those outside ASCII stay as they are.
    fn decode(&self, span: Range<usize>) -> Result<Text, Malformed> {
        let in_one_piece =
            self.pieces.iter().any(|piece| piece.start <= span.start && span.end <= piece.end);
        if in_one_piece && memchr(b'\\', &self.src[span.clone()]).is_none() {
            return Ok(Text::Verbatim(span));
        }
        let mut offsets = self.offsets().filter(|at| span.contains(at));
        let mut out = Zeroizing::new(Vec::with_capacity(span.len()));
        // The first half of a surrogate pair.
        let mut half = None;
        let mut whole = true;
        while let Some(at) = offsets.next() {
            let byte = match self.src[at] {
                b'\\' => match offsets.next().map(|at| self.src[at]) {
                    Some(b't') => b'\t',
                    Some(b'n') => b'\n',
                    Some(b'r') => b'\r',
                    Some(b'f') => b'\x0c',
                    Some(b'u') => {
                        let what = "four hexadecimal digits are missing here";
                        let unit = self.unit(&mut offsets);
                        let unit = unit.ok_or(Malformed::new(at, Rule::Malformed, what))?;
                        let pair: Vec<_> = half.take().into_iter().chain([unit]).collect();
                        match char::decode_utf16(pair.iter().copied()).next() {
                            Some(Ok(c)) => {
                                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                            }
                            _ if pair.len() == 1 && unit < 0xdc00 => half = Some(unit),
                            _ => whole = false,
                        }
                        continue;
                    }
                    Some(byte) => byte,
                    None => break,
                },
                byte => byte,
            };
            whole &= half.is_none();
            out.push(byte);
        }
        // Half of a surrogate pair is no text.
        Ok(if whole && half.is_none() { Text::Decoded(out) } else { Text::Opaque })
    }

    /// The code unit that the next four digits stand for.
    fn unit(&self, offsets: &mut impl Iterator<Item = usize>) -> Option<u16> {
        (0..4).try_fold(0, |unit, _| {
            let digit = char::from(self.src[offsets.next()?]).to_digit(16)?;
            Some(unit * 16 + u16::try_from(digit).ok()?)
        })
    }
}

/// Whether a value is written as Java writes them, which escapes `=`, `:`, `#` and `!` everywhere.
fn escapes_marks(token: &[u8]) -> bool {
    let mut escaped = false;
    token.iter().any(|&byte| {
        let is_mark = escaped && b"=:#!".contains(&byte);
        escaped = byte == b'\\' && !escaped;
        is_mark
    })
}

/// Whether the text before a value ends in `=` or `:`, so that another one would belong to the value.
fn has_separator(before: &[u8]) -> bool {
    let blank = before.iter().rev().take_while(|&&b| is_blank(b)).count();
    matches!(before[..before.len() - blank], [.., b, b'=' | b':'] if b != b'\\')
}

fn escape(c: char, out: &mut Draft) {
    match c {
        '\\' => out.push(b"\\\\"),
        '\t' => out.push(b"\\t"),
        '\n' => out.push(b"\\n"),
        '\r' => out.push(b"\\r"),
        '\x0c' => out.push(b"\\f"),
        ' '..='~' => out.push(&[c as u8]),
        c => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push(Zeroizing::new(format!("\\u{unit:04X}")).as_bytes());
            }
        }
    }
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|&&b| is_blank(b)).count()
}

fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\x0c')
}
