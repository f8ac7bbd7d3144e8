//! Finds secrets by their shape in any text, also where no format is known and in comments.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use crate::adopt::signs::{TOKEN_PREFIXES, is_placeholder, looks_secret, url_length};
use crate::reference::SCHEME;

/// Strings with the shape of a token, a private key or a URL with a password, but for those in
/// references.
pub(crate) fn find(src: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut done = 0;
    for hit in STARTS.find_iter(src) {
        let at = hit.start();
        if at < done {
            continue;
        }
        let is_secret = |start: usize, end: usize| {
            let text = std::str::from_utf8(&src[start..end]).unwrap_or_default();
            looks_secret(text) && !is_placeholder(text)
        };
        let number = hit.pattern().as_usize();
        let (start, end) = match number.checked_sub(TOKEN_PREFIXES.len()) {
            Some(PRIVATE_KEY) => {
                // The whole key is one secret, whatever else its letters look like.
                let rest = &src[at..];
                let line = rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len());
                if memchr::memmem::find(&rest[..line], b"PRIVATE KEY-----").is_some() {
                    let key = memchr::memmem::find(rest, b"-----END").unwrap_or(line);
                    done = at + key;
                    found.push(at..done);
                }
                continue;
            }
            Some(URL) => {
                let scheme = |b: &u8| b.is_ascii_alphanumeric() || b"+.-".contains(b);
                let before = src[..at].iter().rev().take_while(|b| scheme(b)).count();
                let ends = |b: &u8| b.is_ascii_whitespace() || b"\"'<>`|\\".contains(b);
                (at - before, at + url_length(&src[at..], |end| ends(&src[at + end])))
            }
            Some(ENTRA) => {
                let before = src[..at].iter().rev().take(45).take_while(|b| in_token(b)).count();
                (at - before, end_of_token(src, at))
            }
            _ if at > 0
                && (src[at - 1].is_ascii_alphanumeric() || b"_-".contains(&src[at - 1])) =>
            {
                continue;
            }
            _ => (at, end_of_token(src, at)),
        };
        if is_secret(start, end) && !in_reference(src, start) {
            found.push(start..end);
            done = end;
        }
    }
    found
}

/// Whether a name of a secret may stand in a file: what has none of these need not be parsed for it.
pub(super) fn may_name_secrets(src: &[u8]) -> bool {
    // The letters of a name can be written by their numbers.
    has_name(src) || memchr::memmem::find(src, br"\u").is_some()
}

/// Whether one of [`NAMES`] stands in `src`, in whatever case.
fn has_name(src: &[u8]) -> bool {
    /// No name is longer, so each stands whole in one of the pieces.
    const OVERLAP: usize = 16;
    let mut piece = [0; 4096];
    let mut rest = src;
    while !rest.is_empty() {
        let length = rest.len().min(piece.len());
        // Letters become small ones, and nothing else becomes a letter.
        for (small, byte) in piece.iter_mut().zip(rest) {
            *small = byte | 0x20;
        }
        if NAMES.is_match(&piece[..length]) {
            return true;
        }
        rest = &rest[if length == rest.len() { length } else { length - OVERLAP }..];
    }
    false
}

/// What the strings begin with, or what stands at a fixed place in them.
static STARTS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let others = ["eyJ", "-----BEGIN ", "://", "Q~"];
    searcher(TOKEN_PREFIXES.iter().copied().chain(others))
});

/// The others by their numbers; `eyJ` is like the prefixes.
const PRIVATE_KEY: usize = 1;
const URL: usize = 2;
const ENTRA: usize = 3;

/// What every name that is taken for that of a secret has in it.
static NAMES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    searcher(["auth", "credential", "key", "pass", "pwd", "secret", "token"].into_iter())
});

/// Finds texts of which none holds another. Of the kinds of matches only the leftmost are sought with
/// vector instructions, which is thirty times faster; where none holds another, all are the same.
fn searcher(texts: impl Iterator<Item = &'static str>) -> AhoCorasick {
    let searcher = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(texts);
    searcher.expect("there are few of them")
}

/// Whether a reference begins at `at`, or has begun before and goes on there.
fn in_reference(src: &[u8], at: usize) -> bool {
    /// No reference is longer.
    const LONGEST: usize = 2048;
    let ends = |b: &u8| b.is_ascii_whitespace() || b"\"'(){}<>".contains(b);
    let before = src[..at].iter().rev().take(LONGEST).take_while(|b| !ends(b)).count();
    let end = src.len().min(at + SCHEME.len());
    memchr::memmem::find(&src[at - before..end], SCHEME.as_bytes()).is_some()
}

fn in_token(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~".contains(b)
}

/// The end of the token at `at`; the full stop behind it is the sentence's.
fn end_of_token(src: &[u8], at: usize) -> usize {
    let token = src[at..].iter().take_while(|b| in_token(b) || b"+/=".contains(b)).count();
    at + src[at..at + token].trim_ascii_end().len()
        - src[at..at + token].iter().rev().take_while(|&&b| b == b'.').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_their_shape_in_any_text() {
        for (text, expected) in [
            ("# was GOCSPX-abcdefgh1, see above", vec![6]),
            ("token:ghp_abcdefgh12.", vec![6]),
            ("\"1//0gabcdefgh-x\"", vec![1]),
            ("see abc8Q~abcdefghijklmnopqrstuvwxyz0123.-_~", vec![4]),
            ("-----BEGIN RSA PRIVATE KEY-----\nghp_abcdefgh12\n-----END", vec![0]),
            ("x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0x.c2lnbmF0dXJlLXg y", vec![2]),
            ("a postgres://u:p@h/d and ya29.abcdefgh1", vec![2, 25]),
            ("amqp://u:p@h:1,amqp://u:p@g:2;amqp://u@f", vec![0, 15]),
            ("amqp://u:{{ bulla://a/b | url }}@h,amqp://u:p@h", vec![35]),
        ] {
            let starts: Vec<_> = find(text.as_bytes()).iter().map(|span| span.start).collect();
            assert_eq!(starts, expected, "{text}");
        }
    }

    #[test]
    fn what_only_begins_like_one_is_none() {
        for text in [
            "npm_config_registry",
            "x-glpat-abcdefgh12",
            "SG. Next sentence",
            "https://h/d postgres://${U}:${P}@h postgres://u@h",
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----",
            "eyJhbGciOiJIUzI1NiJ9",
            "how is Q~ used",
            "bulla://a@b/c {{ bulla://d/e }}",
            "bulla://a:b@c/d {{ bulla://x/ghp_abcdefgh12 }}",
        ] {
            assert!(find(text.as_bytes()).is_empty(), "{text}");
        }
    }

    #[test]
    fn every_name_of_a_secret_is_seen() {
        for name in ["API_KEY", "dbPassword", "pwd", "PassPhrase", "authToken", "CREDENTIALS"] {
            assert!(may_name_secrets(name.as_bytes()), "{name}");
        }
        assert!(!may_name_secrets(b"host: example.com\n"));
        for before in 4070..4110 {
            let mut text = vec![b'#'; before];
            assert!(!may_name_secrets(&text));
            text.extend(b"CREDENTIAL: x");
            assert!(may_name_secrets(&text), "{before}");
        }
    }
}
