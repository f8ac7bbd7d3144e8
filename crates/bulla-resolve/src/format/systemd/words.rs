//! Words as systemd splits and unescapes them.

use std::ops::Range;

use zeroize::Zeroizing;

use super::super::lines::braces;
use super::is_space;

pub(super) type Bytes = Zeroizing<Vec<u8>>;

/// A word of a setting.
pub(super) struct Word {
    /// All of it, quotes included.
    pub(super) span: Range<usize>,
    /// What the quotes around the whole of it enclose; without such quotes, all of it.
    pub(super) inner: Range<usize>,
    /// What it stands for before specifiers are expanded, if its escapes are known.
    pub(super) text: Option<Bytes>,
}

impl Word {
    /// The word that begins at the start of `range`, or nothing if a quote does not close in it.
    pub(super) fn read(src: &[u8], range: Range<usize>) -> Option<Self> {
        let mut text = Some(Bytes::new(Vec::new()));
        let mut quote = None;
        let mut quotes = 0;
        let mut at = range.start;
        while at < range.end {
            let byte = src[at];
            match quote {
                None if is_space(byte) => break,
                None if matches!(byte, b'"' | b'\'') => {
                    quote = Some(byte);
                    quotes += 1;
                }
                Some(open) if byte == open => quote = None,
                _ if byte == b'\\' => {
                    at += escape(&src[at..range.end], &mut text);
                    continue;
                }
                // A reference in braces is one piece, whatever stands in it.
                None if let Some(end) = braces(src, at..range.end) => {
                    text.iter_mut().for_each(|text| text.extend_from_slice(&src[at..end]));
                    at = end;
                    continue;
                }
                _ => text.iter_mut().for_each(|text| text.push(byte)),
            }
            at += 1;
        }
        if quote.is_some() {
            return None;
        }
        let span = range.start..at;
        let enclosed = quotes == 1
            && matches!(&src[span.clone()], [first @ (b'"' | b'\''), .., last] if first == last);
        let inner = if enclosed { span.start + 1..span.end - 1 } else { span.clone() };
        Some(Self { span, inner, text })
    }
}

/// What a text with escapes and without quotes stands for, if its escapes are known.
pub(super) fn unescaped(raw: &[u8]) -> Option<Bytes> {
    let mut text = Some(Bytes::new(Vec::with_capacity(raw.len())));
    let mut at = 0;
    while at < raw.len() {
        if raw[at] == b'\\' {
            at += escape(&raw[at..], &mut text);
        } else {
            text.iter_mut().for_each(|text| text.push(raw[at]));
            at += 1;
        }
    }
    text
}

/// Decodes the escape that `raw` begins with and gives its length. Where it is not known, `text` is
/// lost. `\0` and `\x00` are known to some settings only; others refuse them.
fn escape(raw: &[u8], text: &mut Option<Bytes>) -> usize {
    let number = |digits: usize, radix: u32| {
        let digits = raw.get(2..2 + digits)?;
        // Not `+7`, which `from_str_radix` would take.
        let digits =
            std::str::from_utf8(digits).ok().filter(|d| d.chars().all(|c| c.is_digit(radix)))?;
        u32::from_str_radix(digits, radix).ok()
    };
    let simple = |byte: u8| Some((Bytes::new(vec![byte]), 2));
    let character = |digits: usize| {
        let text = char::from_u32(number(digits, 16)?)?.to_string();
        Some((Bytes::new(text.into_bytes()), 2 + digits))
    };
    let found = match raw.get(1) {
        Some(b'a') => simple(0x07),
        Some(b'b') => simple(0x08),
        Some(b'f') => simple(0x0c),
        Some(b'n') => simple(b'\n'),
        Some(b'r') => simple(b'\r'),
        Some(b's') => simple(b' '),
        Some(b't') => simple(b'\t'),
        Some(b'v') => simple(0x0b),
        Some(&byte @ (b'\\' | b'"' | b'\'')) => simple(byte),
        Some(b'x') => {
            number(2, 16).and_then(|n| u8::try_from(n).ok()).map(|byte| (Bytes::new(vec![byte]), 4))
        }
        Some(b'u') => character(4),
        Some(b'U') => character(8),
        Some(b'0'..=b'7') => raw
            .get(1..4)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.chars().all(|c| c.is_digit(8)))
            .and_then(|digits| u8::from_str_radix(digits, 8).ok())
            .map(|byte| (Bytes::new(vec![byte]), 4)),
        _ => None,
    };
    match (found, &mut *text) {
        (Some((bytes, len)), Some(text)) => {
            text.extend_from_slice(&bytes);
            len
        }
        (Some((_, len)), None) => len,
        (None, _) => {
            *text = None;
            2.min(raw.len())
        }
    }
}
