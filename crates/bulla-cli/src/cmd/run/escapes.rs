//! How printers of values write control characters and those beyond ASCII: by number or by name.

use std::io::Write as _;

use zeroize::Zeroizing;

use super::forms::{each_char, push};

/// Adds what is made of a text by ElementTree and by Python's `xmlcharrefreplace`, YAML's double quotes, node's
/// `inspect`, bash's `printf %q` and `declare -p`, and zsh's flag `q` and `typeset`. Nothing is added for
/// plain ASCII, of which other forms take care.
pub(crate) fn add(text: &str, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let has_control = text.chars().any(char::is_control);
    if !text.is_ascii() {
        for quotes in [("\"", "'"), ("&quot;", "'"), ("&quot;", "&#x27;"), ("&quot;", "&#39;")] {
            forms.push(each_char(text, |c, out| match c {
                '&' => out.extend_from_slice(b"&amp;"),
                '<' => out.extend_from_slice(b"&lt;"),
                '>' => out.extend_from_slice(b"&gt;"),
                '"' => out.extend_from_slice(quotes.0.as_bytes()),
                '\'' => out.extend_from_slice(quotes.1.as_bytes()),
                _ if c.is_ascii() => push(c, out),
                _ => number(out, format_args!("&#{};", u32::from(c))),
            }));
        }
    }
    if !text.is_ascii() || has_control {
        for keep in [false, true] {
            forms.push(each_char(text, |c, out| yaml(c, keep, out)));
        }
        // bash by locale; zsh does not name ESC.
        for (escape, keep) in [("\\E", true), ("\\E", false), ("\\033", true)] {
            forms.push(each_char(text, |c, out| match c {
                '\'' | '\\' => out.extend([b'\\', c as u8]),
                '\u{1b}' => out.extend_from_slice(escape.as_bytes()),
                _ => octal(c, keep, out),
            }));
        }
    }
    if !has_control {
        return;
    }
    for quote in [Some('\''), None] {
        forms.push(each_char(text, |c, out| match c {
            '\\' => out.extend_from_slice(b"\\\\"),
            _ if Some(c) == quote => out.extend([b'\\', c as u8]),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\n' | '\r' | '\t' => octal(c, true, out),
            _ if c.is_control() => number(out, format_args!("\\x{:02X}", u32::from(c))),
            _ => push(c, out),
        }));
    }
    // `$'k\C-['`, and `k$'\033'` with a backslash before what is special.
    forms.push(each_char(text, |c, out| match c {
        '\'' | '\\' => out.extend([b'\\', c as u8]),
        '\n' | '\r' | '\t' | '\u{7}' | '\u{8}' | '\u{b}' | '\u{c}' => octal(c, true, out),
        '\0'..='\u{1f}' | '\u{7f}' => out.extend([b'\\', b'C', b'-', c as u8 ^ 0x40]),
        _ => push(c, out),
    }));
    forms.push(each_char(text, |c, out| {
        let is_plain = c.is_alphanumeric() || "-_./%+@:,".contains(c) || !c.is_ascii();
        if c.is_ascii_control() {
            out.extend_from_slice(b"$'");
            octal(c, true, out);
            out.push(b'\'');
        } else {
            out.extend((!is_plain).then_some(b'\\'));
            push(c, out);
        }
    }));
}

/// Between double quotes in YAML 1.1, as libyaml and its like write it; `keep`: all that is printable.
fn yaml(c: char, keep: bool, out: &mut Vec<u8>) {
    let short = match c {
        '"' | '\\' => c,
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        ' '..='~' => return push(c, out),
        _ if keep && !c.is_control() && c <= '\u{ffff}' => return push(c, out),
        '\0'..='\u{ff}' => return number(out, format_args!("\\x{:02X}", u32::from(c))),
        '\0'..='\u{ffff}' => return number(out, format_args!("\\u{:04X}", u32::from(c))),
        _ => return number(out, format_args!("\\U{:08X}", u32::from(c))),
    };
    out.extend([b'\\', short as u8]);
}

/// As ANSI C has it; `keep`: what is beyond ASCII stays.
fn octal(c: char, keep: bool, out: &mut Vec<u8>) {
    let short = match c {
        '\u{7}' => b'a',
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{b}' => b'v',
        '\u{c}' => b'f',
        '\r' => b'r',
        ' '..='~' => return push(c, out),
        _ if keep && !c.is_ascii() => return push(c, out),
        _ => {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                number(out, format_args!("\\{byte:03o}"));
            }
            return;
        }
    };
    out.extend([b'\\', short]);
}

fn number(out: &mut Vec<u8>, number: std::fmt::Arguments<'_>) {
    out.write_fmt(number).expect("a Vec takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these was printed in clear.
    #[test]
    fn what_printers_make_of_odd_characters_is_a_form() {
        for (text, expected) in [
            (
                "k'\u{1b}[0m \"&<\u{fc}\u{20ac}\u{1f600}\u{1}\u{7f}",
                vec![
                    // ElementTree's text and attribute.
                    "k'\u{1b}[0m \"&amp;&lt;&#252;&#8364;&#128512;\u{1}\u{7f}",
                    "k'\u{1b}[0m &quot;&amp;&lt;&#252;&#8364;&#128512;\u{1}\u{7f}",
                    // yaml.safe_dump, without and with allow_unicode.
                    "k'\\e[0m \\\"&<\\xFC\\u20AC\\U0001F600\\x01\\x7F",
                    "k'\\e[0m \\\"&<\u{fc}\u{20ac}\\U0001F600\\x01\\x7F",
                    // node's util.inspect.
                    "k'\\x1B[0m \"&<\u{fc}\u{20ac}\u{1f600}\\x01\\x7F",
                    // bash's printf %q and declare -p, in UTF-8 and in C.
                    "k\\'\\E[0m \"&<\u{fc}\u{20ac}\u{1f600}\\001\\177",
                    "k\\'\\E[0m \"&<\\303\\274\\342\\202\\254\\360\\237\\230\\200\\001\\177",
                    // zsh's (q), (qqqq), and (q+), typeset and set -x.
                    "k\\'$'\\033'\\[0m\\ \\\"\\&\\<\u{fc}\u{20ac}\u{1f600}$'\\001'$'\\177'",
                    "k\\'\\033[0m \"&<\u{fc}\u{20ac}\u{1f600}\\001\\177",
                    "k\\'\\C-[[0m \"&<\u{fc}\u{20ac}\u{1f600}\\C-A\\C-?",
                ],
            ),
            ("p\u{e4} ss", vec!["p&#228; ss", "p\\xE4 ss", "p\\303\\244 ss"]),
            ("p\u{1b}\tq", vec!["p$'\\033'$'\\t'q", "p\\C-[\\tq", "p\\e\\tq", "p\\x1B\\tq"]),
        ] {
            let mut forms = Vec::new();
            add(text, &mut forms);
            for form in expected {
                assert!(forms.iter().any(|known| **known == *form.as_bytes()), "{form:?}");
            }
        }
        let mut forms = Vec::new();
        add("pl\"a'in", &mut forms);
        assert_eq!(forms.len(), 0);
    }
}
