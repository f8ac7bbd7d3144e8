//! Finds secrets by their shape in any text, also where no format is known and in comments.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};

use crate::adopt::signs::{TOKEN_PREFIXES, is_placeholder, looks_secret};

/// Strings with the shape of a token, a private key or a URL with a password.
pub(super) fn find(src: &[u8]) -> Vec<Range<usize>> {
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
                (at - before, at + src[at..].iter().take_while(|b| !ends(b)).count())
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
        if is_secret(start, end) {
            found.push(start..end);
            done = end;
        }
    }
    found
}

/// Whether a name of a secret may stand in a file: what has none of these need not be parsed for it.
pub(super) fn may_name_secrets(src: &[u8]) -> bool {
    // The letters of a name can be written by their numbers.
    NAMES.is_match(src) || memchr::memmem::find(src, br"\u").is_some()
}

/// What the strings begin with, or what stands at a fixed place in them.
static STARTS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let others = ["eyJ", "-----BEGIN ", "://", "Q~"];
    AhoCorasick::new(TOKEN_PREFIXES.iter().chain(&others)).expect("there are few of them")
});

/// The others by their numbers; `eyJ` is like the prefixes.
const PRIVATE_KEY: usize = 1;
const URL: usize = 2;
const ENTRA: usize = 3;

/// What every name that is taken for that of a secret has in it.
static NAMES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    AhoCorasickBuilder::new()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(["auth", "credential", "key", "pass", "pwd", "secret", "token"])
        .expect("there are few of them")
});

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
    }
}
