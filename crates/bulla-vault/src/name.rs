//! Names of entries and fields.

use std::fmt;

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The name of an entry: one or more segments with `/` between them, such as
/// `mailbox/support@example.com`.
///
/// Names are Unicode in normalisation form C, case-sensitive, 1 to 512 bytes. No segment is empty,
/// `.` or `..`; no name begins with `-` or with white space, or ends with white space; control
/// characters and invisible ones that change what is read (direction marks, zero-width characters,
/// line separators) are refused. Two spellings that normalise to the same text are the same name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct EntryName(String);

/// The name of a field: like one segment of an [`EntryName`], of at most 128 bytes.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct FieldName(String);

impl EntryName {
    /// The longest name in bytes, after normalisation.
    pub const MAX_LEN: usize = 512;

    /// Normalises and checks `name`.
    ///
    /// # Errors
    /// [`InvalidName`] says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let name = normalised(name, Self::MAX_LEN)?;
        for segment in name.split('/') {
            match segment {
                "" => return Err(InvalidName::EmptySegment),
                "." | ".." => return Err(InvalidName::DotSegment),
                _ => {}
            }
        }
        Ok(Self(name))
    }

    /// The name in normalisation form C.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FieldName {
    /// The longest name in bytes, after normalisation.
    pub const MAX_LEN: usize = 128;

    /// Normalises and checks `name`.
    ///
    /// # Errors
    /// [`InvalidName`] says which rule it breaks.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let name = normalised(name, Self::MAX_LEN)?;
        match name.as_str() {
            "." | ".." => Err(InvalidName::DotSegment),
            _ if name.contains('/') => Err(InvalidName::Slash),
            _ => Ok(Self(name)),
        }
    }

    /// The name in normalisation form C.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a name is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// A character that cannot be seen, or that changes how the rest is read.
    #[error("the name holds an invisible or control character (U+{0:04X})")]
    Character(u32),
    /// A segment is `.` or `..`.
    #[error("a part of the name is `.` or `..`")]
    DotSegment,
    /// The name is empty.
    #[error("the name is empty")]
    Empty,
    /// The name begins or ends with `/`, or has two of them in a row.
    #[error("the name begins or ends with `/`, or has two in a row")]
    EmptySegment,
    /// The name begins with `-`, as options do.
    #[error("the name begins with `-`")]
    LeadingDash,
    /// A field's name holds `/`.
    #[error("the name of a field holds `/`")]
    Slash,
    /// The name begins or ends with white space.
    #[error("the name begins or ends with white space")]
    Space,
    /// The name is too long.
    #[error("the name is longer than {0} bytes")]
    TooLong(usize),
}

fn normalised(name: &str, max_len: usize) -> Result<String, InvalidName> {
    // Normalisation form C never shrinks text to less than a third: look before working.
    if name.len() > 4 * max_len {
        return Err(InvalidName::TooLong(max_len));
    }
    // Printable ASCII, as most names are, needs neither to be normalised nor to be looked at further.
    let is_plain = name.bytes().all(|b| matches!(b, b' '..=b'~'));
    let name = if is_plain || is_nfc(name) { name.to_owned() } else { name.nfc().collect() };
    if name.is_empty() {
        return Err(InvalidName::Empty);
    }
    if name.len() > max_len {
        return Err(InvalidName::TooLong(max_len));
    }
    if !is_plain && let Some(found) = name.chars().find(|&c| is_invisible(c)) {
        return Err(InvalidName::Character(found.into()));
    }
    if name.trim() != name {
        return Err(InvalidName::Space);
    }
    if name.starts_with('-') {
        return Err(InvalidName::LeadingDash);
    }
    Ok(name)
}

/// Whether a character cannot be seen, or changes how others are read: control characters, line
/// separators, direction marks and zero-width characters. Names hold none of them, and text that may
/// does not belong on a terminal as it is.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_one() {
        let composed = EntryName::new("caf\u{e9}").unwrap();
        assert_eq!(EntryName::new("cafe\u{301}").unwrap(), composed);
    }

    #[test]
    fn names_that_mislead_are_refused() {
        for (name, why) in [
            ("", InvalidName::Empty),
            ("/a", InvalidName::EmptySegment),
            ("a//b", InvalidName::EmptySegment),
            ("a/", InvalidName::EmptySegment),
            ("../../x", InvalidName::DotSegment),
            ("a/./b", InvalidName::DotSegment),
            ("-rf", InvalidName::LeadingDash),
            ("a\nb", InvalidName::Character(0xa)),
            ("\u{1b}[2J", InvalidName::Character(0x1b)),
            ("a\u{202e}b", InvalidName::Character(0x202e)),
            ("a\0", InvalidName::Character(0)),
            (" a", InvalidName::Space),
            ("a ", InvalidName::Space),
        ] {
            assert_eq!(EntryName::new(name), Err(why), "{name:?}");
        }
        assert_eq!(EntryName::new(&"x".repeat(1_000_000)), Err(InvalidName::TooLong(512)));
        assert_eq!(FieldName::new("a/b"), Err(InvalidName::Slash));
    }

    #[test]
    fn ordinary_names_pass_unchanged() {
        for name in ["secret-gmail", "mailbox/a+b@example.com", "prod/db 1", "\u{5bc6}\u{78bc}"] {
            assert_eq!(EntryName::new(name).unwrap().as_str(), name);
        }
    }
}
