//! The rows of a difference as they are told: never more than the template itself says.

use std::ops::Range;

use super::{Earlier, Keys, LinePart, Piece, Plan, Row, Scratch, Sign, begins_with};
use crate::check::secrets_in_text;
use crate::expression;
use crate::format::Format;
use crate::template::{Place, Segment, Slot, Template};

/// The rows as they are told.
pub(super) struct Rows<'a> {
    pub(super) plan: &'a Plan<'a>,
    pub(super) rows: Vec<Row>,
    /// How much of the file that is there has been told.
    pub(super) done: usize,
    pub(super) scratch: Scratch<'a>,
}

impl<'a> Rows<'a> {
    /// Something else stands in the file up to `at`.
    pub(super) fn hidden(&mut self, at: usize, row: usize) {
        if self.done < at {
            let line =
                self.plan.rows.get(row).or(self.plan.rows.last()).map_or(1, |line| line.number);
            self.rows.push(Row { sign: Sign::Removed, line, pieces: vec![Piece::Hidden] });
            self.done = at;
        }
    }

    /// Tells a row of which any line could be the first, if it stands just behind what has been told.
    pub(super) fn goes_on(
        &mut self,
        row: usize,
        old: &[u8],
        keys: &Keys<'_>,
        earlier: &'a Earlier,
    ) -> bool {
        let line = &self.plan.rows[row];
        let there = &old[self.done..];
        if there.is_empty() || !keys.is_vague(line) {
            return false;
        }
        if begins_with(there, &self.plan.new[line.rendered.clone()]) {
            self.push(Sign::Same, row);
            self.done += line.rendered.len();
            return true;
        }
        let found = earlier.versions(self.plan, row, there, &mut self.scratch);
        let Some((others, length)) = found else { return false };
        self.push_changed(row, earlier, &others);
        self.done += length;
        true
    }

    /// A row of the template, line by line.
    pub(super) fn push(&mut self, sign: Sign, row: usize) {
        let lines = self.lines(row, None);
        self.tell(sign, lines);
    }

    /// A row of the template that has other versions of some entries in the file that is there.
    pub(super) fn push_changed(&mut self, row: usize, earlier: &Earlier, others: &[(&str, u64)]) {
        let before = self.lines(row, Some((earlier, others)));
        let after = self.lines(row, None);
        let numbers = after.first..;
        for ((line, before), pieces) in numbers.zip(before.lines).zip(after.lines) {
            if before == pieces {
                self.rows.push(Row { sign: Sign::Same, line, pieces });
            } else {
                self.rows.push(Row { sign: Sign::Removed, line, pieces: before });
                self.rows.push(Row { sign: Sign::Added, line, pieces });
            }
        }
    }

    fn tell(&mut self, sign: Sign, Lines { first, lines, .. }: Lines) {
        let rows = (first..).zip(lines).map(|(line, pieces)| Row { sign, line, pieces });
        self.rows.extend(rows);
    }

    /// The lines of a row of the template, perhaps with other versions of some entries.
    fn lines(&self, row: usize, others: Option<(&Earlier, &[(&str, u64)])>) -> Lines {
        let (plan, line) = (self.plan, &self.plan.rows[row]);
        let mut out = Lines::from(line.number);
        for part in &line.parts {
            let place = match part {
                LinePart::Own(range) => {
                    self.own(range.clone(), &mut out);
                    continue;
                }
                LinePart::Place(index) => &plan.places[*index],
            };
            let mut expressions = expressions_of_block(plan.template, place).into_iter();
            let is_block = expressions.len() > 0;
            let mut at = place.span.start;
            for segment in &place.segments {
                match segment {
                    Segment::Value(slot) => {
                        if let Some(expression) = expressions.next() {
                            self.own(at..expression.start, &mut out);
                            at = expression.end;
                        }
                        self.value(slot, others).into_iter().for_each(|value| out.push(value));
                    }
                    Segment::Source(_) | Segment::Decoded(_) if is_block => {}
                    Segment::Source(range) => self.own(range.clone(), &mut out),
                    Segment::Decoded(text) => {
                        out.text(text, secrets_in_text(text).into_iter(), Lines::decoded);
                    }
                }
            }
            if is_block {
                self.own(at..place.span.end, &mut out);
            }
        }
        out
    }

    /// A value that is the same in another version of its entry is told by the one that it has now.
    fn value(&self, slot: &Slot, others: Option<(&Earlier, &[(&str, u64)])>) -> Option<Piece> {
        let reference = self.plan.reference(slot.wanted, slot.alternative)?;
        let other = others.and_then(|(earlier, others)| {
            let (_, version) = others.iter().find(|(entry, _)| *entry == reference.entry())?;
            earlier.differs(reference, *version).then_some(*version)
        });
        let version = other.unwrap_or_else(|| self.plan.versions[reference]);
        Some(Piece::Value { reference: reference.clone(), version })
    }

    /// A row of the template with values that are not known.
    pub(super) fn push_unknown(&mut self, row: usize) {
        let line = &self.plan.rows[row];
        let mut out = Lines::from(line.number);
        if let Some(LinePart::Own(range)) = line.parts.first() {
            self.own(range.clone(), &mut out);
        }
        out.push(Piece::Hidden);
        self.tell(Sign::Removed, out);
    }

    /// The template's own text, but for secrets in it.
    fn own(&self, range: Range<usize>, out: &mut Lines) {
        let clear = &self.plan.clear;
        let first = clear.partition_point(|span| span.end <= range.start);
        let inside = clear[first..].iter().take_while(|span| span.start < range.end);
        let inside = inside.map(|span| {
            span.start.max(range.start) - range.start..span.end.min(range.end) - range.start
        });
        out.text(&self.plan.template.src[range.clone()], inside, Lines::written);
    }
}

/// What may be shown of a row, line by line.
struct Lines {
    /// The number of the first.
    first: usize,
    lines: Vec<Vec<Piece>>,
    /// Whether the last of them is at its end.
    ended: bool,
}

impl Lines {
    fn from(first: usize) -> Self {
        Self { first, lines: Vec::new(), ended: true }
    }

    fn push(&mut self, piece: Piece) {
        match self.lines.last_mut().filter(|_| !self.ended) {
            Some(line) => line.push(piece),
            None => self.lines.push(vec![piece]),
        }
        self.ended = false;
    }

    /// A text but for the secrets in it, which are in order.
    fn text(
        &mut self,
        text: &[u8],
        secrets: impl Iterator<Item = Range<usize>>,
        show: fn(&mut Self, &[u8]),
    ) {
        let mut at = 0;
        for secret in secrets {
            show(self, &text[at..secret.start]);
            self.push(Piece::Hidden);
            at = secret.end;
        }
        show(self, &text[at..]);
    }

    /// What stands in the template, in its lines.
    fn written(&mut self, text: &[u8]) {
        for line in text.split_inclusive(|&b| b == b'\n') {
            self.push(shown(line));
            self.ended = line.ends_with(b"\n");
        }
    }

    /// What only decodes to this; line ends in it are none of the template.
    fn decoded(&mut self, text: &[u8]) {
        if !text.is_empty() {
            self.push(shown(text));
        }
    }
}

/// Where the expressions of a place stand in the template, if it is a block of YAML and each of them stands
/// in one line of it. What it decodes to has neither its header nor its indentation.
fn expressions_of_block(template: &Template, place: &Place) -> Vec<Range<usize>> {
    let block = &template.src[place.span.clone()];
    if template.format != Some(Format::Yaml) || !block.starts_with(b"|") && !block.starts_with(b">")
    {
        return Vec::new();
    }
    let (found, _) = expression::find(block, expression::hits(block).into_iter(), false);
    let values = place.segments.iter().filter(|segment| matches!(segment, Segment::Value(_)));
    if found.len() != values.count() {
        return Vec::new();
    }
    let start = place.span.start;
    found.into_iter().map(|it| start + it.span.start..start + it.span.end).collect()
}

fn shown(text: &[u8]) -> Piece {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Piece::Text(String::from_utf8_lossy(text).into_owned())
}
