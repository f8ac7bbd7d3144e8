//! Why a value is left alone that readers of its format read differently, where that is easy to see.

use std::ops::Range;

use memchr::memmem;

use crate::format::{Format, is_special_to_shells};

/// That a value is left alone.
pub(crate) const WHAT: &str =
    "readers of this format read the value differently, or it cannot be decoded here";

/// How far a cause is looked for, as lines may be long and hold many values.
const FAR: usize = 4_096;

/// What readers may make different things of in the value at `span`, or what keeps it from being
/// decoded, for the end of a sentence. `None` where only a parser could tell.
pub(crate) fn cause(format: Format, src: &[u8], span: &Range<usize>) -> Option<&'static str> {
    let raw = &src[span.clone()];
    let far = src.len().min(span.end + FAR);
    let end = memchr::memchr(b'\n', &src[span.end..far]).map_or(far, |line| span.end + line);
    let line = &src[span.start..end];
    let has = |bytes: &[u8]| raw.iter().any(|byte| bytes.contains(byte));
    let has_comment = || [b" #", b" ;"].iter().any(|mark| memmem::find(line, *mark).is_some());
    let start_of = |end: usize| {
        let far = end.saturating_sub(FAR);
        memchr::memrchr(b'\n', &src[far..end]).map_or(far, |line| far + line + 1)
    };
    let start = start_of(span.start);
    let before = &src[start..span.start];
    let above = &src[start_of(start.saturating_sub(1))..start];
    let is_node = matches!(format, Format::Dotenv | Format::DotenvNode);
    let is_special = is_special_to_shells(name_in_front(before));
    let is_anchor = |word: &[u8]| word.starts_with(b"&");
    let last_word = before.trim_ascii_end().rsplit(|&b| b == b' ').next();
    match format {
        Format::Dotenv if before.trim_ascii_start().starts_with(b"export") => Some(
            "systemd and Docker read no line that begins with `export`: leave that out, or name the \
             dialect shell, dotenv-node or dotenv-python",
        ),
        Format::Dotenv if line.ends_with(b"\r") => Some(
            "to some, the carriage return at the end of the line is a part of it: end lines with LF, or \
             name the dialect",
        ),
        // All that follows it is one span.
        Format::Shell if memmem::find(raw, b"<<").is_some() => Some(
            "a here-document (`<<`) stands before it, and nothing behind that is read: write the assignment \
             above it",
        ),
        Format::Shell if is_special => Some(
            "a shell keeps something else than text in a variable of this name: use one of your own",
        ),
        Format::Dotenv if is_special => Some(
            "shells keep something else than text in a variable of this name; for other readers of \
             dotenv, name the dialect",
        ),
        _ if is_node && before.contains(&b'\t') => {
            Some("node takes a tab for a part of the name or the value; write a space or nothing")
        }
        Format::DotenvNode if before.starts_with(b"export  ") => {
            Some("node takes all but one space behind `export` for a part of the name")
        }
        _ if is_node && above.first().is_some_and(|b| matches!(b, b' ' | b'\t')) => Some(
            "node reads a comment that is indented, or a line of blanks, as the beginning of a name: \
             take the blanks away in the lines above",
        ),
        Format::Yaml if last_word == Some(b"!") => Some(
            "behind the tag `!`, some read a number or `null` even in quotes; take the tag away, or \
             write `!!str`",
        ),
        Format::Yaml if last_word.is_some_and(is_anchor) => Some(
            "an alias gives it this name elsewhere; write the value there instead of the alias",
        ),
        Format::GenesysXml | Format::Xml if is_divided(src, span) => Some(
            "readers join the text around comments, instructions and CDATA sections, and a reference \
             without braces has to be all of it",
        ),
        Format::Dotenv | Format::DotenvNode | Format::DotenvPython if raw.starts_with(b"#") => {
            Some("to some, it is a comment; write quotes around it")
        }
        Format::Dotenv | Format::Ini if has_comment() => {
            Some("to some, a comment begins behind the space on its line")
        }
        Format::Dotenv if has(b"$`") => Some("some expand `$` or a backtick in it"),
        // Nothing else is expanded there, and by node's nothing at all.
        Format::DotenvPython if memmem::find(raw, b"${").is_some() => {
            Some("Python's dotenv expands `${` in it")
        }
        Format::Shell if has(b"$`") => Some("a shell expands `$` or the backtick in it"),
        Format::Shell if !name_in_front(before).is_empty() && !has(b"~*?[\\") => Some(
            "it is for one command, or its variable is declared as a number or the like, or computed with, \
             by which a shell alters the value or runs what is in it; use a variable of its own",
        ),
        Format::Dotenv | Format::Ini if has(b"\\") => Some("to some, the backslash is an escape"),
        Format::Ini if has(b"\"'") => Some("to some, the quotes are a part of it"),
        Format::Properties if !raw.is_ascii() => {
            Some("some read what is not ASCII as Latin-1, and some as UTF-8")
        }
        Format::Systemd if has(b"%") => Some("`%` begins a specifier; the letter is `%%`"),
        Format::Toml if has(b"\r") => Some("some turn its line ends, CR LF, into LF"),
        _ => None,
    }
}

/// Whether the text or CDATA section of XML at `span` is a piece of a longer text.
fn is_divided(src: &[u8], span: &Range<usize>) -> bool {
    let (before, raw, behind) = (&src[..span.start], &src[span.clone()], &src[span.end..]);
    let is_section = raw.starts_with(b"<![CDATA[");
    let is_text = is_section || !raw.starts_with(b"<");
    let follows = [&b"-->"[..], b"?>", b"]]>"].iter().any(|end| before.ends_with(end));
    let goes_on = [&b"<!"[..], b"<?"].iter().any(|mark| behind.starts_with(mark));
    let amid_text = !before.ends_with(b">") || !behind.starts_with(b"<");
    is_text && (follows || goes_on || (is_section && amid_text))
}

/// The name of the variable that `text` assigns to at its end.
fn name_in_front(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"=").unwrap_or_default();
    let is_name = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
    &text[text.len() - text.iter().rev().take_while(is_name).count()..]
}
