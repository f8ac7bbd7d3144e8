//! The forms in which a text turns up when a program leaks it by accident.

use std::fmt::Write as _;

use base64::engine::general_purpose::{STANDARD, URL_SAFE};

/// Every form of `text`, each with its name, without duplicates.
pub(super) fn of(text: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = text.as_bytes();
    let mut forms = vec![("text".to_owned(), bytes.to_vec())];
    let mut add = |name: String, form: Vec<u8>| {
        if forms.iter().all(|(_, known)| *known != form) {
            forms.push((name, form));
        }
    };
    // A message that quotes the beginning or the end of an input leaks as well.
    if bytes.len() >= 32 {
        let (first, last) = bytes.split_at(bytes.len() / 2);
        add("its first half".to_owned(), first.to_vec());
        add("its second half".to_owned(), last.to_vec());
    }
    for offset in 0..3 {
        for (alphabet, engine) in [("base64", &STANDARD), ("base64url", &URL_SAFE)] {
            add(format!("{alphabet} at offset {offset}"), base64_within(bytes, offset, engine));
        }
    }
    add("hexadecimal".to_owned(), each(bytes, "", |b| format!("{b:02x}")));
    add("capital hexadecimal".to_owned(), each(bytes, "", |b| format!("{b:02X}")));
    add("hexadecimal with blanks".to_owned(), each(bytes, " ", |b| format!("{b:02x}")));
    add("a list of numbers".to_owned(), each(bytes, ", ", |b| b.to_string()));
    add("a dense list of numbers".to_owned(), each(bytes, ",", |b| b.to_string()));
    add("a URL's escapes".to_owned(), each(bytes, "", |b| format!("%{b:02X}")));
    add("a URL's part".to_owned(), percent_encoded(bytes));
    add("a JSON text".to_owned(), json_escaped(text));
    add("a shell word".to_owned(), text.replace('\'', r"'\''").into_bytes());
    add("UTF-16LE".to_owned(), text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    add("UTF-16BE".to_owned(), text.encode_utf16().flat_map(u16::to_be_bytes).collect());
    forms
}

/// The characters of base64 that depend on `bytes` alone when `offset` bytes, modulo 3, stand
/// before them, and anything after.
fn base64_within(bytes: &[u8], offset: usize, engine: &impl base64::Engine) -> Vec<u8> {
    let mut shifted = vec![0; offset];
    shifted.extend_from_slice(bytes);
    let text = engine.encode(&shifted);
    let first = (offset * 8).div_ceil(6);
    let end = shifted.len() * 8 / 6;
    text.as_bytes()[first..end].to_vec()
}

fn each(bytes: &[u8], between: &str, form: impl Fn(&u8) -> String) -> Vec<u8> {
    bytes.iter().map(form).collect::<Vec<_>>().join(between).into_bytes()
}

fn percent_encoded(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(*byte);
        } else {
            out.extend(format!("%{byte:02X}").bytes());
        }
    }
    out
}

fn json_escaped(text: &str) -> Vec<u8> {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                write!(out, "\\u{:04x}", u32::from(c)).expect("a String takes everything");
            }
            c => out.push(c),
        }
    }
    out.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use proptest::prelude::*;

    const TEXT: &str = "CANARY/0123 \"\u{1}\u{e4}' 456789abcdef<>";

    fn found(haystack: &[u8]) -> bool {
        of(TEXT).iter().any(|(_, form)| haystack.windows(form.len()).any(|window| window == form))
    }

    proptest! {
        #[test]
        fn base64_is_seen_whatever_stands_around_it(before: Vec<u8>, after: Vec<u8>) {
            let whole = [&before, TEXT.as_bytes(), &after].concat();
            prop_assert!(found(STANDARD.encode(&whole).as_bytes()));
            prop_assert!(found(URL_SAFE.encode(&whole).as_bytes()));
        }
    }

    #[test]
    fn common_writings_are_seen() {
        assert!(found(format!("x={TEXT}!").as_bytes()));
        assert!(found(format!("{:?}", TEXT.as_bytes()).as_bytes()));
        assert!(found(b"message: CANARY/0123 \\\"\\u0001\xc3\xa4' 456789abcdef<>"));
        assert!(found(b"?q=CANARY%2F0123%20%22%01%C3%A4%27%20456789abcdef%3C%3E"));
        assert!(!found(b"CANARY"));
    }

    #[test]
    fn an_excerpt_is_seen() {
        let excerpt =
            format!("cannot parse `{}...`", &"CANARY-0123456789abcdef0123456789abcdef"[..24]);
        let forms = of("CANARY-0123456789abcdef0123456789abcdef");
        let seen = forms
            .iter()
            .any(|(_, form)| excerpt.as_bytes().windows(form.len()).any(|window| window == form));
        assert!(seen);
    }
}
