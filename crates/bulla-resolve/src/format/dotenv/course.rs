//! How readers get from one line to the next, where that is not the same.
//!
//! To node (20), all up to the next `=` is a name, line ends included, unless a line is empty or begins
//! with `#`. Of blanks it drops spaces only, around names and before quotes. A quote that the others
//! take for a part of something else may be closed many lines below.

use std::ops::Range;

use memchr::memchr;

use super::{Role, Scalar};

/// Where a reader is that may have gone astray.
pub(super) struct Course {
    /// Whether node is one of the readers.
    node: bool,
    /// Whether node looks for the `=` of a name that began in an earlier line.
    joined: bool,
    /// Whether a quote may be open that another reader has not seen.
    lost: bool,
}

impl Course {
    pub(super) fn new(node: bool) -> Self {
        Self { node, joined: false, lost: false }
    }

    /// Whether some reader may be in the midst of a value that began in an earlier line.
    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    /// Goes on over `lines`, in which the others see `scalars`, and says whether all readers see the value
    /// among these.
    pub(super) fn passes(&mut self, src: &[u8], lines: Range<usize>, scalars: &[Scalar]) -> bool {
        let text = &src[lines.clone()];
        if self.lost {
            return false;
        }
        let is_empty = text.iter().all(|&b| b == b'\r');
        let is_comment = text.trim_ascii_start().starts_with(b"#");
        if !self.joined && (is_empty || text.starts_with(b"#")) {
            return true;
        }
        if !self.node && (is_comment || text.trim_ascii().is_empty()) {
            return true;
        }
        let has_quote = text.iter().any(|b| QUOTES.contains(b));
        let Some(equals) = memchr(b'=', text).map(|at| lines.start + at) else {
            self.joined |= self.node && !is_empty;
            self.lost |= has_quote && !is_comment;
            return false;
        };
        let joined = std::mem::take(&mut self.joined);
        let value = match scalars {
            [key, value, ..] if key.role == Role::Key && key.span.start < equals => value,
            _ => {
                // Without a name, node reads no further.
                self.lost |= has_quote
                    || (self.node && text[..equals - lines.start].trim_ascii().is_empty());
                return false;
            }
        };
        let span = value.span.clone();
        self.lost |= self.leaves_open(src, &lines, &span);
        if !self.node {
            return true;
        }
        let is_quoted = src[span.clone()].first().is_some_and(|b| QUOTES.contains(b));
        let spaces = |range: Range<usize>| src[range].iter().all(|&b| b == b' ');
        let behind = src[span.end..lines.end].split(|&b| b == b'#').next().unwrap_or_default();
        let alike = !joined
            && is_name(&src[lines.start..equals])
            && spaces(equals + 1..span.start)
            && (is_quoted || behind.iter().all(|b| matches!(b, b' ' | b'\r')));
        // What node does not see as quoted ends with its line, and the next begins in the midst of it.
        self.lost |= is_quoted && !spaces(equals + 1..span.start) && memchr(b'\n', text).is_some();
        alike
    }

    /// Whether a reader may look for the end of a value behind `lines`.
    fn leaves_open(&self, src: &[u8], lines: &Range<usize>, value: &Range<usize>) -> bool {
        let raw = &src[value.clone()];
        let Some(&quote) = raw.first().filter(|b| QUOTES.contains(b)) else { return false };
        let first = match self.node {
            true => memchr(quote, &raw[1..]).map(|at| at + 1),
            false => (raw.len() > 1 && raw.ends_with(&[quote])).then(|| raw.len() - 1),
        };
        match first {
            // npm's, and earlier versions of Python's, may take it for an escape.
            Some(at) if at + 1 == raw.len() => raw[at - 1] == b'\\',
            // node takes an escaped one for the end.
            Some(_) => memchr(b'\n', &src[lines.clone()]).is_some(),
            None => true,
        }
    }
}

/// The quotes of all dialects.
const QUOTES: &[u8] = b"'\"`";

/// Whether node takes `text` for a name without anything else.
fn is_name(text: &[u8]) -> bool {
    let start = text.iter().take_while(|&&b| b == b' ').count();
    let end = text.iter().rev().take_while(|&&b| b == b' ').count();
    let Some(text) = text.get(start..text.len() - end) else { return false };
    let text = text.strip_prefix(b"export ").unwrap_or(text);
    !text.is_empty() && text.iter().all(|&b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}
