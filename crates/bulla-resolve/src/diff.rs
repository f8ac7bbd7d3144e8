//! What a rendering would change in the file that is there.
//!
//! That file may be anything: an older rendering, or one in which secrets still lie in clear. So
//! nothing of it is shown. A line of it is told as what it was proven to be, a line of the template
//! with this or that version of the values, or only as being something else. Neither is told how
//! long that is, in bytes or in lines.

mod rows;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};
use subtle::ConstantTimeEq as _;

use self::rows::Rows;
use crate::Reference;
use crate::check::secrets_in_clear;
use crate::format::{Format, Output};
use crate::reference::Pin;
use crate::render::{Rendering, write};
use crate::source::{Answer, Source};
use crate::template::{Place, Segment, Template};

/// The difference between a rendering and the file that is there.
pub struct Diff {
    /// Every line of the template, and between them what stands there instead.
    pub rows: Vec<Row>,
    /// Whether anything would change.
    pub differs: bool,
}

/// A line of the template, or something in its place.
#[derive(Debug, Eq, PartialEq)]
pub struct Row {
    /// Whether it stays, goes or comes.
    pub sign: Sign,
    /// The line of the template, counted from 1, at which this is.
    pub line: usize,
    /// What may be shown of it.
    pub pieces: Vec<Piece>,
}

/// What happens to a row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sign {
    /// It comes.
    Added,
    /// It goes.
    Removed,
    /// It stays.
    Same,
}

/// A piece of a row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Piece {
    /// Something that is not shown: of the file that is there, or a secret in the template.
    Hidden,
    /// The template's own text.
    Text(String),
    /// A value.
    Value {
        /// What it is the value of.
        reference: Reference,
        /// Which version of it.
        version: u64,
    },
}

/// How many versions back a value is looked for.
const VERSIONS: u64 = 10;
/// In how many of its entries a row may differ: each is looked for by itself, and a line may be long.
const MOST_CHANGED: usize = 4;
/// Two very different files are compared for so long and no longer; what is told is then less fine.
const PATIENCE: Duration = Duration::from_secs(2);

/// Compares `rendering`, made from `template`, with the bytes of the file that is there. `source` is
/// asked for earlier versions of what differs.
#[must_use]
pub fn diff(template: &Template, rendering: &Rendering, old: &[u8], source: &dyn Source) -> Diff {
    let new = rendering.contents.expose();
    let lines: Vec<&[u8]> = old.split_inclusive(|&b| b == b'\n').collect();
    let starts: Vec<usize> = lines
        .iter()
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some(start)
        })
        .collect();
    let spots = Spots::of(template, rendering);
    let plan = Plan::of(template, &spots, rendering);
    let (ids, mut line_ids) = (plan.ids(), Vec::new());
    let keys = Keys::of(&plan, &ids);
    for (number, line) in lines.iter().enumerate() {
        // A line that is like none is like no other either.
        line_ids.push(keys.id(line).unwrap_or(u32::MAX - u32::try_from(number).unwrap_or(0)));
    }
    let deadline = Some(Instant::now() + PATIENCE);
    let ops = capture_diff_slices_deadline(Algorithm::Myers, &line_ids, &ids, deadline);
    let pairs = ops.iter().flat_map(|op| match *op {
        DiffOp::Equal { old_index, new_index, len } => {
            (0..len).map(|n| (old_index + n, new_index + n)).collect()
        }
        _ => Vec::new(),
    });
    let pairs: Vec<_> = pairs.collect();
    let is_new = |line: usize, row: usize| {
        begins_with(&old[starts[line]..], &new[plan.rows[row].rendered.clone()])
    };
    let changed = pairs.iter().filter(|&&(line, row)| !is_new(line, row)).map(|&(_, row)| row);
    let changed: Vec<_> =
        changed.chain((0..plan.rows.len()).filter(|&row| keys.is_vague(&plan.rows[row]))).collect();
    let earlier = Earlier::ask(&plan, &changed, source);
    let scratch =
        Scratch { answers: vec![None; template.wanted.len()], out: Output::with_capacity(0) };
    let mut out = Rows { plan: &plan, rows: Vec::new(), done: 0, scratch };
    let mut next_row = 0;
    for (line, row) in pairs {
        while next_row <= row && out.goes_on(next_row, old, &keys, &earlier) {
            next_row += 1;
        }
        // Lines of a value before it have been told with it.
        if starts[line] < out.done || row < next_row {
            continue;
        }
        out.hidden(starts[line], next_row);
        for added in next_row..row {
            out.push(Sign::Added, added);
        }
        next_row = row + 1;
        let own = &plan.rows[row];
        if is_new(line, row) {
            out.push(Sign::Same, row);
            out.done = starts[line] + own.rendered.len();
            continue;
        }
        let there = &old[starts[line]..];
        match earlier.versions(&plan, row, there, &mut out.scratch) {
            Some((others, length)) => {
                out.push_changed(row, &earlier, &others);
                out.done = starts[line] + length;
            }
            None => {
                out.push_unknown(row);
                out.push(Sign::Added, row);
                out.done = starts[line] + lines[line].len();
            }
        }
    }
    while next_row < plan.rows.len() && out.goes_on(next_row, old, &keys, &earlier) {
        next_row += 1;
    }
    out.hidden(old.len(), next_row);
    for added in next_row..plan.rows.len() {
        out.push(Sign::Added, added);
    }
    Diff { rows: out.rows, differs: old != new }
}

/// What is filled in the template, and where it is in the rendering.
struct Spots<'a> {
    places: Cow<'a, [Place]>,
    placed: &'a [Range<usize>],
}

impl<'a> Spots<'a> {
    /// The places of the template. That of a plain text is the whole file: there, each value has a place
    /// of its own, so that the lines between them can be told apart.
    fn of(template: &'a Template, rendering: &'a Rendering) -> Self {
        let (places, placed) = (Cow::Borrowed(&template.places[..]), &rendering.placed[..]);
        let [whole] = &template.places[..] else { return Self { places, placed } };
        if template.format != Some(Format::Text) {
            return Self { places, placed };
        }
        let mut ends = whole.segments.iter().skip(1).map(|segment| match segment {
            Segment::Source(range) => range.start,
            Segment::Value(slot) => slot.at,
            Segment::Decoded(_) => unreachable!("plain text is what it decodes to"),
        });
        let mut places = Vec::new();
        for segment in &whole.segments {
            let end = ends.next().unwrap_or(whole.span.end);
            if let Segment::Value(slot) = segment {
                let (span, segments) = (slot.at..end, vec![Segment::Value(slot.clone())]);
                let scalar = whole.scalar;
                places.push(Place { scalar, span, segments, typed: false, encoded: false });
            }
        }
        Self { places: Cow::Owned(places), placed: &rendering.values }
    }
}

/// The template, line by line.
struct Plan<'a> {
    template: &'a Template,
    places: &'a [Place],
    /// The rendering, and where the places are in it.
    new: &'a [u8],
    placed: &'a [Range<usize>],
    versions: HashMap<&'a Reference, u64>,
    rows: Vec<Line>,
    /// Secrets that stand in the template in clear.
    clear: Vec<Range<usize>>,
}

/// A line of the template, its places being parts of it however many lines these have.
struct Line {
    number: usize,
    parts: Vec<LinePart>,
    rendered: Range<usize>,
}

enum LinePart {
    Own(Range<usize>),
    Place(usize),
}

impl<'a> Plan<'a> {
    fn of(template: &'a Template, spots: &'a Spots<'_>, rendering: &'a Rendering) -> Self {
        let (src, all) = (&template.src, &spots.places[..]);
        let mut rows = Vec::new();
        let mut line = Line { number: 1, parts: Vec::new(), rendered: 0..0 };
        let (mut at, mut out, mut number) = (0, 0, 1);
        let places = spots.placed.iter().enumerate().map(Some).chain([None]);
        for place in places {
            let end = place.map_or(src.len(), |(index, _)| all[index].span.start);
            for text in src[at..end].split_inclusive(|&b| b == b'\n') {
                line.parts.push(LinePart::Own(at..at + text.len()));
                (at, out) = (at + text.len(), out + text.len());
                if text.ends_with(b"\n") {
                    number += 1;
                    line.rendered.end = out;
                    let next = Line { number, parts: Vec::new(), rendered: out..out };
                    rows.push(std::mem::replace(&mut line, next));
                }
            }
            if let Some((index, placed)) = place {
                let span = all[index].span.clone();
                number += memchr::memchr_iter(b'\n', &src[span.clone()]).count();
                line.parts.push(LinePart::Place(index));
                (at, out) = (span.end, placed.end);
            }
        }
        line.rendered.end = out;
        if !line.parts.is_empty() {
            rows.push(line);
        }
        let versions = rendering.used.iter().map(|(reference, version)| (reference, *version));
        let clear = secrets_in_clear(template);
        let (new, placed) = (rendering.contents.expose(), spots.placed);
        Self { template, places: all, new, placed, versions: versions.collect(), rows, clear }
    }

    /// Numbers for the rows: the same for those whose own text is the same.
    fn ids(&self) -> Vec<u32> {
        let mut known = HashMap::new();
        let own = |line: &Line| {
            let text = |part: &LinePart| match part {
                LinePart::Own(range) => Some(self.template.src[range.clone()].to_vec()),
                LinePart::Place(_) => None,
            };
            line.parts.iter().map(text).collect::<Vec<_>>()
        };
        let number = |line| {
            let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
            *known.entry(own(line)).or_insert(next)
        };
        self.rows.iter().map(number).collect()
    }

    fn own(&self, part: Option<&LinePart>) -> &[u8] {
        match part {
            Some(LinePart::Own(range)) => &self.template.src[range.clone()],
            _ => &[],
        }
    }

    /// What a part of a line is rendered to.
    fn rendered(&self, part: &LinePart) -> &[u8] {
        match part {
            LinePart::Own(range) => &self.template.src[range.clone()],
            LinePart::Place(index) => &self.new[self.placed[*index].clone()],
        }
    }

    /// The references that have a value in a part of a line.
    fn references(&self, part: &LinePart) -> impl Iterator<Item = &Reference> {
        let asked = self.indices(part).map(|index| &self.template.wanted[index].reference);
        asked.filter(|reference| self.versions.contains_key(reference))
    }

    /// All that a part of a line asks for, as indices into the closure.
    fn indices(&self, part: &LinePart) -> impl Iterator<Item = usize> {
        let place = match part {
            LinePart::Place(index) => Some(&self.places[*index]),
            LinePart::Own(_) => None,
        };
        let segments = place.into_iter().flat_map(|place| &place.segments);
        let slots = segments.filter_map(|segment| match segment {
            Segment::Value(slot) => Some([Some(slot.wanted), slot.alternative]),
            _ => None,
        });
        slots.flatten().flatten()
    }

    /// Which of two was used.
    fn reference(&self, wanted: usize, alternative: Option<usize>) -> Option<&Reference> {
        let candidates = [Some(wanted), alternative].into_iter().flatten();
        let mut references = candidates.map(|index| &self.template.wanted[index].reference);
        references.find(|reference| self.versions.contains_key(reference))
    }
}

/// What tells lines of the file that is there from each other: the template's own text, and nothing
/// else.
struct Keys<'a> {
    /// Whole lines.
    whole: HashMap<&'a [u8], u32>,
    /// Lines with places, by the text before the first of these.
    around: HashMap<&'a [u8], Vec<Around<'a>>>,
    /// How long the texts before the first places are, longest first.
    lengths: Vec<usize>,
}

/// A line with places.
struct Around<'a> {
    /// The text behind the last place.
    last: &'a [u8],
    /// Whether a place may end in a later line.
    multi: bool,
    id: u32,
}

impl<'a> Keys<'a> {
    fn of(plan: &'a Plan<'_>, ids: &[u32]) -> Self {
        let mut keys = Self { whole: HashMap::new(), around: HashMap::new(), lengths: Vec::new() };
        let mut lengths = BTreeSet::new();
        for (line, &id) in plan.rows.iter().zip(ids) {
            if let [LinePart::Own(range)] = &line.parts[..] {
                keys.whole.insert(&plan.template.src[range.clone()], id);
                continue;
            }
            let (first, last) = (plan.own(line.parts.first()), plan.own(line.parts.last()));
            let has_lines = |part: &LinePart| match part {
                LinePart::Place(index) => {
                    plan.template.src[plan.places[*index].span.clone()].contains(&b'\n')
                }
                LinePart::Own(_) => false,
            };
            let multi = memchr::memchr_iter(b'\n', &plan.new[line.rendered.clone()]).count() > 1
                || line.parts.iter().any(has_lines);
            lengths.insert(first.len());
            let around = keys.around.entry(first).or_default();
            if !around.iter().any(|known| known.id == id) {
                around.push(Around { last, multi, id });
                around.sort_by_key(|around| usize::MAX - around.last.len());
            }
        }
        keys.lengths = lengths.into_iter().rev().collect();
        keys
    }

    /// Whether every line of the file could be the first of this row, so that the comparison of lines cannot
    /// tell which is.
    fn is_vague(&self, line: &Line) -> bool {
        let starts = matches!(line.parts.first(), Some(LinePart::Place(_)));
        starts && self.around.get(&[][..]).is_some_and(|around| around.iter().any(|it| it.multi))
    }

    fn id(&self, line: &[u8]) -> Option<u32> {
        if let Some(&id) = self.whole.get(line) {
            return Some(id);
        }
        self.lengths.iter().filter(|&&length| length <= line.len()).find_map(|&length| {
            let (first, rest) = line.split_at(length);
            let mut around = self.around.get(first)?.iter();
            around.find(|line| line.multi || rest.ends_with(line.last)).map(|line| line.id)
        })
    }
}

/// Values of other versions than those of the rendering.
struct Earlier {
    answers: BTreeMap<Reference, Answer>,
}

impl Earlier {
    fn ask(plan: &Plan<'_>, changed: &[usize], source: &dyn Source) -> Self {
        let mut wanted = BTreeSet::new();
        for &row in changed {
            let parts = &plan.rows[row].parts;
            let asked = parts.iter().flat_map(|part| plan.indices(part));
            wanted.extend(asked.map(|index| plan.template.wanted[index].reference.clone()));
            for reference in parts.iter().flat_map(|part| plan.references(part)) {
                let version = plan.versions.get(reference).copied().unwrap_or_default();
                // Where a version is pinned, the file may have a later one.
                let last = if reference.pin().is_some() { version + VERSIONS } else { version };
                let others = around(version, last);
                wanted.extend(others.filter_map(|version| at_version(reference, version)));
            }
        }
        let wanted: Vec<_> = wanted.into_iter().collect();
        let answers = if wanted.is_empty() { Vec::new() } else { source.resolve(&wanted) };
        Self { answers: wanted.into_iter().zip(answers).collect() }
    }

    /// The entries and their versions with which the row is what begins here, and how long that is. Where
    /// several differ, those are taken one after the other with which it goes on furthest.
    fn versions<'p, 'e: 'p>(
        &'e self,
        plan: &'p Plan<'_>,
        row: usize,
        there: &[u8],
        scratch: &mut Scratch<'e>,
    ) -> Option<(Others<'p>, usize)> {
        let parts = &plan.rows[row].parts;
        let mut others = Vec::new();
        while others.len() < MOST_CHANGED {
            let starts = self.starts(plan, parts, &others, there, scratch);
            // An entry of which nothing stands before the first difference is not what differs.
            let mut known: HashSet<_> = others.iter().map(|(entry, _)| *entry).collect();
            let reached = parts.iter().zip(&starts).enumerate();
            let entries: Vec<_> = reached
                .flat_map(|(number, (part, at))| {
                    plan.references(part).map(move |reference| (reference, number, *at))
                })
                .filter(|(reference, ..)| known.insert(reference.entry()))
                .collect();
            let (mut furthest, mut found) = (starts.len(), None);
            for (reference, number, at) in entries.into_iter().rev() {
                let current = plan.versions.get(reference).copied().unwrap_or_default();
                for version in around(current, current + VERSIONS).rev() {
                    let other = (reference.entry(), version);
                    others.push(other);
                    let rest = (&parts[number..], &there[at..]);
                    let ends = self.starts(plan, rest.0, &others, rest.1, scratch);
                    let end = at + ends.last().copied().unwrap_or_default();
                    if ends.len() > rest.0.len() && ends_at(there, end) {
                        return Some((others, end));
                    }
                    others.pop();
                    if number + ends.len() > furthest {
                        (furthest, found) = (number + ends.len(), Some(other));
                    }
                }
            }
            others.push(found?);
        }
        None
    }

    /// Where the parts begin that stand here with other versions of some entries, and then where the first
    /// one does not, or nothing is left.
    fn starts<'e>(
        &'e self,
        plan: &Plan<'_>,
        parts: &[LinePart],
        others: &[(&str, u64)],
        there: &[u8],
        scratch: &mut Scratch<'e>,
    ) -> Vec<usize> {
        let (mut starts, mut at) = (vec![0], 0);
        for part in parts {
            let bytes = match part {
                LinePart::Own(range) => &plan.template.src[range.clone()],
                LinePart::Place(_) if others.is_empty() => plan.rendered(part),
                LinePart::Place(number) => {
                    let Scratch { answers, out } = &mut *scratch;
                    for index in plan.indices(part) {
                        answers[index] = self.answer(plan, index, others);
                    }
                    out.clear();
                    if !write(plan.template, &plan.places[*number], answers, out) {
                        break;
                    }
                    out.bytes.bytes()
                }
            };
            if !starts_with(&there[at..], bytes) {
                break;
            }
            at += bytes.len();
            starts.push(at);
        }
        starts
    }

    /// Whether a value was another one at this version of its entry. Where an entry has several fields, most
    /// of its versions change only one of them.
    fn differs(&self, reference: &Reference, version: u64) -> bool {
        let then = at_version(reference, version).and_then(|then| self.answers.get(&then));
        match (then, self.answers.get(reference)) {
            (Some(Answer::Value { secret: then, .. }), Some(Answer::Value { secret: now, .. })) => {
                (!then.expose().ct_eq(now.expose())).into()
            }
            _ => true,
        }
    }

    /// The answer for an index of the closure with other versions of some entries.
    fn answer(&self, plan: &Plan<'_>, index: usize, others: &[(&str, u64)]) -> Option<&Answer> {
        let reference = &plan.template.wanted[index].reference;
        let other = others.iter().find(|(entry, _)| *entry == reference.entry());
        let other = other.and_then(|(_, version)| at_version(reference, *version));
        match other.and_then(|other| self.answers.get(&other)) {
            Some(answer @ Answer::Value { .. }) => Some(answer),
            Some(_) => None,
            None => self.answers.get(reference),
        }
    }
}

/// Entries with other versions than those of the rendering.
type Others<'p> = Vec<(&'p str, u64)>;

/// What is used again for each line that is tried.
struct Scratch<'a> {
    /// The answers by the index that the template knows them by; only those to what is tried count.
    answers: Vec<Option<&'a Answer>>,
    out: Output,
}

/// The versions near this one, up to `last`.
fn around(version: u64, last: u64) -> impl DoubleEndedIterator<Item = u64> {
    let first = version.saturating_sub(VERSIONS).max(1);
    (first..=last).filter(move |other| *other != version)
}

/// Whether a row stands here and ends here, too.
fn begins_with(there: &[u8], row: &[u8]) -> bool {
    starts_with(there, row) && ends_at(there, row.len())
}

/// Whether a row that stands here may end there.
fn ends_at(there: &[u8], length: usize) -> bool {
    there.len() == length || there[..length].ends_with(b"\n")
}

/// How long this takes does not tell how much of `bytes` is there.
fn starts_with(there: &[u8], bytes: &[u8]) -> bool {
    there.get(..bytes.len()).is_some_and(|there| there.ct_eq(bytes).into())
}

fn at_version(reference: &Reference, version: u64) -> Option<Reference> {
    Reference::new(reference.entry(), reference.field(), Some(Pin::Version(version))).ok()
}
