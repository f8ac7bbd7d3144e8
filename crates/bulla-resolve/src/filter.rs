//! Filters: inner encodings that a template asks for, `{{ REF | base64 }}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::secret::{Draft, Secret};

/// An inner encoding of a value. The quoting of the file's own format is not among them: that one
/// is automatic.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// RFC 4648 section 4, padded, in one line.
    Base64,
    /// `true` or `false`, written without quotes where the format knows such values.
    Bool,
    /// A whole number of 64 bits in its shortest decimal form, written without quotes where the
    /// format knows numbers.
    Int,
    /// A JSON string (RFC 8259 section 7), its quotes included.
    Json,
    /// What is missing gives the empty string.
    Optional,
    /// A PEM text (RFC 7468) with each line end written as the two characters `\n`.
    PemOneline,
    /// All but the unreserved characters of RFC 3986 section 2.3 percent-encoded.
    Url,
}

impl Filter {
    /// The filter of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|filter| filter.name() == name)
    }

    /// Its name in a template.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Base64 => "base64",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Json => "json",
            Self::Optional => "optional",
            Self::PemOneline => "pem-oneline",
            Self::Url => "url",
        }
    }

    /// Whether the value is written as a number or truth value and not as text.
    #[must_use]
    pub fn is_typed(self) -> bool {
        matches!(self, Self::Bool | Self::Int)
    }

    /// All filters, by name.
    pub const ALL: [Self; 7] = [
        Self::Base64,
        Self::Bool,
        Self::Int,
        Self::Json,
        Self::Optional,
        Self::PemOneline,
        Self::Url,
    ];

    /// Encodes `value`, or says what it would have to be.
    pub(crate) fn apply(self, value: &[u8]) -> Result<Draft, &'static str> {
        match self {
            Self::Base64 => Ok(base64(value)),
            Self::Bool => match value {
                b"true" | b"false" => Ok(copied(value)),
                _ => Err("is neither `true` nor `false`"),
            },
            Self::Int => match std::str::from_utf8(value).map(str::parse::<i64>) {
                Ok(Ok(number)) if number.to_string().as_bytes() == value => Ok(copied(value)),
                _ => Err("is no whole number of 64 bits in its shortest form"),
            },
            Self::Json => json(value),
            Self::Optional => Ok(copied(value)),
            Self::PemOneline => pem_oneline(value),
            Self::Url => Ok(url(value)),
        }
    }

    /// The value that is encoded as just these bytes, where the filter tells such a one.
    pub(crate) fn undo(self, encoded: &[u8]) -> Option<Secret> {
        let value = match self {
            Self::Base64 => Secret::new(STANDARD.decode(encoded).ok()?),
            Self::Json => Secret::new(serde_json::from_slice::<String>(encoded).ok()?.into_bytes()),
            Self::Url => url_decoded(encoded)?,
            _ => return None,
        };
        let again = self.apply(value.expose()).ok()?;
        (again.bytes() == encoded).then_some(value)
    }
}

fn copied(value: &[u8]) -> Draft {
    let mut draft = Draft::with_capacity(value.len());
    draft.push(value);
    draft
}

/// Encodes `value` as RFC 4648 section 4 says, in one line.
pub(crate) fn base64(value: &[u8]) -> Draft {
    let mut draft = Draft::with_capacity(value.len().div_ceil(3) * 4);
    let mut encoded = zeroize::Zeroizing::new([0; 4]);
    for chunk in value.chunks(3) {
        let length = STANDARD
            .encode_slice(chunk, &mut *encoded)
            .expect("three bytes become four characters");
        draft.push(&encoded[..length]);
    }
    draft
}

fn json(value: &[u8]) -> Result<Draft, &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "is not UTF-8, which JSON needs")?;
    let mut draft = Draft::with_capacity(value.len() + 2);
    draft.push(b"\"");
    json_escape(text, &mut draft);
    draft.push(b"\"");
    Ok(draft)
}

/// Writes `text` as the inside of a JSON string. Only what has to be is escaped.
pub(crate) fn json_escape(text: &str, out: &mut Draft) {
    let bytes = text.as_bytes();
    let mut done = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push(&bytes[done..at]);
        done = at + 1;
        match byte {
            b'"' => out.push(b"\\\""),
            b'\\' => out.push(b"\\\\"),
            0x08 => out.push(b"\\b"),
            0x0c => out.push(b"\\f"),
            b'\n' => out.push(b"\\n"),
            b'\r' => out.push(b"\\r"),
            b'\t' => out.push(b"\\t"),
            control => out.push(&[
                b'\\',
                b'u',
                b'0',
                b'0',
                HEX[usize::from(control >> 4)],
                HEX[usize::from(control & 15)],
            ]),
        }
    }
    out.push(&bytes[done..]);
}

const NO_PEM: &str = "is no PEM text, or has a carriage return in a line";

fn pem_oneline(value: &[u8]) -> Result<Draft, &'static str> {
    let plain = value.iter().all(|b| matches!(b, b'\n' | b'\r' | b' '..=b'~'));
    if !value.starts_with(b"-----BEGIN ") || !plain || value.contains(&b'\\') {
        return Err(NO_PEM);
    }
    let mut draft = Draft::with_capacity(value.len() + value.len() / 32 + 16);
    for line in value.split_inclusive(|&b| b == b'\n') {
        let (line, ended) = match line.strip_suffix(b"\n") {
            Some(line) => (line.strip_suffix(b"\r").unwrap_or(line), true),
            None => (line, false),
        };
        if line.contains(&b'\r') {
            return Err(NO_PEM);
        }
        draft.push(line);
        if ended {
            draft.push(b"\\n");
        }
    }
    Ok(draft)
}

fn url(value: &[u8]) -> Draft {
    let mut draft = Draft::with_capacity(3 * value.len());
    for &byte in value {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            draft.push(&[byte]);
        } else {
            draft.push(&[
                b'%',
                UPPER_HEX[usize::from(byte >> 4)],
                UPPER_HEX[usize::from(byte & 15)],
            ]);
        }
    }
    draft
}

fn url_decoded(encoded: &[u8]) -> Option<Secret> {
    let mut draft = Draft::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            draft.push(&[*first]);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        let digit = |b: u8| (b as char).to_digit(16);
        let byte = digit(digits[0])? << 4 | digit(digits[1])?;
        draft.push(&[u8::try_from(byte).ok()?]);
        rest = tail;
    }
    Some(draft.finish())
}

const HEX: &[u8; 16] = b"0123456789abcdef";
const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apply(filter: Filter, value: &[u8]) -> Result<String, &'static str> {
        filter.apply(value).map(|draft| String::from_utf8(draft.bytes().to_vec()).unwrap())
    }

    #[test]
    fn filters_encode() {
        assert_eq!(apply(Filter::Base64, b"\xff\xfe~").unwrap(), "//5+");
        assert_eq!(apply(Filter::Base64, b"ab").unwrap(), "YWI=");
        assert_eq!(apply(Filter::Url, "a/b c+\u{e9}".as_bytes()).unwrap(), "a%2Fb%20c%2B%C3%A9");
        assert_eq!(apply(Filter::Json, b"a\"\\\n\x01</").unwrap(), "\"a\\\"\\\\\\n\\u0001</\"");
        assert_eq!(
            apply(Filter::PemOneline, b"-----BEGIN X-----\r\nAA\n-----END X-----\n").unwrap(),
            "-----BEGIN X-----\\nAA\\n-----END X-----\\n"
        );
        assert_eq!(apply(Filter::Int, b"-12").unwrap(), "-12");
        assert_eq!(apply(Filter::Bool, b"true").unwrap(), "true");
    }

    #[test]
    fn filters_check_what_they_are_given() {
        for value in [b"".as_slice(), b"007", b"+1", b"1e3", b" 1", b"9223372036854775808", b"-0"] {
            assert!(apply(Filter::Int, value).is_err());
        }
        for value in [b"yes".as_slice(), b"True", b"1", b""] {
            assert!(apply(Filter::Bool, value).is_err());
        }
        assert!(apply(Filter::Json, b"\xff").is_err());
        assert!(apply(Filter::PemOneline, b"secret").is_err());
    }

    #[test]
    fn only_what_comes_back_is_undone() {
        let undo =
            |filter: Filter, text: &str| filter.undo(text.as_bytes()).map(|v| v.expose().to_vec());
        assert_eq!(undo(Filter::Url, "p%40s%2Fs-1").unwrap(), b"p@s/s-1");
        assert_eq!(undo(Filter::Base64, "dTpw").unwrap(), b"u:p");
        for text in ["a%2fb", "a+b", "a%4", "%", "a%zz", "%41", "a b"] {
            assert!(undo(Filter::Url, text).is_none(), "{text}");
        }
        for text in ["dTp", "YWI", "YWJ=", "a b=", "-_-_"] {
            assert!(undo(Filter::Base64, text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_undone(value: Vec<u8>) {
            for filter in [Filter::Base64, Filter::Url] {
                let encoded = filter.apply(&value).unwrap();
                let undone = filter.undo(encoded.bytes()).unwrap();
                prop_assert_eq!(undone.expose(), &value);
            }
        }

        #[test]
        fn base64_is_the_standard_one(value: Vec<u8>) {
            let encoded = apply(Filter::Base64, &value).unwrap();
            prop_assert_eq!(STANDARD.decode(encoded).unwrap(), value);
        }
    }
}
