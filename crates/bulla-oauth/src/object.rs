//! The members of a JSON object, read as far as they can be read.
//!
//! An answer of a token endpoint may hold a refresh token that nobody can give a second time. So one
//! odd member (`"expires_in":NaN`), a byte-order mark or a cut at the end must not hide the others, as
//! it would with a parser that takes a document whole or not at all. Of a name that is there twice the
//! last one counts, as for nearly every other reader (RFC 8259, section 4).

use std::ops::Deref;

use zeroize::Zeroizing;

/// What could be read of an object.
pub(crate) struct Object<'b> {
    members: Vec<(Text<'b>, Value<'b>)>,
    /// Whether it has its end, and nothing behind it.
    pub(crate) is_whole: bool,
}

/// A value, as it stands there.
enum Value<'b> {
    /// In its quotes.
    Text(&'b [u8]),
    /// A list or an object in its brackets, or a single word such as a number.
    Other(&'b [u8]),
}

/// A text without its quotes. It may be a secret, so where escapes make a copy of it necessary, that is
/// wiped.
pub(crate) enum Text<'b> {
    Decoded(Zeroizing<String>),
    Verbatim(&'b str),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Decoded(text) => text,
            Self::Verbatim(text) => text,
        }
    }
}

impl<'b> Object<'b> {
    /// Reads a body; `None` if it is no object.
    pub(crate) fn read(body: &'b [u8]) -> Option<Self> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let mut reader = Reader { rest: body };
        reader.takes(b'{').then_some(())?;
        let mut members = Vec::new();
        let ends = reader.takes(b'}') || reader.members(&mut members).is_some();
        Some(Self { members, is_whole: ends && reader.next().is_none() })
    }

    /// A member that is text.
    pub(crate) fn text(&self, name: &str) -> Option<Text<'b>> {
        match self.value(name)? {
            Value::Text(quoted) => decoded(quoted),
            Value::Other(_) => None,
        }
    }

    /// A member that is a number, or text that holds one.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        let text = match self.value(name)? {
            Value::Text(quoted) => decoded(quoted)?,
            Value::Other(bytes) => Text::Verbatim(std::str::from_utf8(bytes).ok()?),
        };
        text.trim().parse().ok()
    }

    /// A member that is a list of texts.
    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        match self.value(name)? {
            Value::Text(_) => None,
            Value::Other(bytes) => serde_json::from_slice(bytes).ok(),
        }
    }

    fn value(&self, name: &str) -> Option<&Value<'b>> {
        self.members.iter().rev().find(|(key, _)| **key == *name).map(|(_, value)| value)
    }
}

/// What a text says that stands in quotes (RFC 8259, section 7). No parser does this, as those have buffers
/// of their own that nobody wipes.
fn decoded(quoted: &[u8]) -> Option<Text<'_>> {
    let inner = quoted.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut rest = std::str::from_utf8(inner).ok()?;
    if rest.bytes().any(|byte| byte < b' ') {
        return None;
    }
    if !rest.contains('\\') {
        return Some(Text::Verbatim(rest));
    }
    // No escape is shorter than what it stands for, so this is never moved.
    let mut text = Zeroizing::new(String::with_capacity(rest.len()));
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        let mut letters = escape.chars();
        let c = match letters.next()? {
            c @ ('"' | '\\' | '/') => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = unit(letters.as_str())?;
                letters = letters.as_str()[4..].chars();
                // The second half of a surrogate pair.
                let second = match first {
                    0xd800..0xdc00 => {
                        let second = letters.as_str().strip_prefix("\\u")?;
                        letters = second.get(4..)?.chars();
                        Some(unit(second)?)
                    }
                    _ => None,
                };
                char::decode_utf16([first].into_iter().chain(second)).next()?.ok()?
            }
            _ => return None,
        };
        text.push(c);
        rest = letters.as_str();
    }
    text.push_str(rest);
    Some(Text::Decoded(text))
}

/// The number that four hexadecimal digits are.
fn unit(text: &str) -> Option<u16> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

struct Reader<'b> {
    rest: &'b [u8],
}

impl<'b> Reader<'b> {
    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_there = self.next() == Some(byte);
        if is_there {
            self.rest = &self.rest[1..];
        }
        is_there
    }

    /// Reads members up to the closing bracket; `None` where it cannot go on.
    fn members(&mut self, members: &mut Vec<(Text<'b>, Value<'b>)>) -> Option<()> {
        loop {
            let Value::Text(name) = self.value()? else { return None };
            self.takes(b':').then_some(())?;
            let value = self.value()?;
            members.push((decoded(name)?, value));
            if !self.takes(b',') {
                return self.takes(b'}').then_some(());
            }
        }
    }

    fn value(&mut self) -> Option<Value<'b>> {
        match self.next()? {
            b'"' => self.cut(quoted(self.rest)?).map(Value::Text),
            b'{' | b'[' => self.cut(nested(self.rest)?).map(Value::Other),
            _ => {
                let end = |byte: &u8| b",:]}\"".contains(byte) || byte.is_ascii_whitespace();
                let length = self.rest.iter().position(end)?;
                self.cut(length).filter(|word| !word.is_empty()).map(Value::Other)
            }
        }
    }

    fn cut(&mut self, length: usize) -> Option<&'b [u8]> {
        let (value, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(value)
    }
}

/// How long the text is that begins here, with its quotes.
fn quoted(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// How long the list or object is that begins here. What is in it is not looked at.
fn nested(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => at += quoted(&bytes[at..])?,
            byte => {
                at += 1;
                match byte {
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    return Some(at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_odd_hides_nothing_else() {
        let odd = "\u{feff} {\"a\":NaN,\"b\":1e999, \"c\":{\"d\":[\"}\",{}]},\"t\":\"x\\\"\\u00fcy\",\"t2\":\"z\" } ";
        let object = Object::read(odd.as_bytes()).unwrap();
        assert!(object.is_whole);
        assert!(object.number("a").unwrap().is_nan());
        assert_eq!(object.number("b"), Some(f64::INFINITY));
        assert_eq!(object.text("t").as_deref(), Some("x\"üy"));
        assert!(matches!(object.text("t2"), Some(Text::Verbatim("z"))), "a secret is not copied");
        assert!(object.text("d").is_none(), "what is deeper is another's");
        assert_eq!(Object::read(br#"{"s":["a","b"]}"#).unwrap().texts("s").unwrap(), ["a", "b"]);
        let twice = Object::read(br#"{"a":"1","a":"2"}"#).unwrap();
        assert_eq!(twice.text("a").as_deref(), Some("2"));
    }

    /// The copy of a token that was written with escapes was left in memory.
    #[test]
    fn what_is_copied_is_wiped_and_fits_its_buffer() {
        let text = r#""1\/\/0g\u00fc\u20ac\ud83d\ude00\"\\\b\f\n\r\t-""#;
        let Some(Text::Decoded(copy)) = decoded(text.as_bytes()) else { panic!("it has escapes") };
        assert_eq!(**copy, *serde_json::from_str::<String>(text).unwrap());
        assert_eq!(copy.capacity(), text.len() - 2, "it was not moved");
    }

    #[test]
    fn texts_are_decoded_as_by_a_parser() {
        for text in [
            "",
            "a",
            "ü",
            "\\u0041",
            "\\uD83D\\uDE00",
            "\\ud83d",
            "\\ud83dx",
            "\\ud83d\\u0041",
            "\\ude00",
            "\\u004",
            "\\u+041",
            "\\u00ü",
            "\\x41",
            "\\",
            "\\ud83d\\ude0",
            "a\nb",
            "\u{7f}",
            "\\u0000",
            "\\ud83d\\u",
        ] {
            let quoted = format!("\"{text}\"");
            let by_parser = serde_json::from_str::<String>(&quoted).ok();
            assert_eq!(decoded(quoted.as_bytes()).as_deref(), by_parser.as_deref(), "{text}");
        }
        assert!(decoded(b"\"\xff\"").is_none());
        assert!(decoded(b"\"\\\"").is_none(), "the quote is escaped");
    }

    #[test]
    fn what_stands_before_a_cut_is_read() {
        let whole = br#"{"a":"x","b":[{}],"c":true}"#;
        assert!(Object::read(whole).unwrap().is_whole);
        for cut in 1..whole.len() {
            let object = Object::read(&whole[..cut]).unwrap();
            assert!(!object.is_whole, "cut at {cut}");
            assert_eq!(object.text("a").is_some(), cut >= 8, "cut at {cut}");
        }
        assert!(!Object::read(b"{} x").unwrap().is_whole);
        assert!(Object::read(b"{}").unwrap().is_whole);
        for none in [&b""[..], b"<html>", b"[]", b"\"a\"", b"null"] {
            assert!(Object::read(none).is_none());
        }
    }
}
