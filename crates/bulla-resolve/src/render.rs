//! Renders templates: asks for all values at once, places them, and proves each file by reading it
//! again.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::Reference;
use crate::filter::Filter;
use crate::format::{Content, Format, Output, Part, Refusal, Text};
use crate::pairs::each_pair;
use crate::problem::{About, Kind, Pending, Problem, Rule, escaped, locate_first};
use crate::secret::{Draft, Secret};
use crate::source::{Answer, Failure, RefPart, Source};
use crate::template::{Place, Segment, Shape, Slot, Template};

/// A rendered file, in memory.
pub struct Rendering {
    /// The name of the template.
    pub name: String,
    /// The whole file.
    pub contents: Secret,
    /// Where values stand in it, as bytes; in order, and none overlaps another.
    pub values: Vec<Range<usize>>,
    /// The values that went into it, by reference and version.
    pub used: Vec<(Reference, u64)>,
    /// Where the places of the template are in it.
    pub(crate) placed: Vec<Range<usize>>,
}

/// Renders `templates` with values from `source`, which is asked once for all of them.
///
/// Problems of rules in `allowed` are overlooked where they are findings about a file and not
/// errors.
///
/// # Errors
/// Everything that is wrong with any of the templates, their values or their renderings, file by
/// file. Then there is no rendering at all.
pub fn render(
    templates: &[Template],
    source: &dyn Source,
    allowed: &[Rule],
) -> Result<Vec<Rendering>, Vec<Problem>> {
    let values = Values::ask(templates, source);
    let mut problems = Vec::new();
    let mut renderings = Vec::with_capacity(templates.len());
    let mut failures = BTreeSet::new();
    for (template, answers) in templates.iter().zip(values.of(templates)) {
        let mut found: Vec<_> = template
            .problems
            .iter()
            .filter(|p| p.kind != Kind::Finding || !allowed.contains(&p.rule))
            .cloned()
            .collect();
        let mut placing = Placing::new(template, &answers, &mut failures);
        let rendering = placing.render();
        found.extend(locate_first(&template.name, &template.src, placing.pending));
        found.sort_by_key(|problem| (problem.line, problem.column));
        problems.append(&mut found);
        // Without problems there is no use for what was rendered before.
        if problems.is_empty() {
            renderings.extend(rendering);
        } else {
            renderings.clear();
        }
    }
    if problems.is_empty() { Ok(renderings) } else { Err(problems) }
}

/// What is wrong with the places of a template whatever the values are: into each goes a value that
/// every place should carry.
pub(crate) fn probe(template: &Template) -> Vec<Pending> {
    let Some(format) = template.format else { return Vec::new() };
    let mut failures = BTreeSet::new();
    let mut placing = Placing::new(template, &[], &mut failures);
    let mut out = Output::with_capacity(0);
    for place in &template.places {
        let sample = |slot: &Slot| {
            let value = |sample: &[u8], filter: &Filter| filter.apply(sample).ok();
            let mut draft = Draft::default();
            draft.push(match slot.filters.first() {
                Some(Filter::Int) => b"1",
                Some(Filter::Bool) => b"true",
                Some(Filter::PemOneline) => b"-----BEGIN X-----\nAAAA\n-----END X-----\n",
                _ => b"abc",
            });
            let filters = slot.filters.iter().filter(|&&filter| filter != Filter::Optional);
            filters.fold(draft, |draft, filter| value(draft.bytes(), filter).unwrap_or(draft))
        };
        let samples = slots(place).map(sample).map(FilledWith::Filtered);
        let filling = Filling { values: samples.collect() };
        let parts = filling.parts(&placing, place);
        let content = Content { parts: &parts, typed: place.typed };
        let span = place.span.clone();
        out.clear();
        let written = format.place(&template.src, span, &content, place.encoded, &mut out);
        if let Err(Refusal(why)) = written {
            placing.report(place, Rule::CannotCarry, &format!("no value {{}} fits here: it {why}"));
        }
    }
    placing.pending
}

/// Writes a place with the values in `answers`, which are in the order of the closure; tells whether it can.
pub(crate) fn write(
    template: &Template,
    place: &Place,
    answers: &[Option<&Answer>],
    out: &mut Output,
) -> bool {
    let Some(format) = template.format else { return false };
    let mut failures = BTreeSet::new();
    let mut placing = Placing::new(template, answers, &mut failures);
    let Some(filling) = placing.filling(place, &mut |_| ()) else { return false };
    let parts = filling.parts(&placing, place);
    let content = Content { parts: &parts, typed: place.typed };
    format.place(&template.src, place.span.clone(), &content, place.encoded, out).is_ok()
}

/// The answers to the closure of all templates.
struct Values {
    answers: Vec<Answer>,
    /// Which of them is whose: template by template, in the order of its closure.
    numbers: Vec<usize>,
}

impl Values {
    fn ask(templates: &[Template], source: &dyn Source) -> Self {
        let references = templates.iter().flat_map(|t| &t.wanted).map(|wanted| &wanted.reference);
        let mut asked: Vec<_> = references.zip(0_usize..).collect();
        asked.sort_unstable();
        let mut wanted: Vec<Reference> = Vec::with_capacity(asked.len());
        let mut numbers = vec![0; asked.len()];
        for (reference, place) in asked {
            if wanted.last() != Some(reference) {
                wanted.push(reference.clone());
            }
            numbers[place] = wanted.len() - 1;
        }
        let answers = if wanted.is_empty() { Vec::new() } else { source.resolve(&wanted) };
        Self { answers, numbers }
    }

    /// The answers to each template.
    fn of<'v>(
        &'v self,
        templates: &'v [Template],
    ) -> impl Iterator<Item = Vec<Option<&'v Answer>>> {
        let mut numbers = self.numbers.iter();
        templates.iter().map(move |template| {
            let own = numbers.by_ref().take(template.wanted.len());
            own.map(|number| self.answers.get(*number)).collect()
        })
    }
}

/// A template while its values are placed.
struct Placing<'a> {
    template: &'a Template,
    /// The answers, by the index that the template knows them by.
    answers: &'a [Option<&'a Answer>],
    pending: Vec<Pending>,
    /// Failures that have been told already: one is enough, however many references it is about.
    failures: &'a mut BTreeSet<Failure>,
}

impl<'a> Placing<'a> {
    fn new(
        template: &'a Template,
        answers: &'a [Option<&'a Answer>],
        failures: &'a mut BTreeSet<Failure>,
    ) -> Self {
        Self { template, answers, pending: Vec::new(), failures }
    }

    fn render(&mut self) -> Option<Rendering> {
        let template = self.template;
        let rendering = |contents, values, used, placed| Rendering {
            name: template.name.clone(),
            contents,
            values,
            used,
            placed,
        };
        let is_copied = template.places.is_empty() && !template.variables;
        let Some(format) = template.format.filter(|_| !is_copied) else {
            let copy = Secret::copied_from(&template.src);
            return Some(rendering(copy, Vec::new(), Vec::new(), Vec::new()));
        };
        let mut used = vec![false; template.wanted.len()];
        let mut use_it = |index: usize| used[index] = true;
        let fillings: Vec<_> =
            template.places.iter().map(|place| self.filling(place, &mut use_it)).collect();
        if template.variables {
            let (contents, values) = self.variables(format, &fillings)?;
            return Some(rendering(contents, values, self.used(&used), Vec::new()));
        }
        let size = fillings.iter().flatten().map(|filling| filling.len(self)).sum::<usize>();
        let mut out = Output::with_capacity(template.src.len() + size);
        let mut placed = Vec::with_capacity(fillings.len());
        let mut done = 0;
        for (place, filling) in template.places.iter().zip(&fillings) {
            let Some(filling) = filling else { continue };
            out.bytes.push(&template.src[done..place.span.start]);
            done = place.span.end;
            let start = out.bytes.len();
            let parts = filling.parts(self, place);
            let content = Content { parts: &parts, typed: place.typed };
            let span = place.span.clone();
            let written = format.place(&template.src, span, &content, place.encoded, &mut out);
            if let Err(Refusal(why)) = written {
                self.report(place, Rule::CannotCarry, &format!("the value {{}} {why}"));
            }
            placed.push(start..out.bytes.len());
        }
        if !self.pending.is_empty() || fillings.iter().any(Option::is_none) {
            return None;
        }
        out.bytes.push(&template.src[done..]);
        let proof = Proof { placing: self, fillings: &fillings, placed };
        if let Err(number) = proof.check(format, out.bytes.bytes()) {
            let place = number.and_then(|n| template.places.get(n)).or(template.places.first());
            let what = "the rendering does not read back as the value {}";
            if let Some(place) = place {
                self.report(place, Rule::NotProven, what);
            }
            return None;
        }
        Some(rendering(out.bytes.finish(), out.values, self.used(&used), proof.placed))
    }

    /// The values that are `used`, by reference and version.
    fn used(&self, used: &[bool]) -> Vec<(Reference, u64)> {
        let answers = self.template.wanted.iter().zip(self.answers).zip(used);
        let versions = answers.filter_map(|((wanted, answer), used)| match answer {
            Some(Answer::Value { version, .. }) if *used => {
                Some((wanted.reference.clone(), *version))
            }
            _ => None,
        });
        versions.collect()
    }

    /// What [`Template::into_variables`] tells of, and where values stand in it.
    fn variables(
        &mut self,
        format: Format,
        fillings: &[Option<Filling>],
    ) -> Option<(Secret, Vec<Range<usize>>)> {
        let template = self.template;
        let mut out = Output::with_capacity(template.src.len());
        let mut places = template.places.iter().zip(fillings).peekable();
        let (mut refused, mut has_nul) = (Vec::new(), false);
        let read = each_pair(&template.src, format, &mut |name, number, text| {
            let start = out.bytes.len();
            out.bytes.push(name.as_bytes());
            out.bytes.push(b"=");
            match places.next_if(|(place, _)| place.scalar == number) {
                Some((place, Some(filling))) => {
                    filling.parts(self, place).into_iter().for_each(|part| out.copy(part));
                    if out.bytes.bytes()[start..].contains(&0) {
                        refused.push(place);
                    }
                }
                Some((_, None)) => {}
                None => {
                    has_nul |= text.contains(&0);
                    out.bytes.push(text);
                }
            }
            has_nul |= name.contains('\0');
            out.bytes.push(b"\0");
        });
        let all = places.next().is_none() && fillings.iter().all(Option::is_some);
        for place in refused {
            let what = "the value {} has a NUL in it, and a variable ends there";
            self.report(place, Rule::CannotCarry, what);
        }
        if has_nul {
            let what = "the file has a NUL in it, and a variable ends there";
            self.pending.push(Pending::new(0, Rule::Malformed, what));
        }
        // A file that is malformed is told as such already, but not one whose readers disagree.
        self.pending.extend(read.err().filter(|_| template.problems.is_empty()));
        (all && self.pending.is_empty()).then(|| (out.bytes.finish(), out.values))
    }

    /// The values for a place, or `None` if one is not to be had, which is then told. Which are used is told
    /// by their indices.
    fn filling(&mut self, place: &Place, used: &mut dyn FnMut(usize)) -> Option<Filling> {
        let mut filling = Some(Filling { values: Vec::new() });
        for slot in slots(place) {
            let Some(value) = self.value(slot) else {
                filling = None;
                continue;
            };
            if let FilledWith::Answer(index) = value {
                used(index);
            }
            match self.filtered(value, slot) {
                Some(value) => {
                    if let Some(filling) = &mut filling {
                        filling.values.push(value);
                    }
                }
                None => filling = None,
            }
        }
        filling
    }

    /// Which answer goes into a slot.
    fn value(&mut self, slot: &Slot) -> Option<FilledWith> {
        let (mut value, mut other) = (None, None);
        let (mut lacking, mut nearest) = (RefPart::Entry, &[][..]);
        for index in [Some(slot.wanted), slot.alternative].into_iter().flatten().rev() {
            match self.answers[index] {
                Some(Answer::Value { .. }) => (value, other) = (Some(index), value),
                Some(Answer::Missing { part, nearest: names }) => {
                    (lacking, nearest) = (*part, names);
                }
                Some(Answer::Failed(failure)) => {
                    if self.failures.insert(failure.clone()) {
                        let mut pending =
                            Pending::new(slot.at, Rule::SourceFailed, failure.what.clone());
                        pending.kind = Kind::Source(failure.kind);
                        self.pending.push(pending);
                    }
                    return None;
                }
                None => {
                    let what = "the source gave no answer";
                    self.pending.push(Pending::new(slot.at, Rule::SourceFailed, what));
                    return None;
                }
            }
        }
        let reference = |index: usize| &self.template.wanted[index].reference;
        match (value, other) {
            (Some(index), None) => Some(FilledWith::Answer(index)),
            (Some(index), Some(other)) => {
                let [shared, own] = [index, other].map(reference);
                let what =
                    format!("both {shared} and {own} could be meant here; write one of them");
                self.pending.push(Pending::new(slot.at, Rule::AmbiguousFill, what));
                None
            }
            _ if slot.filters.contains(&Filter::Optional) => {
                Some(FilledWith::Filtered(Draft::default()))
            }
            _ => {
                let part = match lacking {
                    RefPart::Entry => "entry",
                    RefPart::Field => "field",
                    RefPart::Version => "version",
                };
                let wanted = reference(slot.wanted);
                let what = format!("{wanted} does not exist: there is no such {part}");
                let mut pending = Pending::new(slot.at, Rule::Missing, what);
                pending.nearest = nearest.to_vec();
                pending.about = Some(Box::new(About::Missing(wanted.clone(), lacking)));
                self.pending.push(pending);
                None
            }
        }
    }

    fn filtered(&mut self, mut value: FilledWith, slot: &Slot) -> Option<FilledWith> {
        for filter in slot.filters.iter().filter(|&&filter| filter != Filter::Optional) {
            match filter.apply(value.bytes(self)) {
                Ok(draft) => value = FilledWith::Filtered(draft),
                Err(why) => {
                    let reference = &self.template.wanted[slot.wanted].reference;
                    let what = format!("the value of {reference} {why}");
                    let about = Some(Box::new(About::Filtered(reference.clone())));
                    let pending = Pending::new(slot.at, Rule::FilterFailed, what);
                    self.pending.push(Pending { about, ..pending });
                    return None;
                }
            }
        }
        Some(value)
    }

    /// Tells a problem of a whole place; `{}` in `what` becomes the references in it.
    fn report(&mut self, place: &Place, rule: Rule, what: &str) {
        let mut names = String::new();
        for slot in slots(place).take(3) {
            let separator = if names.is_empty() { "of " } else { ", " };
            names += &format!("{separator}{}", self.template.wanted[slot.wanted].reference);
        }
        let at = slots(place).next().map_or(place.span.start, |slot| slot.at);
        let what = what.replacen("{}", &escaped(&names), 1);
        self.pending.push(Pending::new(at, rule, what));
    }
}

fn slots(place: &Place) -> impl Iterator<Item = &Slot> {
    place.segments.iter().filter_map(|segment| match segment {
        Segment::Value(slot) => Some(slot),
        _ => None,
    })
}

/// The values of one place, in order.
struct Filling {
    values: Vec<FilledWith>,
}

enum FilledWith {
    Answer(usize),
    Filtered(Draft),
}

impl Filling {
    fn len(&self, placing: &Placing<'_>) -> usize {
        self.values.iter().map(|value| value.bytes(placing).len()).sum()
    }

    /// The whole text of the place.
    fn parts<'b>(&'b self, placing: &'b Placing<'_>, place: &'b Place) -> Vec<Part<'b>> {
        let mut values = self.values.iter();
        place
            .segments
            .iter()
            .filter_map(|segment| match segment {
                Segment::Source(range) => Some(Part::Plain(&placing.template.src[range.clone()])),
                Segment::Decoded(text) => Some(Part::Plain(text)),
                Segment::Value(_) => values.next().map(|value| Part::Value(value.bytes(placing))),
            })
            .collect()
    }
}

impl FilledWith {
    fn bytes<'b>(&'b self, placing: &'b Placing<'_>) -> &'b [u8] {
        match self {
            Self::Answer(index) => match placing.answers[*index] {
                Some(Answer::Value { secret, .. }) => secret.expose(),
                _ => &[],
            },
            Self::Filtered(draft) => draft.bytes(),
        }
    }
}

/// Reads a rendering again.
struct Proof<'a> {
    placing: &'a Placing<'a>,
    fillings: &'a [Option<Filling>],
    /// Where the places of the template are in the rendering.
    placed: Vec<Range<usize>>,
}

impl Proof<'_> {
    /// Checks that each place decodes to its content and that everything else is as it was. On
    /// failure gives the place, if it is known.
    fn check(&self, format: Format, rendered: &[u8]) -> Result<(), Option<usize>> {
        let template = self.placing.template;
        let places = &template.places;
        let mut shape = Shape::default();
        let mut next = 0;
        let mut wrong = None;
        let read = format.syntax().scan(rendered, &mut |scalar| {
            let number = shape.scalars;
            shape.scalars += 1;
            if places.get(next).is_some_and(|place| place.scalar == number) {
                let holds = scalar.is_value()
                    && scalar.span == self.placed[next]
                    && !matches!(scalar.text, Text::Opaque)
                    && if places[next].encoded {
                        scalar.data(rendered).is_some_and(|data| self.holds(next, &data))
                    } else {
                        self.holds(next, scalar.text.bytes(rendered))
                    };
                if !holds && wrong.is_none() {
                    wrong = Some(next);
                }
                next += 1;
            } else {
                let moved = self.moved_back(next, &scalar.span);
                shape.keep(number, scalar.role, scalar.depth, &moved);
            }
        });
        match wrong {
            None if read.is_ok() && next == places.len() && shape == template.shape => Ok(()),
            _ => Err(wrong),
        }
    }

    /// Whether a place decodes to its text with the values in place.
    fn holds(&self, number: usize, text: &[u8]) -> bool {
        let place = &self.placing.template.places[number];
        self.fillings[number].as_ref().is_some_and(|filling| {
            let parts = filling.parts(self.placing, place);
            Content { parts: &parts, typed: place.typed }.is(text)
        })
    }

    /// Where a span of the rendering lies in the template. `guess` is how many places probably come
    /// before it.
    fn moved_back(&self, guess: usize, span: &Range<usize>) -> Range<usize> {
        let fits = (guess == 0 || self.placed[guess - 1].end <= span.start)
            && self.placed.get(guess).is_none_or(|placed| span.start < placed.start);
        let before = if fits {
            guess
        } else {
            self.placed.partition_point(|placed| placed.end <= span.start)
        };
        let Some(last) = before.checked_sub(1) else { return span.clone() };
        let (new, old) = (self.placed[last].end, self.placing.template.places[last].span.end);
        // A span that some value moved off its place may lie anywhere: the sum will differ.
        let back = |at: usize| at.wrapping_sub(new).wrapping_add(old);
        back(span.start)..back(span.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Source for Fixed {
        fn resolve(&self, wanted: &[Reference]) -> Vec<Answer> {
            let value = || Secret::copied_from(b"s1\"");
            wanted.iter().map(|_| Answer::Value { secret: value(), version: 7 }).collect()
        }
    }

    /// What the proof says to `rendered` as a rendering of `template` whose first place is at `span`.
    fn proves(format: Format, template: &str, rendered: &str, placed: Range<usize>) -> bool {
        let templates = [Template::parse("x", template.as_bytes().to_vec(), Some(format))];
        let values = Values::ask(&templates, &Fixed);
        let mut failures = BTreeSet::new();
        let answers = values.of(&templates).next().unwrap();
        let mut placing = Placing::new(&templates[0], &answers, &mut failures);
        let fillings = [placing.filling(&templates[0].places[0], &mut |_| ())];
        let proof = Proof { placing: &placing, fillings: &fillings, placed: vec![placed] };
        proof.check(format, rendered.as_bytes()).is_ok()
    }

    #[test]
    fn the_proof_accepts_only_what_decodes_to_the_value() {
        let json = r#"{"a": "bulla://a/b", "b": [1]}"#;
        let check = |rendered: &str, placed| proves(Format::Json, json, rendered, placed);
        assert!(check(r#"{"a": "s1\"", "b": [1]}"#, 6..12));
        assert!(check(r#"{"a": "s\u0031\"", "b": [1]}"#, 6..17));
        for (rendered, placed) in [
            // Another value, a truncated one, a longer one.
            (r#"{"a": "s2\"", "b": [1]}"#, 6..12),
            (r#"{"a": "s1", "b": [1]}"#, 6..10),
            (r#"{"a": "s1\" ", "b": [1]}"#, 6..13),
            // The right value at another place.
            (r#"{"a": "", "b": ["s1\""]}"#, 6..8),
            // One scalar more, fewer, or elsewhere.
            (r#"{"a": "s1\"", "c": 0, "b": [1]}"#, 6..12),
            (r#"{"a": "s1\"", "b": []}"#, 6..12),
            (r#"{"a": "s1\"", "b":  [1]}"#, 6..12),
            (r#"{"a": "s1\"", "b": 1}"#, 6..12),
            // What is no JSON any more.
            (r#"{"a": "s1"", "b": [1]}"#, 6..11),
            (r#"{"a": "s1\"", "b": [1]"#, 6..12),
            // The span is not where the value was written.
            (r#"{"a": "s1\"", "b": [1]}"#, 6..13),
        ] {
            assert!(!check(rendered, placed), "{rendered}");
        }
    }

    #[test]
    fn a_rendering_says_where_its_values_are_and_which() {
        let text = "x {{ bulla://a/b@v7 }} y ((bulla://a/b@v7|url))";
        let template = Template::parse("x", text.into(), Some(Format::Text));
        let Ok(renderings) = render(&[template], &Fixed, &[]) else { panic!("it renders") };
        let rendering = &renderings[0];
        assert_eq!(rendering.contents.expose(), b"x s1\" y s1%22");
        assert_eq!(rendering.values, [2..5, 8..13]);
        let reference = Reference::parse("bulla://a/b@v7").unwrap();
        assert_eq!(rendering.used, [(reference, 7)]);
    }
}
