//! `{name: DB_PASSWORD, value: hunter2}`, as in the `env` of Kubernetes: in YAML and JSON, a value is called
//! what the name beside it says.

use super::Search;
use crate::adopt::signs;
use crate::expression;
use crate::format::{Scalar, Text};
use crate::names;

/// The mappings around a place, as far as a name and a value may stand beside each other in them.
#[derive(Default)]
pub(super) struct Pairs {
    open: Vec<Pair>,
    /// Where the scalar before ends.
    end: usize,
}

struct Pair {
    /// How deep its keys lie.
    depth: usize,
    name: Option<String>,
    /// A value without a name so far.
    value: Option<Scalar>,
}

impl Pairs {
    /// Comes to a key of a mapping.
    pub(super) fn enter(&mut self, src: &[u8], key: &Scalar) {
        while self.open.last().is_some_and(|pair| pair.depth > key.depth) {
            self.open.pop();
        }
        let between = src.get(self.end..key.span.start).unwrap_or_default();
        if self.open.last().is_some_and(|pair| pair.depth == key.depth) {
            if !begins_mapping(between) {
                return;
            }
            self.open.pop();
        }
        self.open.push(Pair { depth: key.depth, name: None, value: None });
    }

    /// Has passed a scalar.
    pub(super) fn pass(&mut self, scalar: &Scalar) {
        self.end = scalar.span.end;
    }
}

impl Search<'_> {
    /// Gives a value the name that stands before it, or the name to the value that does.
    pub(super) fn follow_pair(&mut self, scalar: &Scalar, text: &[u8]) {
        let Some((depth, key)) = self.path.last_mut() else { return };
        let is = |word| key.eq_ignore_ascii_case(word);
        let open = &mut self.pairs.open;
        let Some(pair) = open.last_mut().filter(|pair| pair.depth == *depth) else { return };
        if is("value") {
            match &pair.name {
                Some(name) if !is_same(name.as_bytes(), text) => *key = name.clone().into(),
                None if !expression::has_plain(text) => pair.value = Some(copy(scalar)),
                _ => {}
            }
        } else if (is("name") || is("key")) && !matches!(scalar.text, Text::Opaque) {
            let text = names::too_long(text).map_or(text, str::as_bytes);
            let name = String::from_utf8_lossy(text).into_owned();
            let tells = signs::is_secret_name(&name);
            if tells || pair.name.is_none() {
                pair.name = Some(name.clone());
            }
            if let Some(value) = pair.value.take_if(|_| tells) {
                self.name_late(&value, name);
            }
        }
    }

    /// Looks at a value once more, by the name that stands behind it.
    fn name_late(&mut self, scalar: &Scalar, name: String) {
        let start = scalar.span.start;
        let mut left = self.stays.iter().rev().take_while(|stay| stay.span.start >= start);
        if self.spots.contains_key(&start) || left.any(|stay| stay.span.start == start) {
            return;
        }
        let data = scalar.data(self.src);
        let text = data.as_ref().map_or_else(|| scalar.text.bytes(self.src), |data| &data[..]);
        let Some((_, key)) = self.path.last_mut().filter(|_| !is_same(name.as_bytes(), text))
        else {
            return;
        };
        let own = std::mem::replace(key, name.into());
        let counted = (self.references, self.encrypted);
        self.value(scalar, text, true, signs::is_plain(text));
        (self.references, self.encrypted) = counted;
        if let Some((_, key)) = self.path.last_mut() {
            *key = own;
        }
    }
}

fn copy(scalar: &Scalar) -> Scalar {
    let text = match &scalar.text {
        Text::Decoded(text) => Text::Decoded(text.clone()),
        Text::Opaque => Text::Opaque,
        Text::Verbatim(range) => Text::Verbatim(range.clone()),
    };
    Scalar { span: scalar.span.clone(), text, ..*scalar }
}

/// Whether a value only says its name again, as in a list of choices.
fn is_same(name: &[u8], value: &[u8]) -> bool {
    let letters = |text: &[u8]| -> Vec<u8> {
        let own = text.iter().filter(|b| b.is_ascii_alphanumeric() || !b.is_ascii());
        own.map(u8::to_ascii_lowercase).collect()
    };
    // Of two that differ much, nothing needs to be compared.
    value.len() <= 2 * name.len() && letters(name) == letters(value)
}

/// Whether another mapping begins in what stands before a key.
fn begins_mapping(between: &[u8]) -> bool {
    between.split(|&b| b == b'\n').any(|line| {
        let is_comment = |at: &usize| {
            line[*at] == b'#' && (*at == 0 || line[at - 1].is_ascii_whitespace())
                || line[*at..].starts_with(b"//")
        };
        let line = &line[..(0..line.len()).find(is_comment).unwrap_or(line.len())];
        let is_dash = |word: &[u8]| word == b"-" || word == b"---";
        line.contains(&b'{') || line.split(u8::is_ascii_whitespace).any(is_dash)
    })
}
