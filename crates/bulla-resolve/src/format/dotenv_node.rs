//! What node's `--env-file` and npm's dotenv read alike.
//!
//! There are three quotes and no way to write one between two of its own kind. `\n` between double
//! quotes is a line end, and a `#` in a value without quotes always begins a comment.

use std::ops::Range;

use memchr::{memchr, memmem};
use zeroize::Zeroizing;

use super::dotenv::{Rules, scan};
use super::{Content, Malformed, Output, Refusal, Scalar, Syntax, Text};

pub(super) struct DotenvNode;

impl Syntax for DotenvNode {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
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
        let own = src[span].first().filter(|b| RULES.quotes.contains(b)).copied();
        let mut quotes = own.into_iter().chain(*b"'\"`").filter(|&quote| carries(quote, value));
        let quote = match quotes.next() {
            // Nothing, without quotes, could stand anywhere between blanks.
            _ if own.is_none() && is_plain(value) && !value.is_empty() => None,
            Some(quote) => Some(quote),
            None => return Err(LOST),
        };
        out.bytes.push(quote.as_slice());
        content.parts.iter().for_each(|&part| out.copy(part));
        out.bytes.push(quote.as_slice());
        Ok(())
    }
}

const RULES: Rules = Rules {
    quotes: b"'\"`",
    node: true,
    escaping: b"",
    comment: |text| memchr(b'#', text),
    text: |src, inner, quote| {
        let raw = &src[inner.clone()];
        // A quote behind a backslash closes for node and not for npm's; the latter alone knows `\r` and
        // alters line ends.
        let odd = match quote {
            Some(b'"') => memmem::find(raw, br"\r").is_some(),
            Some(_) => false,
            None => !is_plain(raw) && !raw.is_empty(),
        };
        if odd || (quote.is_some() && raw.ends_with(b"\\")) || raw.contains(&b'\r') {
            Text::Opaque
        } else if quote == Some(b'"') && memmem::find(raw, br"\n").is_some() {
            Text::Decoded(with_line_ends(raw))
        } else {
            Text::Verbatim(inner)
        }
    },
};

/// `raw` with each `\n` as a line end.
fn with_line_ends(raw: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(raw.len()));
    let mut done = 0;
    for at in memmem::find_iter(raw, br"\n") {
        out.extend_from_slice(&raw[done..at]);
        out.push(b'\n');
        done = at + 2;
    }
    out.extend_from_slice(&raw[done..]);
    out
}

/// Whether these quotes carry `value`.
fn carries(quote: u8, value: &[u8]) -> bool {
    let escapes = || [br"\n", br"\r"].iter().any(|escape| memmem::find(value, *escape).is_some());
    !value.contains(&quote) && (quote != b'"' || !escapes())
}

/// Whether a value needs no quotes.
fn is_plain(value: &[u8]) -> bool {
    let at_the_edge = |b: Option<&u8>| b.is_some_and(|b| !b.is_ascii_graphic());
    !at_the_edge(value.first())
        && !at_the_edge(value.last())
        && !value.first().is_some_and(|b| RULES.quotes.contains(b))
        && !value.iter().any(|&b| b == b'#' || (b.is_ascii_control() && b != b'\t'))
}

/// What readers of this format alter or nobody knows how to write; which of it a value holds is not told.
const LOST: Refusal = Refusal(
    "holds a NUL, a carriage return or what is not UTF-8, ends with a backslash, or holds all three \
     quotes, or two and `\\n` or `\\r`, which readers of this format alter or nothing stands for",
);

fn check(value: &[u8]) -> Result<(), Refusal> {
    let is_lost = value.iter().any(|b| matches!(b, 0 | b'\r')) || value.ends_with(b"\\");
    if is_lost || std::str::from_utf8(value).is_err() { Err(LOST) } else { Ok(()) }
}
