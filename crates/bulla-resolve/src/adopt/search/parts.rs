//! Secrets inside of one scalar: what of them is moved, and what stays where it is.

use std::ops::Range;

use memchr::memmem;

use super::{Search, What};
use crate::adopt::inside::{Name, Piece};
use crate::adopt::{Braces, EntryKind, Find, NO_VALUE, NOT_AS_WRITTEN, Spot, Stays, signs, unread};
use crate::check::tokens::{self, Known};
use crate::expression;
use crate::format::{Format, Scalar, Text};
use crate::genesys::PASSWORD;
use crate::names::segment;
use crate::problem::without_secrets;
use crate::secret::Secret;
use crate::unclear;

/// A secret that no template would give back.
pub(in crate::adopt) struct Stay {
    /// What it is called.
    pub(in crate::adopt) place: String,
    /// The scalar that it stands in.
    pub(in crate::adopt) span: Range<usize>,
    /// Where it stands there, or the scalar where that is not known.
    pub(in crate::adopt) at: Range<usize>,
    pub(in crate::adopt) why: Stays,
    /// The same in words.
    pub(in crate::adopt) because: &'static str,
}

impl Stay {
    /// A scalar that readers disagree on, or that cannot be decoded.
    pub(super) fn unclear(span: Range<usize>, place: &str) -> Self {
        let place = without_secrets(place).into_owned();
        let (why, because) = (Stays::Unclear, unclear::WHAT);
        Self { place, at: span.clone(), span, why, because }
    }

    /// A scalar that is a secret by an alias.
    pub(super) fn aliased(span: Range<usize>, place: &str, because: &'static str) -> Self {
        Self { why: Stays::Aliased, because, ..Self::unclear(span, place) }
    }
}

/// What has no name but its shape, where messages tell names.
pub(in crate::adopt) const LIKE_A_SECRET: &str = "what looks like a secret";

impl Spot {
    /// Where a find of this scalar stands in the file: exactly, if that is known.
    pub(in crate::adopt) fn whereabouts(&self, find: &Find) -> Range<usize> {
        let at = self.verbatim.map(|at| at + find.range.start).or(find.at);
        at.map_or_else(|| find.span.clone(), |at| at..at + find.range.len())
    }
}

impl Search<'_> {
    /// The parts of a scalar that are secrets, in order.
    pub(super) fn parts(&mut self, scalar: &Scalar, text: &str, pieces: Vec<Piece<'_>>) {
        let verbatim = match &scalar.text {
            Text::Verbatim(range) if !scalar.is_encoded() => Some(range.start),
            _ => None,
        };
        let mut known = Vec::new();
        for piece in pieces {
            known.push((piece.range.clone(), 0));
            let (place, below, field) = match &piece.name {
                Name::Json(path) => {
                    let (below, field) = path.rsplit_once('.').unwrap_or(("", path));
                    (format!("{}.{path}", self.place()), below, field)
                }
                Name::Option(name) => (format!("{} --{name}", self.place()), "", *name),
                Name::Password(Some(variable)) => {
                    (format!("{}.{variable} password", self.place()), *variable, PASSWORD)
                }
                Name::Password(None) => (format!("{} password", self.place()), "", PASSWORD),
                Name::Url => (format!("{} url", self.place()), "", "url"),
                Name::Variable(name) => (format!("{}.{name}", self.place()), "", *name),
            };
            let below = Some(below).filter(|below| !below.is_empty());
            let last = self.path.last().map(|(_, name)| &**name);
            let names = self.around(scalar).chain(last).chain(below);
            let entry = self.entry(names);
            let encoded = &text.as_bytes()[piece.range.clone()];
            let Some(value) = piece
                .filter
                .map_or_else(|| Some(Secret::copied_from(encoded)), |filter| filter.undo(encoded))
            else {
                let span = scalar.span.clone();
                let Range { start, end } = piece.range;
                let at = verbatim.map_or_else(|| span.clone(), |at| at + start..at + end);
                let place = without_secrets(&place).into_owned();
                let (why, because) = (Stays::Spelling, NOT_AS_WRITTEN);
                self.stays.push(Stay { place, span, at, why, because });
                continue;
            };
            let what = What {
                place,
                value: value.expose(),
                filter: piece.filter,
                braces: self.braces(scalar),
                range: piece.range,
                verbatim,
                ..What::whole_of(scalar, text.as_bytes())
            };
            self.add(what, &entry, EntryKind::Secret, &segment(field), false);
        }
        // Where the text stands in the file as it is, they are seen there.
        if verbatim.is_none() {
            self.leave_tokens(scalar, text, known);
        }
    }

    /// Leaves the tokens of a text that are not `known` where they are.
    fn leave_tokens(&mut self, scalar: &Scalar, text: &str, known: Vec<Known>) {
        let mut from = scalar.span.start;
        for token in tokens::beside(tokens::find(text.as_bytes()), known) {
            // One line of it, as blocks of YAML are indented; in the order of the text.
            let line = text[token].split('\n').next().unwrap_or_default();
            let found = memmem::find(&self.src[from..scalar.span.end], line.as_bytes());
            let place = LIKE_A_SECRET.to_owned();
            let (span, why, because) = (scalar.span.clone(), Stays::NoValue, NO_VALUE);
            let Some(at) = found.map(|at| from + at) else {
                // It is written in another way there, and so may all others be.
                self.stays.push(Stay { place, at: span.clone(), span, why, because });
                return;
            };
            from = at + line.len();
            self.stays.push(Stay { place, span, at: at..from, why, because });
        }
    }

    /// The braces that can stand in a scalar. In YAML, a plain one between brackets is followed by what
    /// no other is.
    fn braces(&self, scalar: &Scalar) -> Braces {
        let is_plain = !scalar.is_encoded()
            && matches!(&scalar.text, Text::Verbatim(range) if *range == scalar.span);
        let after = self.src[scalar.span.end..].trim_ascii_start().first();
        let in_brackets = matches!(after, Some(b',' | b']' | b'}'));
        if self.format == Format::Yaml && is_plain && in_brackets {
            Braces::Round
        } else {
            Braces::Curly
        }
    }

    /// A value of which only the spelling is known. `has_key` says whether it has a name, `by_name` whether
    /// that may tell a secret.
    pub(super) fn unread(&mut self, scalar: &Scalar, has_key: bool, by_name: bool) {
        let raw = String::from_utf8_lossy(&self.src[scalar.span.clone()]);
        if expression::has_plain(raw.as_bytes()) {
            return;
        }
        // Python goes on to read the value of `password =` in the next line, if that is indented.
        let is_more = std::mem::take(&mut self.is_open) && !has_key;
        self.is_open = self.format == Format::Ini && by_name && scalar.span.is_empty();
        let place = self.place();
        let key = self.path.last().map(|(_, key)| &**key).filter(|_| by_name || is_more);
        let key = key.filter(|key| self.tells(key, &raw));
        let assigned = unread::assignments(self.format, &raw, has_key);
        if assigned.is_empty()
            && (unread::is_secret(&raw, key, !has_key)
                || (scalar.is_in_secret()
                    && signs::is_secret_anywhere(raw.trim_matches(['"', '\'']))))
        {
            self.stays.push(Stay::unclear(scalar.span.clone(), &place));
        }
        for (name, range) in assigned {
            let place = match self.path.is_empty() {
                true => name.to_owned(),
                false => format!("{place}.{name}"),
            };
            let mut stay = Stay::unclear(scalar.span.clone(), &place);
            // What is not UTF-8 is longer in `raw`.
            if raw.len() == scalar.span.len() {
                stay.at = scalar.span.start + range.start..scalar.span.start + range.end;
            }
            self.stays.push(stay);
        }
    }
}
