//! The inside of strings of JSON, as their writers differ.

use zeroize::Zeroizing;

use super::entities;
use super::forms::push;
use super::numbers::hex;

/// Adds JSON, and JSON as a string of JSON, as in logs of requests, and in HTML.
pub(super) fn add(text: &str, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let has_lines = text.contains(['\u{2028}', '\u{2029}']);
    let rows = JSON.iter().filter(|row| has_lines || row.0 != LINES);
    for &(numbered, ascii, capital, slash) in rows {
        for delete in [true, false] {
            if !delete && !text.contains('\u{7f}') {
                break;
            }
            let style = Json { numbered, ascii, capital, slash, delete };
            let once = style.string(text);
            if *once == text.as_bytes() {
                continue;
            }
            let inner = std::str::from_utf8(&once).expect("JSON is text");
            forms.push(style.string(inner));
            if ascii || !numbered.is_empty() {
                forms.push(PLAIN.string(inner));
            } else if !text.is_ascii() {
                forms.push(ASCII.string(inner));
            }
            if style == PLAIN || style == ASCII {
                entities::add_quoted(&once, forms);
            }
            forms.push(once);
        }
    }
}

/// What is written as `\uNNNN` beside control characters, whether all beyond ASCII is, whether in
/// capitals, and whether `/` is escaped.
const JSON: &[(&str, bool, bool, bool)] = &[
    ("", false, false, false),
    // Python; PHP in two ways.
    ("", true, false, false),
    ("", false, false, true),
    ("", true, false, true),
    // Go and PHP, where these are in the text.
    (LINES, false, false, false),
    (LINES, false, false, true),
    // Go; Gson; .NET; PHP for HTML.
    ("<>&\u{2028}\u{2029}", false, false, false),
    ("<>&", true, false, false),
    ("<>&='\u{2028}\u{2029}", false, false, false),
    ("\"<>&'+`", true, true, false),
    ("<>&'\"\u{2028}\u{2029}", false, true, true),
    ("<>&'\"", true, true, true),
    // Jinja; Go's templates, in scripts; Django's `escapejs`.
    ("<>&'", false, false, false),
    ("\"<>&'+`", false, false, true),
    ("\\\"'<>&=-;`\n\r\t\u{2028}\u{2029}", false, true, false),
];

/// Line ends to JavaScript.
const LINES: &str = "\u{2028}\u{2029}";

/// How the inside of a JSON string is written.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Json {
    numbered: &'static str,
    ascii: bool,
    /// Digits of what is in `numbered`, and by .NET's of all.
    capital: bool,
    slash: bool,
    /// Whether U+007F is a control character.
    delete: bool,
}

const PLAIN: Json = Json { numbered: "", ascii: false, capital: false, slash: false, delete: true };
const ASCII: Json = Json { ascii: true, ..PLAIN };

/// Adds `text` as most write it.
pub(super) fn add_quoted(text: &str, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    forms.extend([PLAIN, ASCII].map(|style| style.string(text)));
}

impl Json {
    fn string(self, text: &str) -> Zeroizing<Vec<u8>> {
        // No character takes more: one byte as `\u0000`, four as two of these.
        let mut out = Zeroizing::new(Vec::with_capacity(6 * text.len()));
        for c in text.chars() {
            let numbered = self.numbered.contains(c);
            let short: &[u8] = match c {
                _ if numbered => b"",
                '"' => b"\\\"",
                '\\' => b"\\\\",
                '\n' => b"\\n",
                '\r' => b"\\r",
                '\t' => b"\\t",
                '\u{8}' => b"\\b",
                '\u{c}' => b"\\f",
                '/' if self.slash => b"\\/",
                _ => b"",
            };
            if !short.is_empty() {
                out.extend_from_slice(short);
            } else if numbered
                || (c.is_ascii_control() && (c != '\u{7f}' || self.delete))
                || (self.ascii && !c.is_ascii())
            {
                let capital = self.capital && (numbered || !self.slash);
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(b"\\u");
                    unit.to_be_bytes().iter().for_each(|&byte| hex(byte, capital, &mut out));
                }
            } else {
                push(c, &mut out);
            }
        }
        out
    }
}
