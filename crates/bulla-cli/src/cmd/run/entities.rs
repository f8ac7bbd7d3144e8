//! References to characters, as XML and HTML have them.

use zeroize::Zeroizing;

use super::escapes::number;
use super::forms::{each, each_char, push};

/// Adds `piece` with all that is special in text or attributes replaced, and those beyond ASCII as they are,
/// by number, and by name if they have one in Latin-1; in attributes also line ends and tabs.
pub(super) fn add(piece: &[u8], forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let has_white = piece.iter().any(|byte| b"\t\n\r".contains(byte));
    let whites = if has_white { &WHITES[..] } else { &WHITES[..1] };
    for quotes in QUOTES {
        for &white in whites {
            let form = marked(piece, quotes, white);
            if let Some(text) = beyond_ascii(&form) {
                let others: [Reference; 5] = [decimal, hex, capital, named, blank];
                forms.extend(others.map(|other| referred(text, other)));
            }
            forms.push(form);
        }
    }
    for others in TEMPLATES {
        forms.push(each(piece, 6, |byte, out| {
            match others.iter().find(|(other, _)| *other == byte) {
                Some((_, written)) => out.extend_from_slice(written.as_bytes()),
                None => out.push(byte),
            }
        }));
    }
    // Python's `xmlcharrefreplace`.
    forms.extend(beyond_ascii(piece).map(|text| referred(text, decimal)));
}

/// Adds `form`, which has escapes in it, as text and attributes of HTML.
pub(super) fn add_quoted(form: &[u8], forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    forms.extend(QUOTES.map(|quotes| marked(form, quotes, WHITES[0])));
}

/// How double and single quotes are written.
const QUOTES: [(&str, &str); 7] = [
    ("\"", "'"),
    ("&quot;", "'"),
    ("&quot;", "&apos;"),
    ("&quot;", "&#39;"),
    ("&quot;", "&#039;"),
    ("&#34;", "&#39;"),
    ("&quot;", "&#x27;"),
];

/// What the templates of Handlebars, Mustache and Go replace; and what JSON becomes in a literal in quotes and
/// between those of a shell.
const TEMPLATES: [&[(u8, &str)]; 6] = [
    &[
        (b'&', "&amp;"),
        (b'<', "&lt;"),
        (b'>', "&gt;"),
        (b'"', "&quot;"),
        (b'\'', "&#x27;"),
        (b'`', "&#x60;"),
        (b'=', "&#x3D;"),
    ],
    &[
        (b'&', "&amp;"),
        (b'<', "&lt;"),
        (b'>', "&gt;"),
        (b'"', "&quot;"),
        (b'\'', "&#39;"),
        (b'/', "&#x2F;"),
        (b'`', "&#x60;"),
        (b'=', "&#x3D;"),
    ],
    &[
        (b'&', "&amp;"),
        (b'<', "&lt;"),
        (b'>', "&gt;"),
        (b'"', "&#34;"),
        (b'\'', "&#39;"),
        (b'+', "&#43;"),
    ],
    &[(b'\\', "\\\\\\\\"), (b'"', "\\\\\""), (b'\n', "\\\\n"), (b'\r', "\\\\r"), (b'\t', "\\\\t")],
    &[
        (b'\\', "\\\\\\\\"),
        (b'"', "\\\\\""),
        (b'\n', "\\\\n"),
        (b'\r', "\\\\r"),
        (b'\t', "\\\\t"),
        (b'\'', "\\'"),
    ],
    &[
        (b'\\', "\\\\"),
        (b'"', "\\\""),
        (b'\n', "\\n"),
        (b'\r', "\\r"),
        (b'\t', "\\t"),
        (b'\'', "'\\''"),
    ],
];

/// How tabs and line ends are.
const WHITES: [[&str; 3]; 3] =
    [["\t", "\n", "\r"], ["&#9;", "&#10;", "&#13;"], ["&#09;", "&#10;", "&#13;"]];

fn marked(
    piece: &[u8],
    (double, single): (&str, &str),
    [tab, line, back]: [&str; 3],
) -> Zeroizing<Vec<u8>> {
    each(piece, 6, |byte, out| {
        let reference = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => double,
            b'\'' => single,
            b'\t' => tab,
            b'\n' => line,
            b'\r' => back,
            _ => return out.push(byte),
        };
        out.extend_from_slice(reference.as_bytes());
    })
}

fn beyond_ascii(form: &[u8]) -> Option<&str> {
    std::str::from_utf8(form).ok().filter(|text| !text.is_ascii())
}

/// How a character beyond ASCII is referred to.
type Reference = fn(char, &mut Vec<u8>);

fn referred(text: &str, other: Reference) -> Zeroizing<Vec<u8>> {
    each_char(text, |c, out| if c.is_ascii() { push(c, out) } else { other(c, out) })
}

fn decimal(c: char, out: &mut Vec<u8>) {
    number(out, format_args!("&#{};", u32::from(c)));
}

fn hex(c: char, out: &mut Vec<u8>) {
    number(out, format_args!("&#x{:x};", u32::from(c)));
}

fn capital(c: char, out: &mut Vec<u8>) {
    number(out, format_args!("&#x{:X};", u32::from(c)));
}

/// Browsers name no other.
fn blank(c: char, out: &mut Vec<u8>) {
    if c == '\u{a0}' { named(c, out) } else { push(c, out) }
}

fn named(c: char, out: &mut Vec<u8>) {
    let place = u32::from(c).checked_sub(0xa0).and_then(|place| usize::try_from(place).ok());
    match place.and_then(|place| LATIN.split(' ').nth(place)) {
        Some(name) => number(out, format_args!("&{name};")),
        None if c == '\u{20ac}' => out.extend_from_slice(b"&euro;"),
        None => push(c, out),
    }
}

/// HTML's names of the characters from U+00A0 to U+00FF.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg \
    plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave \
    Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH \
    Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml Yacute THORN szlig \
    agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml \
    eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml";
