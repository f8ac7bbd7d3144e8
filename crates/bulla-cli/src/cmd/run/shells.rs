//! How shells and GNU's tools quote what is special to a shell.

use zeroize::Zeroizing;

use super::escapes::{Control, is_shown, number};
use super::forms::push;

/// Adds `text` without quotes, and with as many as each of them needs; what is around all of it is left out.
pub(super) fn add(text: &str, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let is_hidden = !text.chars().all(is_shown);
    for (plain, first) in SHELLS {
        forms.push(shell(text, plain, first, Keep::All));
        if is_hidden {
            forms.push(shell(text, plain, first, Keep::Shown));
        }
        if !text.is_ascii() {
            forms.push(shell(text, plain, first, Keep::None));
        }
    }
    if !text.is_ascii() || text.chars().any(char::is_control) {
        forms.extend([Keep::All, Keep::Shown, Keep::None].map(|keep| gnu(text, keep)));
    }
    if text.contains('\'') {
        forms.extend([false, true].map(|sparing| zsh(text, sparing)));
        forms.push(dash(text));
    }
}

/// What stays as it is of that beyond ASCII: in UTF-8, by their version or for all, and without.
#[derive(Clone, Copy)]
enum Keep {
    All,
    Shown,
    None,
}

impl Keep {
    fn keeps(self, c: char) -> bool {
        match self {
            Self::All => true,
            Self::Shown => is_shown(c),
            Self::None => false,
        }
    }
}

/// What is plain in the middle to `printf %q` of bash and to zsh's flag `q`, by its options, and of that
/// what is not at the beginning.
const SHELLS: [(&str, &str); 3] =
    [("#%+-./:=@_~", "#~"), ("!#%+,-./:=@_~", "=~"), ("!%+,-./:=@_~", "=~")];

/// Without quotes: a backslash before what is special, and `$'\033'`.
fn shell(text: &str, plain: &str, first: &str, keep: Keep) -> Zeroizing<Vec<u8>> {
    let mut begins = true;
    let mut out = Zeroizing::new(Vec::with_capacity(10 * text.len()));
    for c in text.chars() {
        let begins = std::mem::take(&mut begins);
        if c.is_ascii_control() {
            out.extend_from_slice(b"$'");
            Control::Octal("\\033").write(c, false, &mut out);
            out.push(b'\'');
        } else if c.is_ascii() {
            let is_plain = c.is_ascii_alphanumeric() || plain.contains(c);
            out.extend((!is_plain || (begins && first.contains(c))).then_some(b'\\'));
            push(c, &mut out);
        } else if keep.keeps(c) {
            push(c, &mut out);
        } else {
            let between = if matches!(keep, Keep::None) { "'$'" } else { "" };
            out.extend_from_slice(b"$'");
            for (place, byte) in c.encode_utf8(&mut [0; 4]).bytes().enumerate() {
                let between = if place > 0 { between } else { "" };
                number(&mut out, format_args!("{between}\\{byte:03o}"));
            }
            out.push(b'\'');
        }
    }
    out
}

/// In single quotes, with `'$'\033''` between them where it is not printable, as GNU's `ls` and `printf %q`
/// write names.
fn gnu(text: &str, keep: Keep) -> Zeroizing<Vec<u8>> {
    let mut escaping = false;
    let mut out = Zeroizing::new(Vec::with_capacity(10 * text.len()));
    for c in text.chars() {
        let escapes = c.is_ascii_control() || !(c.is_ascii() || keep.keeps(c));
        match (escapes, escaping) {
            (true, false) => out.extend_from_slice(b"'$'"),
            // Its own quotes come next.
            (false, true) if c != '\'' => out.extend_from_slice(b"''"),
            _ => {}
        }
        escaping = escapes;
        match c {
            '\'' => out.extend_from_slice(b"'\\''"),
            _ if c.is_ascii_control() => Control::Octal("\\033").write(c, false, &mut out),
            _ if escapes => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    number(&mut out, format_args!("\\{byte:03o}"));
                }
            }
            _ => push(c, &mut out),
        }
    }
    out
}

/// In single quotes what stands between those of the text, as zsh's `set -x`, `typeset` and flag `q+` write it;
/// `sparing`: only where something is special, as by `q-`.
fn zsh(text: &str, sparing: bool) -> Zeroizing<Vec<u8>> {
    let (plain, first) = SHELLS[2];
    let special = |c: char| match c {
        '\t' | '\n' => true,
        _ => {
            c.is_ascii()
                && !c.is_ascii_control()
                && !c.is_ascii_alphanumeric()
                && !plain.contains(c)
        }
    };
    let mut out = Zeroizing::new(Vec::with_capacity(4 * text.len()));
    let mut is_quoted = false;
    for (place, part) in text.split('\'').enumerate() {
        let begins = place == 0 && part.starts_with(|c| first.contains(c));
        if place > 0 {
            let quote = if is_quoted { "'\\'" } else { "\\'" };
            out.extend_from_slice(quote.as_bytes());
        }
        is_quoted = !part.is_empty() && (!sparing || begins || part.contains(special));
        if is_quoted && place > 0 {
            out.push(b'\'');
        }
        out.extend_from_slice(part.as_bytes());
    }
    out
}

/// In single quotes, and those of the text in double quotes, as many as there are, as dash's `set` and
/// `export -p` write it.
fn dash(text: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(5 * text.len()));
    let mut is_double = false;
    for c in text.chars() {
        if (c == '\'') != is_double {
            out.extend_from_slice(if is_double { b"\"'" } else { b"'\"" });
            is_double = !is_double;
        }
        push(c, &mut out);
    }
    out.extend(is_double.then_some(b'"'));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As bash, zsh, dash, `ls` and `stat` print them: each was in clear.
    #[test]
    fn what_shells_make_of_quotes_and_of_what_is_hidden_is_a_form() {
        for (text, expected) in [
            ("ab''ef", vec!["ab'\\'\\''ef", "ab'\"''\"'ef"]),
            ("''ab'''ef'", vec!["\\'\\''ab'\\'\\'\\''ef'\\'", "'\"''\"'ab'\"'''\"'ef'\"'\""]),
            // zsh's flag `q-`.
            ("ab c'd'e f", vec!["ab c'\\'d\\''e f"]),
            ("ab\u{e9}'ef", vec!["ab'$'\\303\\251'\\''ef"]),
            (
                "ab\u{2028}'ef\u{e9}",
                vec!["ab'$'\\342\\200\\250'\\''ef\u{e9}", "ab$'\\342\\200\\250'\\'ef\u{e9}"],
            ),
            ("ab\u{85}", vec!["ab$'\\302\\205'", "ab$'\\302'$'\\205'"]),
        ] {
            let mut forms = Vec::new();
            add(text, &mut forms);
            for form in expected {
                assert!(forms.iter().any(|known| **known == *form.as_bytes()), "{form}");
            }
        }
    }
}
