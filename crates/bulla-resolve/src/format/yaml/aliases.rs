//! What aliases make of what stands elsewhere: data of a Kubernetes Secret, or the like, and values under
//! other names.

use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use saphyr_parser::Event;
use zeroize::Zeroizing;

use super::brackets::Readable;
use super::{begin, token_start};
use crate::format::Role;
use crate::format::kubernetes::{self, Secrets};
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

/// A scalar that aliases make a value in the data of a Secret.
pub(crate) struct InSecret {
    /// The key that it is the value of.
    pub(crate) name: String,
    /// Where it begins and ends in the file; in quotes or a block, more or less.
    pub(crate) span: Range<usize>,
    pub(crate) text: Zeroizing<String>,
    /// Whether it is read through base64.
    pub(crate) encoded: bool,
}

/// The text of a file behind `bom` bytes, if there may be aliases in it.
fn with_aliases(src: &[u8]) -> Option<(usize, &str)> {
    // At the beginning of a node, and with a name.
    let mark = |mark| {
        memchr::memchr_iter(mark, src).any(|at| {
            let before =
                src[..at].last().is_none_or(|b| b.is_ascii_whitespace() || b"[{,:".contains(b));
            before && src.get(at + 1).is_some_and(|b| !b.is_ascii_whitespace())
        })
    };
    let bom = if src.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let text = std::str::from_utf8(&src[bom..]).ok()?;
    (mark(b'&') && mark(b'*')).then_some((bom, text))
}

/// The scalars in `src` that are values of further keys by aliases.
pub(crate) fn aliased(src: &[u8]) -> Vec<Aliased> {
    let (mut found, mut anchored) = (Vec::new(), HashMap::new());
    let Some((bom, text)) = with_aliases(src) else { return found };
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

/// What stands in the data of Secrets in `src` once each alias is replaced by what it stands for, whatever
/// else stands there.
pub(crate) fn in_secrets(src: &[u8]) -> Vec<InSecret> {
    let found = with_aliases(src).filter(|_| kubernetes::may_hold_secret(src));
    let Some((bom, text)) = found else { return Vec::new() };
    let Some(mut nodes) = Nodes::of(text, bom) else { return Vec::new() };
    let mut seen = Seen { left: FEWEST + 8 * nodes.list.len(), ..Seen::default() };
    nodes.see(0..nodes.list.len(), None, &mut seen);
    let mut found = Vec::new();
    for (number, role, _) in seen.secrets.told {
        let Some(&(node, key)) = seen.scalars.get(number) else { continue };
        let name = key.and_then(|key| nodes.list[key].text()).map_or("", |name| name);
        let name = names::too_long(name.as_bytes()).unwrap_or(name).to_owned();
        if let Node::Scalar { span, text, .. } = &mut nodes.list[node]
            && matches!(role, Role::Secret | Role::EncodedSecret)
        {
            let (span, text) = (span.clone(), text.clone());
            found.push(InSecret { name, span, text, encoded: role == Role::EncodedSecret });
        }
    }
    found
}

/// How many nodes are looked at in any file. As aliases may stand for others, what they stand for can be far
/// more than the file.
const FEWEST: usize = 10_000;
/// How deep aliases may stand in what others stand for. One may even stand in its own.
const DEEPEST: usize = 32;

/// The nodes of a file.
#[derive(Default)]
struct Nodes {
    list: Vec<Node>,
    /// The nodes that an alias with this number stands for.
    anchored: HashMap<usize, Range<usize>>,
}

enum Node {
    Open,
    Close,
    Scalar { is_key: bool, span: Range<usize>, text: Zeroizing<String> },
    Alias { is_key: bool, anchor: usize },
}

impl Node {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// What was seen of them.
#[derive(Default)]
struct Seen {
    secrets: Secrets,
    /// The scalars as they came, with the key before each, by their numbers in the file.
    scalars: Vec<(usize, Option<usize>)>,
    key: Option<usize>,
    /// How many more nodes may be looked at.
    left: usize,
    depth: usize,
}

impl Nodes {
    /// `None` if it is no YAML.
    fn of(text: &str, bom: usize) -> Option<Self> {
        let readable = Readable::of(text);
        let mut place = readable.cursor();
        let mut nodes = Self::default();
        let mut around = super::Nodes::default();
        let mut open = Vec::new();
        for event in readable.parser() {
            let (event, marks) = event.ok()?;
            let number = nodes.list.len();
            match event {
                Event::Scalar(decoded, style, anchor, tag) => {
                    let at = place.byte(marks.start.index());
                    let marked = anchor != 0 || tag.is_some();
                    let start = begin(text, at, (&decoded, style), marked);
                    let end = place.byte(marks.end.index()).max(start);
                    nodes.anchored.insert(anchor, number..number + 1);
                    nodes.list.push(Node::Scalar {
                        is_key: around.node() == Role::Key,
                        span: bom + start..bom + end,
                        text: Zeroizing::new(decoded.into_owned()),
                    });
                }
                Event::Alias(anchor) => {
                    let is_key = around.node() == Role::Key;
                    nodes.list.push(Node::Alias { is_key, anchor });
                }
                Event::MappingStart(anchor, _) | Event::SequenceStart(anchor, _) => {
                    around.open(matches!(event, Event::MappingStart(..)));
                    open.push((anchor, number));
                    nodes.list.push(Node::Open);
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    around.close();
                    nodes.list.push(Node::Close);
                    let (anchor, start) = open.pop()?;
                    nodes.anchored.insert(anchor, start..number + 1);
                }
                _ => {}
            }
        }
        Some(nodes)
    }

    /// Looks at some nodes, of which the first is a key or not `as_key`, if that says so.
    fn see(&self, range: Range<usize>, as_key: Option<bool>, seen: &mut Seen) {
        for (number, node) in range.clone().zip(&self.list[range.clone()]) {
            if seen.left == 0 {
                return;
            }
            seen.left -= 1;
            let as_key = as_key.filter(|_| number == range.start);
            match node {
                Node::Open => seen.secrets.open(),
                Node::Close => seen.secrets.close(),
                Node::Scalar { is_key, text, .. } => {
                    let is_key = as_key.unwrap_or(*is_key);
                    seen.secrets.scalar(text.as_bytes(), is_key);
                    seen.scalars.push((number, seen.key));
                    seen.key = Some(number).filter(|_| is_key).or(seen.key);
                }
                Node::Alias { is_key, anchor } => {
                    let known = self.anchored.get(anchor).filter(|_| seen.depth < DEEPEST);
                    if let Some(stands_for) = known {
                        seen.depth += 1;
                        self.see(stands_for.clone(), Some(as_key.unwrap_or(*is_key)), seen);
                        seen.depth -= 1;
                    }
                }
            }
        }
    }
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
