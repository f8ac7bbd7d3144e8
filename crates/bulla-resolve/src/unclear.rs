//! Why a value is left alone that readers of its format read differently, where that is easy to see.

use std::ops::Range;

use memchr::memmem;

use crate::format::Format;

/// That a value is left alone.
pub(crate) const WHAT: &str =
    "readers of this format read the value differently, or it cannot be decoded here";

/// What readers may make different things of in the value at `span`, or what keeps it from being
/// decoded, for the end of a sentence. `None` where only a parser could tell.
pub(crate) fn cause(format: Format, src: &[u8], span: &Range<usize>) -> Option<&'static str> {
    let raw = &src[span.clone()];
    let end = memchr::memchr(b'\n', &src[span.end..]).map_or(src.len(), |line| span.end + line);
    let line = &src[span.start..end];
    let has = |bytes: &[u8]| raw.iter().any(|byte| bytes.contains(byte));
    let has_comment = || [b" #", b" ;"].iter().any(|mark| memmem::find(line, *mark).is_some());
    match format {
        Format::Dotenv | Format::Ini if has_comment() => {
            Some("to some, a comment begins behind the space on its line")
        }
        Format::Dotenv if has(b"$`") => Some("some expand `$` or a backtick in it"),
        // Nothing else is expanded there, and by node's nothing at all.
        Format::DotenvPython if memmem::find(raw, b"${").is_some() => {
            Some("Python's dotenv expands `${` in it")
        }
        Format::Shell if has(b"$`") => Some("a shell expands `$` or the backtick in it"),
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
