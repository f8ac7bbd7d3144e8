//! Secrets inside longer texts: the value of a variable in a list, that of an option in a command line,
//! the password of a URL, a value of JSON.
//!
//! What a shell would make of a word is not guessed: where it is not plain, the word is passed over.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Find;
use super::search::Search;
use super::shapes::{is_secret_value, is_webhook};
use super::signs::{
    JDBC, is_literal, is_secret, is_secret_anywhere, is_secret_name, password_in_url,
    passwords_in_jdbc, url_length,
};
use crate::check::lines;
use crate::check::tokens::{self, Known};
use crate::filter::Filter;
use crate::format::Format;

/// A secret inside a text.
pub(super) struct Piece<'t> {
    pub(super) range: Range<usize>,
    /// The variable or option that it is the value of; none for what belongs to a URL.
    pub(super) name: Name<'t>,
    /// How it is encoded there.
    pub(super) filter: Option<Filter>,
}

/// What a secret inside a text is called.
pub(super) enum Name<'t> {
    /// The path of keys in JSON.
    Json(String),
    Option(&'t str),
    /// The password of a URL, perhaps one in a variable.
    Password(Option<&'t str>),
    Url,
    Variable(&'t str),
}

/// The secrets in `text`, in order; none overlaps another. `is_item` says whether it is an item of a
/// list.
pub(super) fn pieces(text: &str, is_item: bool) -> Vec<Piece<'_>> {
    // Each has one of these in it, and most texts have none.
    if memchr::memchr2(b'=', b':', text.as_bytes()).is_none() {
        return Vec::new();
    }
    let variable = variable(text).filter(|_| is_item);
    if let Some((name, range)) = variable.clone() {
        let value = &text[range.clone()];
        if is_secret(name, value) || is_secret_value(value) {
            let piece = Piece { range, name: Name::Variable(name), filter: None };
            return if is_literal(value) { vec![piece] } else { Vec::new() };
        }
        if let Some(password) = password_in_url(value).filter(|_| !is_list(value)) {
            let password = range.start + password.start..range.start + password.end;
            return vec![if is_canonical(&text[password.clone()]) {
                Piece {
                    range: password,
                    name: Name::Password(Some(name)),
                    filter: Some(Filter::Url),
                }
            } else {
                Piece { range, name: Name::Variable(name), filter: None }
            }];
        }
    }
    let mut pieces = options(text, is_item);
    pieces.extend(urls(text, variable.map(|(name, _)| name)));
    pieces.extend(jdbc(text));
    // A text of several lines may be a file, as in a ConfigMap.
    if memchr::memchr(b'\n', text.trim_end().as_bytes()).is_some() {
        let lines = lines::find(text).into_iter();
        pieces.extend(lines.map(|(name, range)| Piece {
            range,
            name: Name::Variable(name),
            filter: None,
        }));
    }
    if let Some(search) = json(text) {
        // A value with a quote in it would end the string that the option stands in.
        pieces.retain(|piece| !matches!(piece.name, Name::Option(_)));
        // What a line shows is moved as it is there.
        let known: Vec<_> = pieces.iter().map(|piece| (piece.range.clone(), 0)).collect();
        pieces.extend(values(search, known));
    }
    pieces.sort_by_key(|piece| piece.range.start);
    let mut done = 0;
    pieces.retain(|piece| {
        let is_free = piece.range.start >= done;
        done = done.max(piece.range.end);
        is_free
    });
    pieces
}

/// Where the `piece` of the text that the scalar at `span` decodes to is written, if that can be found behind
/// `from`: its line, or in a folded text its word, stands there as it is.
pub(crate) fn written_at(
    src: &[u8],
    span: &Range<usize>,
    from: usize,
    (text, piece): (&[u8], &Range<usize>),
) -> Option<usize> {
    let there = src.get(from.max(span.start)..span.end)?;
    let before = &text[..piece.start];
    let find = |start: usize| {
        let at = memchr::memmem::find(there, &text[start..piece.end])?;
        Some(from.max(span.start) + at + piece.start - start)
    };
    let line = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
    let is_blank = |b: &u8| b.is_ascii_whitespace();
    find(line).or_else(|| find(before.iter().rposition(is_blank).map_or(0, |end| end + 1)))
}

/// Whether the filter `url` gives a percent-encoded text back as it is.
pub(super) fn is_canonical(encoded: &str) -> bool {
    Filter::Url.undo(encoded.as_bytes()).is_some()
}

/// The value of the `NAME=VALUE` of which kustomize makes a Secret; it takes quotes off.
pub(super) fn generated(text: &str) -> Option<Piece<'_>> {
    let (name, value) = text.split_once('=')?;
    let first = value.chars().next().filter(|&c| is_quote(c) && value.len() > 1);
    let quote = usize::from(first.is_some_and(|quote| value.ends_with(quote)));
    let range = name.len() + 1 + quote..text.len() - quote;
    let value = &text[range.clone()];
    let is_one = is_literal(value) && is_secret_anywhere(value);
    is_one.then_some(Piece { range, name: Name::Variable(name), filter: None })
}

/// The name and the value of `NAME=VALUE`. One with white space in it may as well be a command.
fn variable(text: &str) -> Option<(&str, Range<usize>)> {
    let (name, value) = text.split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    (is_name && !value.contains(char::is_whitespace)).then_some((name, name.len() + 1..text.len()))
}

/// The values of options, `--NAME=VALUE`, whose names are those of secrets.
fn options(text: &str, is_item: bool) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("--") {
        let start = at + found;
        at = start + 2;
        if !text[..start].chars().next_back().is_none_or(|c| c.is_whitespace() || is_quote(c)) {
            continue;
        }
        let rest = &text[at..];
        let length =
            rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"_.-".contains(b)).count();
        let (name, after) = rest.split_at(length);
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !after.starts_with('=') {
            continue;
        }
        at += length + 1;
        if !is_secret_name(name) {
            continue;
        }
        let value = if start == 0 && is_item && is_argument(&text[at..]) {
            Some(at..text.len())
        } else {
            word(text, at)
        };
        let is_one = |range: &Range<usize>| {
            let value = &text[range.clone()];
            is_literal(value) && is_secret(name, value)
        };
        if let Some(range) = value.filter(is_one) {
            at = range.end;
            pieces.push(Piece { range, name: Name::Option(name), filter: None });
        }
    }
    pieces
}

/// Whether the rest of an item that begins with an option is the option's value as it stands there:
/// no shell reads such a list.
fn is_argument(rest: &str) -> bool {
    !rest.starts_with(is_quote) && !rest.contains(char::is_whitespace)
}

/// The word at `from` as a shell would read it: in quotes or without any, and nothing in it that a
/// shell alters.
fn word(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = &text[from..];
    let ends =
        |rest: &str| rest.chars().next().is_none_or(|c| c.is_whitespace() || ";,])".contains(c));
    if let Some(quote) = rest.chars().next().filter(|&c| is_quote(c)) {
        let length = rest[1..].find(quote)?;
        let value = &rest[1..=length];
        let is_plain = quote == '\'' || !value.contains(['\\', '$', '`']);
        return (is_plain && ends(&rest[length + 2..])).then_some(from + 1..from + 1 + length);
    }
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_./:@%+,=~^-".contains(b);
    let length = rest.bytes().take_while(plain).count();
    let after = &rest[length..];
    // A quote that was opened before the option.
    let after = after.strip_prefix(is_quote).unwrap_or(after);
    ends(after).then_some(from..from + length)
}

/// Whether another URL follows the first.
fn is_list(text: &str) -> bool {
    let rest = text.find("://").map_or(&[][..], |colon| &text.as_bytes()[colon..]);
    url_length(rest, |_| false) < rest.len()
}

/// The passwords of URLs, perhaps of a list that is the value of `variable`; the whole URL where the
/// password is written in another way than the filter `url` writes it.
fn urls<'t>(text: &'t str, variable: Option<&'t str>) -> Vec<Piece<'t>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("://") {
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || "+.-".contains(c);
        let colon = at + found;
        let start = at + text[at..colon].trim_end_matches(is_scheme).len();
        let ends = |c: char| c.is_whitespace() || is_quote(c) || "<>\\`".contains(c);
        let rest = &text[colon..];
        let ends = |at: usize| rest.is_char_boundary(at) && rest[at..].starts_with(ends);
        let end = colon + url_length(rest.as_bytes(), ends);
        let begins = text[..start]
            .chars()
            .next_back()
            .is_none_or(|c| c.is_whitespace() || is_quote(c) || "=,;".contains(c))
            || text[..start].ends_with(JDBC);
        at = end;
        if begins && is_webhook(&text[start..end]) {
            pieces.push(Piece { range: start..end, name: Name::Url, filter: None });
            continue;
        }
        let Some(password) = password_in_url(&text[start..end]).filter(|_| begins) else {
            continue;
        };
        let password = start + password.start..start + password.end;
        pieces.push(if is_canonical(&text[password.clone()]) {
            Piece { range: password, name: Name::Password(variable), filter: Some(Filter::Url) }
        } else {
            Piece { range: start..end, name: Name::Url, filter: None }
        });
    }
    pieces
}

/// The passwords in the parameters of URLs for JDBC; the whole URL where one is written in another way
/// than it would be written again.
fn jdbc(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find(JDBC) {
        let start = at + found;
        let ends = |c: char| c.is_whitespace() || is_quote(c) || "<>\\`".contains(c);
        let end = start + text[start..].find(ends).unwrap_or(text.len() - start);
        at = end;
        let url = &text[start..end];
        let parameters = url.find('?').unwrap_or(url.len());
        let mut own = Vec::new();
        for (name, range) in passwords_in_jdbc(url) {
            // Between semicolons nothing is encoded.
            let encodes = parameters < range.start;
            let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
            let is_kept = match encodes {
                true => is_canonical(&url[range.clone()]),
                false => url[range.clone()].bytes().all(is_plain),
            };
            if !is_kept {
                own = vec![Piece { range: start..end, name: Name::Url, filter: None }];
                break;
            }
            own.push(Piece {
                range: start + range.start..start + range.end,
                name: Name::Variable(name),
                filter: encodes.then_some(Filter::Url),
            });
        }
        pieces.append(&mut own);
    }
    pieces
}

/// The secrets in a text, if it is JSON.
fn json(text: &str) -> Option<Search<'_>> {
    let inner = text.trim();
    let is_in = |open, close| inner.starts_with(open) && inner.ends_with(close);
    if !(is_in('{', '}') || is_in('[', ']')) || !inner.contains('"') {
        return None;
    }
    let mut search = Search::new("", text.as_bytes(), Format::Json);
    search.run().is_ok().then_some(search)
}

/// The values of JSON that are secrets, as they are written there, beside those that are `known`; one that
/// only holds a secret as a whole, as what is in it has an encoding of its own.
fn values<'t>(search: Search<'_>, known: Vec<Known>) -> Vec<Piece<'t>> {
    let spots = search.spots;
    let name = |find: &Find| {
        let is_whole = find.range == (0..spots[&find.span.start].text.len());
        if is_whole { find.place.clone() } else { "json".to_owned() }
    };
    let finds = search.finds.iter().map(|find| (find.span.start, (find.span.clone(), name(find))));
    let mut places: BTreeMap<_, _> = finds.collect();
    let spans = places.values().map(|(span, _)| span.clone()).collect();
    let pieces = tokens::beside(spans, known).into_iter().filter_map(|range| {
        let (_, place) = places.remove(&range.start)?;
        Some(Piece { range, name: Name::Json(place), filter: Some(Filter::Json) })
    });
    pieces.collect()
}

fn is_quote(c: char) -> bool {
    c == '"' || c == '\''
}
