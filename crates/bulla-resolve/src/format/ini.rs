//! INI files as Python's configparser, git, systemd, MySQL, MariaDB, npm's ini and PHP read them alike.
//!
//! They agree on `[section]`, `key = value` and lines that begin with `#` or `;`. They disagree on
//! quotes, escapes, expansions, comments behind values, lines that are indented and `key: value`;
//! what needs one of these is left to a dialect.

use std::ops::Range;

use memchr::memchr2;

use super::ini_mysql::MAX_LINE;
use super::lines::{around, has_lone_return, is_blank, lines, opaque, trimmed, verbatim};
use super::systemd;
use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, Text};
use crate::expression;

pub(super) struct Ini;

impl Syntax for Ini {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let mut depth = 0;
        // How far the last option is indented, and its value: Python continues it with what is
        // indented further.
        let mut option: Option<(usize, Option<Scalar>)> = None;
        // Whether the last line ends with a backslash, by which git and systemd join the next one.
        let mut joins = false;
        // Whether that line, or one in front of comments, is more than a comment.
        let mut runs_on = false;
        for line in lines(src) {
            let content = trimmed(src, line.clone());
            let text = &src[content.clone()];
            let ends_joined = src[line.clone()].ends_with(b"\\");
            if matches!(text.first(), None | Some(b'#' | b';')) {
                // systemd passes over a comment between lines that it joins.
                joins = ends_joined || (joins && !text.is_empty());
                // git, in a value with a quote, sees no comment.
                runs_on = runs_on && !text.is_empty();
                if runs_on && (expression::has_hits(text) || expression::is_in_pieces(text)) {
                    found(opaque(content.clone(), depth));
                }
                // Most readers see an option behind a lone carriage return, or more of the last one.
                if has_lone_return(text) {
                    if let Some((_, Some(value))) = option.replace((0, None)) {
                        found(Scalar { text: Text::Opaque, ..value });
                    }
                    found(opaque(content, depth));
                }
                continue;
            }
            let joined = std::mem::replace(&mut joins, ends_joined);
            runs_on = ends_joined;
            let indent = content.start - line.start;
            if let Some((around, value)) = &mut option {
                let continues = indent > *around;
                if let Some(value) = value.take() {
                    found(if continues { Scalar { text: Text::Opaque, ..value } } else { value });
                }
                if continues {
                    found(opaque(content, depth));
                    continue;
                }
            }
            if joined {
                found(opaque(content, depth));
                option = Some((indent, None));
                continue;
            }
            option = None;
            if text.starts_with(b"[") {
                let Some(name) = text.strip_suffix(b"]") else {
                    found(opaque(content, depth));
                    continue;
                };
                depth = 1;
                let name = trimmed(src, content.start + 1..content.start + name.len());
                found(verbatim(name, Role::Section, 0));
                continue;
            }
            let Some(at) = memchr2(b'=', b':', text).map(|at| content.start + at) else {
                found(verbatim(content, Role::Key, depth));
                option = Some((indent, None));
                continue;
            };
            if src[at] == b':' {
                found(opaque(content, depth));
                option = Some((indent, None));
                continue;
            }
            found(verbatim(trimmed(src, content.start..at), Role::Key, depth));
            let value = trimmed(src, at + 1..line.end);
            let alike = check(&src[value.clone()]).is_ok() && line.len() <= MAX_LINE;
            let value =
                if alike { verbatim(value, Role::Value, depth) } else { opaque(value, depth) };
            option = Some((indent, Some(value)));
        }
        if let Some((_, Some(value))) = option {
            found(value);
        }
        Ok(())
    }

    fn encode(
        &self,
        src: &[u8],
        span: Range<usize>,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        let whole = content.joined();
        check(whole.bytes())?;
        if !content.typed && matches!(whole.bytes(), b"null" | b"true" | b"false") {
            return Err(Refusal(
                "is a word that npm's ini makes no text of; ini-python, ini-git and ini-mysql carry it, and \
                 the filter `bool` says that a truth value is meant",
            ));
        }
        if around(src, &span).len() - span.len() + whole.len() > MAX_LINE {
            return Err(Refusal(
                "makes a line that is too long for MySQL; ini-python, ini-git and systemd carry \
                 longer ones",
            ));
        }
        content.parts.iter().for_each(|&part| out.copy(part));
        Ok(())
    }

    fn may_hide(&self, src: &[u8]) -> bool {
        // git and systemd put the pieces of a word together.
        expression::is_in_pieces(src)
    }
}

/// What some reader of this format takes for something else; which of it a value holds is not told.
const DISPUTED: Refusal = Refusal(
    "holds a quote, `\\`, `#`, `;`, `$`, `%`, a line end or other control character, U+2028, U+2029, U+FEFF \
     or what is no text in UTF-8, or has white space at an end, and readers of this format disagree on \
     these; ini-git and ini-mysql carry all of it but NUL, ini-python and systemd most",
);

/// Some readers expand `%` and `$`. U+2028 and U+2029 end lines for npm's ini, U+FEFF is white space to
/// JavaScript.
const DISPUTED_SIGNS: [char; 10] =
    ['"', '\'', '\\', '#', ';', '$', '%', '\u{2028}', '\u{2029}', '\u{feff}'];

/// Whether all readers take `value` for just that value.
fn check(value: &[u8]) -> Result<(), Refusal> {
    let text = std::str::from_utf8(value).map_err(|_| DISPUTED)?;
    let disputed = |c: char| c.is_ascii_control() || DISPUTED_SIGNS.contains(&c);
    if text.contains(disputed) || systemd::text(value).is_none() {
        return Err(DISPUTED);
    }
    // MySQL takes the last byte of some characters for a blank of Latin-1.
    let is_trimmed = text.trim() != text
        || value.first().is_some_and(|&b| is_blank(b))
        || value.ends_with(b"\xa0");
    if is_trimmed { Err(DISPUTED) } else { Ok(()) }
}
