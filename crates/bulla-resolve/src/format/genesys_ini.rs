//! Genesys options as `[section]` and `option = value` lines.
//!
//! The rules of this form are not documented: neither quotes nor escapes nor continuation nor a
//! comment behind a value. So nothing of that is assumed. A value is what stands behind the first `=`
//! without blanks and tabs around it, and only characters that mean nothing anywhere are placed.
//! Bytes outside ASCII may be of any code page and are left as they are.

use std::ops::Range;

use memchr::memchr;

use super::lines::{has_lone_return, is_blank, lines, opaque, trimmed, verbatim};
use super::{Content, Malformed, Output, Part, Refusal, Role, Scalar, Syntax};

pub(super) struct GenesysIni;

impl Syntax for GenesysIni {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let mut in_section = 0;
        for line in lines(src) {
            let content = trimmed(src, line.clone());
            let text = &src[content.clone()];
            match text.first() {
                // Who ends lines at a lone carriage return sees an option behind it.
                Some(b'#' | b';') if has_lone_return(text) => found(opaque(content, in_section)),
                None | Some(b'#' | b';') => {}
                Some(b'[') if text.ends_with(b"]") => {
                    in_section = 1;
                    let name = trimmed(src, content.start + 1..content.end - 1);
                    found(verbatim(name, Role::Section, 0));
                }
                Some(_) => {
                    let equals = memchr(b'=', text).map(|at| content.start + at);
                    let key = trimmed(src, content.start..equals.unwrap_or(content.end));
                    found(verbatim(key, Role::Key, in_section));
                    if let Some(equals) = equals {
                        let value = trimmed(src, equals + 1..line.end);
                        found(verbatim(value, Role::Value, in_section));
                    }
                }
            }
        }
        Ok(())
    }

    fn encode(
        &self,
        _src: &[u8],
        _span: Range<usize>,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        for &part in content.parts {
            if let Part::Value(value) = part {
                check(value)?;
            }
            out.copy(part);
        }
        Ok(())
    }
}

/// Whether a section of a mail client stands in the file.
pub(super) fn claims(src: &[u8]) -> bool {
    ["[pop-client", "[smtp-client"].iter().any(|section| {
        memchr::memmem::find_iter(src, section)
            .any(|at| src[..at].iter().rev().take_while(|&&b| b != b'\n').all(|b| is_blank(*b)))
    })
}

/// What this form cannot carry; which of it a value holds is not told.
const OTHER: Refusal = Refusal(
    "holds a character other than A-Z a-z 0-9 / . _ ~ + -, and how this form writes such a character is \
     not documented; the XML form carries it, unless it is a control character",
);

fn check(value: &[u8]) -> Result<(), Refusal> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._~+-".contains(b);
    if value.iter().all(plain) { Ok(()) } else { Err(OTHER) }
}
