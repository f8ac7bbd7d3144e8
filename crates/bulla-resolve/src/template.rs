//! A file with references, taken apart: what it asks for, and where the values go.

use std::collections::HashMap;
use std::ops::Range;

use crate::Reference;
use crate::expression::{self, Expression, Signs};
use crate::filter::Filter;
use crate::format::{Format, Malformed, Role, Scalar, Syntax, Text};
use crate::genesys::Sections;
use crate::problem::{Pending, Problem, Rule, locate_first};
use crate::unclear;

/// A configuration file with references, ready to be rendered.
pub struct Template {
    pub(crate) name: String,
    pub(crate) src: Vec<u8>,
    pub(crate) format: Option<Format>,
    pub(crate) places: Vec<Place>,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) shape: Shape,
    /// Whether it is rendered as the variables that it sets.
    pub(crate) variables: bool,
}

/// A reference that a template asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// The reference.
    pub reference: Reference,
    /// Whether rendering fails without it. Not so behind the filter `optional`, and where the fill
    /// rule takes one of two.
    pub required: bool,
    /// How it came to be asked for; where it is asked for more than once, how it was first.
    pub origin: Origin,
}

/// How a reference came to be asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// The fill rule of Genesys configurations asks for it, for a blank or masked option.
    Filled {
        /// The section that the option stands in.
        section: String,
        /// The option.
        option: String,
    },
    /// It is written in the template.
    Written,
}

impl Template {
    /// The largest template, in bytes: larger configurations are not known, and all of it is held in
    /// memory.
    pub const MAX_LEN: usize = 256 << 20;

    /// Takes a file apart. `name` is what messages call it; without a `format`, the name and the
    /// content decide.
    ///
    /// This never fails: what is wrong with the file is kept, and [`render`](crate::render) tells it
    /// together with everything else that is wrong.
    #[must_use]
    pub fn parse(name: &str, src: Vec<u8>, format: Option<Format>) -> Self {
        let format = format.or_else(|| Format::detect(name, &src));
        Self::read(name, src, format, true)
    }

    /// Takes a file apart without filling what is blank, and finds no fault with what is not.
    pub(crate) fn parse_without_fill(name: &str, src: Vec<u8>, format: Format) -> Self {
        Self::read(name, src, Some(format), false)
    }

    fn read(name: &str, src: Vec<u8>, format: Option<Format>, fill: bool) -> Self {
        let read = Read::of(name, &src, Signs::of(&src), format, fill, &mut |_| ());
        Self::of(name, src, format, read)
    }

    /// The template that `src` was read as.
    pub(crate) fn of(name: &str, src: Vec<u8>, format: Option<Format>, read: Read) -> Self {
        let Read { places, pending, wanted, shape, .. } = read;
        let problems = locate_first(name, &src, pending);
        let wanted = wanted.into_list();
        let variables = false;
        Self { name: name.to_owned(), src, format, places, wanted, problems, shape, variables }
    }

    /// Has it rendered as the variables that it sets, which is for [`Format::Dotenv`] and its dialects: as
    /// `NAME=VALUE` and a NUL each, in its order, the block that environ(7) tells of. A value is there as it
    /// is, so it may be any that has no NUL: no reader of such files stands between.
    #[must_use]
    pub fn into_variables(self) -> Self {
        Self { variables: true, ..self }
    }

    /// The name that it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file as it was given.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.src
    }

    /// The format that it was read in; `None` if nothing claims the file, which is then copied as it
    /// is.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        self.format
    }

    /// All that is wrong with the file itself, in the order of its lines.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The references that it asks for, each once. No key is needed to know them.
    #[must_use]
    pub fn closure(&self) -> &[Wanted] {
        &self.wanted
    }
}

/// A scalar that receives values.
#[derive(Clone)]
pub(crate) struct Place {
    /// Which scalar of the file it is, counted from 0.
    pub(crate) scalar: usize,
    pub(crate) span: Range<usize>,
    pub(crate) segments: Vec<Segment>,
    /// Whether it becomes a number or truth value.
    pub(crate) typed: bool,
    /// Whether it is written in base64, and its reader decodes it.
    pub(crate) encoded: bool,
}

/// A piece of the text of a place.
#[derive(Clone)]
pub(crate) enum Segment {
    /// Bytes of the file.
    Source(Range<usize>),
    /// Decoded text that does not stand in the file like this.
    Decoded(Box<[u8]>),
    Value(Slot),
}

/// Where one value goes.
#[derive(Clone)]
pub(crate) struct Slot {
    /// The offset in the file that messages point to.
    pub(crate) at: usize,
    /// What is asked for, as an index into the closure.
    pub(crate) wanted: usize,
    /// What may be meant instead.
    pub(crate) alternative: Option<usize>,
    pub(crate) filters: Vec<Filter>,
}

/// How the scalars of a file lie, without those that are replaced.
///
/// A rendering has the same bytes around the replaced scalars; if all scalars also have the same
/// roles and, moved by what was replaced before them, the same spans, then they decode to the same.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Shape {
    pub(crate) scalars: usize,
    sum: u64,
}

impl Shape {
    /// Counts a scalar that is kept.
    pub(crate) fn keep(&mut self, number: usize, role: Role, depth: usize, span: &Range<usize>) {
        self.sum = self.sum.wrapping_add(mixed(number, role, depth, span));
    }

    /// Takes back that a scalar is kept.
    pub(crate) fn drop(&mut self, number: usize, role: Role, depth: usize, span: &Range<usize>) {
        self.sum = self.sum.wrapping_sub(mixed(number, role, depth, span));
    }
}

fn mixed(number: usize, role: Role, depth: usize, span: &Range<usize>) -> u64 {
    // Odd constants, and the finaliser of SplitMix64 behind them: any change of one field changes
    // about half of the bits. Nobody chooses spans to make two of these meet, as the bytes around the
    // places are known to be equal.
    let fields = [
        (number, 0x9e37_79b9_7f4a_7c15_u64),
        (8 * depth + role as usize, 0xd1b5_4a32_d192_ed03),
        (span.start, 0xaef1_7502_b51e_03a5),
        (span.end, 0x8cb9_2ba7_2f3d_8dd7),
    ];
    let product = |(field, odd): (usize, u64)| (field as u64 + 1).wrapping_mul(odd);
    let mut z = fields.into_iter().map(product).fold(0, |sum: u64, p| sum.rotate_left(17) ^ p);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The closure as it grows.
#[derive(Default)]
pub(crate) struct Wants {
    known: HashMap<Reference, usize>,
    list: Vec<(bool, Origin)>,
}

impl Wants {
    /// Adds a reference and gives its index.
    pub(crate) fn add(
        &mut self,
        reference: Reference,
        required: bool,
        origin: impl FnOnce() -> Origin,
    ) -> usize {
        let index = *self.known.entry(reference).or_insert_with(|| {
            self.list.push((false, origin()));
            self.list.len() - 1
        });
        self.list[index].0 |= required;
        index
    }

    fn into_list(self) -> Vec<Wanted> {
        let mut references: Vec<_> = self.known.into_iter().collect();
        references.sort_unstable_by_key(|&(_, index)| index);
        references
            .into_iter()
            .zip(self.list)
            .map(|((reference, _), (required, origin))| Wanted { reference, required, origin })
            .collect()
    }
}

/// What was found in a file when it was read as a template.
#[derive(Default)]
pub(crate) struct Read {
    places: Vec<Place>,
    pending: Vec<Pending>,
    wanted: Wants,
    shape: Shape,
    /// Whether the file follows its format; `None` if there was no need to go through its scalars.
    pub(crate) is_sound: Option<bool>,
}

impl Read {
    /// Reads a file in which `signs` were seen; `fill` says whether the fill rule of Genesys configurations
    /// applies if it is one. Whoever wants the scalars for something else is shown them on the way.
    pub(crate) fn of(
        name: &str,
        src: &[u8],
        signs: Signs,
        format: Option<Format>,
        fill: bool,
        show: &mut dyn FnMut(&Scalar),
    ) -> Self {
        let mut reading = Reading::new(src, signs);
        match format {
            Some(format) => reading.read(name, format, fill && format.is_genesys(), show),
            None => reading.reject_unknown(),
        }
        reading.read
    }
}

/// A template as it is being read.
struct Reading<'a> {
    src: &'a [u8],
    signs: Signs,
    /// What it is read in, once that is known.
    format: Option<Format>,
    /// Where references stand in the file as it is written.
    hits: Vec<usize>,
    /// How many of them lie before the scalar that was read last.
    passed: usize,
    read: Read,
}

impl<'a> Reading<'a> {
    fn new(src: &'a [u8], signs: Signs) -> Self {
        Self { src, signs, format: None, hits: signs.hits(src), passed: 0, read: Read::default() }
    }

    fn reject_unknown(&mut self) {
        if let Some(&at) = self.hits.first() {
            let what = "the file has references, but its format is not known; name it";
            self.read.pending.push(Pending::new(at, Rule::UnknownFormat, what));
        } else if self.signs.utf16 {
            self.reject_utf16();
        }
    }

    fn reject_utf16(&mut self) {
        let what = "the file is in UTF-16 or UTF-32, in which nothing is resolved";
        self.read.pending.push(Pending::new(0, Rule::WrongEncoding, what));
    }

    /// Reads the file; `fill` says whether the fill rule of Genesys configurations applies.
    fn read(&mut self, name: &str, format: Format, fill: bool, show: &mut dyn FnMut(&Scalar)) {
        let syntax = format.syntax();
        self.format = Some(format);
        let utf16 = self.src.starts_with(b"\xff\xfe") || self.src.starts_with(b"\xfe\xff");
        let hidden = self.hits.is_empty() && self.signs.utf16;
        if hidden || (utf16 && fill) {
            return self.reject_utf16();
        }
        // A file in which nothing can be replaced is copied, even one that does not parse.
        if !self.is_suspect(syntax) && !fill {
            return;
        }
        let mut sections = fill.then(Sections::default);
        let scanned = self.scan(syntax, sections.as_mut(), show);
        self.read.is_sound = Some(scanned.is_ok());
        if let Err(malformed) = scanned {
            self.read.places.clear();
            let pending = Pending::from(malformed);
            // Braces without quotes are told as the mapping that they are, and again by what follows.
            let is_told = |told: &Pending| told.at == pending.at && told.what == pending.what;
            if !self.read.pending.iter().any(is_told) {
                self.read.pending.push(pending);
            }
            return;
        }
        if let Some(sections) = sections {
            for fill in sections.fill(name, format, &mut self.read.wanted, &mut self.read.pending) {
                self.read.shape.drop(fill.scalar, Role::Value, fill.depth, &fill.span);
                self.read.places.push(Place {
                    scalar: fill.scalar,
                    span: fill.span,
                    segments: vec![Segment::Value(fill.slot)],
                    typed: false,
                    encoded: false,
                });
            }
            self.read.places.sort_unstable_by_key(|place| place.scalar);
        }
    }

    /// Whether a reference may stand in the file, in whatever spelling.
    fn is_suspect(&self, syntax: &dyn Syntax) -> bool {
        !self.hits.is_empty()
            || self.signs.letters
            || (syntax.may_hide(self.src) && self.may_escape())
    }

    /// Whether what hides in the file may be a reference; only escapes of letters are undone for that.
    fn may_escape(&self) -> bool {
        let has_escapes =
            matches!(self.format, Some(Format::Json | Format::Jsonc | Format::Toml | Format::Yaml));
        let refers = |text: &[u8]| expression::has_hits(text) || expression::has_letters(text);
        !has_escapes || refers(&expression::unescaped(self.src))
    }

    fn scan(
        &mut self,
        syntax: &dyn Syntax,
        mut sections: Option<&mut Sections>,
        show: &mut dyn FnMut(&Scalar),
    ) -> Result<(), Malformed> {
        let src = self.src;
        syntax.scan(src, &mut |scalar| {
            show(&scalar);
            let number = self.read.shape.scalars;
            self.read.shape.scalars += 1;
            let places = self.read.places.len();
            match scalar.data(src).filter(|data| expression::has_hits(data)) {
                Some(data) => {
                    let (span, text) = (scalar.span.clone(), Text::Decoded(data));
                    self.search(syntax, number, &Scalar { span, text, ..scalar }, true);
                }
                None if self.may_hold(syntax, &scalar) => {
                    self.search(syntax, number, &scalar, false)
                }
                None => {}
            }
            let replaced = self.read.places.len() > places;
            if !replaced {
                self.read.shape.keep(number, scalar.role, scalar.depth, &scalar.span);
            }
            if let Some(sections) = &mut sections {
                sections.observe(src, number, &scalar, replaced);
            }
        })
    }

    /// Whether it is worth while to look for references in a scalar.
    fn may_hold(&mut self, syntax: &dyn Syntax, scalar: &Scalar) -> bool {
        let range = match &scalar.text {
            Text::Verbatim(range) => range,
            Text::Opaque => &scalar.span,
            Text::Decoded(text) => return expression::has_hits(text),
        };
        let first = self.first_hit(range.start);
        if self.hits.get(first).is_some_and(|&hit| hit < range.end) {
            return true;
        }
        let raw = &self.src[range.clone()];
        matches!(scalar.text, Text::Opaque)
            && (expression::has_letters(raw) || is_in_pieces(syntax, raw))
    }

    /// The number of the first hit at `at` or behind it. This is asked for more or less in order.
    fn first_hit(&mut self, at: usize) -> usize {
        if self.passed > 0 && self.hits[self.passed - 1] >= at {
            self.passed = self.hits.partition_point(|&hit| hit < at);
        }
        while self.hits.get(self.passed).is_some_and(|&hit| hit < at) {
            self.passed += 1;
        }
        self.passed
    }

    /// The hits in the text of a scalar, as offsets into it; of what cannot be decoded, as it is written.
    fn hits_in(&mut self, scalar: &Scalar) -> Vec<usize> {
        let range = match &scalar.text {
            Text::Verbatim(range) => range,
            Text::Opaque => &scalar.span,
            Text::Decoded(text) => return expression::hits(text),
        };
        let first = self.first_hit(range.start);
        let hits = self.hits[first..].iter().take_while(|&&hit| hit < range.end);
        hits.map(|hit| hit - range.start).collect()
    }

    /// Looks for references in a scalar that can be replaced, or finds fault with those in others.
    /// `decoded` says whether its text was taken out of base64.
    fn search(&mut self, syntax: &dyn Syntax, number: usize, scalar: &Scalar, decoded: bool) {
        let offset = |at: usize| match &scalar.text {
            Text::Verbatim(range) => range.start + at,
            Text::Opaque => scalar.span.start + at,
            Text::Decoded(_) => scalar.span.start,
        };
        let hits = self.hits_in(scalar);
        if !scalar.is_value() || matches!(scalar.text, Text::Opaque) {
            let raw = &self.src[scalar.span.clone()];
            let before = self.src[..scalar.span.start].trim_ascii_end();
            if scalar.role == Role::Key && hits == [0] && before.ends_with(b"{{") {
                let at = before.len() - 2;
                self.read.pending.push(Pending::new(
                    at,
                    Rule::StrayReference,
                    expression::UNQUOTED,
                ));
                return;
            }
            let mut hits: Vec<_> = hits.into_iter().map(offset).collect();
            if matches!(scalar.text, Text::Opaque) {
                hits.extend(expression::find_escaped(raw).map(|at| scalar.span.start + at));
                if hits.is_empty() && is_in_pieces(syntax, raw) {
                    hits.push(scalar.span.start);
                }
                hits.sort_unstable();
                hits.dedup();
            }
            let format = self.format.filter(|_| scalar.is_value());
            let cause = format.and_then(|format| unclear::cause(format, self.src, &scalar.span));
            for at in hits {
                let wrong = match scalar.is_value() {
                    true => expression::left(at, cause),
                    false => expression::stray(at),
                };
                self.read.pending.push(Pending::new(wrong.at, wrong.rule, wrong.what));
            }
            return;
        }
        let text = scalar.text.bytes(self.src);
        let (expressions, wrong) = expression::find(text, hits.into_iter(), syntax.resolves_bare());
        let whole = matches!(&expressions[..], [only] if only.span == (0..text.len()));
        for wrong in wrong {
            self.read.pending.push(Pending::new(offset(wrong.at), wrong.rule, wrong.what));
        }
        if let Some(typed) = expressions.iter().find(|e| !whole && e.is_typed()) {
            let what = "the filters `int` and `bool` need the whole scalar for themselves";
            let at = offset(typed.span.start);
            self.read.pending.push(Pending::new(at, Rule::BadExpression, what));
        }
        if expressions.is_empty() {
            return;
        }
        if scalar.is_encoded() && !decoded && !(whole && gives_base64(&expressions[0])) {
            let what = "what Kubernetes reads here is base64; write the reference with the filter \
                        `base64` there, in base64 itself or, in a Secret, into `stringData`";
            let at = offset(expressions[0].span.start);
            self.read.pending.push(Pending::new(at, Rule::StrayReference, what));
            return;
        }
        let typed = whole && !decoded && expressions[0].is_typed();
        let mut segments = Vec::with_capacity(2 * expressions.len() + 1);
        let mut done = 0;
        let plain = |range: Range<usize>, segments: &mut Vec<Segment>| {
            if range.is_empty() {
                return;
            }
            segments.push(match &scalar.text {
                Text::Verbatim(all) => {
                    Segment::Source(all.start + range.start..all.start + range.end)
                }
                _ => Segment::Decoded(text[range].into()),
            });
        };
        for Expression { span, reference, filters } in expressions {
            plain(done..span.start, &mut segments);
            done = span.end;
            let required = !filters.contains(&Filter::Optional);
            let wanted = self.read.wanted.add(reference, required, || Origin::Written);
            let at = offset(span.start);
            segments.push(Segment::Value(Slot { at, wanted, alternative: None, filters }));
        }
        plain(done..text.len(), &mut segments);
        let span = scalar.span.clone();
        self.read.places.push(Place { scalar: number, span, segments, typed, encoded: decoded });
    }
}

/// Whether a format that puts words together finds a reference in `raw`.
fn is_in_pieces(syntax: &dyn Syntax, raw: &[u8]) -> bool {
    syntax.may_hide(raw) && expression::is_in_pieces(raw)
}

/// Whether what comes out of the filters is base64.
fn gives_base64(expression: &Expression) -> bool {
    let mut filters = expression.filters.iter().rev();
    filters.find(|&&filter| filter != Filter::Optional) == Some(&Filter::Base64)
}

#[cfg(test)]
mod tests;
