//! JSON (RFC 8259), strict: no comments, no trailing commas.
//!
//! `serde_json` decides what is JSON and what a string decodes to; here is only found where the
//! tokens of a file that it accepts begin and end.

use std::ops::Range;

use memchr::{memchr, memchr2, memmem};
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::kubernetes::{self, Node};
use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, Text, utf8};
use crate::filter::json_escape;
use crate::problem::{About, Rule};
use crate::secret::Draft;

pub(super) struct Json;

impl Syntax for Json {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let bom = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let text = &utf8(src)?[bom..];
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| {
            let at = offset(text, error.line(), error.column());
            let (what, about) = match text.as_bytes().get(at) {
                Some(b'/') => ("a comment stands here, and JSON has none", Some(About::Comment)),
                _ => ("the file is no JSON here", None),
            };
            Malformed::new(bom + at, Rule::Malformed, what).about(about)
        })?;
        let walk = |found: &mut dyn FnMut(Node)| {
            walk(src, bom, found);
            Ok(())
        };
        kubernetes::scan(src, walk, found)
    }

    fn encode(
        &self,
        src: &[u8],
        span: Range<usize>,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        if content.typed {
            check_number(content.joined().bytes())?;
            content.parts.iter().for_each(|&part| out.copy(part));
            return Ok(());
        }
        // PHP's writer escapes slashes: where the template does so, values do too.
        let escapes_slash = memmem::find(&src[span], br"\/").is_some();
        out.bytes.push(b"\"");
        for &part in content.parts {
            out.part(part, |bytes, out| {
                let text = std::str::from_utf8(bytes)
                    .map_err(|_| Refusal("is not UTF-8, as JSON has to be"))?;
                if escapes_slash {
                    escape_with_slashes(text, out);
                } else {
                    json_escape(text, out);
                }
                Ok(())
            })?;
        }
        out.bytes.push(b"\"");
        Ok(())
    }

    fn may_hide(&self, src: &[u8]) -> bool {
        // A letter of the scheme as \u0062 and the like.
        memmem::find(src, br"\u00").is_some()
    }
}

/// Goes through the tokens behind `at` of a file that is known to be JSON.
fn walk(src: &[u8], mut at: usize, found: &mut dyn FnMut(Node)) {
    let mut depth = 0;
    while let Some(&byte) = src.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                found(Node::Open);
            }
            b'}' | b']' => {
                depth -= 1;
                found(Node::Close);
            }
            b'"' => {
                let (span, text) = string(src, at);
                at = span.end;
                let is_key = src[at..].trim_ascii_start().starts_with(b":");
                let role = if is_key { Role::Key } else { Role::Value };
                found(Node::Scalar(Scalar { span, text, role, depth, owner: None }));
                continue;
            }
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => {}
            _ => {
                // A number, `true`, `false` or `null`.
                let ends = |b: &u8| b" \t\n\r,:]}".contains(b);
                let length = src[at..].iter().position(ends).unwrap_or(src.len() - at);
                let span = at..at + length;
                at = span.end;
                let text = Text::Verbatim(span.clone());
                found(Node::Scalar(Scalar { span, text, role: Role::Value, depth, owner: None }));
                continue;
            }
        }
        at += 1;
    }
}

/// Refuses a number that JavaScript rounds (RFC 8259 section 6).
fn check_number(text: &[u8]) -> Result<(), Refusal> {
    const LARGEST: u64 = (1 << 53) - 1;
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i128>().ok());
    match number.filter(|number| number.unsigned_abs() > u128::from(LARGEST)) {
        Some(_) => Err(Refusal(
            "is a number beyond 9007199254740991, which JavaScript rounds; leave out the filter `int`, and \
             it is written as text",
        )),
        None => Ok(()),
    }
}

fn escape_with_slashes(text: &str, out: &mut Draft) {
    for (number, piece) in text.split('/').enumerate() {
        if number > 0 {
            out.push(br"\/");
        }
        json_escape(piece, out);
    }
}

/// The end of the string that begins at `at`.
pub(super) fn string_end(src: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(found) = src.get(end..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        end += found;
        if src[end] == b'"' {
            return end + 1;
        }
        end += 2;
    }
    src.len()
}

/// The string that begins at `at`, which is known to be closed.
fn string(src: &[u8], at: usize) -> (Range<usize>, Text) {
    let span = at..string_end(src, at);
    let inner = at + 1..span.end - 1;
    let text = if memchr(b'\\', &src[inner.clone()]).is_some() {
        // What JSON allows and no string is: half of a surrogate pair.
        match serde_json::from_slice::<String>(&src[span.clone()]) {
            Ok(text) => Text::Decoded(Zeroizing::new(text.into_bytes())),
            Err(_) => Text::Opaque,
        }
    } else {
        Text::Verbatim(inner)
    };
    (span, text)
}

/// The offset of a line and column as `serde_json` counts them: lines from 1, columns in bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let start = match line {
        0 | 1 => 0,
        _ => memchr::memchr_iter(b'\n', text.as_bytes()).nth(line - 2).map_or(0, |at| at + 1),
    };
    (start + column.saturating_sub(1)).min(text.len())
}
