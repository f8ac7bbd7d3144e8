//! Secrets in values of which only the spelling is known: readers of the format disagree on them, or they
//! cannot be decoded.

use std::ops::Range;

use super::{inside, signs};
use crate::check::lines;
use crate::format::Format;

/// The secrets that some reader sees assigned in `raw`, which others read otherwise, with their names, in
/// order: in a line `password: x` or one that is indented, behind a lone carriage return, or in a command or
/// here-document of a shell. `has_key` says whether `raw` begins with the value of another name.
pub(super) fn assignments(format: Format, raw: &str, has_key: bool) -> Vec<(&str, Range<usize>)> {
    match format {
        Format::Shell => in_shell(raw),
        Format::Dotenv
        | Format::DotenvDocker
        | Format::DotenvNode
        | Format::DotenvPython
        | Format::Ini
        | Format::IniMysql => in_lines(raw, has_key),
        _ => Vec::new(),
    }
}

fn in_lines(raw: &str, has_key: bool) -> Vec<(&str, Range<usize>)> {
    let mut at = 0;
    let mut found = Vec::new();
    for (number, line) in raw.split('\r').enumerate() {
        let end = at + line.len();
        at = end + 1;
        let Some((name, value)) = line.split_once(['=', ':']).filter(|_| number > 0 || !has_key)
        else {
            continue;
        };
        let from = end - value.trim_start().len();
        let name = name.trim();
        let name = name.strip_prefix("export ").map_or(name, str::trim_start);
        let is_comment = name.starts_with(['#', ';']);
        if !is_comment && signs::is_secret_name(name) && is_secret(value, Some(name), false) {
            found.push((name, from..end));
        }
    }
    found
}

/// What stands behind `=` or `+=` at the beginnings of words, as far as a shell takes it for one word, and
/// what the lines of a text show. A quote that holds more than a word is one.
fn in_shell(raw: &str) -> Vec<(&str, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in raw.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if line.trim_start().starts_with('#') {
            continue;
        }
        for (sign, _) in line.match_indices('=') {
            let here = word(raw, start, start + sign);
            let is_one = |&(name, ref range): &(&str, Range<usize>)| {
                let value = &raw[range.clone()];
                signs::is_secret(name, value) && signs::is_literal(value) && is_plain(value)
            };
            found.extend(here.filter(is_one));
        }
    }
    // In a text for another program, names and values stand in other ways, too.
    if raw.contains("<<") {
        found.extend(lines::find(raw));
        found.sort_by_key(|(_, range)| range.start);
        let mut done = 0;
        found.retain(|(_, range)| {
            let is_free = done <= range.start;
            done = done.max(range.end);
            is_free
        });
    }
    found
}

/// The name before the `=` at `sign` in the line from `start` on, and where the word behind it stands.
fn word(raw: &str, start: usize, sign: usize) -> Option<(&str, Range<usize>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let before = &raw[start..sign];
    let before = before.strip_suffix('+').unwrap_or(before);
    let name = &before[before.trim_end_matches(is_name).len()..];
    let begins = before[..before.len() - name.len()]
        .chars()
        .next_back()
        .is_none_or(|c| c.is_whitespace() || "(;&|{`".contains(c));
    if !begins || name.is_empty() {
        return None;
    }
    let rest = &raw[sign + 1..];
    let rest = &rest[..rest.floor_char_boundary(LONGEST)];
    let (from, value) = match rest.chars().next()? {
        quote @ ('"' | '\'') => (1, rest[1..].split(quote).next()?),
        _ => (0, rest.split(|c: char| c.is_whitespace() || ";&|)<>`".contains(c)).next()?),
    };
    let from = sign + 1 + from;
    (!value.is_empty()).then_some((name, from..from + value.len()))
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
            let found = assignments(format, raw, has_key);
            let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, Vec::from_iter(expected), "{raw:?}");
            assert!(found.iter().all(|(_, at)| raw[at.clone()].contains("hunter")), "{raw:?}");
        }
    }

    /// Behind a here-document only the first was told, or all of the rest without a name.
    #[test]
    fn all_secrets_of_a_text_are_found() {
        for (raw, expected) in [
            (
                "cat > f <<EOF\nlisten 80\nEOF\n# A_TOKEN=1\nexport DB_PASSWORD=\"hunter 2\"\nAPI_KEY='zzz'\n",
                "DB_PASSWORD hunter 2, API_KEY zzz",
            ),
            (
                "cat <<EOF\npassword = hunter2222\ndb_token: abcd1234efgh\nEOF\n",
                "password hunter2222, db_token abcd1234efgh",
            ),
            ("if x; then A_TOKEN=1 B_TOKEN=\"2\"; fi", "A_TOKEN 1, B_TOKEN 2"),
        ] {
            let found = assignments(Format::Shell, raw, false).into_iter();
            let found: Vec<_> = found.map(|(name, at)| format!("{name} {}", &raw[at])).collect();
            assert_eq!(found.join(", "), expected, "{raw:?}");
        }
    }
}
