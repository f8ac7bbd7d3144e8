//! The signs of references, which are sought in whole files before anything in them is read.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind, Input, MatchKind};
use memchr::memmem::{self, Finder};
use memchr::{memchr, memchr_iter, memchr3, memchr3_iter};
use zeroize::Zeroizing;

use crate::migrate;
use crate::reference::SCHEME;

static PLAIN: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(SCHEME));

/// What any base64 text holds that encodes `bulla://` after 0, 1 or 2 further bytes.
const BASE64: [&str; 3] = ["YnVsbGE6Ly", "J1bGxhOi8v", "idWxsYTovL"];

/// The letters that every reference has, and the beginning of one in UTF-16 and UTF-32.
const LETTERS: &[u8] = b"bulla";
const UTF16: &[u8] = b"b\0u\0l\0l\0a\0:\0/";
const UTF32: &[u8] = b"b\0\0\0u\0\0\0l\0\0\0l\0\0\0a\0\0\0:";

static ENCODED: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| BASE64.map(Finder::new));

/// So many letters of one of [`BASE64`] stand together, however lines of as many letters or more divide it.
const PIECE: usize = 4;

/// All pieces of [`BASE64`].
static PIECES: LazyLock<AhoCorasick> = LazyLock::new(|| searcher(pieces()));

/// All that is sought in a file first. As long as they are not many more, it does not matter how many.
static SIGNS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    searcher([LETTERS, UTF16, UTF32].into_iter().chain(migrate::SIGNS).chain(pieces()))
});

/// The number in it of the first piece of [`BASE64`].
const AFTER_FOREIGN: usize = 3 + migrate::SIGNS.len();

fn pieces() -> impl Iterator<Item = &'static [u8]> {
    BASE64.iter().flat_map(|text| text.as_bytes().windows(PIECE))
}

/// Finds texts of which none holds another. Of the kinds of matches only the leftmost are sought with
/// vector instructions, which is thirty times faster; where none holds another, all are the same. What is
/// found by these needs no more than the automaton that is made soonest.
pub(crate) fn searcher(texts: impl Iterator<Item = &'static [u8]>) -> AhoCorasick {
    let mut builder = AhoCorasick::builder();
    builder.match_kind(MatchKind::LeftmostFirst).kind(Some(AhoCorasickKind::ContiguousNFA));
    builder.build(texts).expect("there are few of them")
}

/// The places of what is or might become a reference in bytes that cannot be decoded.
pub(crate) fn find_escaped(raw: &[u8]) -> impl Iterator<Item = usize> {
    memmem::find_iter(raw, "bulla")
        .filter(|at| matches!(raw.get(at + "bulla".len()), Some(b':' | b'\\' | b'&' | b'%')))
}

/// Whether there are [`hits`] in `raw` for who takes quotes and backslashes out, as a shell does.
pub(crate) fn is_in_pieces(raw: &[u8]) -> bool {
    memchr3(b'"', b'\'', b'\\', raw).is_some() && has_hits(&joined(raw)) && !has_hits(raw)
}

/// `raw` without quotes and backslashes, and without the line ends behind these.
fn joined(raw: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut joined = Zeroizing::new(Vec::with_capacity(raw.len()));
    let mut rest = raw;
    while let Some(at) = memchr3(b'"', b'\'', b'\\', rest) {
        joined.extend_from_slice(&rest[..at]);
        let skipped = if rest[at..].starts_with(b"\\\n") { 2 } else { 1 };
        rest = &rest[at + skipped..];
    }
    joined.extend_from_slice(rest);
    joined
}

/// Whether a reference stands in `text` in plain letters.
pub(crate) fn has_plain(text: &[u8]) -> bool {
    // To look for one byte is quick, and most texts do not have it.
    memchr(b':', text).is_some() && PLAIN.find(text).is_some()
}

/// Whether there are any [`hits`] in `text`.
pub(crate) fn has_hits(text: &[u8]) -> bool {
    PLAIN.find(text).is_some()
        || (PIECES.is_match(text)
            && (ENCODED.iter().any(|needle| needle.find(text).is_some())
                || wrapped(text).next().is_some()))
}

/// What is seen of references in a file before it is read. One search instead of many, as most files hold
/// nothing.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub(crate) struct Signs {
    /// The letters that every reference has; their escapes may differ.
    pub(crate) letters: bool,
    /// The same in UTF-16 or UTF-32.
    pub(crate) utf16: bool,
    /// What references of [other tools](migrate::SIGNS) have in them.
    pub(crate) foreign: bool,
    /// Pieces of a reference in base64.
    base64: bool,
}

impl Signs {
    pub(crate) fn of(src: &[u8]) -> Self {
        const ALL: Signs = Signs { letters: true, utf16: true, foreign: true, base64: true };
        let mut signs = Self::default();
        let mut from = 0;
        while signs != ALL
            && let Some(found) = SIGNS.find(Input::new(src).range(from..))
        {
            match found.pattern().as_usize() {
                0 => signs.letters = true,
                1 | 2 => signs.utf16 = true,
                3..AFTER_FOREIGN => signs.foreign = true,
                _ => signs.base64 = true,
            }
            // The next one may begin within this.
            from = found.start() + 1;
        }
        signs
    }

    /// The [`hits`] in the file that these are the signs of.
    pub(crate) fn hits(self, src: &[u8]) -> Vec<usize> {
        let mut hits = if self.letters { PLAIN.find_iter(src).collect() } else { Vec::new() };
        if self.base64 {
            let plain = hits.len();
            hits.extend(ENCODED.iter().flat_map(|needle| needle.find_iter(src)));
            hits.extend(wrapped(src));
            if hits.len() > plain {
                hits.sort_unstable();
                hits.dedup();
            }
        }
        hits
    }
}

/// Whether there are any [`Signs`] in `src`.
pub(crate) fn may_refer(src: &[u8]) -> bool {
    SIGNS.is_match(src)
}

/// Where references stand in `text`, plain or base64-encoded, in order.
pub(crate) fn hits(text: &[u8]) -> Vec<usize> {
    Signs { letters: true, base64: PIECES.is_match(text), ..Signs::default() }.hits(text)
}

/// Where one of [`BASE64`] stands in `text` with line ends in it, as most tools write longer base64; these
/// may be written `\n` and `\r`. One may be given twice. Lines of less than [`PIECE`] letters, which no tool
/// writes, may have been passed over before this.
fn wrapped(text: &[u8]) -> impl Iterator<Item = usize> {
    // How far the line ends go that were looked at last: one of these is not where they begin.
    let mut run = 0;
    memchr3_iter(b'\n', b'\r', b'\\', text).filter_map(move |at| {
        if at < run {
            return None;
        }
        run = past_break(text, at);
        let (before, after) = (*text[..at].last()?, *text[run..].first()?);
        let is_pair =
            |needle: &&str| needle.as_bytes().windows(2).any(|pair| *pair == [before, after]);
        BASE64.iter().any(is_pair).then_some(())?;
        // All that a needle with this break in it can have before the break and behind it.
        let mut near = Vec::with_capacity(2 * BASE64[0].len());
        let mut start = at;
        while near.len() < BASE64[0].len() - 1 {
            start = before_break(text, start);
            let Some(&byte) = text[..start].last() else { break };
            start -= 1;
            near.push((start, byte));
        }
        near.reverse();
        let mut end = at;
        for _ in 1..BASE64[0].len() {
            end = past_break(text, end);
            let Some(&byte) = text.get(end) else { break };
            near.push((end, byte));
            end += 1;
        }
        let letters: Vec<_> = near.iter().map(|(_, byte)| *byte).collect();
        let found = BASE64.iter().find_map(|needle| memmem::find(&letters, needle.as_bytes()))?;
        Some(near[found].0)
    })
}

/// Where the line end at `at` is over, with the blanks behind it, and the ones that follow.
fn past_break(text: &[u8], at: usize) -> usize {
    let mut end = at;
    loop {
        end += match &text[end..] {
            [b'\\', b'n' | b'r', ..] => 2,
            [b'\n' | b'\r', ..] => 1,
            [b' ' | b'\t', ..] if end > at => 1,
            _ => return end,
        };
    }
}

/// Where the line ends begin that `text` has before `at`, with blanks behind them.
fn before_break(text: &[u8], at: usize) -> usize {
    let (mut start, mut rest) = (at, &text[..at]);
    loop {
        rest = match rest {
            [rest @ .., b'\\', b'n' | b'r'] | [rest @ .., b'\n' | b'\r'] => {
                start = rest.len();
                rest
            }
            [rest @ .., b' ' | b'\t'] => rest,
            _ => return start,
        };
    }
}

/// Whether the letters that every reference has stand in `src`; their escapes may differ.
pub(crate) fn has_letters(src: &[u8]) -> bool {
    memmem::find(src, LETTERS).is_some()
}

/// Whether a letter may be written by its number, or a word over two lines, in a format with the escapes of
/// YAML or some of them.
pub(crate) fn may_escape_letters(src: &[u8]) -> bool {
    let hides = |at: usize| matches!(src.get(at + 1), Some(b'x' | b'u' | b'U' | b'\n' | b'\r'));
    memchr_iter(b'\\', src).any(hides)
}

/// `src` with the letters that JSON, TOML or YAML write by their numbers or behind a backslash, and without
/// the line ends behind one, wherever that stands: to look for words in.
pub(crate) fn unescaped(src: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(src.len()));
    let mut rest = src;
    while let Some(at) = memchr(b'\\', rest) {
        out.extend(&rest[..at]);
        rest = &rest[at + 1..];
        let digits = match rest.first() {
            Some(b'x') => 2,
            Some(b'u') => 4,
            Some(b'U') => 8,
            // Base64 is found around these.
            Some(b'n' | b'r') => {
                out.push(b'\\');
                continue;
            }
            Some(b' ' | b'\t' | b'\n' | b'\r') => {
                rest = rest.trim_ascii_start();
                continue;
            }
            _ => continue,
        };
        let number = rest.get(1..=digits).and_then(|number| str::from_utf8(number).ok());
        let number = number.and_then(|number| u8::from_str_radix(number, 16).ok());
        if let Some(letter) = number.filter(u8::is_ascii) {
            out.push(letter);
            rest = &rest[digits + 1..];
        }
    }
    out.extend(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sought_is_seen_in_one_search() {
        for text in [
            &b"x bulla"[..],
            b"eGJ1bGxhOi8vYS9i",
            b"eHhidWxsYTovL2EvYg==",
            b"YnVsbGE6Ly9hL2I=",
            b"\xff\xfeb\0u\0l\0l\0a\0:\0/\0/\0",
            b"\0\0\0b\0\0\0u\0\0\0l\0\0\0l\0\0\0a\0\0\0:\0\0\0/",
        ] {
            let signs = Signs::of(text);
            assert!(signs.letters || has_hits(text) || signs.utf16);
            assert_eq!(signs.hits(text), hits(text));
            assert!(may_refer(text));
        }
        for text in ["x: bull\n", "YnV\nbGE\n6Lz", "l\nl\\nY\\n", "\n\\n\\", "Y\nn"] {
            assert!(!may_refer(text.as_bytes()), "{text}");
        }
    }

    /// One begins within the other.
    #[test]
    fn signs_hide_no_others() {
        for text in ["nVsbulla", "bulla nVsbulla", "ref+secret `YnVs bulla b\0u\0l\0l\0a\0:\0/"] {
            let signs = Signs::of(text.as_bytes());
            assert!(signs.letters && signs.base64, "{text}");
            assert_eq!(signs.foreign, text.contains('`'), "{text}");
            assert_eq!(signs.utf16, text.contains('\0'), "{text}");
        }
    }

    #[test]
    fn letters_are_seen_behind_escapes() {
        for (text, expected) in [
            (r"\u0062\x75\U0000006cla:\/\/a", "bulla://a"),
            ("bul\\\n  la:", "bulla:"),
            (r"\\u0062\n\", r"b\n"),
            (r"\u00\u20ac\u001b\x", "u00u20ac\u{1b}x"),
        ] {
            assert_eq!(unescaped(text.as_bytes()).as_slice(), expected.as_bytes(), "{text}");
        }
    }

    #[test]
    fn base64_is_found_however_its_lines_end() {
        let encoded = [BASE64[0], &format!("eG{}", BASE64[1]), &format!("eHh{}", BASE64[2])]
            .map(String::from);
        for text in encoded {
            for width in PIECE..=text.len() {
                for first in 0..width {
                    let (first, rest) = text.split_at(first);
                    let lines =
                        rest.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap());
                    let lines: Vec<_> = std::iter::once(first).chain(lines).collect();
                    for end in ["\n", "\r\n  ", "\\n"] {
                        let text = lines.join(end);
                        let text = text.as_bytes();
                        assert!(may_refer(text) && has_hits(text) && hits(text).len() == 1);
                        assert_eq!(Signs::of(text).hits(text), hits(text));
                    }
                }
            }
        }
    }
}
