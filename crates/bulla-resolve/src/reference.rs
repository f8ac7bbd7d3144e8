//! References, `bulla://ENTRY/FIELD[@PIN]`, parsed by hand from the grammar in docs/reference.md.

use std::fmt::{self, Write as _};

/// The text that every reference begins with. It is case-sensitive.
pub const SCHEME: &str = "bulla://";

/// The longest name of an entry, in bytes after decoding.
pub const MAX_ENTRY: usize = 512;

/// The longest name of a field, in bytes after decoding.
pub const MAX_FIELD: usize = 128;

/// A request for the value of one field of one entry.
///
/// Two references that were spelled differently but ask for the same are equal. `Display` gives the
/// canonical spelling, which parses to an equal reference.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reference {
    entry: String,
    field: String,
    pin: Option<Pin>,
}

/// What a reference demands of the value beyond its name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Pin {
    /// A token that stays valid for at least so many seconds; written `@20m`.
    Life(u64),
    /// Just this version of the entry, counted from 1; written `@v3`.
    Version(u64),
}

impl Reference {
    /// A reference to `field` of `entry`, names given as they are, without any encoding.
    ///
    /// # Errors
    /// If a name is empty, too long, holds a control character, or is no path of plain segments.
    pub fn new(entry: &str, field: &str, pin: Option<Pin>) -> Result<Self, InvalidReference> {
        check_name(entry, MAX_ENTRY)?;
        check_name(field, MAX_FIELD)?;
        for segment in entry.split('/') {
            check_segment(segment)?;
        }
        check_segment(field)?;
        if field.contains('/') {
            return Err(InvalidReference::Slash);
        }
        if matches!(pin, Some(Pin::Life(0) | Pin::Version(0))) {
            return Err(InvalidReference::Pin);
        }
        Ok(Self { entry: entry.to_owned(), field: field.to_owned(), pin })
    }

    /// Parses all of `text`.
    ///
    /// # Errors
    /// If any part of `text` does not follow the grammar in docs/reference.md.
    pub fn parse(text: &str) -> Result<Self, InvalidReference> {
        let rest = text.strip_prefix(SCHEME).ok_or(InvalidReference::Scheme)?;
        if let Some(other) = rest.chars().find(|&c| !matches!(c, '/' | '@' | '%') && !is_plain(c)) {
            return Err(InvalidReference::Character(other));
        }
        let (entry, last) = rest.rsplit_once('/').ok_or(InvalidReference::NoField)?;
        let (field, pin) = match last.split_once('@') {
            Some((field, pin)) => (field, Some(parse_pin(pin)?)),
            None => (last, None),
        };
        Self::new(&decoded(entry)?, &decoded(field)?, pin)
    }

    /// The name of the entry, decoded.
    #[must_use]
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// The name of the field, decoded.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is demanded beyond the name.
    #[must_use]
    pub fn pin(&self) -> Option<Pin> {
        self.pin
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        encode(f, &self.entry, "/@")?;
        f.write_char('/')?;
        encode(f, &self.field, "")?;
        match self.pin {
            Some(Pin::Version(version)) => write!(f, "@v{version}"),
            Some(Pin::Life(seconds)) => {
                let (unit, length) = UNITS
                    .into_iter()
                    .find(|&(_, length)| seconds % length == 0)
                    .expect("every number of seconds is a multiple of one second");
                write!(f, "@{}{unit}", seconds / length)
            }
            None => Ok(()),
        }
    }
}

/// Why a text is no reference. The reasons never quote more than one character.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReference {
    /// A character stands there that has to be percent-encoded.
    #[error("{} has to be percent-encoded in a reference", shown(*.0))]
    Character(char),
    /// A name holds a control character, encoded or not.
    #[error("a name in the reference holds a control character")]
    Control,
    /// A segment is `.` or `..`.
    #[error("a part of the reference is `.` or `..`")]
    DotSegment,
    /// A segment or the field is empty.
    #[error("a part of the reference is empty")]
    Empty,
    /// A `%` without two hexadecimal digits, or octets that are not UTF-8.
    #[error("the percent-encoding in the reference is broken")]
    Encoding,
    /// There is an entry, but no field.
    #[error("the reference names no field: it is bulla://ENTRY/FIELD")]
    NoField,
    /// What follows `@` is neither a version nor a least life.
    #[error("after the `@` stands neither a version such as v3 nor a least life such as 20m")]
    Pin,
    /// The text does not begin with the scheme.
    #[error("a reference begins with bulla://")]
    Scheme,
    /// A `/` inside a name; as it separates names, it cannot be part of one.
    #[error("a name in the reference holds an encoded `/`")]
    Slash,
    /// A name is too long.
    #[error("a name in the reference is longer than {0} bytes")]
    TooLong(usize),
}

/// Whether `c` stands for itself in every part of a reference.
pub(crate) fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~' | '+')
}

/// Units of a least life and their seconds, longest first.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// More digits than any version or life needs, fewer than could overflow when multiplied.
const MAX_DIGITS: usize = 9;

fn parse_pin(text: &str) -> Result<Pin, InvalidReference> {
    let number = |digits: &str| {
        let wellformed = (1..=MAX_DIGITS).contains(&digits.len())
            && !digits.starts_with('0')
            && digits.bytes().all(|b| b.is_ascii_digit());
        wellformed.then(|| digits.parse().ok()).flatten().ok_or(InvalidReference::Pin)
    };
    if let Some(digits) = text.strip_prefix('v') {
        return number(digits).map(Pin::Version);
    }
    let (unit, length) =
        UNITS.into_iter().find(|&(unit, _)| text.ends_with(unit)).ok_or(InvalidReference::Pin)?;
    Ok(Pin::Life(length * number(text.strip_suffix(unit).unwrap_or(text))?))
}

fn decoded(text: &str) -> Result<String, InvalidReference> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, tail @ ..] = rest else { return Err(InvalidReference::Encoding) };
        let digit = |b: u8| (b as char).to_digit(16).ok_or(InvalidReference::Encoding);
        let octet = u8::try_from(digit(*high)? << 4 | digit(*low)?)
            .expect("two hexadecimal digits are one octet");
        if octet == b'/' {
            return Err(InvalidReference::Slash);
        }
        bytes.push(octet);
        rest = tail;
    }
    String::from_utf8(bytes).map_err(|_| InvalidReference::Encoding)
}

fn encode(f: &mut fmt::Formatter<'_>, name: &str, also_plain: &str) -> fmt::Result {
    for c in name.chars() {
        if is_plain(c) || also_plain.contains(c) {
            f.write_char(c)?;
            continue;
        }
        for octet in c.encode_utf8(&mut [0; 4]).bytes() {
            write!(f, "%{octet:02X}")?;
        }
    }
    Ok(())
}

fn check_name(name: &str, max: usize) -> Result<(), InvalidReference> {
    if name.len() > max {
        return Err(InvalidReference::TooLong(max));
    }
    if name.chars().any(char::is_control) {
        return Err(InvalidReference::Control);
    }
    Ok(())
}

fn check_segment(segment: &str) -> Result<(), InvalidReference> {
    match segment {
        "" => Err(InvalidReference::Empty),
        "." | ".." => Err(InvalidReference::DotSegment),
        _ => Ok(()),
    }
}

/// A character in a message: itself where it is visible ASCII, else its number.
fn shown(c: char) -> String {
    if c.is_ascii_graphic() { format!("`{c}`") } else { format!("U+{:04X}", u32::from(c)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_name_an_entry_a_field_and_a_pin() {
        for (text, entry, field, pin) in [
            ("bulla://secret-gmail/client-secret", "secret-gmail", "client-secret", None),
            (
                "bulla://mailbox/support@example.com/refresh-token",
                "mailbox/support@example.com",
                "refresh-token",
                None,
            ),
            ("bulla://a/b@v3", "a", "b", Some(Pin::Version(3))),
            ("bulla://m/x@y/token@20m", "m/x@y", "token", Some(Pin::Life(1200))),
            ("bulla://prod%20db/p%C3%A4ss%40word", "prod db", "p\u{e4}ss@word", None),
            ("bulla://a/%62", "a", "b", None),
        ] {
            let reference = Reference::parse(text).unwrap();
            assert_eq!((reference.entry(), reference.field()), (entry, field), "{text}");
            assert_eq!(reference.pin(), pin, "{text}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_refused_with_the_reason() {
        use InvalidReference as I;
        let long = format!("bulla://{}/f", "x".repeat(1_000_000));
        for (text, why) in [
            ("bulla:/a/b", I::Scheme),
            ("Bulla://a/b", I::Scheme),
            ("bulla://", I::NoField),
            ("bulla://a", I::NoField),
            ("bulla:///b", I::Empty),
            ("bulla://a/", I::Empty),
            ("bulla://a//b", I::Empty),
            ("bulla://../x/b", I::DotSegment),
            ("bulla://a/..", I::DotSegment),
            ("bulla://a/%2e%2e", I::DotSegment),
            ("bulla://a%2Fb/c", I::Slash),
            ("bulla://a/b?x=1", I::Character('?')),
            ("bulla://a b/c", I::Character(' ')),
            ("bulla://a/b#c", I::Character('#')),
            ("bulla://caf\u{e9}/c", I::Character('\u{e9}')),
            ("bulla://a/%4", I::Encoding),
            ("bulla://a/%zz", I::Encoding),
            ("bulla://a/%ff", I::Encoding),
            ("bulla://a/%00", I::Control),
            ("bulla://a/%1b", I::Control),
            ("bulla://a/b@", I::Pin),
            ("bulla://a/b@v0", I::Pin),
            ("bulla://a/b@v03", I::Pin),
            ("bulla://a/b@3", I::Pin),
            ("bulla://a/b@v9999999999", I::Pin),
            ("bulla://a/b@20m@v1", I::Pin),
            (long.as_str(), I::TooLong(MAX_ENTRY)),
        ] {
            assert_eq!(Reference::parse(text), Err(why), "{}", &text[..text.len().min(40)]);
        }
    }

    #[test]
    fn spellings_of_one_reference_are_equal() {
        let parse = |text| Reference::parse(text).unwrap();
        assert_eq!(parse("bulla://%61/b@3600s"), parse("bulla://a/b@1h"));
        assert_eq!(parse("bulla://%61/b@3600s").to_string(), "bulla://a/b@1h");
        assert_eq!(parse("bulla://a/x%40v3").to_string(), "bulla://a/x%40v3");
    }

    proptest! {
        #[test]
        fn the_canonical_spelling_parses_to_the_same(
            entry in "[^\\p{Cc}]{1,20}(/[^\\p{Cc}]{1,20}){0,2}",
            field in "[^\\p{Cc}/]{1,20}",
            pin in prop_oneof![
                Just(None),
                (1..999_999_999u64).prop_map(|n| Some(Pin::Version(n))),
                (1..99_999u64).prop_map(|n| Some(Pin::Life(n))),
            ],
        ) {
            if let Ok(reference) = Reference::new(&entry, &field, pin) {
                let text = reference.to_string();
                prop_assert!(text.is_ascii() && !text.contains(['?', '#', '&', ';', ' ', '"']));
                prop_assert_eq!(Reference::parse(&text).unwrap(), reference);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(bulla://)?[ -~\u{e9}]{0,40}") {
            let _ = Reference::parse(&text);
        }
    }
}
