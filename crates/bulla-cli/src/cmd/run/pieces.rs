//! What of a secret is looked for: it as a whole, and its lines.

use super::masker::LEAST;

/// The longest text that is looked for in one piece, in bytes.
const PIECE: usize = 1024;
/// How much of one value is looked for, in bytes: more than any key has, and little enough for a
/// thousand values.
pub(super) const MOST: usize = 64 << 10;

/// Whether a value can be told from what a program prints anyway.
pub(super) fn is_maskable(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let word = |word: &&str| value.eq_ignore_ascii_case(word.as_bytes());
    let same = value.windows(2).all(|pair| pair[0] == pair[1]);
    value.len() >= LEAST && !same && !TRIVIAL.iter().any(word)
}

/// Words that say nothing of a secret, and whose masks would say where it is.
const TRIVIAL: [&str; 6] = ["false", "none", "null", "true", "undefined", "default"];

/// Whether all of a value is looked for.
pub(super) fn is_whole(value: &[u8]) -> bool {
    value.len() <= MOST
}

/// The pieces of a value that are looked for: it as a whole, and each of its lines, however they are
/// indented.
pub(super) fn pieces(value: &[u8]) -> Vec<&[u8]> {
    let value = &value[..cut(value, MOST)];
    let mut pieces = Vec::new();
    if value.len() <= PIECE && is_maskable(value) {
        pieces.push(value);
    }
    for line in lines(value).into_iter().map(<[u8]>::trim_ascii) {
        // The first and last lines of a PEM text are known to everybody.
        let armour = line.starts_with(b"-----") && line.ends_with(b"-----");
        let mut rest = if armour { b"" } else { line };
        while !rest.is_empty() {
            let (part, after) = rest.split_at(cut(rest, PIECE));
            pieces.extend((is_maskable(part) && part != value).then_some(part));
            rest = after;
        }
        pieces.extend(escaped_lines(line));
    }
    pieces
}

/// The lines of a text that stands in one line, with its line ends escaped, as keys in JSON and variables do.
fn escaped_lines(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    /// Shorter ones may be any words, as in a path of Windows. Those of keys have 64 letters.
    const SHORTEST: usize = 16;
    let mut at = 0;
    let ends = memchr::memmem::find_iter(line, b"\\n").map(|end| (end, end + 2));
    let mut parts: Vec<_> = ends.map(|(end, next)| std::mem::replace(&mut at, next)..end).collect();
    if !parts.is_empty() {
        parts.push(at..line.len());
    }
    let parts = parts.into_iter().map(move |part| &line[part]);
    let parts = parts.map(|part| part.strip_suffix(b"\\r").unwrap_or(part));
    parts.filter(|part| (SHORTEST..=PIECE).contains(&part.len()) && !part.starts_with(b"-----"))
}

/// How much of `text` can be taken, at most `most` bytes, without a character being cut in two: half of one
/// is written by nobody as the whole is.
fn cut(text: &[u8], most: usize) -> usize {
    let mut ends = (most - 3..=most).rev();
    let begins = |end: &usize| text.get(*end).is_none_or(|byte| !(0x80..0xc0).contains(byte));
    ends.find(begins).unwrap_or(most).min(text.len())
}

/// What stands between line ends, of text also those of YAML 1.1.
fn lines(value: &[u8]) -> Vec<&[u8]> {
    match std::str::from_utf8(value) {
        Ok(text) => {
            text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).map(str::as_bytes).collect()
        }
        Err(_) => value.split(|&byte| byte == b'\n' || byte == b'\r').collect(),
    }
}
