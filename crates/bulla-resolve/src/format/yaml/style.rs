//! How a text is written in YAML so that every reader takes it for just that string.
//!
//! A scalar keeps its style where that style can carry the text; otherwise it becomes double-quoted,
//! which carries every text.

use std::ops::Range;

use zeroize::Zeroizing;

use super::breaks;
use crate::format::{Content, Output, Part, Refusal};
use crate::reference::SCHEME;
use crate::secret::Draft;

pub(super) fn encode(
    src: &[u8],
    span: Range<usize>,
    content: &Content<'_>,
    out: &mut Output,
) -> Result<(), Refusal> {
    if content.typed {
        content.parts.iter().for_each(|&part| out.copy(part));
        return Ok(());
    }
    let whole = content.joined();
    let text = std::str::from_utf8(whole.bytes())
        .map_err(|_| Refusal("is not UTF-8, as YAML has to be"))?;
    let token = &src[span.clone()];
    check_breaks(src, span)?;
    match token.first() {
        Some(b'\'') if text.chars().all(is_printable) => single_quoted(content.parts, out),
        Some(b'|' | b'>') => {
            let token = std::str::from_utf8(token).unwrap_or_default();
            let header = token.split('\n').next().unwrap_or_default();
            let start = out.bytes.len();
            match block(token, text, &mut out.bytes) {
                Some(()) => out.values.push(start..out.bytes.len()),
                None if header.contains('#') => {
                    return Err(Refusal(
                        "has to be written in quotes, and the comment in the first line of the \
                         block could not stay; move the comment",
                    ));
                }
                None => double_quoted(content.parts, out),
            }
        }
        Some(b'"' | b'\'') => double_quoted(content.parts, out),
        _ if is_plain_string(text) || is_plain_around(content.parts, text) => {
            content.parts.iter().for_each(|&part| out.copy(part));
        }
        _ => double_quoted(content.parts, out),
    }
    Ok(())
}

/// Refuses what readers disagree on before anything is placed in it.
fn check_breaks(src: &[u8], span: Range<usize>) -> Result<(), Refusal> {
    let token = std::str::from_utf8(&src[span.clone()]).unwrap_or_default();
    if breaks(token).next().is_some() {
        return Err(Refusal(
            "stands beside U+0085, U+2028 or U+2029, which ends a line in YAML 1.1; write the text in \
             double quotes and the character as an escape",
        ));
    }
    let is_end = |b: &u8| matches!(b, b'\r' | b'\n');
    let header = token.split(['\r', '\n', '#']).next().unwrap_or_default();
    let strips = !header.starts_with(['|', '>']) || header.contains('-');
    if !strips && !src.last().is_some_and(is_end) && src[span.end..].trim_ascii().is_empty() {
        return Err(Refusal(
            "stands in a block at the end of a file without a last line end, and readers disagree on \
             whether the text has one; add a line end to the file",
        ));
    }
    Ok(())
}

/// Whether every YAML 1.1 and 1.2 reader takes `text`, written plainly, for this string, wherever it
/// stands. A list of what is known to be safe, not of what is not.
fn is_plain_string(text: &str) -> bool {
    // Base64 may begin with a sign, which makes a number only of what would be one without it.
    let unsigned = text.trim_start_matches('+');
    // A colon is safe in front of a slash; it is allowed where adopting a file writes one.
    let begun = [SCHEME, "https://"].iter().find_map(|scheme| unsigned.strip_prefix(scheme));
    let bytes = begun.unwrap_or(unsigned).as_bytes();
    let Some(first) = bytes.first() else { return false };
    let begins = first.is_ascii_alphanumeric() || *first == b'/';
    begins && bytes.iter().all(is_carried) && is_no_other_type(unsigned)
}

/// Whether plain text of the template stays plain with values in it. Around them stands what the
/// template has written plainly already; the values add nothing that ends a scalar or begins a
/// comment.
fn is_plain_around(parts: &[Part<'_>], text: &str) -> bool {
    let fits = |part: &Part<'_>| match part {
        Part::Plain(_) => true,
        Part::Value(value) => {
            !value.is_empty() && value.iter().all(|b| is_carried(b) || *b == b' ')
        }
    };
    let begins = match text.as_bytes() {
        // An option; other things that begin with a dash may be numbers.
        [b'-', b'-', third, ..] => third.is_ascii_alphanumeric(),
        [first, ..] => first.is_ascii_alphanumeric() || matches!(first, b'_' | b'/'),
        [] => false,
    };
    begins
        && parts.iter().all(fits)
        && parts.iter().any(|part| matches!(part, Part::Plain(_)))
        && text.chars().all(is_printable)
        && !text.contains(": ")
        && !text.contains(" #")
        // Some readers take a lone dash for that of a list.
        && !text.contains(" - ")
        && !text.ends_with(" -")
        && !text.ends_with([' ', ':'])
        && is_no_other_type(text)
}

/// Characters that mean nothing in the midst of a plain scalar.
fn is_carried(b: &u8) -> bool {
    b.is_ascii_alphanumeric() || b"._/+~@=-!$%^&*();|<>".contains(b)
}

/// Whether no reader takes a text that begins like one of these for a number, date or word.
fn is_no_other_type(text: &str) -> bool {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        // No number, date or time of any dialect has one of these in it.
        let tells = |b: u8| b"ghijklmnpqrsuvwy/@!$%^&*()".contains(&b.to_ascii_lowercase());
        return text.bytes().any(tells);
    }
    !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Words that some reader takes for a truth value, nothing or a number.
const WORDS: [&str; 12] =
    ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "infinity"];

/// Whether a character may stand in a file as it is, on one line.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}'
        | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..)
}

fn single_quoted(parts: &[Part<'_>], out: &mut Output) {
    out.bytes.push(b"'");
    for &part in parts {
        let _: Result<(), Refusal> = out.part(part, |bytes, out| {
            for (number, piece) in bytes.split(|&b| b == b'\'').enumerate() {
                if number > 0 {
                    out.push(b"''");
                }
                out.push(piece);
            }
            Ok(())
        });
    }
    out.bytes.push(b"'");
}

fn double_quoted(parts: &[Part<'_>], out: &mut Output) {
    out.bytes.push(b"\"");
    for &part in parts {
        let _: Result<(), Refusal> = out.part(part, |bytes, out| {
            let text = std::str::from_utf8(bytes).unwrap_or_default();
            let mut done = 0;
            for (at, c) in text.char_indices() {
                if is_printable(c) && c != '"' && c != '\\' {
                    continue;
                }
                out.push(&bytes[done..at]);
                done = at + c.len_utf8();
                escape(c, out);
            }
            out.push(&bytes[done..]);
            Ok(())
        });
    }
    out.bytes.push(b"\"");
}

fn escape(c: char, out: &mut Draft) {
    match c {
        '"' => out.push(b"\\\""),
        '\\' => out.push(b"\\\\"),
        '\0' => out.push(b"\\0"),
        '\t' => out.push(b"\\t"),
        '\n' => out.push(b"\\n"),
        '\r' => out.push(b"\\r"),
        c if u32::from(c) < 0x100 => {
            out.push(Zeroizing::new(format!("\\x{:02X}", u32::from(c))).as_bytes());
        }
        c => out.push(Zeroizing::new(format!("\\u{:04X}", u32::from(c))).as_bytes()),
    }
}

/// Writes `text` as a literal block with the header and indentation of the block `token`, or gives
/// `None` if such a block would not be read as `text`.
fn block(token: &str, text: &str, out: &mut Draft) -> Option<()> {
    let (header, old) = token.split_once('\n')?;
    let line_end = if header.ends_with('\r') { "\r\n" } else { "\n" };
    let header = header.trim_end();
    let indicators = header[1..].split([' ', '\t']).next().unwrap_or_default();
    // A block that keeps its last line ends would claim those behind it as well.
    let body = if indicators.contains('-') {
        text.strip_suffix('\n').is_none().then_some(text)?
    } else if indicators.contains('+') {
        return None;
    } else {
        text.strip_suffix('\n').filter(|body| !body.ends_with('\n'))?
    };
    let indent = block_indent(old)?;
    let fits = |line: &str| line.is_empty() || !line.trim_matches([' ', '\t']).is_empty();
    let printable = |line: &str| line.chars().all(|c| c == '\t' || is_printable(c));
    if body.is_empty() || !body.split('\n').all(|line| fits(line) && printable(line)) {
        return None;
    }
    // Where the first line does not decide how far the block is indented, only the header can tell.
    let first = body.trim_start_matches('\n');
    if first.starts_with([' ', '\t']) || indicators.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    out.push(b"|");
    out.push(&header.as_bytes()[1..]);
    for line in body.split('\n') {
        out.push(line_end.as_bytes());
        if !line.is_empty() {
            out.push(indent.as_bytes());
            out.push(line.as_bytes());
        }
    }
    Some(())
}

/// The blanks before the least indented line of a block; not none.
fn block_indent(lines: &str) -> Option<&str> {
    lines
        .split('\n')
        .filter(|line| !line.trim().is_empty())
        .map(|line| &line[..line.len() - line.trim_start_matches(' ').len()])
        .min_by_key(|indent| indent.len())
        .filter(|indent| !indent.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_a_string_everywhere_stays_plain() {
        for text in [
            "GOCSPX-abc_DEF",
            "1//0gabc-_x",
            "hunter2",
            "8Q~x.y",
            "p@ss",
            "v1.2.3",
            "a=b",
            "/u3+7Q==",
            "+u3/7Q==",
            "++/7Q==",
            "+/",
            "+8Q~x",
            "/",
            "/1",
        ] {
            assert!(is_plain_string(text), "{text}");
        }
        for text in [
            "",
            "no",
            "Yes",
            "NULL",
            "~",
            "123",
            "1e3",
            "0x1f",
            "0o17",
            "1_000",
            "12:30:45",
            "2001-01-01",
            "2001-12-14t21:59:43z",
            ".5",
            "-a",
            "- a",
            "a: b",
            "a #b",
            "a b",
            "*a",
            "&a",
            "!a",
            "%a",
            "@a",
            "`a",
            "[a",
            "{a",
            "a,b",
            "a]",
            "<<",
            "=",
            "nan",
            "1e400",
            "12e03",
            "'a",
            "\"a",
            "|",
            "a\nb",
            "\u{e9}",
            "0b1",
            "1:2",
            "+",
            "++",
            "+1",
            "++1",
            "+0x1f",
            "+1e3",
            "+.5",
            "+.inf",
            "+inf",
            "+yes",
            "+-a",
        ] {
            assert!(!is_plain_string(text), "{text}");
        }
    }
}
