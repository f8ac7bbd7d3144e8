//! How printers of values write what is special to them, control characters and those beyond ASCII.

use std::io::Write as _;

use zeroize::Zeroizing;

use super::forms::{each_char, push};
use super::shells;

/// Adds what is made of a text by what escapes with a backslash, by what shows control characters as keys,
/// by shells and by YAML's double quotes.
pub(crate) fn add(text: &str, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let is_ascii = text.is_ascii();
    let has_control = text.chars().any(char::is_control);
    let is_plain = is_ascii && !has_control;
    let mut done = Vec::new();
    for &(special, control, beyond) in PRINTERS {
        // Of plain text, all that escape the same make the same.
        if !(is_plain && done.contains(&special)) {
            forms.push(printed(text, special, control, beyond, |_| false));
            done.push(special);
        }
    }
    forms.push(rust(text));
    forms.extend([true, false].map(|ascii| properties(text, ascii)));
    shells::add(text, forms);
    for &(shows, special, control, beyond) in HIDERS {
        if !text.chars().all(shows) {
            forms.push(printed(text, special, control, beyond, shows));
        }
    }
    if is_plain {
        return;
    }
    forms.extend(yaml_texts(text));
    for (tab, meta) in
        [("\t", Some("M-")), ("^I", Some("M-")), ("\\t", None), ("\\t", Some("\\M-"))]
    {
        forms.push(keys(text, tab, meta));
    }
}

/// What printers write a backslash in front of, and how they write what is not printable.
const PRINTERS: &[(&str, Control, Beyond)] = &[
    // bash's `printf %q` and `declare -p`; zsh's flags `qqqq` and `q+`, and its `typeset`.
    (SINGLE, Control::Octal("\\E"), Beyond::Keep),
    (SINGLE, Control::Octal("\\E"), Beyond::Octal),
    (SINGLE, Control::Octal("\\033"), Beyond::Keep),
    ("'\\!", Control::Octal("\\033"), Beyond::Keep),
    ("'\\!", Control::Octal("\\033"), Beyond::Octal),
    (SINGLE, Control::Key, Beyond::Keep),
    (SINGLE, Control::Key, Beyond::Meta),
    // `ls -Q`, git's paths; SQLite's `tcl`; `ls -b`; `find -ls`; `sed -n l`.
    (DOUBLE, Control::Octal("\\033"), Beyond::Keep),
    (DOUBLE, Control::Octal("\\033"), Beyond::Octal),
    (DOUBLE, Control::Three("\t\n\r"), Beyond::Octal),
    (" \\", Control::Octal("\\033"), Beyond::Keep),
    (" \\", Control::Octal("\\033"), Beyond::Octal),
    (" \"\\", Control::Three("\u{8}\t\n\u{c}\r"), Beyond::Octal),
    ("\\", Control::Octal("\\033"), Beyond::Keep),
    ("\\", Control::Octal("\\033"), Beyond::Octal),
    // strace; Perl's Data::Dumper, of bytes and of characters.
    (DOUBLE, Control::Least("\t\n\u{b}\u{c}\r"), Beyond::Octal),
    (PERL, Control::Least("\t\n\u{7}\u{8}\u{c}\r\u{1b}"), Beyond::Octal),
    (PERL, Control::Least("\t\n\u{7}\u{8}\u{c}\r\u{1b}"), Beyond::Braces("\\x")),
    (PERL, Control::Least("\t\n\u{7}\u{8}\u{c}\r\u{1b}"), Beyond::Keep),
    (PERL, Control::Raw, Beyond::Braces("\\x")),
    // Go's `%q` and `%+q`; Ruby's `inspect`, also of bytes.
    (DOUBLE, Control::Hex, Beyond::Keep),
    (DOUBLE, Control::Hex, Beyond::Unicode),
    (RUBY, Control::Capital("\\u00"), Beyond::Keep),
    (RUBY, Control::Capital("\\x"), Beyond::Keep),
    (RUBY, Control::Capital("\\x"), Beyond::Bytes),
    // node's `inspect`, in quotes that are not in the text.
    (SINGLE, Control::Node, Beyond::Keep),
    ("\\", Control::Node, Beyond::Keep),
    // PHP and Perl in single quotes, and `addslashes`.
    (SINGLE, Control::Raw, Beyond::Keep),
    ("'\"\\", Control::Raw, Beyond::Keep),
    // What cannot be shown: `ls -q`, and text as ASCII.
    ("", Control::Question, Beyond::Keep),
    ("", Control::Question, Beyond::Questions),
    ("", Control::Raw, Beyond::Question),
];

/// The same of those that write only some beyond ASCII in another way, and which they show.
const HIDERS: &[(Shows, &str, Control, Beyond)] = &[
    // bash's `printf %q`, `set -x` and `declare -p`; zsh's flags `qqqq` and `q+`.
    (is_shown, SINGLE, Control::Octal("\\E"), Beyond::Octal),
    (is_shown, "'\\!", Control::Octal("\\033"), Beyond::Octal),
    (is_shown, SINGLE, Control::Key, Beyond::Key),
    // `ls -Q`; `ls -b`; `ls -q`.
    (is_shown, DOUBLE, Control::Octal("\\033"), Beyond::Octal),
    (is_shown, " \\", Control::Octal("\\033"), Beyond::Octal),
    (is_shown, "", Control::Question, Beyond::Question),
    // Ruby's `inspect`; Go's `%q`.
    (is_shown, RUBY, Control::Capital("\\x"), Beyond::Capital),
    (is_printable, DOUBLE, Control::Hex, Beyond::Unicode),
];

/// Whether a character is shown as it is.
type Shows = fn(char) -> bool;

/// Whether the C library takes a character for one that can be printed. Those that are not assigned it does
/// not, but which these are depends on its version.
pub(super) fn is_shown(c: char) -> bool {
    c.is_ascii() || !(c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// Whether Python, Go and Rust do: no blank but the one of ASCII, no format, nothing private.
pub(super) fn is_printable(c: char) -> bool {
    // Behind another, a combining mark is shown as it is.
    let mut pair = [b'x'; 5];
    let length = 1 + c.encode_utf8(&mut pair[1..]).len();
    let pair = std::str::from_utf8(&pair[..length]).unwrap_or_default();
    c.is_ascii() || pair.escape_debug().count() == 2
}

const SINGLE: &str = "'\\";
const DOUBLE: &str = "\"\\";
const PERL: &str = "\"\\$@";
/// And `#` where an expression could begin.
const RUBY: &str = "\"\\#";

/// How a control character of ASCII is written.
#[derive(Clone, Copy)]
pub(super) enum Control {
    /// `\x1B`, or with more in front of the digits, as Ruby does.
    Capital(&'static str),
    /// `\x1b`, as Go does.
    Hex,
    /// `\C-[`
    Key,
    /// Those in it by letter, others with as few octal digits as can be read.
    Least(&'static str),
    /// `\x1B`, with the letters of JavaScript.
    Node,
    /// `\001`, with the letters of C, and so for ESC.
    Octal(&'static str),
    Question,
    Raw,
    /// Those in it by letter, others with three octal digits.
    Three(&'static str),
}

impl Control {
    pub(super) fn write(self, c: char, digit_next: bool, out: &mut Vec<u8>) {
        let by_letter = match self {
            Self::Capital(_) => "\u{7}\u{8}\t\n\u{b}\u{c}\r\u{1b}",
            Self::Hex | Self::Octal(_) => "\u{7}\u{8}\t\n\u{b}\u{c}\r",
            Self::Key => "\t\n",
            Self::Least(letters) | Self::Three(letters) => letters,
            Self::Node => "\u{8}\t\n\u{c}\r",
            Self::Question | Self::Raw => "",
        };
        if by_letter.contains(c) {
            return out.extend([b'\\', letter(c)]);
        }
        let code = u32::from(c);
        match self {
            Self::Capital(_) if c == '\u{7f}' => out.extend_from_slice(b"\\x7F"),
            Self::Capital(begin) => number(out, format_args!("{begin}{code:02X}")),
            Self::Hex => number(out, format_args!("\\x{code:02x}")),
            Self::Key => out.extend([b'\\', b'C', b'-', c as u8 ^ 0x40]),
            Self::Least(_) if !digit_next => number(out, format_args!("\\{code:o}")),
            Self::Node => number(out, format_args!("\\x{code:02X}")),
            Self::Octal(escape) if c == '\u{1b}' => out.extend_from_slice(escape.as_bytes()),
            Self::Least(_) | Self::Octal(_) | Self::Three(_) => {
                number(out, format_args!("\\{code:03o}"))
            }
            Self::Question => out.push(b'?'),
            Self::Raw => push(c, out),
        }
    }
}

/// How a character beyond ASCII is written.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Beyond {
    /// `{20ac}` behind this.
    Braces(&'static str),
    /// `\xE2\x82\xAC`
    Bytes,
    /// `\u20AC`
    Capital,
    Keep,
    /// `\M-\C-E`, or `\u20ac` where one byte does not do.
    Key,
    /// `\M-b\M-\C-B\M-,`
    Meta,
    /// `\342\202\254`
    Octal,
    Question,
    /// One for each byte.
    Questions,
    /// `\u20ac`
    Unicode,
}

impl Beyond {
    fn write(self, c: char, out: &mut Vec<u8>) {
        let code = u32::from(c);
        let mut each = |write: fn(&mut Vec<u8>, u8)| {
            c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| write(out, byte));
        };
        match self {
            Self::Braces(begin) => number(out, format_args!("{begin}{{{code:x}}}")),
            Self::Bytes => each(|out, byte| number(out, format_args!("\\x{byte:02X}"))),
            Self::Capital if code > 0xffff => number(out, format_args!("\\u{{{code:X}}}")),
            Self::Capital => number(out, format_args!("\\u{code:04X}")),
            Self::Keep => push(c, out),
            Self::Key if code <= 0xff => meta(out, c as u8),
            Self::Meta => each(meta),
            Self::Octal => each(|out, byte| number(out, format_args!("\\{byte:03o}"))),
            Self::Question => out.push(b'?'),
            Self::Questions => each(|out, _| out.push(b'?')),
            Self::Key | Self::Unicode if code > 0xffff => {
                number(out, format_args!("\\U{code:08x}"))
            }
            Self::Key | Self::Unicode => number(out, format_args!("\\u{code:04x}")),
        }
    }
}

/// The letter that C has for a control character, and `e` and `0`.
fn letter(c: char) -> u8 {
    match c {
        '\0' => b'0',
        '\u{7}' => b'a',
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{b}' => b'v',
        '\u{c}' => b'f',
        '\r' => b'r',
        _ => b'e',
    }
}

/// A byte beyond ASCII as zsh writes it.
fn meta(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(b"\\M-");
    match byte & 0x7f {
        low @ (0..=0x1f | 0x7f) => out.extend([b'\\', b'C', b'-', low ^ 0x40]),
        low => out.push(low),
    }
}

/// Rust's `{:?}`.
fn rust(text: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(10 * text.len() + 2));
    number(&mut out, format_args!("{text:?}"));
    out.pop();
    out.remove(0);
    out
}

/// A value of Java's `Properties.store`; `ascii`: to a stream, not to a writer.
fn properties(text: &str, ascii: bool) -> Zeroizing<Vec<u8>> {
    each_char(text, |c, out| match c {
        '\\' | ':' | '=' | '#' | '!' => out.extend([b'\\', c as u8]),
        '\t' | '\n' | '\u{c}' | '\r' => out.extend([b'\\', letter(c)]),
        _ if ascii && !matches!(c, ' '..='~') => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                number(out, format_args!("\\u{unit:04X}"));
            }
        }
        _ => push(c, out),
    })
}

/// `shows`: which of those beyond ASCII are written as they are, whatever `beyond` says.
fn printed(
    text: &str,
    special: &str,
    control: Control,
    beyond: Beyond,
    shows: Shows,
) -> Zeroizing<Vec<u8>> {
    let mut rest = text.chars().peekable();
    let mut next = || Some((rest.next()?, rest.peek().copied()));
    let mut out = Zeroizing::new(Vec::with_capacity(10 * text.len()));
    while let Some((c, after)) = next() {
        if special.contains(c) && (c != '#' || matches!(after, Some('{' | '$' | '@'))) {
            out.push(b'\\');
            push(c, &mut out);
        } else if c.is_ascii_control() || (c.is_control() && matches!(control, Control::Node)) {
            control.write(c, after.is_some_and(|after| after.is_ascii_digit()), &mut out);
        } else if c.is_ascii() || shows(c) {
            push(c, &mut out);
        } else {
            beyond.write(c, &mut out);
        }
    }
    out
}

/// `^[`, and bytes beyond ASCII behind `meta`, as `cat -v` and zsh's flag `V` show them.
fn keys(text: &str, tab: &str, meta: Option<&str>) -> Zeroizing<Vec<u8>> {
    let key = |byte: u8, out: &mut Vec<u8>| match byte {
        0..=0x1f | 0x7f => out.extend([b'^', byte ^ 0x40]),
        _ => out.push(byte),
    };
    each_char(text, |c, out| match meta {
        _ if c == '\t' => out.extend_from_slice(tab.as_bytes()),
        None if c == '\n' => out.extend_from_slice(b"\\n"),
        None if !c.is_ascii() && is_shown(c) => push(c, out),
        None if c > '\u{ff}' => number(out, format_args!("\\u{:04x}", u32::from(c))),
        None if !c.is_ascii() => {
            out.extend_from_slice(b"\\M-");
            key(c as u8 & 0x7f, out);
        }
        _ => {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                if let Some(meta) = meta.filter(|_| !byte.is_ascii()) {
                    out.extend_from_slice(meta.as_bytes());
                }
                key(byte & 0x7f, out);
            }
        }
    })
}

/// Between double quotes in YAML, with all that is printable, as PyYAML writes it, and in ASCII.
pub(super) fn yaml_texts(text: &str) -> [Zeroizing<Vec<u8>>; 3] {
    ['\u{10ffff}', PYTHON, '~'].map(|last| each_char(text, |c, out| yaml(c, last, out)))
}

/// The last that PyYAML and libyaml take to be printable; of blanks, also U+00A0.
const PYTHON: char = '\u{ffff}';

/// A character between double quotes in YAML 1.1, as libyaml and its like write it; what is printable
/// stays up to `last`.
fn yaml(c: char, last: char, out: &mut Vec<u8>) {
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
        '\u{a0}' if last != PYTHON => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        ' '..='~' => return push(c, out),
        _ if !c.is_control() && c <= last && c != '\u{feff}' => return push(c, out),
        '\0'..='\u{ff}' => return number(out, format_args!("\\x{:02X}", u32::from(c))),
        '\0'..='\u{ffff}' => return number(out, format_args!("\\u{:04X}", u32::from(c))),
        _ => return number(out, format_args!("\\U{:08X}", u32::from(c))),
    };
    out.extend([b'\\', short as u8]);
}

pub(super) fn number(out: &mut Vec<u8>, number: std::fmt::Arguments<'_>) {
    out.write_fmt(number).expect("a Vec takes everything");
}

#[cfg(test)]
mod tests {
    use super::super::forms::add_all;

    /// Each of these was printed in clear.
    #[test]
    fn what_printers_make_of_odd_characters_is_a_form() {
        for (text, expected) in [
            (
                "k'\u{1b}[0m \"&<\u{fc}\u{20ac}\u{1f600}\u{1}\u{7f}",
                vec![
                    // ElementTree's text and attribute; PHP's htmlentities.
                    "k'\u{1b}[0m \"&amp;&lt;&#252;&#8364;&#128512;\u{1}\u{7f}",
                    "k'\u{1b}[0m &quot;&amp;&lt;&#252;&#8364;&#128512;\u{1}\u{7f}",
                    "k&#039;\u{1b}[0m &quot;&amp;&lt;&uuml;&euro;\u{1f600}\u{1}\u{7f}",
                    // yaml.safe_dump, without and with allow_unicode; js-yaml.
                    "k'\\e[0m \\\"&<\\xFC\\u20AC\\U0001F600\\x01\\x7F",
                    "k'\\e[0m \\\"&<\u{fc}\u{20ac}\\U0001F600\\x01\\x7F",
                    "k'\\e[0m \\\"&<\u{fc}\u{20ac}\u{1f600}\\x01\\x7F",
                    // node's util.inspect.
                    "k'\\x1B[0m \"&<\u{fc}\u{20ac}\u{1f600}\\x01\\x7F",
                    // bash's printf %q and declare -p, in UTF-8 and in C.
                    "k\\'\\E[0m \"&<\u{fc}\u{20ac}\u{1f600}\\001\\177",
                    "k\\'\\E[0m \"&<\\303\\274\\342\\202\\254\\360\\237\\230\\200\\001\\177",
                    // zsh's (q), (qqqq), (q+), typeset and set -x, and (V), in UTF-8 and in C.
                    "k\\'$'\\033'\\[0m\\ \\\"\\&\\<\u{fc}\u{20ac}\u{1f600}$'\\001'$'\\177'",
                    "k\\'\\033[0m \"&<\u{fc}\u{20ac}\u{1f600}\\001\\177",
                    "k\\'\\C-[[0m \"&<\u{fc}\u{20ac}\u{1f600}\\C-A\\C-?",
                    "k'^[[0m \"&<\u{fc}\u{20ac}\u{1f600}^A^?",
                    "k'^[[0m \"&<\\M-C\\M-<\\M-b\\M-^B\\M-,\\M-p\\M-^_\\M-^X\\M-^@^A^?",
                    // cat -v; ls -b; find -ls; sed -n l; ls -q.
                    "k'^[[0m \"&<M-CM-<M-bM-^BM-,M-pM-^_M-^XM-^@^A^?",
                    "k'\\033[0m\\ \"&<\u{fc}\u{20ac}\u{1f600}\\001\\177",
                    "k'\\033[0m\\ \\\"&<\\303\\274\\342\\202\\254\\360\\237\\230\\200\\001\\177",
                    "k'\\033[0m \"&<\\303\\274\\342\\202\\254\\360\\237\\230\\200\\001\\177",
                    "k'?[0m \"&<\u{fc}\u{20ac}\u{1f600}??",
                    // printf %q of coreutils, in UTF-8 and in C.
                    "k'\\'''$'\\033''[0m \"&<\u{fc}\u{20ac}\u{1f600}'$'\\001\\177",
                    "k'\\'''$'\\033''[0m \"&<'$'\\303\\274\\342\\202\\254\\360\\237\\230\\200\\001\\177",
                    // git; strace; Data::Dumper with Useqq, of bytes and of characters.
                    "k'\\033[0m \\\"&<\\303\\274\\342\\202\\254\\360\\237\\230\\200\\001\\177",
                    "k'\\33[0m \\\"&<\\303\\274\\342\\202\\254\\360\\237\\230\\200\\1\\177",
                    "k'\\e[0m \\\"&<\\303\\274\\342\\202\\254\\360\\237\\230\\200\\1\\177",
                    "k'\\e[0m \\\"&<\\x{fc}\\x{20ac}\\x{1f600}\\1\\177",
                ],
            ),
            ("p\u{e4} ss", vec!["p&#228; ss", "p&auml; ss", "p\\xE4 ss", "p\\303\\244 ss"]),
            (
                "p\u{1b}\tq",
                vec!["p$'\\033'$'\\t'q", "p\\C-[\\tq", "p\\e\\tq", "p\\x1B\\tq", "p^[^Iq"],
            ),
            // SQLite's mode tcl, find -ls, zsh's (q+), strace.
            (
                "k\u{7}\u{8}\t\r1",
                vec![
                    "k\\007\\010\\t\\r1",
                    "k\\007\\b\\t\\r1",
                    "k\\C-G\\C-H\\t\\C-M1",
                    "k\\7\\10\\t\\r1",
                ],
            ),
            // ElementTree's, minidom's and quoteattr's attributes.
            ("a\tb\"\n", vec!["a&#09;b&quot;&#10;", "a&#9;b&quot;&#10;"]),
            // By their documents: Go's `%q` and `%+q`, Rust's `{:?}`, Ruby's inspect, also of bytes.
            (
                "\"#{\u{1b}\u{e9}\u{1f600}\\",
                vec![
                    "\\\"#{\\x1b\u{e9}\u{1f600}\\\\",
                    "\\\"#{\\x1b\\u00e9\\U0001f600\\\\",
                    "\\\"#{\\u{1b}\u{e9}\u{1f600}\\\\",
                    "\\\"\\#{\\e\u{e9}\u{1f600}\\\\",
                    "\\\"\\#{\\e\\xC3\\xA9\\xF0\\x9F\\x98\\x80\\\\",
                ],
            ),
            // Only some beyond ASCII are escaped: by bash, zsh (in C, too), `ls -b` and `ls -q`; by PyYAML and
            // js-yaml; by browsers; by their documents, by Go, Rust and Ruby.
            (
                "a\u{a0}\u{2028}\u{85}\u{feff}\u{e9}\u{1b} '",
                vec![
                    "a\u{a0}\\342\\200\\250\\302\\205\u{feff}\u{e9}\\E \\'",
                    "a\u{a0}\\342\\200\\250\\302\\205\u{feff}\u{e9}\\033 \\'",
                    "a\u{a0}\\u2028\\M-\\C-E\u{feff}\u{e9}\\C-[ \\'",
                    "a\\M-B\\M- \\M-b\\M-\\C-@\\M-(\\M-B\\M-\\C-E\\M-o\\M-;\\M-?\\M-C\\M-)\\C-[ \\'",
                    "a\u{a0}\\u2028\\M-^E\u{feff}\u{e9}^[ '",
                    "a\u{a0}\\342\\200\\250\\302\\205\u{feff}\u{e9}\\033\\ '",
                    "a\u{a0}??\u{feff}\u{e9}? '",
                    "a????????????? '",
                    "a\u{a0}\\L\\N\\uFEFF\u{e9}\\e '",
                    "a\\_\\L\\N\\uFEFF\u{e9}\\e '",
                    "a&nbsp;\u{2028}\u{85}\u{feff}\u{e9}\u{1b} '",
                    "a\\u00a0\\u2028\\u0085\\ufeff\u{e9}\\x1b '",
                    "a\\u{a0}\\u{2028}\\u{85}\\u{feff}\u{e9}\\u{1b} '",
                    "a\u{a0}\\u2028\\u0085\u{feff}\u{e9}\\e '",
                ],
            ),
            // Data::Dumper of characters; Properties.store, into a stream and into a writer.
            (
                "k=:#!\\ \u{1b}\u{e9}",
                vec![
                    "k=:#!\\\\ \u{1b}\\x{e9}",
                    "k\\=\\:\\#\\!\\\\ \\u001B\\u00E9",
                    "k\\=\\:\\#\\!\\\\ \u{1b}\u{e9}",
                ],
            ),
            // find -ls.
            ("k\u{7}\u{8}\u{b}\u{c}", vec!["k\\007\\b\\013\\f"]),
            // Data::Dumper, bash's printf %q, zsh's (q); zsh's (qqqq).
            ("a$b\"@!,{", vec!["a\\$b\\\"\\@!,{", "a\\$b\\\"@\\!\\,\\{", "a\\$b\\\"@!,\\{"]),
            ("a'!\\", vec!["a\\'\\!\\\\"]),
        ] {
            let mut forms = Vec::new();
            add_all(text.as_bytes(), &mut forms);
            for form in expected {
                assert!(forms.iter().any(|known| **known == *form.as_bytes()), "{form:?}");
            }
        }
    }
}
