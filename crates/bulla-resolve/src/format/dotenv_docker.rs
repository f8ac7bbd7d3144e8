//! What `docker run --env-file` reads: everything behind the first `=` is the value, blanks, quotes and
//! all.

use std::ops::Range;

use memchr::memchr;

use super::lines::{around, is_blank, lines, trimmed, verbatim};
use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, utf8};
use crate::problem::Rule;

pub(super) struct DotenvDocker;

impl Syntax for DotenvDocker {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        utf8(src)?;
        for line in lines(src) {
            let start = trimmed(src, line.clone()).start;
            if matches!(src[start..line.end].first(), None | Some(b'#')) {
                continue;
            }
            let equals = memchr(b'=', &src[start..line.end]).map(|at| start + at);
            let key = start..equals.unwrap_or(line.end);
            if key.is_empty() || src[key.clone()].iter().any(|&b| is_blank(b)) {
                let what = "docker takes no name that is empty or has blanks in it";
                return Err(Malformed::new(start, Rule::Malformed, what));
            }
            found(verbatim(key, Role::Key, 0));
            if let Some(equals) = equals {
                found(verbatim(equals + 1..line.end, Role::Value, 0));
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
        check(whole.bytes())?;
        if around(src, &span).len() - span.len() + whole.len() > MAX_LINE {
            return Err(Refusal("makes a line of more than 65000 bytes, which docker refuses"));
        }
        content.parts.iter().for_each(|&part| out.copy(part));
        Ok(())
    }
}

/// Docker stops at lines of 64 KiB.
pub(super) const MAX_LINE: usize = 65_000;

/// What nothing in this format can stand for; which of it a value holds is not told.
const LOST: Refusal = Refusal(
    "holds a line end or a NUL, ends with a carriage return, or is not UTF-8, and nothing in this format \
     can stand for any of these",
);

fn check(value: &[u8]) -> Result<(), Refusal> {
    let is_lost = value.iter().any(|b| matches!(b, 0 | b'\n')) || value.ends_with(b"\r");
    if is_lost || std::str::from_utf8(value).is_err() { Err(LOST) } else { Ok(()) }
}
