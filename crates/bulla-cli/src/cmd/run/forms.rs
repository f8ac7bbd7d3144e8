//! The forms in which programs print a secret.

use zeroize::Zeroizing;

use super::numbers::hex;
use super::pieces::{is_maskable, pieces};
use super::{entities, escapes, folds, json, numbers};

/// How much of one value is looked for in lines of base64 and in wrapped text, in bytes: each place that
/// they can begin at takes forms of its own.
const MOST_WRAPPED: usize = 8 << 10;

/// How much memory the forms of all values take, about, in bytes. A thousand passwords take a tenth of it.
pub(crate) const MOST_FORMS: usize = 256 << 20;

/// Adds all forms of a value's pieces to `forms`, and takes what they need from `left`; if that is nothing,
/// the pieces alone.
pub(crate) fn add_within(value: &[u8], left: &mut usize, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    if *left == 0 {
        forms.extend(pieces(value).into_iter().map(|piece| Zeroizing::new(piece.to_vec())));
        return;
    }
    let from = forms.len();
    add_all(value, forms);
    let needed = |form: &Zeroizing<Vec<u8>>| form.len() + size_of::<Vec<u8>>();
    *left = left.saturating_sub(forms[from..].iter().map(needed).sum());
}

/// Adds all forms of a value's pieces to `forms`.
pub(crate) fn add_all(value: &[u8], forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let mut left = MOST_WRAPPED;
    for piece in pieces(value) {
        let mut added = Vec::new();
        add(piece, piece.len() <= left, &mut added);
        left = left.saturating_sub(piece.len());
        // What has only question marks left of it says nothing.
        added.retain(|form| is_maskable(form));
        // Most come several times, with room for more than they have become.
        added.sort_unstable_by(|a, b| a.as_slice().cmp(b));
        added.dedup_by(|a, b| a.as_slice() == b.as_slice());
        forms.extend(added.iter().map(|form| Zeroizing::new(form.to_vec())));
    }
}

/// Adds all forms of `piece`; `wrapped`: those of lines of base64 and of wrapped text, too.
fn add(piece: &[u8], wrapped: bool, forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    forms.push(Zeroizing::new(piece.to_vec()));
    numbers::add(piece, wrapped, forms);
    if piece.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        // Nothing below changes any of these.
        return;
    }
    for (keep, space) in PERCENT {
        forms.extend([true, false].map(|capital| percent(piece, keep, space, capital)));
    }
    forms.extend(std::str::from_utf8(piece).map(escape));
    // URLs in URLs.
    for keep in ["-._~", "-._~!'()*"] {
        for capital in [true, false] {
            let once = percent(piece, keep, "%20", capital);
            forms.push(each(&once, 3, |byte, out| match byte {
                b'%' => out.extend_from_slice(b"%25"),
                _ => out.push(byte),
            }));
        }
    }
    // A terminal's line ends.
    forms.push(each(piece, 2, |byte, out| match byte {
        b'\n' => out.extend_from_slice(b"\r\n"),
        _ => out.push(byte),
    }));
    entities::add(piece, forms);
    // SQL and CSV; Python's INI; Compose and make.
    for quote in [b'\'', b'"', b'%', b'$'] {
        forms.push(each(piece, 2, |byte, out| {
            out.extend((byte == quote).then_some(byte));
            out.push(byte);
        }));
    }
    // Shells: single quotes in two ways, double quotes, `printf %q`; then the literals of most
    // languages.
    for quote in ["'\\''", "'\"'\"'"] {
        let quoted = each(piece, 5, |byte, out| match byte {
            b'\'' => out.extend_from_slice(quote.as_bytes()),
            _ => out.push(byte),
        });
        if let Ok(text) = std::str::from_utf8(&quoted) {
            json::add_quoted(text, forms);
        }
        forms.push(quoted);
    }
    forms.push(each(piece, 2, |byte, out| {
        if b"\"\\$`".contains(&byte) {
            out.push(b'\\');
        }
        out.push(byte);
    }));
    forms.push(each(piece, 2, |byte, out| {
        if byte.is_ascii_graphic()
            && !byte.is_ascii_alphanumeric()
            && !b"-_./%+@:=,".contains(&byte)
            || byte == b' '
        {
            out.push(b'\\');
        }
        out.push(byte);
    }));
    // git's traces.
    forms.push(each(piece, 4, |byte, out| match byte {
        b'\'' | b'!' => out.extend([b'\'', b'\\', byte, b'\'']),
        _ => out.push(byte),
    }));
    let mut literals = Vec::new();
    for quotes in ["", "'", "\"", "'\""] {
        literals.push(each(piece, 2, |byte, out| match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                if byte == b'\\' || quotes.as_bytes().contains(&byte) {
                    out.push(b'\\');
                }
                out.push(byte);
            }
        }));
    }
    add_python(piece, &mut literals);
    // Messages with these in them get into logs of JSON and into pages.
    for literal in &literals {
        std::str::from_utf8(literal).iter().for_each(|text| json::add_quoted(text, forms));
        entities::add_quoted(literal, forms);
    }
    forms.append(&mut literals);
    // What is no UTF-8 is replaced by whoever needs text.
    let text = String::from_utf8_lossy(piece);
    let text = Zeroizing::new(text.into_owned());
    if text.as_bytes() != piece {
        forms.push(Zeroizing::new(text.as_bytes().to_vec()));
        entities::add(text.as_bytes(), forms);
    }
    escapes::add(&text, forms);
    json::add(&text, forms);
    if wrapped {
        folds::add(piece, forms);
    }
}

/// As JavaScript's old `escape` has it.
fn escape(text: &str) -> Zeroizing<Vec<u8>> {
    each_char(text, |c, out| match u32::from(c) {
        _ if c.is_ascii_alphanumeric() || "@*_+-./".contains(c) => push(c, out),
        latin @ ..0x100 => escapes::number(out, format_args!("%{latin:02X}")),
        _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| {
            escapes::number(out, format_args!("%u{unit:04X}"));
        }),
    })
}

fn percent(piece: &[u8], keep: &str, space: &str, capital: bool) -> Zeroizing<Vec<u8>> {
    each(piece, 3, |byte, out| match byte {
        b' ' if space == "+" => out.push(b'+'),
        _ if byte.is_ascii_alphanumeric() || keep.as_bytes().contains(&byte) => out.push(byte),
        _ => {
            out.push(b'%');
            hex(byte, capital, out);
        }
    })
}

/// What is kept as it is in a URL, and how a blank is written: RFC 3986; paths; JavaScript's
/// `encodeURIComponent` and `encodeURI`; forms as HTML, Python and Go, and PHP write them; queries, paths and
/// passwords of WHATWG's URLs; paths and passwords of Go's; passwords, paths and queries of Java's.
const PERCENT: [(&str, &str); 15] = [
    ("-._~", "%20"),
    ("-._~/", "%20"),
    ("-._~!'()*", "%20"),
    ("-._~!'()*;/?:@&=+$,#", "%20"),
    ("-._*", "+"),
    ("-._~", "+"),
    ("-._", "+"),
    ("-._~!$%&()*+,/:;=?@[\\]^`{|}", "%20"),
    ("-._~!$%&'()*+,/:;=@[\\]|", "%20"),
    ("-._~!$%&'()*+,", "%20"),
    ("-._~$&+:=@", "%20"),
    ("-._~$&+,;=", "%20"),
    ("-._~!'()*,;:$&+=", "%20"),
    ("-._~!'()*,;:$&+=/@", "%20"),
    ("-._~!'()*,;:$&+=/@?[]", "%20"),
];

/// What Python makes of bytes and of text with `repr` and `ascii`, and of what an encoding does not have
/// with `backslashreplace`.
fn add_python(piece: &[u8], forms: &mut Vec<Zeroizing<Vec<u8>>>) {
    let plain = |byte: u8| matches!(byte, b' '..=b'~');
    let text = std::str::from_utf8(piece).ok();
    let is_ascii = piece.is_ascii();
    let only_plain = piece.iter().all(|&byte| plain(byte));
    if !only_plain {
        // With `'` around it, and with `"`, which is for what has `'` and no `"` in it.
        for quote in [Some(b'\''), None] {
            forms.push(each(piece, 4, |byte, out| {
                if plain(byte) && byte != b'\\' && Some(byte) != quote {
                    out.push(byte);
                } else if plain(byte) {
                    out.extend([b'\\', byte]);
                } else {
                    python(u32::from(byte), out);
                }
            }));
            for keep in [true, false] {
                let Some(text) = text.filter(|_| !is_ascii) else { break };
                forms.push(each_char(text, |c, out| match u8::try_from(c) {
                    Ok(byte) if Some(byte) == quote || byte == b'\\' => out.extend([b'\\', byte]),
                    _ if c.is_ascii_graphic() || c == ' ' => push(c, out),
                    _ if keep && !c.is_ascii() && escapes::is_printable(c) => push(c, out),
                    _ => python(u32::from(c), out),
                }));
            }
        }
    }
    if is_ascii {
        return;
    }
    forms.push(each(piece, 4, |byte, out| match byte {
        0x80.. => python(u32::from(byte), out),
        _ => out.push(byte),
    }));
    if let Some(text) = text {
        forms.push(each_char(text, |c, out| match c.is_ascii() {
            true => push(c, out),
            false => python(u32::from(c), out),
        }));
        return;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(4 * piece.len()));
    for chunk in piece.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        chunk.invalid().iter().for_each(|&byte| python(u32::from(byte), &mut out));
    }
    forms.push(out);
}

/// A byte or character as Python escapes it.
fn python(number: u32, out: &mut Vec<u8>) {
    let digits = match number {
        0x09 => return out.extend_from_slice(b"\\t"),
        0x0a => return out.extend_from_slice(b"\\n"),
        0x0d => return out.extend_from_slice(b"\\r"),
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    };
    out.extend([b'\\', [b'x', b'u', b'U'][digits / 2]]);
    let bytes = number.to_be_bytes();
    bytes[4 - digits..].iter().for_each(|&byte| hex(byte, false, out));
}

/// Each character by `form`, which makes at most ten bytes of each of its bytes.
pub(super) fn each_char(text: &str, form: impl Fn(char, &mut Vec<u8>)) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(10 * text.len()));
    text.chars().for_each(|c| form(c, &mut out));
    out
}

pub(super) fn push(c: char, out: &mut Vec<u8>) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Each byte by `form`, which adds at most `most` bytes.
pub(super) fn each(
    piece: &[u8],
    most: usize,
    form: impl Fn(u8, &mut Vec<u8>),
) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(most * piece.len()));
    piece.iter().for_each(|&byte| form(byte, &mut out));
    out
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::super::masker::{MASK, Masker, Patterns};
    use super::super::pieces::{MOST, is_whole};
    use super::*;

    fn masked(value: &[u8], text: &[u8]) -> Vec<u8> {
        let mut forms = Vec::new();
        add_all(value, &mut forms);
        let patterns = Patterns::new(forms);
        let (mut masker, mut out) = (Masker::new(&patterns), Vec::new());
        masker.feed(text, &mut out);
        masker.finish(&mut out);
        out
    }

    #[test]
    fn common_writings_are_masked() {
        let value = "p\"a'ss <w>/\u{e4}+&$x\\";
        for text in [
            value,
            // base64, hexadecimal in both cases, percent-encoded by RFC 3986, JavaScript and Python.
            "cCJhJ3NzIDx3Pi/DpCsmJHhc",
            "cCJhJ3NzIDx3Pi_DpCsmJHhc",
            "702261277373203c773e2fc3a42b2624785c",
            "702261277373203C773E2FC3A42B2624785C",
            "p%22a%27ss%20%3Cw%3E%2F%C3%A4%2B%26%24x%5C",
            "p%22a'ss%20%3Cw%3E%2F%C3%A4%2B%26%24x%5C",
            "p%22a%27ss%20%3Cw%3E/%C3%A4%2B%26%24x%5C",
            "p%22a%27ss+%3Cw%3E%2F%C3%A4%2B%26%24x%5C",
            // JSON as serde, Python, PHP and Go write it.
            "p\\\"a'ss <w>/\u{e4}+&$x\\\\",
            "p\\\"a'ss <w>/\\u00e4+&$x\\\\",
            "p\\\"a'ss <w>\\/\\u00e4+&$x\\\\",
            "p\\\"a'ss \\u003cw\\u003e/\u{e4}+\\u0026$x\\\\",
            // XML and HTML.
            "p&quot;a&apos;ss &lt;w&gt;/\u{e4}+&amp;$x\\",
            "p&quot;a&#x27;ss &lt;w&gt;/\u{e4}+&amp;$x\\",
            "p&#34;a&#39;ss &lt;w&gt;/\u{e4}+&amp;$x\\",
            // A shell's `set -x`, `printf %q` and double quotes; Python's `repr`.
            "p\"a'\\''ss <w>/\u{e4}+&$x\\",
            "p\\\"a\\'ss\\ \\<w\\>/\u{e4}+\\&\\$x\\\\",
            "p\\\"a'ss <w>/\u{e4}+&\\$x\\\\",
            "p\"a\\'ss <w>/\u{e4}+&$x\\\\",
            // Python's `repr` of bytes, its `ascii` and `backslashreplace`.
            "p\"a\\'ss <w>/\\xc3\\xa4+&$x\\\\",
            "p\"a\\'ss <w>/\\xe4+&$x\\\\",
            "p\"a'ss <w>/\\xe4+&$x\\",
            "p\"a'ss <w>/\\xc3\\xa4+&$x\\",
            // PHP's htmlspecialchars; SQL, CSV and jq's @tsv.
            "p&quot;a&#039;ss &lt;w&gt;/\u{e4}+&amp;$x\\",
            "p\"a''ss <w>/\u{e4}+&$x\\",
            "p\"\"a'ss <w>/\u{e4}+&$x\\",
            "p\"a'ss <w>/\u{e4}+&$x\\\\",
            // JSON of Gson, .NET and PHP for HTML.
            "p\\\"a\\u0027ss \\u003cw\\u003e/\u{e4}+\\u0026$x\\\\",
            "p\\u0022a\\u0027ss \\u003Cw\\u003E/\\u00E4\\u002B\\u0026$x\\\\",
            "p\\u0022a\\u0027ss \\u003Cw\\u003E\\/\\u00e4+\\u0026$x\\\\",
            // The path and the query of a URL in browsers; forms of PHP; paths and passwords of Go.
            "p%22a'ss%20%3Cw%3E/%C3%A4+&$x\\",
            "p%22a%27ss%20%3Cw%3E/%C3%A4+&$x\\",
            "p%22a%27ss+%3Cw%3E%2F%C3%A4%2B%26%24x%5C",
            "p%22a%27ss%20%3Cw%3E%2F%C3%A4+&$x%5C",
            // Bytes: Python's `hex(' ')`, fingerprints, Go's `%v`, Rust's and Python's lists, Java's, JSON.
            "70 22 61 27 73 73 20 3c 77 3e 2f c3 a4 2b 26 24 78 5c",
            "70:22:61:27:73:73:20:3C:77:3E:2F:C3:A4:2B:26:24:78:5C",
            "112 34 97 39 115 115 32 60 119 62 47 195 164 43 38 36 120 92",
            "112, 34, 97, 39, 115, 115, 32, 60, 119, 62, 47, 195, 164, 43, 38, 36, 120, 92",
            "112, 34, 97, 39, 115, 115, 32, 60, 119, 62, 47, -61, -92, 43, 38, 36, 120, 92",
            "112,34,97,39,115,115,32,60,119,62,47,195,164,43,38,36,120,92",
            // JSON in JSON: of one program, of two, and of Go in that of Go or of others.
            "p\\\\\\\"a'ss <w>/\u{e4}+&$x\\\\\\\\",
            "p\\\\\\\"a'ss <w>/\\\\u00e4+&$x\\\\\\\\",
            "p\\\\\\\"a'ss <w>/\\u00e4+&$x\\\\\\\\",
            "p\\\\\\\"a'ss \\\\u003cw\\\\u003e/\u{e4}+\\\\u0026$x\\\\\\\\",
            // Python's `repr` in JSON, and both in HTML.
            "p\\\"a\\\\'ss <w>/\u{e4}+&$x\\\\\\\\",
            "p\\\"a\\\\'ss <w>/\\u00e4+&$x\\\\\\\\",
            "p&quot;a\\&#x27;ss &lt;w&gt;/\u{e4}+&amp;$x\\\\",
            "p\\&quot;a&#39;ss &lt;w&gt;/\u{e4}+&amp;$x\\\\",
            // Handlebars, Mustache, Go's templates and Django's `escapejs`; JavaScript's `escape`.
            "p&quot;a&#x27;ss &lt;w&gt;/\u{e4}+&amp;$x\\",
            "p&quot;a&#39;ss &lt;w&gt;&#x2F;\u{e4}+&amp;$x\\",
            "p&#34;a&#39;ss &lt;w&gt;/\u{e4}&#43;&amp;$x\\",
            "p\\u0022a\\u0027ss \\u003Cw\\u003E/\u{e4}+\\u0026$x\\u005C",
            "p%22a%27ss%20%3Cw%3E/%E4+%26%24x%5C",
            "p\\\"a\\u0027ss \\u003cw\\u003e/\u{e4}+\\u0026$x\\\\",
            "p\\u0022a\\u0027ss \\u003cw\\u003e\\/\u{e4}\\u002b\\u0026$x\\\\",
            // JSON in a literal of node and Python; a shell's quotes in JSON, and the other way round.
            "p\\\\\"a'ss <w>/\u{e4}+&$x\\\\\\\\",
            "p\\\\\"a\\'ss <w>/\u{e4}+&$x\\\\\\\\",
            "p\\\"a'\\\"'\\\"'ss <w>/\u{e4}+&$x\\\\",
            "p\\\"a'\\\\''ss <w>/\u{e4}+&$x\\\\",
            "p\\\"a'\\''ss <w>/\u{e4}+&$x\\\\",
            // A URL in a URL; Compose's and make's `$$`; Go's `%#v` and `xxd -i`.
            "p%2522a%2527ss%2520%253Cw%253E%252F%25C3%25A4%252B%2526%2524x%255C",
            "p\"a'ss <w>/\u{e4}+&$$x\\",
            "70, 0x22, 0x61, 0x27, 0x73, 0x73, 0x20, 0x3c, 0x77, 0x3e, 0x2f, 0xc3, 0xa4, 0x2b, 0x26, 0x24, 0x78, 0x5c",
        ] {
            let out = masked(value.as_bytes(), format!("<{text}>").as_bytes());
            assert_eq!(String::from_utf8_lossy(&out), "<********>", "{text}");
        }
    }

    /// A key that is kept in one line came out of `JSON.parse` in clear.
    #[test]
    fn lines_whose_ends_are_escaped_are_masked_by_themselves() {
        let lines = ["MIIEvQIBADANBgkqhkiG9w0BAQ", "KgwggSkAgEAAoIBAQC7VJTUt9Us"];
        let value =
            format!("{{\"key\": \"-----BEGIN X-----\\n{}\\r\\n{}\\n\"}}", lines[0], lines[1]);
        let text = format!("-----BEGIN X-----\n{}\n{}\n", lines[0], lines[1]);
        let out = masked(value.as_bytes(), text.as_bytes());
        assert_eq!(String::from_utf8_lossy(&out), "-----BEGIN X-----\n********\n********\n");
        // The words of a path are no lines.
        let out = masked(b"C:\\new\\names", b"all names are new");
        assert_eq!(String::from_utf8_lossy(&out), "all names are new");
    }

    #[test]
    fn what_python_makes_of_bytes_is_masked() {
        for (value, texts) in [
            // As Python 3 prints them: repr(b), repr(b.decode()), ascii(b.decode()), and with
            // backslashreplace as ASCII and as UTF-8.
            (&b"k'\x01\xff z"[..], vec!["k'\\x01\\xff z", "k'\x01\\xff z"]),
            (b"k'\"\x1b\x7f", vec!["k\\'\"\\x1b\\x7f"]),
            (
                "k\u{1}\u{20ac}\u{1f600}'".as_bytes(),
                vec![
                    "k\\x01\\xe2\\x82\\xac\\xf0\\x9f\\x98\\x80'",
                    "k\\x01\u{20ac}\u{1f600}'",
                    "k\\x01\\u20ac\\U0001f600'",
                    "k\u{1}\\u20ac\\U0001f600'",
                ],
            ),
            ("k\u{a0}\u{e9}\u{301}\u{e0001}z".as_bytes(), vec!["k\\xa0\u{e9}\u{301}\\U000e0001z"]),
            (b"\xc3\xa4 \xff \n\t!", vec!["\u{e4} \\xff \n\t!", "\\xc3\\xa4 \\xff \\n\\t!"]),
        ] {
            for text in texts {
                let out = masked(value, format!("<{text}>").as_bytes());
                assert_eq!(String::from_utf8_lossy(&out), "<********>", "{text}");
            }
        }
    }

    /// What a program makes of a secret that is no UTF-8, and how much of it node shows.
    #[test]
    fn bytes_are_masked_where_they_are_taken_for_text() {
        let value = b"Stra\xdfe7\"9zT";
        assert_eq!(masked(value, "Stra\u{fffd}e7\"9zT".as_bytes()), MASK);
        assert_eq!(masked(value, "Stra\u{fffd}e7\\\"9zT".as_bytes()), MASK);
        let value = [&b"k"[..], &[7; 60]].concat();
        let shown = format!("<Buffer 6b{} ... 11 more bytes>", " 07".repeat(49));
        assert_eq!(masked(&value, shown.as_bytes()), b"<Buffer ******** ... 11 more bytes>");
    }

    /// Many long values took a gigabyte, and without it `run` was aborted.
    #[test]
    fn what_all_forms_take_is_bounded() {
        let (mut forms, mut left) = (Vec::new(), 1);
        add_within(b"Tr0ub\"4dor", &mut left, &mut forms);
        assert!(forms.len() > 50 && left == 0);
        let before = forms.len();
        add_within(b"Tr0ub\"4dor\nand more", &mut left, &mut forms);
        let added: Vec<_> = forms[before..].iter().map(|form| form.as_slice()).collect();
        assert_eq!(added, [&b"Tr0ub\"4dor\nand more"[..], b"Tr0ub\"4dor", b"and more"]);
    }

    /// A list of forms has to stay short, or a thousand secrets are too many.
    #[test]
    fn the_number_of_forms_is_bounded() {
        for (value, most) in [
            ("GOCSPX-0123456789abcdefghij", 150),
            ("Hq7'xW\"9zT$Lm`4\\Kd+/=", 250),
            ("k'\u{1b}[0m \"&<\u{fc}\u{20ac}\u{1f600}\u{1}\u{7f}\t", 850),
            ("k'\u{1b}[0m \"&<\u{fc}\u{a0}\u{2028}\u{1f600}\u{1}\u{7f}\t", 950),
        ] {
            let mut forms = Vec::new();
            add_all(value.as_bytes(), &mut forms);
            forms.sort_unstable_by(|a, b| a.as_slice().cmp(b));
            forms.dedup_by(|a, b| a.as_slice() == b.as_slice());
            assert!(forms.len() <= most, "{} of {value}", forms.len());
        }
    }

    #[test]
    fn each_line_is_masked_however_it_is_indented() {
        let value = b"-----BEGIN X-----\nMIIBV\r\n  abcd\nxy\n-----END X-----\n";
        let text = b"> MIIBV\n> abcd\n> xy\n> -----END X-----\n";
        let shown = b"> ********\n> ********\n> xy\n> -----END X-----\n";
        assert_eq!(masked(value, text), shown);
        assert_eq!(masked(b"ab\ncd", b"ab\r\ncd ab"), b"******** ab");
    }

    #[test]
    fn a_long_value_is_masked_as_far_as_is_said() {
        let letter = |n: usize| b'a' + (n.wrapping_mul(0x9e37_79b1) >> 7) as u8 % 23;
        let value: Vec<_> = (0..MOST + 100).map(letter).collect();
        assert_eq!(masked(&value[..MOST], &value[..MOST]), MASK);
        assert!(!is_whole(&value) && is_whole(&value[..MOST]));
        assert_eq!(masked(&value, &value).len(), MASK.len() + 100);
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let letters: Vec<_> = (0..1500).map(|n| 0xe0 + n * 7 % 31).collect();
        let value: String = letters.iter().filter_map(|&letter| char::from_u32(letter)).collect();
        let json: String = letters.iter().map(|letter| format!("\\u{letter:04x}")).collect();
        for before in ["", "k"] {
            assert_eq!(
                masked(
                    (before.to_owned() + &value).as_bytes(),
                    (before.to_owned() + &json).as_bytes()
                ),
                MASK
            );
        }
    }

    #[test]
    fn question_marks_in_the_place_of_a_value_are_not_masked() {
        let text = "what???? ????????????";
        assert_eq!(
            masked("\u{5bc6}\u{78bc}\u{5bc6}\u{78bc}".as_bytes(), text.as_bytes()),
            text.as_bytes()
        );
    }

    #[test]
    fn trivial_values_are_not_masked() {
        for value in ["", "abc", "True", "aaaaaa", " ab\n", "null"] {
            assert!(!is_maskable(value.as_bytes()), "{value}");
            assert!(pieces(value.as_bytes()).is_empty(), "{value}");
        }
        assert!(is_maskable(b"abcd"));
    }

    #[test]
    fn base64_is_masked_across_the_line_ends_of_common_tools() {
        let letter = |n: usize| b'a' + (n.wrapping_mul(0x9e37_79b1) >> 7) as u8 % 23;
        for length in [8, 20, 64, 200, 1000] {
            let value: Vec<_> = (0..length).map(letter).collect();
            let mut forms = Vec::new();
            add_all(&value, &mut forms);
            let patterns = Patterns::new(forms);
            for before in 0..60 {
                // What is left: the letters of what stands around it.
                let around = (before + 6 + 2) * 4 / 3 + 4;
                let whole = [&b".".repeat(before), value.as_slice(), b"......"].concat();
                let text = STANDARD.encode(whole);
                for (width, line_end) in
                    [(64, "\n"), (76, "\n"), (64, "\r\n"), (76, "\r\n"), (60, "\n"), (16, "\n")]
                {
                    let lines: Vec<_> = text.as_bytes().chunks(width).collect();
                    let text = lines.join(line_end.as_bytes());
                    let (mut masker, mut out) = (Masker::new(&patterns), Vec::new());
                    masker.feed(&text, &mut out);
                    masker.finish(&mut out);
                    let left = out.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
                    assert!(out.windows(MASK.len()).any(|window| window == MASK));
                    assert!(left <= around, "{length} after {before}, lines of {width}");
                }
            }
        }
    }

    /// However lines are indented; where one holds little of the value, as little is shown.
    #[test]
    fn base64_is_masked_line_by_line() {
        let value: Vec<_> = (0..=200).map(|n: u8| n.wrapping_mul(0x9d) ^ (n >> 3)).collect();
        for before in 0..60 {
            let text = STANDARD.encode([&b".".repeat(before), value.as_slice()].concat());
            let lines: Vec<_> = text.as_bytes().chunks(60).collect();
            let out = masked(&value, &lines.join(&b"\n  > "[..]));
            let left = out.iter().filter(|byte| byte.is_ascii_alphanumeric()).count();
            assert!(left <= before * 4 / 3 + 2 + 2 * 15, "{left} after {before}");
        }
        // Zeros and blanks that follow each other in a value are not the value.
        let value = [&value[..20], &[0; 30], &value[20..40]].concat();
        let text = STANDARD.encode([0; 90]);
        assert_eq!(masked(&value, text.as_bytes()), text.as_bytes());
    }

    proptest! {
        #[test]
        fn base64_is_masked_whatever_stands_around_it(
            value in prop::collection::vec(any::<u8>(), 8..40),
            before: Vec<u8>,
            after: Vec<u8>,
        ) {
            prop_assume!(is_maskable(&value) && value.trim_ascii().len() > 6);
            let whole = [&before[..], &value, &after].concat();
            for engine in [STANDARD, URL_SAFE] {
                let out = masked(&value, engine.encode(&whole).as_bytes());
                prop_assert!(out.windows(MASK.len()).any(|window| window == MASK));
            }
        }
    }
}
