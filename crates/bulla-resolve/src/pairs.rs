//! The names and values of a dotenv file, for whoever takes them into a vault.

use crate::format::{Format, Role, Text};
use crate::secret::Secret;

/// Reads `NAME=value` lines, in their order.
///
/// # Errors
/// The line that does not follow the format, or whose value the readers of such files disagree on.
pub fn dotenv_pairs(src: &[u8]) -> Result<Vec<(String, Secret)>, NotDotenv> {
    let line_of = |at: usize| 1 + memchr::memchr_iter(b'\n', &src[..at]).count();
    let mut pairs = Vec::new();
    let mut name = String::new();
    let mut unclear = None;
    let scanned = Format::Dotenv.syntax().scan(src, &mut |scalar| match scalar.role {
        Role::Key => name = String::from_utf8_lossy(scalar.text.bytes(src)).into_owned(),
        Role::Value if matches!(scalar.text, Text::Opaque) => {
            unclear.get_or_insert(scalar.span.start);
        }
        Role::Value => {
            let value = Secret::copied_from(scalar.text.bytes(src));
            pairs.push((std::mem::take(&mut name), value));
        }
        Role::Encoded | Role::Section | Role::Set => {}
    });
    if let Err(malformed) = scanned {
        return Err(NotDotenv { line: line_of(malformed.at), what: malformed.what });
    }
    if let Some(at) = unclear {
        let what = "the readers of such files disagree on this value";
        return Err(NotDotenv { line: line_of(at), what });
    }
    Ok(pairs)
}

/// A file is not one that every reader of dotenv files reads alike.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct NotDotenv {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, without anything of the file in it.
    pub what: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_come_in_order() {
        let pairs = dotenv_pairs(b"# c\nA=one\nexport B='two words'\nC=\n").unwrap_or_default();
        let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.expose())).collect();
        assert_eq!(pairs, [("A", &b"one"[..]), ("B", b"two words"), ("C", b"")]);
        assert_eq!(dotenv_pairs(b"A=1\nnot a pair\n").map(|_| ()).unwrap_err().line, 2);
    }
}
