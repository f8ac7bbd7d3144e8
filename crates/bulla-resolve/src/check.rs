//! What is wrong with a file as far as the file alone shows it: no key is needed.

mod genesys;
pub(crate) mod lines;
pub(crate) mod tokens;

use std::ops::Range;

use memchr::memmem;

use crate::adopt::{Literal, LiteralSearch, literals, written_at};
use crate::expression::{self, Signs, unescaped};
use crate::format::{Format, Malformed, Scalar};
use crate::migrate::LeftOver;
use crate::problem::{About, Kind, Pending, Problem, Rule, escaped, locate_first};
use crate::render::probe;
use crate::template::{Read, Segment, Template};
use crate::uses::Use;

/// What was found out about one file.
pub struct Check {
    /// Everything that is wrong, in the order of the file.
    pub findings: Vec<Problem>,
    /// The references that it asks for, each place of its own.
    pub uses: Vec<Use>,
    /// Whether it was searched as a text, as its format is not known or it does not follow that.
    pub is_text: bool,
}

impl Check {
    /// Looks through a file. `name` is what messages call it; without a `format`, the name and the
    /// content decide.
    ///
    /// Found is all that keeps the file from being rendered whatever the values are, secrets in clear,
    /// by their name and by their shape, in comments and in files of no known format too, and what is
    /// wrong or weak with the mail clients of a Genesys configuration.
    #[must_use]
    pub fn of(name: &str, src: Vec<u8>, format: Option<Format>) -> Self {
        Self::with_template(name, src, format).0
    }

    /// The same, with the template that the file was read as.
    #[must_use]
    pub fn with_template(name: &str, src: Vec<u8>, format: Option<Format>) -> (Self, Template) {
        let tokens = tokens::find(&src);
        let format = format.or_else(|| Format::detect(name, &src));
        let is_text = format.is_none_or(|f| f == Format::Text);
        let is_binary = is_text && memchr::memchr(0, &src).is_some();
        let named = !is_text && tokens::may_name_secrets(&src);
        let is_genesys = format.is_some_and(Format::is_genesys);
        // In plain text nothing has a name.
        let searched = format.filter(|&f| f != Format::Text && (named || !tokens.is_empty()));
        let mut search = searched.map(|format| LiteralSearch::new(name, &src, format));
        let signs = Signs::of(&src);
        let mut left_over = format.and_then(|format| LeftOver::new(&src, format, signs.foreign));
        let is_sought = search.is_some() || left_over.is_some();
        // To go through the scalars of a file is most of the work, and is done once.
        let mut look_at = |scalar: &Scalar| {
            if let Some(search) = &mut search {
                search.look_at(scalar);
            }
            if let Some(left_over) = &mut left_over {
                left_over.look_at(scalar);
            }
        };
        let read = Read::of(name, &src, signs, format, true, &mut look_at);
        let sound = match (read.is_sound, format) {
            (None, Some(format)) if is_sought => {
                format.syntax().scan(&src, &mut |scalar| look_at(&scalar)).map_err(Some)
            }
            // Reading has told why.
            (Some(false), _) => Err(None),
            _ => Ok(()),
        };
        let literals = match search {
            Some(search) => sound.map(|()| search.literals()),
            None => Ok(Vec::new()),
        };
        let foreign = match left_over {
            Some(left_over) => left_over.found,
            None if is_text && signs.foreign => LeftOver::in_text(&src),
            None => Vec::new(),
        };
        let template = Template::of(name, src, format, read);
        let is_told = |problem: &Problem| problem.rule == Rule::WrongEncoding;
        if is_utf16(&template.src, format) && !template.problems.iter().any(is_told) {
            let what = "the file is in UTF-16 or UTF-32 and not in UTF-8, so neither secrets nor \
                        references are seen in it";
            let pending = vec![Pending::new(0, Rule::WrongEncoding, what)];
            let found = locate_first(template.name(), &template.src, pending);
            return (Self::of_template(&template, found, is_text && !is_binary), template);
        }
        // What does not follow its format is looked at as any text.
        let is_text = (is_text && !is_binary) || literals.is_err();
        let lines = match (&literals, format) {
            (Err(_), Some(format)) => lines::in_malformed(name, &template.src, format),
            _ if is_text => lines::in_file(name, &template.src),
            _ => Vec::new(),
        };
        // Most files of a tree hold nothing of all this, and were not parsed.
        let by_tokens = tokens.is_empty() && foreign.is_empty() && lines.is_empty();
        if by_tokens && !named && !is_genesys && template.places.is_empty() {
            return (Self::of_template(&template, Vec::new(), is_text), template);
        }
        let mut pending = probe(&template);
        pending.extend(foreign.into_iter().map(|at| {
            let what = "a reference of another tool stands here, and is left as it is";
            Pending::new(at, Rule::ForeignReference, what)
        }));
        let mut known = Vec::new();
        let literals = literals.unwrap_or_else(|why| {
            pending.extend(why.filter(|_| named).and_then(|why| not_read(why, &template.src)));
            Vec::new()
        });
        tell(literals, is_genesys, &mut known, &mut pending);
        let beside = if is_text { Vec::new() } else { beside_references(&template) };
        // Adopting leaves a text with references as it is.
        let is_beside = !is_text || expression::has_plain(&template.src);
        for (name, span) in lines.into_iter().chain(beside) {
            let what = format!("{} stands here in clear", escaped(&name));
            let about = is_beside.then(|| Box::new(About::BesideReferences));
            let told = Pending::new(span.start, Rule::LiteralSecret, what);
            pending.push(Pending { about, ..told });
            let from = if is_text { 0 } else { span.start };
            known.push((span, from));
        }
        if is_genesys && let Some(format) = format {
            genesys::check(&template.src, format, &mut pending);
        }
        for token in tokens::beside(tokens, known) {
            let what = "what looks like a secret stands here in clear";
            pending.push(Pending::new(token.start, Rule::LiteralSecret, what));
        }
        let found = locate_first(template.name(), &template.src, pending);
        (Self::of_template(&template, found, is_text), template)
    }

    fn of_template(template: &Template, mut findings: Vec<Problem>, is_text: bool) -> Self {
        findings.extend(template.problems().iter().cloned());
        findings.sort_by_key(|problem| (problem.line, problem.column, problem.rule));
        Self { findings, uses: template.uses(), is_text }
    }
}

/// Tells that the secrets of a file were not sought by its format. Charts of Helm are no YAML by design.
///
/// In a Secret of Kubernetes any value may be one, which no line shows: that is no note.
fn not_read(why: Malformed, src: &[u8]) -> Option<Pending> {
    let (kind, what) = match names_secret(&unescaped(src)) {
        true => (Kind::Finding, "and the values of a Secret of Kubernetes in it are not seen"),
        false => (Kind::Note, "and secrets in it are sought line by line only"),
    };
    let what = format!("{}, {what}", why.what);
    let is_chart = matches!(why.about, Some(About::Chart));
    (!is_chart).then(|| Pending { kind, ..Pending::new(why.at, Rule::NotRead, what) })
}

/// Whether an object of a file that cannot be read seems to be a Secret of Kubernetes with values.
fn names_secret(src: &[u8]) -> bool {
    /// Longer than `": "SecretList"` with some blanks, in bytes.
    const NEAR: usize = 64;
    let is_kind = |at: usize| {
        let near = &src[at..src.len().min(at + NEAR)];
        let mut words = near.split(|b| b" \t\r\n\"',}".contains(b)).filter(|word| !word.is_empty());
        match words.next() {
            Some(b"kind:") => {}
            Some(b"kind") if words.next() == Some(b":") => {}
            _ => return false,
        }
        matches!(words.next(), Some(b"Secret" | b"SecretList"))
    };
    let has_data = ["data", "stringData"].iter().any(|n| memmem::find(src, n.as_bytes()).is_some());
    has_data && memmem::find_iter(src, b"kind").any(is_kind)
}

/// Whether a file is a text in UTF-16 or UTF-32, which some readers take by its byte order mark, or by where
/// its first characters have NUL. Only what has a format is one by that alone, everything else only if all of
/// it decodes.
pub(crate) fn is_utf16(src: &[u8], format: Option<Format>) -> bool {
    let has_syntax = format.is_some_and(|format| format != Format::Text);
    if has_syntax {
        let zeros = src.iter().take(4).filter(|&&b| b == 0).count();
        let is_marked = src.starts_with(b"\xff\xfe") || src.starts_with(b"\xfe\xff");
        return is_marked || (src.len() >= 4 && zeros > 0 && zeros < 4);
    }
    let is_text = |c: char| !c.is_control() || c.is_whitespace();
    let in_16 = |unit: fn([u8; 2]) -> u16| {
        let (units, rest) = src.as_chunks::<2>();
        rest.is_empty()
            && char::decode_utf16(units.iter().map(|&two| unit(two))).all(|c| c.is_ok_and(is_text))
    };
    let in_32 = |unit: fn([u8; 4]) -> u32| {
        let (units, rest) = src.as_chunks::<4>();
        let is_text = |&four: &[u8; 4]| char::from_u32(unit(four)).is_some_and(is_text);
        rest.is_empty() && units.iter().all(is_text)
    };
    match src {
        [0xff, 0xfe, 0, 0, ..] => in_32(u32::from_le_bytes),
        [0, 0, 0xfe, 0xff, ..] => in_32(u32::from_be_bytes),
        [0xff, 0xfe, ..] | [_, 0, _, 0, _, 0, ..] => in_16(u16::from_le_bytes),
        [0xfe, 0xff, ..] | [0, _, 0, _, 0, _, ..] => in_16(u16::from_be_bytes),
        _ => false,
    }
}

/// Where secrets stand in a template in clear, by all signs there are; in order, and none overlaps
/// another. In what does not follow its format, that may be anywhere.
pub(crate) fn secrets_in_clear(template: &Template) -> Vec<Range<usize>> {
    let mut spans = tokens::find(&template.src);
    if template.format.is_none_or(|format| format == Format::Text) {
        let lines = lines::in_file(template.name(), &template.src);
        spans.extend(lines.into_iter().map(|(_, span)| span));
    }
    if let Some(format) = template.format {
        match literals(template.name(), &template.src, format) {
            Ok(found) => spans.extend(found.into_iter().map(|literal| literal.scalar)),
            Err(_) if tokens::may_name_secrets(&template.src) => {
                spans.push(0..template.src.len());
            }
            Err(_) => {}
        }
    }
    spans.extend(beside_references(template).into_iter().map(|(_, span)| span));
    merged(spans)
}

/// The secrets in the lines of texts in which references stand too, where nothing is adopted: what each is
/// called, and where it stands, or the whole text if that does not stand in the file as it is.
fn beside_references(template: &Template) -> Vec<(String, Range<usize>)> {
    let mut found = Vec::new();
    for place in &template.places {
        let mut done = 0;
        for (number, segment) in place.segments.iter().enumerate() {
            let text = match segment {
                Segment::Source(range) => &template.src[range.clone()],
                Segment::Decoded(text) => text,
                Segment::Value(_) => continue,
            };
            // Only whole lines: what stands beside a value in one belongs to that.
            let is_last = number + 1 == place.segments.len();
            let line_end = |at: usize| at + 1;
            let start = match number {
                0 => 0,
                _ => memchr::memchr(b'\n', text).map_or(text.len(), line_end),
            };
            let end = match is_last {
                true => text.len(),
                false => memchr::memrchr(b'\n', text).map_or(0, line_end),
            };
            let lines = text.get(start..end).unwrap_or_default();
            let own = lines::find(std::str::from_utf8(lines).unwrap_or_default());
            found.extend(own.into_iter().map(|(name, span)| {
                let at = match segment {
                    Segment::Source(range) => Some(range.start + start + span.start),
                    _ => written_at(&template.src, &place.span, done, (lines, &span)),
                };
                let span = at.map_or(place.span.clone(), |at| at..at + span.len());
                done = at.map_or(done, |_| span.end);
                (name.to_owned(), span)
            }));
        }
    }
    found
}

/// Where secrets stand in a text that does not stand in a file as it is.
pub(crate) fn secrets_in_text(text: &[u8]) -> Vec<Range<usize>> {
    let mut spans = tokens::find(text);
    let lines = lines::find(std::str::from_utf8(text).unwrap_or_default()).into_iter();
    spans.extend(lines.map(|(_, span)| span));
    merged(spans)
}

/// The same places in order, those that overlap as one.
fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_by_key(|span| span.start);
    spans.dedup_by(|next, span| {
        let overlaps = next.start < span.end;
        if overlaps {
            span.end = span.end.max(next.end);
        }
        overlaps
    });
    spans
}

/// Tells of secrets in clear by the signs that adopting goes by; `known` takes note of where they stand.
fn tell(
    literals: Vec<Literal>,
    is_genesys: bool,
    known: &mut Vec<tokens::Known>,
    pending: &mut Vec<Pending>,
) {
    for literal in literals {
        known.push((literal.span, literal.scalar.start));
        // The fill rule tells of passwords itself, and `mail.debug.auth.password` is a switch.
        let other = ["] password", "] mail.debug.auth.password"];
        if !(is_genesys && other.iter().any(|end| literal.place.ends_with(end))) {
            let what = format!("{} stands here in clear", escaped(&literal.place));
            let at = literal.at;
            // The passwords of a list of URLs are told once.
            if pending.last().is_none_or(|told| told.at != at || told.what != what) {
                let about = literal.in_secret.then(|| Box::new(About::InSecret));
                pending.push(Pending { about, ..Pending::new(at, Rule::LiteralSecret, what) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What readers of the format can read, and a search for UTF-8 cannot, passed as clean.
    #[test]
    fn what_cannot_be_read_is_not_clean() {
        let text = "\u{feff}password = hunter2hunter2\r\n";
        let encoded = |unit: fn(u16) -> [u8; 2], skip| -> Vec<u8> {
            text.encode_utf16().skip(skip).flat_map(unit).collect()
        };
        for (name, src, is_one) in [
            ("a.json", encoded(u16::to_le_bytes, 0), true),
            ("a.yaml", encoded(u16::to_be_bytes, 0), true),
            ("a.xml", encoded(u16::to_be_bytes, 1), true),
            ("a.json", encoded(u16::to_le_bytes, 1), true),
            ("a.conf", encoded(u16::to_le_bytes, 0), true),
            ("a.conf", encoded(u16::to_le_bytes, 1), true),
            ("a.conf", encoded(u16::to_be_bytes, 1), true),
            ("a.conf", text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(), true),
            ("a.conf", text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(), true),
            ("a.bin", b"\xff\xfe\0\0\x01\0".to_vec(), false),
            ("a.bin", b"\0\x01ab".to_vec(), false),
            ("a.yaml", b"\xef\xbb\xbfa: 1\n".to_vec(), false),
        ] {
            let found = Check::of(name, src, None).findings;
            let rules: Vec<_> = found.iter().map(|problem| problem.rule).collect();
            let expected: &[Rule] = if is_one { &[Rule::WrongEncoding] } else { &[] };
            assert_eq!(rules, expected, "{name}");
        }
    }

    /// A file is gone through once for its references and its secrets in clear, and as many are found.
    #[test]
    fn secrets_are_found_beside_references_as_without() {
        for (src, count) in [
            ("a: bulla://d/e\npassword: hunter2\n", 1),
            ("password: hunter2\ntoken: hunter3\n", 2),
            ("a: bulla://d/e\n", 0),
            // Not YAML, so that the lines are looked at.
            ("a: bulla://d/e\npassword: hunter2hunter2\n- b\n", 1),
            ("password: hunter2hunter2\n- b\n", 1),
        ] {
            let found = Check::of("x.yaml", src.into(), None).findings;
            let told = found.iter().filter(|problem| problem.rule == Rule::LiteralSecret).count();
            assert_eq!(told, count, "{src:?}");
            if let Ok(alone) = literals("x.yaml", src.as_bytes(), Format::Yaml) {
                assert_eq!(alone.len(), count, "{src:?}");
            }
        }
    }
}
