//! What Python's dotenv reads, with its default expansion of `${NAME}`.
//!
//! Between single quotes `\\` and `\'` are escapes, between double quotes those of Python too.

use std::ops::Range;

use memchr::{memchr, memmem};
use zeroize::Zeroizing;

use super::dotenv::{Rules, check_unquoted, comment_behind_a_blank, scan};
use super::{Content, Malformed, Output, Refusal, Scalar, Syntax, Text, utf8};

pub(super) struct DotenvPython;

impl Syntax for DotenvPython {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        utf8(src)?;
        scan(src, &RULES, found);
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
        let value = whole.bytes();
        check(value)?;
        let quote: &[u8] = match src[span].first() {
            _ if value.contains(&b'\r') => b"\"",
            Some(b'"') => b"\"",
            Some(b'\'') => b"'",
            // Nothing, without quotes, could stand anywhere between blanks.
            _ if check_unquoted(value).is_ok() && !value.is_empty() => b"",
            _ => b"'",
        };
        out.bytes.push(quote);
        for &part in content.parts {
            out.part(part, |bytes, out| {
                for &byte in bytes {
                    match byte {
                        b'\n' if quote == b"\"" => out.push(br"\n"),
                        b'\r' => out.push(br"\r"),
                        b'\\' => out.push(br"\\"),
                        _ if quote == [byte] => out.push(&[b'\\', byte]),
                        _ => out.push(&[byte]),
                    }
                }
                Ok(())
            })?;
        }
        out.bytes.push(quote);
        Ok(())
    }
}

const RULES: Rules = Rules {
    quotes: b"'\"",
    node: false,
    escaping: b"'\"",
    comment: comment_behind_a_blank,
    text: |src, inner, quote| {
        let raw = &src[inner.clone()];
        // Line ends are altered, variables looked up, and a quote behind backslashes closes or not,
        // depending on what quotes follow in the file.
        if quote.is_some() && raw.ends_with(b"\\") {
            return Text::Opaque;
        }
        if raw.contains(&b'\r') || memmem::find(raw, b"${").is_some() {
            return Text::Opaque;
        }
        match quote {
            Some(quote) if memchr(b'\\', raw).is_some() => unescaped(raw, quote),
            // What else is white space to Python may be stripped.
            None if !raw.is_ascii()
                || raw.iter().any(|b| matches!(b, 0x0b | 0x0c | 0x1c..=0x1f)) =>
            {
                Text::Opaque
            }
            _ => Text::Verbatim(inner),
        }
    },
};

/// What stands between quotes; a backslash that escapes nothing is one.
fn unescaped(raw: &[u8], quote: u8) -> Text {
    let mut out = Zeroizing::new(Vec::with_capacity(raw.len()));
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        let escaped = if byte == b'\\' { rest.next() } else { None };
        match escaped {
            None => out.push(byte),
            Some(&byte @ (b'\\' | b'\'')) => out.push(byte),
            Some(b'"') if quote == b'"' => out.push(b'"'),
            Some(b'n') if quote == b'"' => out.push(b'\n'),
            Some(b'r') if quote == b'"' => out.push(b'\r'),
            Some(b't') if quote == b'"' => out.push(b'\t'),
            Some(b'a' | b'b' | b'f' | b'v') if quote == b'"' => return Text::Opaque,
            Some(&byte) => out.extend_from_slice(&[b'\\', byte]),
        }
    }
    // Two escapes could make one `${` of it.
    if memmem::find(&out, b"${").is_some() { Text::Opaque } else { Text::Decoded(out) }
}

/// What Python's dotenv refuses or alters; which of it a value holds is not told.
const LOST: Refusal = Refusal(
    "holds `${`, a NUL or what is not UTF-8, or ends with a backslash, which Python's dotenv expands, \
     refuses or takes for an escape; shell carries all of it but NUL",
);

fn check(value: &[u8]) -> Result<(), Refusal> {
    let is_lost =
        value.contains(&0) || value.ends_with(b"\\") || memmem::find(value, b"${").is_some();
    if is_lost || std::str::from_utf8(value).is_err() { Err(LOST) } else { Ok(()) }
}
