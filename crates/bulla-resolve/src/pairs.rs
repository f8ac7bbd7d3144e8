//! The names and values of a dotenv file, for whoever takes them into a vault or an environment.

use crate::format::{Format, Role, Text};
use crate::problem::{Pending, Problem, Rule, escaped, locate};
use crate::secret::Secret;

/// Reads `NAME=value` lines, in their order, as `format` has them, which is [`Format::Dotenv`] or a dialect
/// of it. `file` is what messages call the file.
///
/// # Errors
/// Where the file does not follow the format, or readers disagree on a value.
pub fn dotenv_pairs(
    file: &str,
    src: &[u8],
    format: Format,
) -> Result<Vec<(String, Secret)>, Problem> {
    let mut pairs = Vec::new();
    let pair = &mut |name: &str, _, value: &[u8]| {
        pairs.push((name.to_owned(), Secret::copied_from(value)));
    };
    match each_pair(src, format, pair) {
        Ok(()) => Ok(pairs),
        Err(problem) => Err(locate(file, src, vec![problem]).remove(0)),
    }
}

/// Shows `pair` each name, the number of the scalar that is its value, and the value.
pub(crate) fn each_pair(
    src: &[u8],
    format: Format,
    pair: &mut dyn FnMut(&str, usize, &[u8]),
) -> Result<(), Pending> {
    let mut name = String::new();
    let mut unclear = None;
    let mut number = 0;
    let scanned = format.syntax().scan(src, &mut |scalar| {
        match scalar.role {
            Role::Key => name = String::from_utf8_lossy(scalar.text.bytes(src)).into_owned(),
            Role::Value if matches!(scalar.text, Text::Opaque) => {
                let name = std::mem::take(&mut name);
                unclear.get_or_insert((scalar.span.start, name));
            }
            Role::Value => pair(&std::mem::take(&mut name), number, scalar.text.bytes(src)),
            _ => {}
        }
        number += 1;
    });
    let (at, name) = match (scanned, unclear) {
        (Err(malformed), _) => return Err(malformed.into()),
        (Ok(()), Some(unclear)) => unclear,
        (Ok(()), None) => return Ok(()),
    };
    let what = if name.is_empty() {
        "the readers of such files disagree on this line".to_owned()
    } else {
        format!("the readers of such files disagree on the value of {}", escaped(&name))
    };
    Err(Pending::new(at, Rule::Malformed, what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_come_in_order() {
        let pairs = |src: &[u8]| dotenv_pairs("f", src, Format::Dotenv);
        let found = pairs(b"# c\nA=one\nB='two words'\nC=\n").ok().unwrap_or_default();
        let found: Vec<_> = found.iter().map(|(n, v)| (n.as_str(), v.expose())).collect();
        assert_eq!(found, [("A", &b"one"[..]), ("B", b"two words"), ("C", b"")]);
        assert_eq!(pairs(b"A=1\nnot a pair\n").map(|_| ()).unwrap_err().line, 2);
        let python =
            dotenv_pairs("f", b"A='it\\'s'\n", Format::DotenvPython).ok().unwrap_or_default();
        assert_eq!(python.first().map(|(_, value)| value.expose()), Some(&b"it's"[..]));
    }
}
