//! git's configuration files.
//!
//! `#` and `;` begin a comment outside of quotes, which may open and close anywhere in a value; `\` is
//! an escape in and out of them. Every byte but NUL is carried. The rules are those of
//! git-config(1), "Syntax"; values are written as git writes them.

use std::ops::Range;

use zeroize::Zeroizing;

use super::lines::{is_blank, verbatim};
use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, Text};
use crate::expression::may_refer;
use crate::problem::Rule;

pub(super) struct IniGit;

impl Syntax for IniGit {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let at = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Scan { src, at, depth: 0 }.run(found)
    }

    fn encode(
        &self,
        src: &[u8],
        span: Range<usize>,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        let whole = content.joined();
        if whole.bytes().contains(&0) {
            return Err(Refusal("holds a NUL, which git cannot read"));
        }
        let quoted = src[span].starts_with(b"\"") || needs_quotes(whole.bytes());
        let quote: &[u8] = if quoted { b"\"" } else { b"" };
        out.bytes.push(quote);
        for &part in content.parts {
            out.part(part, |bytes, out| {
                for &byte in bytes {
                    match byte {
                        b'\n' => out.push(br"\n"),
                        b'\t' => out.push(br"\t"),
                        b'\x08' => out.push(br"\b"),
                        b'"' => out.push(br#"\""#),
                        b'\\' => out.push(br"\\"),
                        _ => out.push(&[byte]),
                    }
                }
                Ok(())
            })?;
        }
        out.bytes.push(quote);
        Ok(())
    }

    fn may_hide(&self, src: &[u8]) -> bool {
        // A line that is broken within the first word, or quotes there. Without these a file has to follow
        // the format only if a word is left.
        [&b"\\\n"[..], b"\\\r\n"].iter().any(|end| memchr::memmem::find(src, end).is_some())
            || (memchr::memchr(b'"', src).is_some() && {
                let rest = src.iter().copied().filter(|&b| b != b'"');
                may_refer(&Zeroizing::new(rest.collect::<Vec<_>>()))
            })
    }
}

fn needs_quotes(value: &[u8]) -> bool {
    let at_the_edge = |b: Option<&u8>| b.is_some_and(|b| matches!(b, b' ' | b'\r'));
    // Without, nothing would tell where it stands between blanks.
    value.is_empty()
        || at_the_edge(value.first())
        || at_the_edge(value.last())
        || value.iter().any(|&b| {
            matches!(b, b'#' | b';') || (b.is_ascii_control() && !b"\n\t\x08".contains(&b))
        })
}

struct Scan<'a> {
    src: &'a [u8],
    at: usize,
    depth: usize,
}

impl Scan<'_> {
    fn run(mut self, found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        while let Some(&byte) = self.src.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                b'#' | b';' => self.at = self.line_end(),
                b'[' => self.section(found)?,
                b'a'..=b'z' | b'A'..=b'Z' => self.variable(found)?,
                _ => return Err(self.malformed()),
            }
        }
        Ok(())
    }

    fn section(&mut self, found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let start = self.at + 1;
        self.at = start;
        self.skip(|b| is_name(b) || b == b'.');
        let name = start..self.at;
        let mut text = Text::Verbatim(name.clone());
        if self.peek().is_some_and(is_blank) {
            self.skip(is_blank);
            let mut full = Zeroizing::new(self.src[name].to_vec());
            full.push(b'.');
            full.extend_from_slice(&self.subsection()?);
            text = Text::Decoded(full);
        }
        if self.peek() != Some(b']') {
            return Err(self.malformed());
        }
        found(Scalar { span: start..self.at, text, role: Role::Section, depth: 0, owner: None });
        self.at += 1;
        self.depth = 1;
        Ok(())
    }

    /// The quoted part of a section's name.
    fn subsection(&mut self) -> Result<Zeroizing<Vec<u8>>, Malformed> {
        let mut name = Zeroizing::new(Vec::new());
        if self.peek() != Some(b'"') {
            return Err(self.malformed());
        }
        loop {
            self.at += 1;
            match self.peek() {
                Some(b'"') => break self.at += 1,
                Some(b'\\') if !matches!(self.src.get(self.at + 1), None | Some(b'\n')) => {
                    self.at += 1;
                    name.push(self.src[self.at]);
                }
                None | Some(b'\\' | b'\n') => return Err(self.malformed()),
                Some(byte) => name.push(byte),
            }
        }
        Ok(name)
    }

    fn variable(&mut self, found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let start = self.at;
        self.skip(is_name);
        found(verbatim(start..self.at, Role::Key, self.depth));
        self.skip(is_blank);
        match self.peek() {
            // Without a value, it is true.
            None | Some(b'\n') => return Ok(()),
            Some(b'\r') if self.src.get(self.at + 1) == Some(&b'\n') => return Ok(()),
            Some(b'=') => self.at += 1,
            Some(_) => return Err(self.malformed()),
        }
        self.skip(is_blank);
        let scalar = self.value()?;
        found(scalar);
        Ok(())
    }

    fn value(&mut self) -> Result<Scalar, Malformed> {
        let start = self.at;
        let mut text = Zeroizing::new(Vec::new());
        // Behind the last byte that is no blank, in the file and in the text.
        let (mut end, mut kept) = (start, 0);
        let (mut quoted, mut odd) = (false, false);
        while let Some(byte) = self.peek() {
            match byte {
                b'\n' if quoted => return Err(self.malformed()),
                b'\n' => break,
                b'\r' if self.src.get(self.at + 1) == Some(&b'\n') => {}
                // Before the first byte of the text, even behind quotes or a line end that is no end, git
                // drops them.
                b' ' | b'\t' | b'\r' if !quoted && text.is_empty() => {}
                b' ' | b'\t' | b'\r' if !quoted => text.push(byte),
                b'#' | b';' if !quoted => {
                    self.at = self.line_end();
                    break;
                }
                b'"' => {
                    quoted = !quoted;
                    (end, kept) = (self.at + 1, text.len());
                }
                b'\\' => {
                    self.at += 1;
                    if self.src[self.at..].starts_with(b"\r\n") {
                        self.at += 1;
                    }
                    match self.peek() {
                        // The value runs on in the next line.
                        Some(b'\n') => {}
                        Some(b'n') => text.push(b'\n'),
                        Some(b't') => text.push(b'\t'),
                        Some(b'b') => text.push(b'\x08'),
                        Some(escaped @ (b'\\' | b'"')) => text.push(escaped),
                        _ => return Err(self.malformed()),
                    }
                    (end, kept) = (self.at + 1, text.len());
                }
                _ => {
                    text.push(byte);
                    (end, kept) = (self.at + 1, text.len());
                }
            }
            self.at += 1;
        }
        if quoted {
            return Err(self.malformed());
        }
        let span = start..end;
        text.truncate(kept);
        // Older versions make a blank of it.
        odd |= unquoted_tab(&self.src[span.clone()]);
        let text = match &self.src[span.clone()] {
            _ if odd => Text::Opaque,
            raw if raw == text.as_slice() => Text::Verbatim(span.clone()),
            [b'"', inner @ .., b'"'] if inner == text.as_slice() => {
                Text::Verbatim(span.start + 1..span.end - 1)
            }
            _ => Text::Decoded(text),
        };
        Ok(Scalar { span, text, role: Role::Value, depth: self.depth, owner: None })
    }

    fn peek(&self) -> Option<u8> {
        self.src.get(self.at).copied()
    }

    fn skip(&mut self, wanted: impl Fn(u8) -> bool) {
        self.at += self.src[self.at..].iter().take_while(|&&b| wanted(b)).count();
    }

    fn line_end(&self) -> usize {
        memchr::memchr(b'\n', &self.src[self.at..]).map_or(self.src.len(), |found| self.at + found)
    }

    fn malformed(&self) -> Malformed {
        let what = "git would refuse the file here";
        Malformed::new(self.at.min(self.src.len()), Rule::Malformed, what)
    }
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-'
}

/// Whether a tab or carriage return stands in a value outside of quotes.
fn unquoted_tab(raw: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    raw.iter().any(|&byte| {
        let special = !std::mem::replace(&mut escaped, false);
        match byte {
            b'"' if special => quoted = !quoted,
            b'\\' if special => escaped = true,
            b'\t' | b'\r' if special => return !quoted,
            _ => {}
        }
        false
    })
}
