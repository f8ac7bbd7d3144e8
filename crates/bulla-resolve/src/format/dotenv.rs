//! Files of `KEY=value` lines, as shells, containers, service managers and libraries read them.
//!
//! The readers disagree on almost everything. A value that is placed here is read alike by bash, npm's
//! and Python's dotenv, and systemd; written without quotes, by Docker's `--env-file` too, which takes
//! quotes for a part of the value. What needs more than that needs a dialect of its own, which would
//! be another [`Syntax`] with this scan and other checks.

mod course;

use std::ops::Range;

use memchr::{memchr, memmem};

use super::dotenv_docker::MAX_LINE;
use super::lines::{around, has_lone_return, opaque};
use super::shell::Attributes;
use super::systemd;
use super::{Content, Malformed, Output, Refusal, Role, Scalar, Syntax, Text};
use crate::expression;
use crate::secret::Draft;
use course::Course;

pub(super) struct Dotenv;

impl Syntax for Dotenv {
    fn scan(&self, src: &[u8], found: &mut dyn FnMut(Scalar)) -> Result<(), Malformed> {
        let mut at = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        // Whether a quote or the like may be open that some reader looks for the end of, be it in a
        // line that another does not see.
        let mut open = false;
        // Whether a backslash at the end of the last line joins the next one to more than a comment.
        let mut continues = false;
        let mut course = Course::new(ALIKE.node);
        let attributes = Attributes::read(src);
        let mut scalars = Vec::new();
        while at < src.len() {
            let start = at;
            at = line(src, start, &ALIKE, &mut |scalar| scalars.push(scalar));
            let lines = start..at - 1;
            let joined = continues && src[..start].ends_with(b"\\\n");
            continues = joined || !scalars.is_empty();
            let opens = leaves_open(&src[lines.clone()]);
            let inside = open || opens || joined || course.is_lost();
            let passes = course.passes(src, named(src, start)..lines.end, &scalars);
            let odd = !passes
                || open
                || !is_alike(src, lines.clone(), &scalars)
                || attributes.are_on(&src[scalars[0].span.clone()]);
            // Node takes a comment for a name if no line end follows; Docker one for a part of the value.
            let is_unseen = if scalars.is_empty() { !passes || at > src.len() } else { odd };
            if inside || is_unseen {
                scalars.extend(unseen(src, lines.clone(), &scalars));
            }
            open = open || opens || has_lone_return(&src[lines]);
            for scalar in scalars.drain(..) {
                let opaque = scalar.role == Role::Value
                    && (odd || expression::is_in_pieces(&src[scalar.span.clone()]));
                found(if opaque { Scalar { text: Text::Opaque, ..scalar } } else { scalar });
            }
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
        let quotes: &[Quote] = match src[span.clone()].first() {
            _ if content.typed => &[Quote::None],
            Some(b'"') => &[Quote::Double, Quote::Single],
            Some(b'\'') => &[Quote::Single, Quote::Double],
            _ => &[Quote::None],
        };
        // What has to be quoted is told as that, whatever it is.
        if !matches!(quotes, [Quote::None]) {
            check_any(&whole)?;
        }
        let mut refusal = None;
        // Without quotes Docker reads it, too.
        let rest = around(src, &span).len() - span.len();
        if matches!(quotes, [Quote::None]) && rest + whole.len() > MAX_LINE {
            return Err(Refusal(
                "makes a line of more than 65000 bytes without quotes, which Docker's --env-file \
                 refuses; write quotes in the template",
            ));
        }
        for quote in quotes {
            match quote.check(whole.bytes()) {
                Ok(()) => {
                    out.bytes.push(quote.mark());
                    content.parts.iter().for_each(|&part| out.copy(part));
                    out.bytes.push(quote.mark());
                    return Ok(());
                }
                Err(found) => refusal = refusal.or(Some(found)),
            }
        }
        Err(refusal.expect("at least one way of quoting was tried"))
    }

    fn may_hide(&self, src: &[u8]) -> bool {
        // A shell puts the pieces of a word together.
        expression::is_in_pieces(src)
    }
}

/// How a dialect reads values.
pub(super) struct Rules {
    pub(super) quotes: &'static [u8],
    /// Whether node is one of its readers.
    pub(super) node: bool,
    /// The quotes in which a backslash keeps another from closing.
    pub(super) escaping: &'static [u8],
    /// Where the comment behind a value without quotes begins.
    pub(super) comment: fn(&[u8]) -> Option<usize>,
    /// What stands in a value between these quotes, or without.
    pub(super) text: fn(&[u8], Range<usize>, Option<u8>) -> Text,
}

/// What all readers have in common.
const ALIKE: Rules = Rules {
    quotes: b"\"'",
    node: true,
    escaping: b"\"",
    comment: comment_behind_a_blank,
    text: |src, inner, quote| {
        let escapes = quote != Some(b'\'') && memchr(b'\\', &src[inner.clone()]).is_some();
        if escapes { Text::Opaque } else { Text::Verbatim(inner) }
    },
};

/// Whether all readers take the `scalars` in `lines` for one name and its value. A shell runs what is
/// no assignment, and keeps carriage returns; systemd and Docker know no comment behind a value; and
/// a backslash at the end of a line, systemd's comments included, joins the next one to it.
fn is_alike(src: &[u8], lines: Range<usize>, scalars: &[Scalar]) -> bool {
    let [key, value] = scalars else { return false };
    let text = &src[lines.clone()];
    let name = &src[key.span.clone()];
    let behind = &src[value.span.end..lines.end];
    let quoted = src[value.span.clone()].first().is_some_and(|b| ALIKE.quotes.contains(b));
    !src[..lines.start].ends_with(b"\\\n")
        // The byte order mark belongs to the name.
        && !src[..lines.start].ends_with(b"\xef\xbb\xbf")
        && !text.ends_with(b"\\")
        && !text.contains(&b'\r')
        && !name.first().is_some_and(u8::is_ascii_digit)
        && name.iter().all(|&b| b.is_ascii_alphanumeric() || b == b'_')
        && key.span.end + 1 == value.span.start
        // `export` is for shells: systemd passes over such a line, and Docker over the whole file.
        && src[lines.start..key.span.start].iter().all(|&b| b == b' ')
        // Docker keeps blanks, but takes no quotes off either.
        && (if quoted { blanks(behind) } else { 0 }) == behind.len()
}

/// Whether some reader goes on behind `text` to look for the end of a quote, an expansion, a list or a
/// here-document. It may say so of what none does.
fn leaves_open(text: &[u8]) -> bool {
    if text[blanks(text)..].starts_with(b"#") {
        return false;
    }
    let mut quote = None;
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let next = text.get(at + 1);
        match (quote, byte) {
            (None, b'#') if at == 0 || blanks(&text[at - 1..at]) == 1 => break,
            // Python's takes it for an escape.
            (Some(b'\''), b'\\') if next == Some(&b'\'') => return true,
            (Some(b'\''), b'\'') => quote = None,
            (Some(b'\''), _) => {}
            (_, b'\\') => at += 1,
            (Some(open), _) if open == byte && depth == 0 => quote = None,
            // One inside of another.
            (Some(b'`'), b'\'' | b'"') | (Some(_), b'"' | b'`') => return true,
            (None, b'\'' | b'"' | b'`') => quote = Some(byte),
            (None, b'<') if next == Some(&b'<') => return true,
            (_, b'$') if matches!(next, Some(b'(' | b'{')) => {
                depth += 1;
                at += 1;
            }
            (None, b'(') => depth += 1,
            (_, b')' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    quote.is_some() || depth > 0
}

pub(super) fn scan(src: &[u8], rules: &Rules, found: &mut dyn FnMut(Scalar)) {
    let mut at = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    // Whether some reader saw a line that another did not see; it may have left a quote open.
    let mut odd = false;
    let mut course = Course::new(rules.node);
    let mut scalars = Vec::new();
    while at < src.len() {
        let start = at;
        at = line(src, start, rules, &mut |scalar| scalars.push(scalar));
        let from = if rules.node { named(src, start) } else { start };
        let inside = odd || course.is_lost();
        let passes = course.passes(src, from..at - 1, &scalars);
        let alike = passes && !odd && !is_behind_mark(src, start);
        if inside || (scalars.is_empty() && (!passes || (rules.node && at > src.len()))) {
            scalars.extend(unseen(src, start..at - 1, &scalars));
        }
        for scalar in scalars.drain(..) {
            let opaque = !alike && scalar.role == Role::Value;
            found(if opaque { Scalar { text: Text::Opaque, ..scalar } } else { scalar });
        }
        odd = odd || has_lone_return(&src[start..at - 1]);
    }
}

/// What comes behind `scalars` in `lines`, a comment to most readers, if it holds a reference: to one that
/// looks for the end of a value or name, it is a part of that.
fn unseen(src: &[u8], lines: Range<usize>, scalars: &[Scalar]) -> Option<Scalar> {
    let start = scalars.last().map_or(lines.start, |scalar| scalar.span.end);
    let rest = &src[start..lines.end];
    let refers = expression::has_hits(rest) || expression::is_in_pieces(rest);
    refers.then(|| opaque(start..lines.end, 0))
}

/// Where node begins to read the line at `start`: a byte order mark is a part of the first name.
fn named(src: &[u8], start: usize) -> usize {
    if is_behind_mark(src, start) { 0 } else { start }
}

/// Whether a byte order mark stands in front of the line at `start`, of which node and versions of Python's
/// before 1.2.4 make a part of the first name.
fn is_behind_mark(src: &[u8], start: usize) -> bool {
    start == 3 && src.starts_with(b"\xef\xbb\xbf")
}

pub(super) fn comment_behind_a_blank(text: &[u8]) -> Option<usize> {
    memmem::find(text, b" #").or_else(|| memmem::find(text, b"\t#"))
}

/// How a value is quoted.
#[derive(Clone, Copy)]
enum Quote {
    Double,
    None,
    Single,
}

impl Quote {
    fn mark(self) -> &'static [u8] {
        match self {
            Self::Double => b"\"",
            Self::None => b"",
            Self::Single => b"'",
        }
    }

    /// Whether all readers take `value` in these quotes for just that value.
    fn check(self, value: &[u8]) -> Result<(), Refusal> {
        match self {
            // Escapes and expansions differ from reader to reader.
            Self::Double if value.iter().any(|b| b"\"\\$`".contains(b)) => Err(DISPUTED),
            // Python's takes a doubled backslash for one, and npm's one at the end for an escape.
            Self::Single
                if value.contains(&b'\'')
                    || value.ends_with(b"\\")
                    || memmem::find(value, br"\\").is_some() =>
            {
                Err(DISPUTED)
            }
            Self::None => check_unquoted(value),
            Self::Double | Self::Single => Ok(()),
        }
    }
}

/// What readers of this format disagree on; which of it a value holds is not told.
const DISPUTED: Refusal = Refusal(
    "holds `${`, a control character or what is no text in UTF-8, or two of: a single quote, or a \
     backslash in front of another or at the end; a double quote, `\\`, `$` or backtick; readers of this \
     format disagree on how to write that, but shell carries all of it but NUL",
);

/// What no quotes can help.
fn check_any(value: &Draft) -> Result<(), Refusal> {
    let value = value.bytes();
    let is_control = |b: &u8| b.is_ascii_control() && !matches!(b, b'\t' | b'\n');
    // systemd refuses what is no text, and Python's expands `${` in any quotes.
    let is_disputed = systemd::text(value).is_none()
        || memmem::find(value, b"${").is_some()
        || value.iter().any(is_control);
    if is_disputed { Err(DISPUTED) } else { Ok(()) }
}

pub(super) fn check_unquoted(value: &[u8]) -> Result<(), Refusal> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_./:@%+,=~-".contains(b);
    // A shell takes `~` for a home folder where a path may begin, and zsh `=` for a search for one.
    let path = value.starts_with(b"~")
        || value.starts_with(b"=")
        || [&b":~"[..], b"=~", b":="].iter().any(|sign| memmem::find(value, sign).is_some());
    if path || !value.iter().all(plain) {
        return Err(Refusal(
            "has to be quoted here, but then Docker's --env-file would read the quotes too; \
             dotenv-docker carries most of it, or write the quotes in the template",
        ));
    }
    Ok(())
}

/// Reads the line at `at`, or more where a quoted value runs on, and gives the start of the next.
fn line(src: &[u8], at: usize, rules: &Rules, found: &mut dyn FnMut(Scalar)) -> usize {
    let end = line_end(src, at);
    let next = end + 1;
    let mut scalar = |range: Range<usize>, text, role| {
        found(Scalar { span: range, text, role, depth: 0, owner: None });
    };
    let start = at + blanks(&src[at..end]);
    let text = &src[start..end];
    if matches!(text.first(), None | Some(b'#' | b'\r')) {
        // For some readers another line begins behind a lone carriage return.
        if has_lone_return(text) {
            scalar(start..end, Text::Opaque, Role::Value);
        }
        return next;
    }
    let Some((key, value)) = split(src, start..end) else {
        let whole = start..end - trailing_blanks(text);
        scalar(whole, Text::Opaque, Role::Value);
        return next;
    };
    scalar(key.clone(), Text::Verbatim(key), Role::Key);
    match src[value..end].first() {
        Some(quote) if rules.quotes.contains(quote) => {
            let close = closing(src, value + 1, *quote, rules.escaping.contains(quote));
            // Behind the closing quote may only be a comment; `'it'\''s'` is not read alike.
            if let Some(close) = close.filter(|&close| ends_there(src, close + 1)) {
                let text = (rules.text)(src, value + 1..close, Some(*quote));
                scalar(value..close + 1, text, Role::Value);
                let end = line_end(src, close);
                if has_lone_return(&src[close + 1..end]) {
                    scalar(close + 1..end, Text::Opaque, Role::Value);
                }
                return end + 1;
            }
            let whole = value..end - trailing_blanks(&src[value..end]);
            scalar(whole, Text::Opaque, Role::Value);
        }
        _ => {
            let text = &src[value..end];
            let comment = value + (rules.comment)(text).unwrap_or(text.len());
            let span = value..comment - trailing_blanks(&src[value..comment]);
            // Some make a comment of it.
            let text = match src[span.clone()].first() {
                Some(b'#') => Text::Opaque,
                _ => (rules.text)(src, span.clone(), None),
            };
            scalar(span, text, Role::Value);
            if has_lone_return(&src[comment..end]) {
                scalar(comment..end, Text::Opaque, Role::Value);
            }
        }
    }
    next
}

/// The key of an assignment, and where its value begins.
fn split(src: &[u8], line: Range<usize>) -> Option<(Range<usize>, usize)> {
    let text = &src[line.clone()];
    let mut start = line.start;
    if let Some(rest) = text.strip_prefix(b"export")
        && blanks(rest) > 0
    {
        start += "export".len() + blanks(rest);
    }
    let is_key = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let key = start..start + src[start..line.end].iter().take_while(is_key).count();
    let equals = key.end + blanks(&src[key.end..line.end]);
    if key.is_empty() || src[..line.end].get(equals) != Some(&b'=') {
        return None;
    }
    let value = equals + 1;
    Some((key, value + blanks(&src[value..line.end])))
}

/// Where the quote that opened before `from` closes.
fn closing(src: &[u8], from: usize, quote: u8, escaping: bool) -> Option<usize> {
    if !escaping {
        return memchr(quote, &src[from..]).map(|found| from + found);
    }
    let mut at = from;
    loop {
        at += memchr::memchr2(quote, b'\\', &src[at..])?;
        if src[at] == quote {
            return Some(at);
        }
        at = (at + 2).min(src.len());
    }
}

fn ends_there(src: &[u8], at: usize) -> bool {
    let rest = &src[at..line_end(src, at)];
    let after = &rest[blanks(rest)..];
    matches!(after, [] | [b'\r']) || (after.len() < rest.len() && after.starts_with(b"#"))
}

fn line_end(src: &[u8], at: usize) -> usize {
    memchr(b'\n', &src[at..]).map_or(src.len(), |found| at + found)
}

fn blanks(text: &[u8]) -> usize {
    text.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// Blanks, and the carriage return of a line end.
fn trailing_blanks(text: &[u8]) -> usize {
    text.iter().rev().take_while(|b| matches!(b, b' ' | b'\t' | b'\r')).count()
}
