//! Option files as MySQL and MariaDB read them (`my.cnf`).
//!
//! A value may be quoted as a whole; `\b \t \n \r \s \\ \" \'` are escapes in and out of quotes. `#`
//! begins a comment wherever no quote is open, and a quote opens anywhere. White space is that of
//! Latin-1.

use std::ops::Range;

use zeroize::Zeroizing;

use super::lines::{around, lines, opaque, verbatim};
use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, Text};
use crate::problem::Rule;

pub(super) struct IniMysql;

/// Longer lines are read as two.
pub(super) const MAX_LINE: usize = 4_000;

impl Syntax for IniMysql {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let mut in_group = false;
        for line in lines(src) {
            let content = trimmed(src, line.clone());
            let text = &src[content.clone()];
            match text.first() {
                None | Some(b'#' | b';') => {}
                // An include.
                Some(b'!') => found(opaque(content, 0)),
                Some(b'[') => {
                    let close = memchr::memchr(b']', text)
                        .ok_or(malformed(content.start, "a group has no closing bracket"))?;
                    in_group = true;
                    let name = trimmed(src, content.start + 1..content.start + close);
                    found(verbatim(name, Role::Section, 0));
                    let rest = content.start + close + 1..content.end;
                    if !rest.is_empty() && !src[rest.clone()].trim_ascii().starts_with(b"#") {
                        found(opaque(rest, 0));
                    }
                }
                Some(_) if !in_group => {
                    let what = "an option stands before the first group";
                    return Err(malformed(content.start, what));
                }
                Some(_) => option(src, content, line.len() > MAX_LINE, found),
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
        if whole.bytes().contains(&0) {
            return Err(Refusal("holds a NUL, which no option can carry"));
        }
        let has = |quote| whole.bytes().contains(&quote);
        let quote: &[u8] = match src[span.clone()].first() {
            Some(b'\'') if !has(b'\'') || has(b'"') => b"'",
            Some(b'\'' | b'"') if has(b'"') && !has(b'\'') => b"'",
            Some(b'\'' | b'"') => b"\"",
            _ if !needs_quotes(whole.bytes()) => b"",
            _ if has(b'"') && !has(b'\'') => b"'",
            _ => b"\"",
        };
        let start = out.bytes.len();
        out.bytes.push(quote);
        for &part in content.parts {
            out.part(part, |bytes, out| {
                for byte in bytes {
                    match byte {
                        b'\n' => out.push(br"\n"),
                        b'\r' => out.push(br"\r"),
                        b'\t' => out.push(br"\t"),
                        b'\x08' => out.push(br"\b"),
                        b'\\' => out.push(br"\\"),
                        byte if quote.contains(byte) => out.push(&[b'\\', *byte]),
                        byte => out.push(&[*byte]),
                    }
                }
                Ok(())
            })?;
        }
        out.bytes.push(quote);
        if around(src, &span).len() - span.len() + out.bytes.len() - start > MAX_LINE {
            return Err(Refusal("makes a line of more than 4000 bytes, which MySQL reads as two"));
        }
        Ok(())
    }
}

fn needs_quotes(value: &[u8]) -> bool {
    let blank = |b: Option<&u8>| b.is_some_and(|&b| is_space(b));
    // Without, nothing would tell where it stands between blanks.
    value.is_empty()
        || blank(value.first())
        || blank(value.last())
        || value.iter().any(|b| b"#\"'".contains(b) || b.is_ascii_control())
}

fn option(src: &[u8], content: Range<usize>, long: bool, found: &mut dyn FnMut(Scalar)) {
    let end = comment(src, content.clone());
    let Some(equals) = memchr::memchr(b'=', &src[content.start..end]) else {
        return found(verbatim(trimmed(src, content.start..end), Role::Key, 1));
    };
    let equals = content.start + equals;
    found(verbatim(trimmed(src, content.start..equals), Role::Key, 1));
    let span = trimmed(src, equals + 1..end);
    let inner = match &src[span.clone()] {
        [first @ (b'"' | b'\''), .., last] if first == last => span.start + 1..span.end - 1,
        _ => span.clone(),
    };
    let text = match &src[inner.clone()] {
        _ if long => Text::Opaque,
        raw if raw.contains(&b'\\') => unescaped(raw).map_or(Text::Opaque, Text::Decoded),
        _ => Text::Verbatim(inner),
    };
    found(Scalar { span, text, role: Role::Value, depth: 1, owner: None });
}

/// Where the comment of a line begins, or else its end.
fn comment(src: &[u8], line: Range<usize>) -> usize {
    let (mut quote, mut escaped) = (None, false);
    for at in line.clone() {
        let byte = src[at];
        match quote {
            None if byte == b'#' => return at,
            None if matches!(byte, b'"' | b'\'') => quote = Some(byte),
            Some(open) if byte == open && !escaped => quote = None,
            _ => {}
        }
        escaped = quote.is_some() && byte == b'\\' && !escaped;
    }
    line.end
}

/// What a value stands for, if it has no escapes other than the known ones.
fn unescaped(raw: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(raw.len()));
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        let byte = match byte {
            b'\\' => match rest.next()? {
                b'b' => b'\x08',
                b't' => b'\t',
                b'n' => b'\n',
                b'r' => b'\r',
                b's' => b' ',
                &escaped @ (b'\\' | b'"' | b'\'') => escaped,
                _ => return None,
            },
            _ => byte,
        };
        out.push(byte);
    }
    Some(out)
}

/// `range` without white space around it.
fn trimmed(src: &[u8], range: Range<usize>) -> Range<usize> {
    let text = &src[range.clone()];
    let start = text.iter().take_while(|&&b| is_space(b)).count();
    let end = text[start..].iter().rev().take_while(|&&b| is_space(b)).count();
    range.start + start..range.end - end
}

/// White space of Latin-1, to which the last byte of some UTF-8 characters belongs.
fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t'..=b'\r' | 0xa0)
}

fn malformed(at: usize, what: &'static str) -> Malformed {
    Malformed::new(at, Rule::Malformed, what)
}
