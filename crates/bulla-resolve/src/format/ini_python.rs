//! INI files as Python's configparser reads them, with its default settings but for interpolation.
//!
//! A value runs on in lines that are indented further than its option; each is stripped of white
//! space. With `BasicInterpolation`, the default, `%` is written twice. The rules are those of
//! `RawConfigParser._read` of Python 3.

use std::ops::Range;

use memchr::memchr2;
use zeroize::Zeroizing;

use super::lines::{around, halved, opaque, verbatim};
use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, Text, utf8};
use crate::problem::Rule;

pub(super) struct IniPython {
    /// Whether `%` is special.
    pub(super) interpolates: bool,
}

impl Syntax for IniPython {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let scan = Scan {
            src: utf8(src)?,
            interpolates: self.interpolates,
            in_section: false,
            option: None,
        };
        scan.run(found)
    }

    fn encode(
        &self,
        src: &[u8],
        span: Range<usize>,
        content: &Content<'_>,
        out: &mut Output,
    ) -> Result<(), Refusal> {
        check(content.joined().bytes())?;
        let indent = indent(src, &span);
        for &part in content.parts {
            out.part(part, |bytes, out| {
                for (number, line) in bytes.split(|&b| b == b'\n').enumerate() {
                    if number > 0 {
                        out.push(&indent);
                    }
                    for (number, piece) in line.split(|&b| b == b'%').enumerate() {
                        if number > 0 {
                            out.push(if self.interpolates { b"%%" } else { b"%" });
                        }
                        out.push(piece);
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

struct Scan<'a> {
    src: &'a str,
    interpolates: bool,
    in_section: bool,
    option: Option<Opt>,
}

/// An option that may run on.
struct Opt {
    indent: usize,
    /// The lines of its value, none if it has no value.
    lines: Vec<Range<usize>>,
    /// How many empty lines came after the last of these.
    empty: usize,
    /// Whether a comment came after the last of these.
    comment: bool,
    /// Whether a comment stands between two of these.
    broken: bool,
}

impl Scan<'_> {
    fn run(mut self, found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let src = self.src;
        let mut at = if src.starts_with('\u{feff}') { 3 } else { 0 };
        while at < src.len() {
            let end = memchr2(b'\n', b'\r', &src.as_bytes()[at..]).map_or(src.len(), |n| at + n);
            self.line(at..end, found)?;
            at = end + if src[end..].starts_with("\r\n") { 2 } else { 1 };
        }
        self.flush(found);
        Ok(())
    }

    fn line(&mut self, line: Range<usize>, found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let content = stripped(self.src, line.clone());
        let text = &self.src[content.clone()];
        if text.is_empty() || text.starts_with(['#', ';']) {
            if let Some(option) = &mut self.option {
                option.empty += usize::from(text.is_empty());
                option.comment |= !text.is_empty();
            }
            return Ok(());
        }
        let indent = self.src[line.start..content.start].chars().count();
        if let Some(option) = self.option.as_mut().filter(|option| indent > option.indent) {
            if option.lines.is_empty() {
                found(opaque(content, 1));
                return Ok(());
            }
            let empty = std::mem::take(&mut option.empty);
            option.lines.extend(std::iter::repeat_n(line.start..line.start, empty));
            option.lines.push(content);
            option.broken |= std::mem::take(&mut option.comment);
            return Ok(());
        }
        self.flush(found);
        // Python looks for the last bracket, and overlooks what stands behind it.
        if let Some(close) = text.rfind(']').filter(|&at| text.starts_with('[') && at > 1) {
            self.in_section = true;
            found(verbatim(content.start + 1..content.start + close, Role::Section, 0));
            if close + 1 < text.len() {
                found(opaque(content.start + close + 1..content.end, 0));
            }
            return Ok(());
        }
        if !self.in_section {
            let what = "an option stands before the first section";
            return Err(Malformed::new(content.start, Rule::Malformed, what));
        }
        let (key, lines) = match text.find(['=', ':']) {
            Some(at) => {
                let at = content.start + at;
                let value = stripped(self.src, at + 1..line.end);
                (stripped(self.src, content.start..at), vec![value])
            }
            None => (content, Vec::new()),
        };
        found(verbatim(key, Role::Key, 1));
        self.option = Some(Opt { indent, lines, empty: 0, comment: false, broken: false });
        Ok(())
    }

    /// Hands out the value that has come to its end.
    fn flush(&mut self, found: &mut dyn FnMut(Scalar)) {
        let Some(option) = self.option.take() else { return };
        let [first, .., last] = &option.lines[..] else {
            if let [only] = &option.lines[..] {
                found(self.value(only.clone(), &option));
            }
            return;
        };
        found(self.value(first.start..last.end, &option));
    }

    fn value(&self, span: Range<usize>, option: &Opt) -> Scalar {
        let raw = &self.src[span.clone()];
        let escapes = self.interpolates && raw.contains('%');
        if option.lines.len() == 1 && !escapes {
            return verbatim(span, Role::Value, 1);
        }
        let mut text = Zeroizing::new(Vec::with_capacity(raw.len()));
        for (number, line) in option.lines.iter().enumerate() {
            if number > 0 {
                text.push(b'\n');
            }
            text.extend_from_slice(self.src[line.clone()].as_bytes());
        }
        let text = if escapes { halved(&text, b'%') } else { Some(text) };
        let text = text.filter(|_| !option.broken).map_or(Text::Opaque, Text::Decoded);
        Scalar { span, text, role: Role::Value, depth: 1, owner: None }
    }
}

/// What Python strips, or takes for a line end or a comment; which of it a value holds is not told.
const LOST: Refusal = Refusal(
    "holds a NUL, a carriage return or what is not UTF-8, has white space or a line end at its end or at \
     that of a line, or a line that begins with `#` or `;`, which Python would lose; ini-git and \
     ini-mysql carry all of it but NUL",
);

fn check(value: &[u8]) -> Result<(), Refusal> {
    let text = std::str::from_utf8(value).map_err(|_| LOST)?;
    let is_lost = |(number, line): (usize, &str)| {
        stripped(line, 0..line.len()) != (0..line.len())
            || (number > 0 && line.starts_with(['#', ';']))
    };
    if text.contains(['\0', '\r'])
        || text.ends_with('\n')
        || text.split('\n').enumerate().any(is_lost)
    {
        return Err(LOST);
    }
    Ok(())
}

/// What ends a line of the value at `span` and begins the next: as it is done there already, else
/// four blanks more than the option has.
fn indent(src: &[u8], span: &Range<usize>) -> Vec<u8> {
    fn blanks(line: &[u8]) -> &[u8] {
        let text = std::str::from_utf8(line).unwrap_or_default();
        &line[..stripped(text, 0..text.len()).start]
    }
    let line = &src[around(src, span)];
    let mut indent = Vec::from(if line.ends_with(b"\r") { &b"\r\n"[..] } else { b"\n" });
    let is_end = |b: &u8| matches!(b, b'\n' | b'\r');
    let mut further = src[span.clone()].split(is_end).skip(1);
    if let Some(line) = further.find(|line| blanks(line).len() < line.len()) {
        indent.extend_from_slice(blanks(line));
    } else {
        indent.extend_from_slice(blanks(line.rsplit(is_end).next_back().unwrap_or(line)));
        indent.extend_from_slice(b"    ");
    }
    indent
}

/// `range` without what Python takes for white space around it.
fn stripped(text: &str, range: Range<usize>) -> Range<usize> {
    let space = |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}');
    let inner = text[range.clone()].trim_start_matches(space);
    let start = range.end - inner.len();
    start..start + inner.trim_end_matches(space).len()
}
