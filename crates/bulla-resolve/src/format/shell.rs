//! Files of assignments that a shell reads with `.`, such as `/etc/default/*`.
//!
//! `NAME=word`, also behind `export` and its like, is a key and a value; the word may be quoted as sh
//! quotes (POSIX XCU 2.2), and as `$'...'`. All else in a file is passed over by its quotes, and no
//! reference is resolved in it, nor behind anything that cannot be followed so, such as a
//! here-document; nor in a variable that a shell makes something else of than text.

mod attributes;
mod skip;
mod word;

use std::ops::Range;

use memchr::memmem;

use super::lines::{is_blank, opaque, verbatim};
use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, Text};
pub(super) use attributes::Attributes;
pub(crate) use attributes::is_special;
use skip::{comment_end, skip_command};
use word::Word;

pub(super) struct Shell;

impl Syntax for Shell {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let attributes = Attributes::read(src);
        // What is assigned to a number, runs as a command or becomes something else.
        let mut is_text = true;
        let mut found = |scalar: Scalar| {
            if scalar.role == Role::Key {
                is_text = !attributes.are_on(&src[scalar.span.clone()]);
            }
            let opaque = !is_text && scalar.role == Role::Value;
            found(if opaque { Scalar { text: Text::Opaque, ..scalar } } else { scalar });
        };
        let mut at = 0;
        while let Some(&byte) = src.get(at) {
            at = match byte {
                b' ' | b'\t' | b'\n' | b';' => at + 1,
                b'#' => comment_end(src, at),
                _ => statement(src, at, &mut found),
            };
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
        if whole.bytes().contains(&0) {
            return Err(Refusal("holds a NUL, which no shell can carry"));
        }
        let quote: &[u8] = match &src[span] {
            [b'"', ..] => b"\"",
            [b'\'', ..] | [b'$', b'\'', ..] => b"'",
            _ if is_plain(whole.bytes()) => b"",
            _ => b"'",
        };
        out.bytes.push(quote);
        for &part in content.parts {
            out.part(part, |bytes, out| {
                for &byte in bytes {
                    match byte {
                        b'\'' if quote == b"'" => out.push(br"'\''"),
                        b'"' | b'\\' | b'$' | b'`' if quote == b"\"" => out.push(&[b'\\', byte]),
                        _ => out.push(&[byte]),
                    }
                }
                Ok(())
            })?;
        }
        out.bytes.push(quote);
        Ok(())
    }

    fn may_hide(&self, src: &[u8]) -> bool {
        // Letters by number, behind a backslash or in quotes of their own.
        memchr::memchr3(b'\\', b'\'', b'"', src).is_some()
    }
}

/// Whether a value means nothing else to any shell without quotes. zsh takes `=` for a program where a
/// path may begin.
fn is_plain(value: &[u8]) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_./:@%+,=-".contains(b);
    value.iter().all(plain) && !value.starts_with(b"=") && memmem::find(value, b":=").is_none()
}

/// Reads the command at `at` and gives where it ends.
fn statement(src: &[u8], at: usize, found: &mut dyn FnMut(Scalar)) -> usize {
    // What is assigned for a command, or by something that is none, is no place.
    let mut scalars: Vec<Scalar> = Vec::new();
    let rest = |at: usize, scalars: Vec<Scalar>, found: &mut dyn FnMut(Scalar)| {
        for scalar in scalars {
            let is_value = scalar.role == Role::Value;
            found(if is_value { Scalar { text: Text::Opaque, ..scalar } } else { scalar });
        }
        let end = skip_command(src, at);
        found(opaque(at..end, 0));
        end
    };
    let mut at = match declaration(&src[at..]) {
        0 => at,
        len => at + len,
    };
    loop {
        let name = at..at + src[at..].iter().take_while(|&&b| is_name(b)).count();
        let is_one = src[name.clone()].first().is_some_and(|b| !b.is_ascii_digit());
        if !is_one || src.get(name.end) != Some(&b'=') {
            return rest(at, scalars, found);
        }
        let Some(word) = Word::read(src, name.end + 1) else {
            return rest(name.start, scalars, found);
        };
        at = word.span.end;
        scalars.push(verbatim(name, Role::Key, 0));
        scalars.push(Scalar {
            span: word.span,
            text: word.text,
            role: Role::Value,
            depth: 0,
            owner: None,
        });
        let blanks = src[at..].iter().take_while(|&&b| is_blank(b)).count();
        let ends = match src.get(at + blanks) {
            None | Some(b'\n' | b';') => true,
            Some(b'#') => blanks > 0,
            Some(_) => false,
        };
        if ends {
            scalars.into_iter().for_each(found);
            return at + blanks;
        }
        match src.get(at + blanks) {
            // One more assignment, or a command that these are for.
            Some(_) if blanks > 0 => at += blanks,
            _ => return rest(at, scalars, found),
        }
    }
}

/// The length of what makes assignments of the words behind it, blanks included.
fn declaration(text: &[u8]) -> usize {
    let word = |at: usize| {
        text[at..].iter().take_while(|b| b.is_ascii_alphabetic() || **b == b'-').count()
    };
    let blanks = |at: usize| text[at..].iter().take_while(|&&b| is_blank(b)).count();
    let mut at = word(0);
    if ![&b"export"[..], b"readonly", b"declare", b"typeset", b"local"].contains(&&text[..at]) {
        return 0;
    }
    loop {
        match blanks(at) {
            0 => return 0,
            len => at += len,
        }
        let option = word(at);
        // Other options make arrays, numbers and names of variables of the values.
        match &text[at..at + option] {
            [b'-', letters @ ..] if letters.iter().all(|b| b"gxr".contains(b)) => at += option,
            _ => return at,
        }
    }
}

fn is_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}
