//! How bytes and texts are written in a vector.

use std::fmt::Write as _;

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

/// Reads lower-case hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |d: u8| match d {
        b'0'..=b'9' => Some(d - b'0'),
        b'a'..=b'f' => Some(d - b'a' + 10),
        _ => None,
    };
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// Letters, digits and `-._~+@/` as they are, any other byte as `%XX`.
pub(super) fn escape(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, &byte| {
        if is_plain(byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("a String takes everything");
        }
        text
    })
}

/// Reads what [`escape`] wrote.
pub(super) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                u8::try_from(digit(rest.next()?)? * 16 + digit(rest.next()?)?).ok()?
            }
            _ if is_plain(byte) => byte,
            _ => return None,
        });
    }
    (escape(&bytes) == text).then_some(bytes)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+@/".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&all)).unwrap(), all);
        assert_eq!(unescape(&escape(&all)).unwrap(), all);
        assert_eq!(escape(b"a b/%\n"), "a%20b/%25%0A");
    }

    #[test]
    fn there_is_one_spelling() {
        for text in ["0", "0g", "AB", " 00", "0x"] {
            assert_eq!(unhex(text), None, "{text}");
        }
        for text in ["%", "%2", "%61", "%0a", "a b", "%+1", "\u{e9}"] {
            assert_eq!(unescape(text), None, "{text}");
        }
    }
}
