//! Secrets in values of which only the spelling is known: readers of the format disagree on them, or they
//! cannot be decoded.

use super::{inside, signs};
use crate::format::Format;

/// The name of the first secret that some reader sees assigned in `raw`, which others read otherwise: in a
/// line `password: x` or one that is indented, behind a lone carriage return, or in a command of a shell.
/// `has_key` says whether `raw` begins with the value of another name.
pub(super) fn assignment(format: Format, raw: &str, has_key: bool) -> Option<&str> {
    match format {
        Format::Shell => assignments(raw).find(|(name, value)| {
            signs::is_secret(name, value) && signs::is_literal(value) && is_plain(value)
        }),
        Format::Dotenv
        | Format::DotenvDocker
        | Format::DotenvNode
        | Format::DotenvPython
        | Format::Ini
        | Format::IniMysql => raw.split('\r').skip(usize::from(has_key)).find_map(|line| {
            let (name, value) = line.split_once(['=', ':'])?;
            let name = name.trim();
            let name = name.strip_prefix("export ").map_or(name, str::trim_start);
            let is_comment = name.starts_with(['#', ';']);
            let is_one = !is_comment && signs::is_secret_name(name);
            (is_one && is_secret(value, Some(name), false)).then_some((name, value))
        }),
        _ => None,
    }
    .map(|(name, _)| name)
}

/// What stands behind `=` or `+=` at the beginnings of words, as far as a shell takes it for one word, with
/// its name. A quote that holds more than a word is one.
fn assignments(raw: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    raw.match_indices('=').filter_map(move |(at, _)| {
        let before = raw[..at].strip_suffix('+').unwrap_or(&raw[..at]);
        let name = &before[before.trim_end_matches(is_name).len()..];
        let begins = before[..before.len() - name.len()]
            .chars()
            .next_back()
            .is_none_or(|c| c.is_whitespace() || "(;&|{`".contains(c));
        if !begins || name.is_empty() {
            return None;
        }
        let rest = &raw[at + 1..];
        let rest = &rest[..rest.floor_char_boundary(LONGEST)];
        let value = match rest.chars().next()? {
            quote @ ('"' | '\'') => rest[1..].split(quote).next()?,
            _ => rest.split(|c: char| c.is_whitespace() || ";&|)<>`".contains(c)).next()?,
        };
        (!value.is_empty()).then_some((name, value))
    })
}

/// How far a word is read, in bytes.
const LONGEST: usize = 4_096;

/// Whether nothing in a word is replaced by a shell.
fn is_plain(value: &str) -> bool {
    !value.contains(['$', '`', '('])
}

/// Whether a secret stands in a value; `key` is the name that tells, if
/// there is one, and `is_item` says whether it has no name at all.
pub(super) fn is_secret(raw: &str, key: Option<&str>, is_item: bool) -> bool {
    let unquoted = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
    // What may be a comment does not make a secret of a placeholder, or of nothing.
    let before = if raw.starts_with("# ") { "" } else { raw.split(" #").next().unwrap_or(raw) };
    let (text, before) = (unquoted(raw), unquoted(before));
    if [&text, &before].into_iter().any(|text| signs::is_placeholder(text)) {
        return false;
    }
    key.is_some_and(|key| signs::is_secret(key, &before))
        || signs::looks_secret(&text)
        || !inside::pieces(&text, is_item).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some readers see a secret in what others read otherwise, and it was not told.
    #[test]
    fn secrets_of_some_readers_are_found() {
        for (format, raw, has_key, expected) in [
            (Format::Dotenv, "PASSWORD: hunter2", false, Some("PASSWORD")),
            (Format::Dotenv, "1\rPASSWORD=hunter2", true, Some("PASSWORD")),
            (Format::Dotenv, "# 1\rexport PASSWORD=hunter2\r", false, Some("PASSWORD")),
            (Format::Dotenv, "# PASSWORD=hunter2\rA=1", false, None),
            (Format::Dotenv, "PASSWORD=hunter2", true, None),
            (Format::Ini, "[s]\rpassword = hunter2\r", false, Some("password")),
            (Format::Ini, "password: ${X}", false, None),
            (Format::Shell, "PASSWORD+=hunter2", false, Some("PASSWORD")),
            (Format::Shell, "if true; then PASSWORD='hunter 2'; fi", false, Some("PASSWORD")),
            (Format::Shell, "(A=1;DB_TOKEN=\"hunter2\")", false, Some("DB_TOKEN")),
            (Format::Shell, "if x; then PASSWORD=$(pass x) A=\"$PASSWORD\"; fi", false, None),
            (Format::Shell, "x --password=hunter2 PASSWORD=", false, None),
            (Format::Shell, "[ $PASSWORD = hunter2 ] && PASSWORD=\"$1\"", false, None),
        ] {
            assert_eq!(assignment(format, raw, has_key), expected, "{raw:?}");
        }
    }
}
