//! JSON with comments and trailing commas, as Visual Studio Code and TypeScript read it.
//!
//! What JSON does not know is blanked out in a copy of the same length, which is then read as JSON.

use std::ops::Range;

use memchr::{memchr2, memmem};
use zeroize::Zeroizing;

use super::json::{self, Json};
use super::{Content, Malformed, Output, Refusal, Scalar, Syntax};
use crate::problem::Rule;

pub(super) struct Jsonc;

impl Syntax for Jsonc {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        Json.scan(&without_comments(src)?, found)
    }

    fn encode(
        &self,
        src: &[u8],
        span: Range<usize>,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        Json.encode(src, span, content, out)
    }

    fn may_hide(&self, src: &[u8]) -> bool {
        Json.may_hide(src)
    }
}

/// A copy with blanks for comments, and for commas behind the last element.
fn without_comments(src: &[u8]) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    let mut out = Zeroizing::new(src.to_vec());
    let mut at = 0;
    // The last byte that is neither blank nor in a comment, and the comma that may be too much.
    let mut last = b'[';
    let mut comma = None;
    while let Some(&byte) = src.get(at) {
        let end = match byte {
            b'"' => json::string_end(src, at),
            b'/' => match comment(src, at) {
                Some(end) => {
                    let end = end?;
                    blank(&mut out[at..end]);
                    at = end;
                    continue;
                }
                None => at + 1,
            },
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b']' | b'}' => {
                if let Some(comma) = comma {
                    out[comma] = b' ';
                }
                at + 1
            }
            _ => at + 1,
        };
        // There has to be an element in front of it.
        comma = (byte == b',' && !b"[{,:".contains(&last)).then_some(at);
        last = byte;
        at = end;
    }
    Ok(out)
}

/// The end of the comment that begins at `at`, if one does.
fn comment(src: &[u8], at: usize) -> Option<Result<usize, Malformed>> {
    let rest = &src[at..];
    if rest.starts_with(b"//") {
        return Some(Ok(at + memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())));
    }
    let inside = rest.strip_prefix(b"/*")?;
    let end = memmem::find(inside, b"*/").map(|length| at + 2 + length + 2);
    let what = "the comment that begins here does not end";
    Some(end.ok_or(Malformed::new(at, Rule::Malformed, what)))
}

/// Line ends stay, so that messages find their lines.
fn blank(text: &mut [u8]) {
    text.iter_mut().filter(|b| !matches!(b, b'\n' | b'\r')).for_each(|b| *b = b' ');
}
