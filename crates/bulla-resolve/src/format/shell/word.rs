//! The word behind the `=` of an assignment.

use std::ops::Range;

use memchr::memchr;
use zeroize::Zeroizing;

use super::super::lines::braces;
use super::Text;
use super::skip::{Closer, ansi_end, skip_nested};

pub(super) struct Word {
    pub(super) span: Range<usize>,
    /// Opaque, if anything is expanded in it.
    pub(super) text: Text,
}

impl Word {
    /// The word at `start`, or nothing if it cannot be followed to its end.
    pub(super) fn read(src: &[u8], start: usize) -> Option<Self> {
        let mut reader = Reader { src, at: start, text: Zeroizing::new(Vec::new()), clear: true };
        reader.run(start)?;
        let Reader { at, text, clear, .. } = reader;
        let span = start..at;
        let text = match &src[span.clone()] {
            _ if !clear => Text::Opaque,
            raw if raw == text.as_slice() => Text::Verbatim(span.clone()),
            [b'\'' | b'"', inner @ .., _] if inner == text.as_slice() => {
                Text::Verbatim(start + 1..at - 1)
            }
            _ => Text::Decoded(text),
        };
        Some(Self { span, text })
    }
}

struct Reader<'a> {
    src: &'a [u8],
    at: usize,
    text: Zeroizing<Vec<u8>>,
    /// Whether all of it is known.
    clear: bool,
}

impl Reader<'_> {
    fn run(&mut self, start: usize) -> Option<()> {
        while let Some(&byte) = self.src.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'<' | b'>' | b')' => break,
                // An array, or a mistake.
                b'(' if self.braces() => {}
                b'(' => return None,
                b'{' if self.braces() => {}
                b'\'' => {
                    let len = memchr(b'\'', &self.src[self.at + 1..])?;
                    self.take(1, len);
                    self.at += 1;
                }
                b'"' => self.double_quoted()?,
                b'\\' => self.escape(|_| true),
                b'$' if self.src.get(self.at + 1) == Some(&b'\'') => self.ansi()?,
                b'$' | b'`' => self.expansion()?,
                _ => {
                    // A home folder or, to zsh, a program, where a path may begin; and what `export`
                    // would match files by.
                    let begins = self.at == start || b":=".contains(&self.src[self.at - 1]);
                    if b"*?[{".contains(&byte) || (begins && b"~=".contains(&byte)) {
                        self.clear = false;
                    }
                    self.take(0, 1);
                }
            }
        }
        Some(())
    }

    fn double_quoted(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            match *self.src.get(self.at)? {
                b'"' => break self.at += 1,
                b'\\' => self.escape(|byte| b"\"\\$`\n".contains(&byte)),
                b'$' | b'`' => self.expansion()?,
                _ => self.take(0, 1),
            }
        }
        Some(())
    }

    /// A backslash, which is an escape before bytes that are `special`.
    fn escape(&mut self, special: impl Fn(u8) -> bool) {
        match self.src.get(self.at + 1) {
            Some(b'\n') => self.at += 2,
            Some(&byte) if special(byte) => self.take(1, 1),
            _ => self.take(0, 1),
        }
    }

    /// `$'...'`, which bash, zsh and others know.
    fn ansi(&mut self) -> Option<()> {
        let end = ansi_end(self.src, self.at + 2)?;
        let raw = &self.src[self.at + 2..end];
        let mut at = 0;
        while at < raw.len() {
            let simple = match (raw[at], raw.get(at + 1)) {
                (b'\\', Some(b'n')) => b'\n',
                (b'\\', Some(b'r')) => b'\r',
                (b'\\', Some(b't')) => b'\t',
                (b'\\', Some(b'e' | b'E')) => 0x1b,
                (b'\\', Some(&byte @ (b'\\' | b'\'' | b'"'))) => byte,
                (b'\\', Some(b'x')) => match hexadecimal(&raw[at + 2..]) {
                    Some(byte) => {
                        at += 2;
                        byte
                    }
                    None => {
                        self.clear = false;
                        break;
                    }
                },
                (b'\\', _) => {
                    self.clear = false;
                    break;
                }
                (byte, _) => {
                    self.text.push(byte);
                    at += 1;
                    continue;
                }
            };
            self.text.push(simple);
            at += 2;
        }
        self.at = end + 1;
        Some(())
    }

    /// A variable, a command or a number to be computed.
    fn expansion(&mut self) -> Option<()> {
        self.clear = false;
        self.at = match (self.src[self.at], self.src.get(self.at + 1)) {
            (b'`', _) => skip_nested(self.src, self.at + 1, Closer::Backtick)?,
            (_, Some(b'(')) => skip_nested(self.src, self.at + 2, Closer::Parenthesis)?,
            (_, Some(b'{')) => skip_nested(self.src, self.at + 2, Closer::Brace)?,
            _ => self.at + 1,
        };
        Some(())
    }

    /// Takes a reference in braces whole, if one is here.
    fn braces(&mut self) -> bool {
        let end = braces(self.src, self.at..self.src.len());
        if let Some(end) = end {
            self.take(0, end - self.at);
        }
        end.is_some()
    }

    /// Passes over `skipped` bytes and takes the next `len`.
    fn take(&mut self, skipped: usize, len: usize) {
        let from = self.at + skipped;
        self.text.extend_from_slice(&self.src[from..from + len]);
        self.at = from + len;
    }
}

/// Two digits, with which the escape has to end: shells disagree on how many more belong to it.
fn hexadecimal(text: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(text.get(..2)?).ok()?;
    let ends = text.get(2).is_none_or(|b| !b.is_ascii_hexdigit());
    let byte = u8::from_str_radix(digits, 16).ok()?;
    (ends && !digits.starts_with('+') && byte != 0).then_some(byte)
}
