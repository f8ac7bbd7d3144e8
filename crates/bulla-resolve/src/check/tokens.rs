//! Finds secrets by their shape in any text, also where no format is known and in comments.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use memchr::memmem;

use crate::adopt::shapes::{TOKENS, is_signed_token};
use crate::adopt::signs::{JDBC, is_placeholder, looks_secret, passwords_in_jdbc, url_length};
use crate::expression::{may_escape_letters, searcher, unescaped};
use crate::reference::SCHEME;

/// Strings with the shape of a token, a private key or a URL with a password, in the order of their
/// beginnings: a URL may have a token in its path. A reference is no such URL; but a token in the place of a
/// name is one.
///
/// However many of them begin in a text, each byte is looked at a few times only.
pub(crate) fn find(src: &[u8]) -> Vec<Range<usize>> {
    find_behind(src, |before| before.is_ascii_alphanumeric() || b"_-".contains(&before))
}

/// What is told of already: where it stands, and where what it belongs to begins. What looks like a secret
/// and begins before that is something else.
pub(crate) type Known = (Range<usize>, usize);

/// Those of `tokens`, which are in order, that are not `known`, and of those inside of one another the outer
/// one.
pub(crate) fn beside(mut tokens: Vec<Range<usize>>, mut known: Vec<Known>) -> Vec<Range<usize>> {
    known.sort_by_key(|(span, _)| span.start);
    // One may lie in another.
    let ends: Vec<_> = known
        .iter()
        .scan(0, |last: &mut usize, (span, _)| {
            *last = span.end.max(*last);
            Some(*last)
        })
        .collect();
    let mut told = 0;
    tokens.retain(|token| {
        let next = ends.partition_point(|&end| end <= token.start);
        let known = known.get(next);
        let is_known =
            known.is_some_and(|(span, from)| span.start < token.end && *from <= token.start);
        let is_told = !is_known && told <= token.start;
        if is_told {
            told = token.end;
        }
        is_told
    });
    tokens
}

/// The same in a name or in a message with names in it, also in `[pop-client-TOKEN]`.
pub(crate) fn in_name(name: &str) -> Vec<Range<usize>> {
    let found = find_behind(name.as_bytes(), |before| before.is_ascii_alphanumeric());
    beside(found, Vec::new())
}

/// Finds them but where a letter stands in front that makes a word of it.
fn find_behind(src: &[u8], is_word: impl Fn(u8) -> bool) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut done = 0;
    // The run of a token's letters that was read last, and where the next key ends.
    let mut run = 0..0;
    let mut key_end = 0;
    // Where the text of the URL ends whose path or parameters were looked at last.
    let mut url_end = 0;
    // Where the URL ends in which no other one is sought.
    let mut skipped = 0;
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
        match number.checked_sub(TOKENS.len()) {
            Some(PRIVATE_KEY) => {
                // The whole key is one secret, whatever else its letters look like.
                let near = &src[at..src.len().min(at + LONGEST_HEADER)];
                let line = length(near.iter(), |b| b != b'\n');
                let Some(label) = memmem::find(&near[..line], LABEL) else { continue };
                if is_label(&src[at + label + LABEL.len()..]) {
                    continue;
                }
                if key_end <= at {
                    let end = memmem::find(&src[at..], b"-----END");
                    key_end = end.map_or(usize::MAX, |end| at + end);
                }
                done = match key_end {
                    usize::MAX => at + length(src[at..].iter(), |b| b != b'\n'),
                    end => end,
                };
                found.push(at..done);
            }
            // What stands in a URL that is one secret is a part of that.
            Some(URL) if at < skipped => {}
            Some(URL) => {
                let scheme = |b: u8| b.is_ascii_alphanumeric() || b"+.-".contains(&b);
                let start = at - length(src[..at].iter().rev(), scheme);
                let goes_on = |b: u8| !b.is_ascii_whitespace() && !b"\"'<>`|\\".contains(&b);
                // The password stands before the path, and there a further URL may begin.
                let host = at + "://".len();
                let path = |b: u8| b"/?#".contains(&b);
                let ends = |at: usize| !goes_on(src[host + at]) || path(src[host + at]);
                let host_end = host + url_length(&src[host..], ends);
                if is_secret(start, host_end) && !in_reference(src, start) {
                    let rest = &src[host_end..];
                    done = host_end;
                    skipped = host_end + url_length(rest, |at| !goes_on(rest[at]));
                    found.push(start..skipped);
                } else if at >= url_end {
                    // A key in the path, or passwords in the parameters.
                    let rest = &src[host_end..];
                    url_end = host_end + length(rest.iter(), goes_on);
                    let start = match src[..start].ends_with(JDBC.as_bytes()) {
                        true => start - JDBC.len(),
                        false => start,
                    };
                    let url = std::str::from_utf8(&src[start..url_end]).unwrap_or_default();
                    let is_one = looks_secret(url) || passwords_in_jdbc(url).next().is_some();
                    if is_one && !in_reference(src, start) {
                        skipped = url_end;
                        found.push(start..url_end);
                    }
                }
            }
            Some(ENTRA) => {
                // Four letters stand before it.
                let start = at - length(src[..at].iter().rev().take(5), in_token);
                let end = end_of_token(src, at, &mut run);
                if at - start == 4 && end - start < LONGEST_ENTRA && is_secret(start, end) {
                    found.push(start..end);
                    done = end;
                }
            }
            _ if at > 0 && is_word(src[at - 1]) => {}
            Some(_) => {
                let end = end_of_token(src, at, &mut run);
                if is_signed_token(&src[at..end]) {
                    found.push(at..end);
                    done = end;
                }
            }
            None => {
                // Where this is too short for a token, or made of words, so is what follows in it.
                done = end_of_token(src, at, &mut run);
                if is_secret(at, done) {
                    // In a reference, the field is not a part of it.
                    let slash =
                        memchr::memchr(b'/', &src[at..done]).filter(|_| in_reference(src, at));
                    done = slash.map_or(done, |length| at + length);
                    found.push(at..done);
                }
            }
        }
    }
    found
}

/// Whether a name of a secret may stand in a file: what has none of these need not be parsed for it.
pub(super) fn may_name_secrets(src: &[u8]) -> bool {
    has_name(src) || (may_escape_letters(src) && has_name(&unescaped(src)))
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
    searcher(TOKENS.iter().map(|token| token.0).chain(others).map(str::as_bytes))
});

/// The others by their numbers; the first is `eyJ`.
const PRIVATE_KEY: usize = 1;
const URL: usize = 2;
const ENTRA: usize = 3;

/// How the label of a private key ends.
const LABEL: &[u8] = b"PRIVATE KEY-----";
/// More than any label of a private key makes of the line before it, in bytes.
const LONGEST_HEADER: usize = 256;
/// Longer than any secret of Entra, in bytes.
const LONGEST_ENTRA: usize = 64;

/// What every name that is taken for that of a secret has in it.
static NAMES: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let names = ["auth", "credential", "key", "pass", "psk", "pw", "secret", "token"];
    searcher(names.into_iter().map(str::as_bytes))
});

/// Whether nothing of a key stands behind the label of one: it ends a text in quotes, as in a program that
/// looks for keys, and not even in the next lines a key follows.
fn is_label(behind: &[u8]) -> bool {
    let in_key = |b: &u8| b.is_ascii_alphanumeric() || b"+/=".contains(b);
    let near = &behind[..behind.len().min(LONGEST_HEADER)];
    matches!(near.first(), Some(b'"' | b'\'' | b'`'))
        && !near
            .chunk_by(|a, b| in_key(a) == in_key(b))
            .any(|run| run.len() > 20 && in_key(&run[0]))
}

/// Whether a reference begins at `at`, or has begun before and goes on there.
fn in_reference(src: &[u8], at: usize) -> bool {
    /// No reference is longer.
    const LONGEST: usize = 2048;
    let ends = |b: &u8| b.is_ascii_whitespace() || b"\"'(){}<>".contains(b);
    let before = src[..at].iter().rev().take(LONGEST).take_while(|b| !ends(b)).count();
    let end = src.len().min(at + SCHEME.len());
    memmem::find(&src[at - before..end], SCHEME.as_bytes()).is_some()
}

fn in_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-._~".contains(&b)
}

/// The end of the token at `at`; the full stop behind it is the sentence's. `run` is the one that was
/// read last.
fn end_of_token(src: &[u8], at: usize, run: &mut Range<usize>) -> usize {
    if !run.contains(&at) {
        let whole = length(src[at..].iter(), |b| in_token(b) || b"+/=".contains(&b));
        let stops = length(src[at..at + whole].iter().rev(), |b| b == b'.');
        *run = at..at + whole - stops;
    }
    run.end
}

/// How many of `bytes` there are until one is not `fit`.
fn length<'a>(bytes: impl Iterator<Item = &'a u8>, fit: impl Fn(u8) -> bool) -> usize {
    let length = bytes.take_while(|&&b| fit(b)).count();
    #[cfg(test)]
    tests::STEPS.set(tests::STEPS.get() + length + 1);
    length
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How many bytes were looked at behind or before the beginnings that were found.
        pub(super) static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn the_work_grows_with_the_text_however_often_something_begins() {
        for (piece, is_found) in [
            ("{{bulla://e/p}}", false),
            ("://{{bulla://e/p}}", false),
            ("://a", false),
            ("eyJ://", false),
            ("jdbc:a://", false),
            ("jdbc:a://h;password=;", false),
            ("jdbc:a://h;password=p;", true),
            ("x://u@", false),
            ("eyJ.", false),
            ("eyJhbGciOiJIUzI1NiJ9.", true),
            ("npm_.", false),
            ("SG.", true),
            ("SG..", true),
            (".Q~", false),
            ("abc8Q~", false),
            ("Q~....", false),
            ("-----BEGIN ", false),
            ("-----BEGIN PRIVATE KEY-----", true),
            ("-----BEGIN PRIVATE KEY-----\n", true),
            ("-----BEGIN PRIVATE KEY-----\n-----END", true),
        ] {
            let text = piece.repeat(8000);
            STEPS.set(0);
            assert_eq!(!find(text.as_bytes()).is_empty(), is_found, "{piece}");
            let least = LONGEST_HEADER.div_ceil("-----BEGIN ".len());
            let steps = STEPS.get();
            assert!(steps < (least + 2) * text.len(), "{steps} steps for {piece}");
        }
    }

    /// Keys and kinds in YAML, of which only `\u` was known.
    #[test]
    fn names_may_be_written_in_escapes() {
        for text in [r#""passwor\x64": a"#, r#"kind: "Secre\U00000074""#, "\"pass\\\n  word\": a"] {
            assert!(may_name_secrets(text.as_bytes()), "{text}");
        }
        for text in [r"a: C:\temp\new", r#"{"b": "\u001b", "c": "\u0061"}"#] {
            assert!(!may_name_secrets(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn secrets_are_found_behind_what_only_begins_like_one() {
        for (text, expected) in [
            ("http://h/x://u:p@h/d ", vec!["x://u:p@h/d"]),
            ("npm_.npm_abc SG.abcdefgh1", vec!["SG.abcdefgh1"]),
            (
                "eyJ.eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0x.c2lnbmF0dXJlLXg...",
                vec!["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0x.c2lnbmF0dXJlLXg"],
            ),
            ("Q~.abc8Q~abcdefghijklmnopqrstuvwxyz0123", vec![]),
            (
                "-----BEGIN X-----BEGIN PRIVATE KEY-----\nA\n-----END",
                vec!["-----BEGIN X-----BEGIN PRIVATE KEY-----\nA\n"],
            ),
            (
                "-----BEGIN PRIVATE KEY-----\nghp_abcdefgh12",
                vec!["-----BEGIN PRIVATE KEY-----", "ghp_abcdefgh12"],
            ),
        ] {
            let found: Vec<_> = find(text.as_bytes()).into_iter().map(|span| &text[span]).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn secrets_are_found_by_their_shape_in_any_text() {
        for (text, expected) in [
            ("# was GOCSPX-abcdefgh1, see above", vec![6]),
            ("token:ghp_abcdefgh12.", vec![6]),
            ("\"1//0gabcdefgh-x\"", vec![1]),
            ("see abc8Q~abcdefghijklmnopqrstuvwxyz0123.-_~", vec![4]),
            ("-----BEGIN RSA PRIVATE KEY-----\nghp_abcdefgh12\n-----END", vec![0]),
            ("x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0x.c2lnbmF0dXJlLXg y", vec![2]),
            (
                "k = '-----BEGIN PRIVATE KEY-----' +\n    'MIIEvQIBADANBgkqhkiG9w0BAQEFAASC'",
                vec![5],
            ),
            ("a postgres://u:p@h/d and ya29.abcdefgh1", vec![2, 25]),
            (
                "# <https://hooks.slack.com/services/T0AB1CD2E/B0AB1CD2E/abCdefGhijkLmnopqRst>",
                vec![3],
            ),
            ("# jdbc:postgresql://h/d?user=u&password=p", vec![2]),
            ("x=jdbc:sqlserver://h;password=p", vec![2]),
        ] {
            let starts: Vec<_> = find(text.as_bytes()).iter().map(|span| span.start).collect();
            assert_eq!(starts, expected, "{text}");
        }
    }

    /// A token in the place of a name was neither found nor hidden.
    #[test]
    fn tokens_in_references_and_names_are_found() {
        let token = "ghp_0123456789abcdefghijklmnopqrstuvwxyzABCD";
        for text in [format!("bulla://{token}/password"), format!("{{{{ bulla://a/{token} }}}}")] {
            let found = find(text.as_bytes());
            assert_eq!(found.iter().map(|span| &text[span.clone()]).collect::<Vec<_>>(), [token]);
            assert_eq!(found, in_name(&text));
        }
        for text in [format!("[pop-client-{token}]"), format!("secret-{token}/client-secret")] {
            assert!(find(text.as_bytes()).is_empty());
            let found = in_name(&text);
            assert!(text[found[0].clone()].starts_with(token), "{text}");
        }
    }

    /// The password of a URL hid a token in its parameters.
    #[test]
    fn tokens_in_urls_with_passwords_are_found() {
        for text in
            ["https://u:p@h/?t=ghp_abcdefgh12", "jdbc:postgresql://h/d?password=p&t=ghp_abcdefgh12"]
        {
            let found: Vec<_> = find(text.as_bytes()).into_iter().map(|span| &text[span]).collect();
            assert_eq!(found, [text, "ghp_abcdefgh12"]);
            let password = text.find("p@").or(text.find("p&")).unwrap();
            let known = vec![(password..password + 1, 0)];
            for (known, start) in [(known, text.len() - 14), (Vec::new(), 0)] {
                let told = beside(find(text.as_bytes()), known);
                let starts: Vec<_> = told.iter().map(|span| span.start).collect();
                assert_eq!(starts, [start], "{text}");
            }
        }
    }

    #[test]
    fn what_only_begins_like_one_is_none() {
        for text in [
            "npm_config_registry",
            "x-glpat-abcdefgh12",
            "SG. Next sentence",
            "https://h/d postgres://${U}:${P}@h postgres://u@h",
            "https://h/d?password=p jdbc:postgresql://h/d?password=${P}&user=u",
            "jdbc:mysql://h/d?password={{bulla://e/p|url}}",
            "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----",
            "eyJhbGciOiJIUzI1NiJ9",
            "if key.startswith(\"-----BEGIN PRIVATE KEY-----\"):",
            "# [[s]news://][username[:password]@]server[:port]",
            "how is Q~ used",
            "bulla://a@b/c {{ bulla://d/e }}",
        ] {
            assert!(find(text.as_bytes()).is_empty(), "{text}");
        }
    }

    #[test]
    fn every_name_of_a_secret_is_seen() {
        for name in [
            "API_KEY",
            "dbPassword",
            "pwd",
            "adminPw",
            "wpa_psk",
            "PassPhrase",
            "authToken",
            "CREDENTIALS",
        ] {
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
