//! Lines and blanks, for the formats that are made of them.

use std::ops::Range;

use memchr::{memchr, memchr_iter, memmem, memrchr};

use zeroize::Zeroizing;

use super::{Role, Scalar, Text};
use crate::reference::SCHEME;

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

/// Whether a carriage return stands in `text` that is not a part of a line end: some readers take it for
/// one.
pub(super) fn has_lone_return(text: &[u8]) -> bool {
    let end = text.iter().rev().take_while(|&&b| b == b'\r').count();
    let text = &text[..text.len() - end];
    memchr_iter(b'\r', text).any(|at| text.get(at + 1) != Some(&b'\n'))
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

/// Where the reference in braces ends that `range` begins with, if one does. In formats that split
/// text at blanks, it is one piece in spite of those in it.
pub(super) fn braces(src: &[u8], range: Range<usize>) -> Option<usize> {
    /// Longer than any reference with its filters.
    const LONGEST: usize = 8_192;
    let text = &src[range.start..range.end.min(range.start + LONGEST)];
    let close = match text {
        [b'{', b'{', ..] => b"}}",
        [b'(', b'(', ..] => b"))",
        _ => return None,
    };
    let inner = text[2..].iter().position(|&b| !is_blank(b)).map(|at| &text[2 + at..])?;
    inner.starts_with(SCHEME.as_bytes()).then_some(())?;
    memmem::find(text, close).map(|at| range.start + at + close.len())
}

/// `text` with each doubled `mark` as one, or nothing if one stands alone and means something else.
pub(super) fn halved(text: &[u8], mark: u8) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        if byte == mark && rest.next() != Some(&mark) {
            return None;
        }
        out.push(byte);
    }
    Some(out)
}

/// A scalar that decodes to what it is written as.
pub(super) fn verbatim(span: Range<usize>, role: Role, depth: usize) -> Scalar {
    Scalar { span: span.clone(), text: Text::Verbatim(span), role, depth, owner: None }
}

/// Something that no reference is resolved in.
pub(super) fn opaque(span: Range<usize>, depth: usize) -> Scalar {
    Scalar { span, text: Text::Opaque, role: Role::Value, depth, owner: None }
}
