//! What aliases make of what stands elsewhere: data of a Kubernetes Secret, or the like, and values under
//! other names.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use saphyr_parser::Event;
use zeroize::Zeroizing;

use super::brackets::Readable;
use super::token_start;
use crate::names;

/// A scalar that an alias gives a further name.
pub(crate) struct Aliased {
    /// The key that the alias is the value of.
    pub(crate) name: Rc<str>,
    /// Where the scalar begins and ends in the file, more or less: behind its anchor.
    pub(crate) span: Range<usize>,
    /// What it says, at most its first 4 KiB.
    pub(crate) text: Rc<Zeroizing<String>>,
}

/// How much of a scalar is looked at for each of its names, in bytes.
const LONGEST: usize = 4_096;

/// The scalars in `src` that are values of further keys by aliases.
pub(crate) fn aliased(src: &[u8]) -> Vec<Aliased> {
    let (mut found, mut anchored) = (Vec::new(), HashMap::new());
    // At the beginning of a node, and with a name.
    let mark = |mark| {
        memchr::memchr_iter(mark, src).any(|at| {
            let before =
                src[..at].last().is_none_or(|b| b.is_ascii_whitespace() || b"[{,:".contains(b));
            before && src.get(at + 1).is_some_and(|b| !b.is_ascii_whitespace())
        })
    };
    let bom = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let Ok(text) = std::str::from_utf8(&src[bom..]) else { return found };
    if !mark(b'&') || !mark(b'*') {
        return found;
    }
    let readable = Readable::of(text);
    let mut place = readable.cursor();
    // Whether the next node in each collection is a key, `None` in a sequence; and the last key.
    let none: Rc<str> = Rc::from("");
    let mut open: Vec<(Option<bool>, Rc<str>)> = Vec::new();
    for event in readable.parser() {
        // What is wrong is told by whoever reads the values.
        let Ok((event, marks)) = event else { return Vec::new() };
        let is_node = matches!(
            event,
            Event::Scalar(..)
                | Event::Alias(_)
                | Event::MappingStart(..)
                | Event::SequenceStart(..)
        );
        let around = open.last_mut().filter(|_| is_node);
        let mut is_key = false;
        if let Some((Some(key_next), name)) = around {
            is_key = std::mem::replace(key_next, !*key_next);
            if is_key {
                *name = Rc::clone(&none);
            }
        }
        match event {
            Event::Scalar(decoded, _, anchor, _) => {
                if anchor != 0 {
                    let start = token_start(text, place.byte(marks.start.index()));
                    let end = place.byte(marks.end.index()).max(start);
                    let span = bom + start..bom + end;
                    let text = decoded[..decoded.floor_char_boundary(LONGEST)].to_owned();
                    anchored.insert(anchor, (span, Rc::new(Zeroizing::new(text))));
                }
                if let Some((_, name)) = open.last_mut().filter(|_| is_key) {
                    *name = Rc::from(names::too_long(decoded.as_bytes()).unwrap_or(&decoded));
                }
            }
            Event::Alias(anchor) if !is_key => {
                let name = open.last().map(|(_, name)| name).filter(|name| !name.is_empty());
                if let (Some(name), Some((span, text))) = (name, anchored.get(&anchor)) {
                    let (name, span, text) = (Rc::clone(name), span.clone(), Rc::clone(text));
                    found.push(Aliased { name, span, text });
                }
            }
            Event::MappingStart(..) => open.push((Some(true), Rc::clone(&none))),
            Event::SequenceStart(..) => {
                // The items of a list go by the name of the list.
                let name = Rc::clone(open.last().map_or(&none, |(_, name)| name));
                open.push((None, name));
            }
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
            }
            _ => {}
        }
    }
    found
}

/// Whether an alias or a merge key could bring what stands at an anchor into the data of a Secret: one
/// that is a key, or stands for its kind, version or data, or in its data.
pub(super) fn may_make_secret(readable: &Readable<'_>) -> bool {
    let mut open: Vec<Collection> = Vec::new();
    let (mut used, mut versioned, mut secret) = (false, false, false);
    // Any item of a list of Secrets is one, wherever it comes from.
    let (mut used_anywhere, mut in_list) = (false, false);
    for event in readable.parser() {
        // What is wrong is told by whoever reads the values.
        let Ok((event, _)) = event else { return false };
        let mut node = |text| open.last_mut().is_some_and(|around| around.node(text));
        match event {
            Event::Scalar(text, ..) => {
                versioned |= text == "apiVersion";
                in_list |= text == "SecretList";
                secret |= matches!(&*text, "Secret" | "SecretList" | "binaryData");
                node(Some(&text));
            }
            Event::Alias(_) => {
                used |= node(None);
                used_anywhere = true;
            }
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let matters = node(None);
                let is_mapping = matches!(event, Event::MappingStart(..));
                let key_next = is_mapping.then_some(true);
                open.push(Collection { key_next, matters, named: false });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                open.pop();
            }
            _ => {}
        }
    }
    (used || (used_anywhere && in_list)) && versioned && secret
}

struct Collection {
    /// Whether the next node in it is a key; `None` in a sequence.
    key_next: Option<bool>,
    /// Whether an alias anywhere in it matters.
    matters: bool,
    /// Whether one matters that is the value of the last key.
    named: bool,
}

impl Collection {
    /// Takes note of one more node, with its text if it is a scalar; whether an alias here matters.
    fn node(&mut self, text: Option<&str>) -> bool {
        let Some(key_next) = &mut self.key_next else { return self.matters };
        if std::mem::replace(key_next, !*key_next) {
            self.named = text.is_none_or(|text| NAMES.contains(&text));
            return true;
        }
        self.matters || self.named
    }
}

const NAMES: [&str; 5] = ["<<", "apiVersion", "binaryData", "data", "kind"];
