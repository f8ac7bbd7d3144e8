//! Lines and blanks, for the formats that are made of them.

use std::ops::Range;

use memchr::{memchr, memrchr};

use super::{Role, Scalar, Text};

/// The lines of a file without their ends, the byte order mark skipped.
pub(super) fn lines(src: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut start = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    std::iter::from_fn(move || {
        (start < src.len()).then(|| {
            let end = memchr(b'\n', &src[start..]).map_or(src.len(), |at| start + at);
            let line = start..end - usize::from(src[start..end].ends_with(b"\r"));
            start = end + 1;
            line
        })
    })
}

/// The line that `span` lies in, without its end and the byte order mark.
pub(super) fn around(src: &[u8], span: &Range<usize>) -> Range<usize> {
    let start = memrchr(b'\n', &src[..span.start]).map_or(0, |at| at + 1);
    let start = if start == 0 && src.starts_with(b"\xef\xbb\xbf") { 3 } else { start };
    let end = memchr(b'\n', &src[span.end..]).map_or(src.len(), |at| span.end + at);
    start..end
}

pub(super) fn trimmed(src: &[u8], range: Range<usize>) -> Range<usize> {
    let text = &src[range.clone()];
    let start = text.iter().take_while(|&&b| is_blank(b)).count();
    let end = text[start..].iter().rev().take_while(|&&b| is_blank(b)).count();
    range.start + start..range.end - end
}

pub(super) fn is_blank(b: u8) -> bool {
    matches!(b, b' ' | b'\t')
}

/// A scalar that decodes to what it is written as.
pub(super) fn verbatim(span: Range<usize>, role: Role, depth: usize) -> Scalar {
    Scalar { span: span.clone(), text: Text::Verbatim(span), role, depth }
}

/// Something that no reference is resolved in.
pub(super) fn opaque(span: Range<usize>, depth: usize) -> Scalar {
    Scalar { span, text: Text::Opaque, role: Role::Value, depth }
}
