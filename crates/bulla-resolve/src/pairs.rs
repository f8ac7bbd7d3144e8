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
    let mut name = String::new();
    let mut unclear = None;
    let scanned = format.syntax().scan(src, &mut |scalar| match scalar.role {
        Role::Key => name = String::from_utf8_lossy(scalar.text.bytes(src)).into_owned(),
        Role::Value if matches!(scalar.text, Text::Opaque) => {
            let name = std::mem::take(&mut name);
            unclear.get_or_insert((scalar.span.start, name));
        }
        Role::Value => {
            let value = Secret::copied_from(scalar.text.bytes(src));
            pairs.push((std::mem::take(&mut name), value));
        }
        _ => {}
    });
    let problem = match (scanned, unclear) {
        (Err(malformed), _) => malformed.into(),
        (Ok(()), Some((at, name))) => {
            let what = if name.is_empty() {
                "the readers of such files disagree on this line".to_owned()
            } else {
                format!("the readers of such files disagree on the value of {}", escaped(&name))
            };
            Pending::new(at, Rule::Malformed, what)
        }
        (Ok(()), None) => return Ok(pairs),
    };
    Err(locate(file, src, vec![problem]).remove(0))
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
