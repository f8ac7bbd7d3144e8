//! Takes the literal secrets of a configuration out: finds them, suggests where they belong, and
//! writes the template that gives the file back.

mod inside;
mod literals;
mod otherwise;
mod search;
pub(crate) mod shapes;
pub(crate) mod signs;
mod unread;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use zeroize::Zeroizing;

use self::search::{LIKE_A_SECRET, Search, Stay};
use crate::Reference;
use crate::check::{is_utf16, lines, tokens};
use crate::expression;
use crate::filter::Filter;
use crate::format::{Content, Format, Output, Part, Refusal};
use crate::names::SecretNames;
use crate::problem::{Pending, Problem, Rule, escaped, locate};
use crate::secret::{Draft, Secret};
use crate::template::{Segment, Template};
use crate::unclear;

pub(crate) use inside::written_at;
pub(crate) use literals::{Literal, LiteralSearch, literals};
pub use signs::looks_secret;

/// The literal secrets of a file.
///
/// Everything in it comes back: a template made from it renders to the same file, byte for byte.
pub struct Adoption {
    /// What was found, in the order of the file.
    pub finds: Vec<Find>,
    /// What looks like a secret and stays where it is, because no template would give it back as it
    /// is written.
    pub left: Vec<Left>,
    /// How many values are references of other tools, which stay.
    pub references: usize,
    /// How many values other tools have encrypted, which stay.
    pub encrypted: usize,
    name: String,
    src: Zeroizing<Vec<u8>>,
    format: Format,
    /// The scalars that finds stand in, by their beginnings.
    spots: BTreeMap<usize, Spot>,
}

/// What looks like a secret and stays in the file.
pub struct Left {
    /// Where it is, and why it stays.
    pub problem: Problem,
    /// Why it stays.
    pub why: Stays,
}

/// Why a secret stays in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Stays {
    /// It is a secret by an alias of YAML.
    Aliased,
    /// The format cannot carry the value where it stands, or nothing says how it would do so.
    CannotCarry,
    /// It stands in a comment, where nothing says what the value is.
    Comment,
    /// Its reader takes base64 there, and it is none.
    NoBase64,
    /// It stands in a name or amid other text, where nothing says what the value is.
    NoValue,
    /// It is written in another way than a rendering would write it.
    Spelling,
    /// Readers of the format read it differently, or it cannot be decoded here.
    Unclear,
    /// It is the password of a URL amid other text.
    Url,
}

/// A literal secret, or a public value that belongs to one.
pub struct Find {
    /// The section and option, or the path of keys, in which it stands; for people.
    pub place: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// The entry that it belongs to.
    pub entry: String,
    /// What the entry is.
    pub kind: EntryKind,
    /// The field that it belongs to.
    pub field: String,
    /// Whether it is no secret, such as a client id.
    pub public: bool,
    /// What it is.
    pub value: Secret,
    /// Of a refresh token, the entry of the client that it was given to, where the file says so.
    pub client: Option<String>,
    /// Whether it stands in a Secret of Kubernetes.
    in_secret: bool,
    /// The scalar that it stands in.
    span: Range<usize>,
    /// Where it stands in what the scalar decodes to.
    range: Range<usize>,
    /// Where it stands in the file, if the scalar has several lines there and it can be found in them.
    at: Option<usize>,
    /// The filter that encodes it as it is written there.
    filter: Option<Filter>,
    braces: Braces,
}

/// What is around the reference in the place of a find.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Braces {
    /// `{{ }}`
    Curly,
    /// Nothing: it is the whole scalar.
    None,
    /// `(( ))`, which can stand in a list of YAML that is written in brackets.
    Round,
}

/// A scalar that finds stand in.
struct Spot {
    /// What it decodes to.
    text: Zeroizing<Vec<u8>>,
    /// Where just this text stands in the file, if it does and only a part of it is replaced.
    verbatim: Option<usize>,
    /// Whether it stands there in base64.
    encoded: bool,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EntryKind {
    /// The grant of one mailbox.
    Mailbox,
    /// An application that is registered with a provider.
    OauthClient,
    /// Anything else.
    Secret,
}

impl Adoption {
    /// Looks for literal secrets in a file. `name` is what messages call it and what entries are
    /// named after that nothing else names; without a `format`, the name and the content decide.
    ///
    /// What holds a reference already is passed over, and so is what is empty or masked.
    ///
    /// # Errors
    /// If the format is not known or the file does not follow it.
    pub fn find(name: &str, src: &[u8], format: Option<Format>) -> Result<Self, Problem> {
        let problem = |pending| locate(name, src, vec![pending]).remove(0);
        let format = format.or_else(|| Format::detect(name, src));
        if is_utf16(src, format) {
            let what =
                "the file is in UTF-16 or UTF-32 and not in UTF-8, so no secret is seen in it";
            return Err(problem(Pending::new(0, Rule::WrongEncoding, what)));
        }
        let Some(format) = format else {
            let what = "the format of the file is not known; name it";
            return Err(problem(Pending::new(0, Rule::UnknownFormat, what)));
        };
        let mut search = Search::new(name, src, format);
        search.run().map_err(|malformed| problem(malformed.into()))?;
        if format == Format::Text {
            search.lines(name);
        }
        let Search { finds, spots, stays, secret_names, references, encrypted, .. } = search;
        let mut adoption = Self {
            finds,
            left: Vec::new(),
            references,
            encrypted,
            name: name.to_owned(),
            src: Zeroizing::new(src.to_vec()),
            format,
            spots,
        };
        let mut left = adoption.leave_what_is_no_value(&stays, &secret_names.into_inner());
        left.extend(stays.into_iter().map(|stay| {
            let why = match stay.why {
                Stays::NoValue => adoption.why_no_value(&stay.at),
                why => why,
            };
            let place = escaped(&stay.place);
            let mut what = format!("{place} stays here in clear: {}", stay.because);
            let cause = unclear::cause(format, &adoption.src, &stay.span);
            if let Some(cause) = cause.filter(|_| why == Stays::Unclear) {
                what = format!("{what}; {cause}");
            }
            (stay.at.start, (why, what))
        }));
        adoption.leave_what_does_not_come_back(left);
        Ok(adoption)
    }

    /// Whether it was made of just these bytes.
    #[must_use]
    pub fn is_of(&self, src: &[u8]) -> bool {
        *self.src == *src
    }

    /// The format that the file was read in.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The template in which each find is replaced by the reference of the same number; where there
    /// is none, it stays in clear.
    ///
    /// # Errors
    /// The places that would not come back as they are.
    pub fn template(&self, references: &[Option<Reference>]) -> Result<Vec<u8>, Vec<Problem>> {
        let assembled = self.assemble(references);
        let failed = self.check(&assembled);
        if failed.is_empty() {
            return Ok(assembled.template.src);
        }
        let pending = failed.into_iter().map(|(number, refusal)| {
            let find = &self.finds[number];
            let (_, what) = stays(&find.place, refusal);
            Pending::new(self.at(find), Rule::LiteralSecret, what)
        });
        Err(locate(&self.name, &self.src, pending.collect()))
    }

    /// What has the shape of a secret and is in no find, nor in what `stays` anyway. Of `names`, no entry
    /// has one.
    fn leave_what_is_no_value(
        &self,
        stays: &[Stay],
        names: &SecretNames,
    ) -> Vec<(usize, (Stays, String))> {
        let finds = self.finds.iter().map(|find| self.spots[&find.span.start].whereabouts(find));
        let mut known: Vec<_> =
            finds.chain(stays.iter().map(|stay| stay.at.clone())).map(|span| (span, 0)).collect();
        let lines = match self.format {
            Format::Text if self.finds.is_empty() => lines::in_file(&self.name, &self.src),
            _ => Vec::new(),
        };
        known.extend(lines.iter().map(|(_, span)| (span.clone(), 0)));
        let what = format!("{LIKE_A_SECRET} stays here in clear: {NO_VALUE}");
        let tokens = tokens::beside(tokens::find(&self.src), known).into_iter();
        let in_names: BTreeSet<_> = names.tokens().collect();
        let is_name = |token: &Range<usize>| {
            let text = std::str::from_utf8(&self.src[token.clone()]).unwrap_or_default();
            in_names.contains(text)
        };
        let of_name = "a name that looks like a secret stays here in clear; entries that would be named \
                       after it have a number instead";
        let tokens = tokens.map(|token| {
            let what = if is_name(&token) { of_name } else { &what };
            (token.start, (self.why_no_value(&token), what.to_owned()))
        });
        let lines = lines.iter().map(|(name, span)| {
            let name = escaped(name);
            let what = format!(
                "{name} stays here in clear: a text that holds references is left as it is"
            );
            (span.start, (Stays::NoValue, what))
        });
        tokens.chain(lines).collect()
    }

    /// Why what has the shape of a secret is no value.
    fn why_no_value(&self, token: &Range<usize>) -> Stays {
        // Lines may be long and hold many of them.
        let far = token.start.saturating_sub(FAR);
        let before = &self.src[far..token.start];
        let line = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let before = before[line..].trim_ascii_start();
        let is_mark = |mark: &&[u8]| {
            before.starts_with(mark)
                || memchr::memmem::find(before, &[b" ", *mark].concat()).is_some()
        };
        let marks: [&[u8]; 4] = [b"#", b";", b"//", b"<!--"];
        let text = std::str::from_utf8(&self.src[token.clone()]).unwrap_or_default();
        if marks.iter().any(is_mark) {
            Stays::Comment
        } else if signs::password_in_url(text).is_some()
            || (text.contains('?') && signs::passwords_in_jdbc(text).next().is_some())
        {
            Stays::Url
        } else {
            Stays::NoValue
        }
    }

    /// Takes those out that do not come back, and adds them to what is `left` already. Repeatedly, as
    /// without them others may read differently.
    fn leave_what_does_not_come_back(&mut self, mut left: Vec<(usize, (Stays, String))>) {
        loop {
            let suggested: Vec<_> = self.finds.iter().map(Find::reference).collect();
            let failed = self.check(&self.assemble(&suggested));
            if failed.is_empty() {
                break;
            }
            if self.write_otherwise(failed.keys().copied()) {
                continue;
            }
            for (number, find) in std::mem::take(&mut self.finds).into_iter().enumerate() {
                match failed.get(&number) {
                    Some(_) if self.is_no_base64(&find) => {
                        let what = format!("{} {NO_BASE64}", escaped(&find.place));
                        left.push((self.at(&find), (Stays::NoBase64, what)));
                    }
                    Some(refusal) => left.push((self.at(&find), stays(&find.place, *refusal))),
                    None => self.finds.push(find),
                }
            }
        }
        left.sort_by_key(|(at, _)| *at);
        let (why, pending): (Vec<_>, Vec<_>) = left
            .into_iter()
            .map(|(at, (why, what))| (why, Pending::new(at, Rule::LiteralSecret, what)))
            .unzip();
        let problems = locate(&self.name, &self.src, pending).into_iter();
        self.left = problems.zip(why).map(|(problem, why)| Left { problem, why }).collect();
        let places = self.finds.iter().map(|find| Pending::new(self.at(find), Rule::Missing, ""));
        let places = locate(&self.name, &self.src, places.collect());
        for (find, place) in self.finds.iter_mut().zip(places) {
            (find.line, find.column) = (place.line, place.column);
        }
    }

    /// Finds another way of writing some of the finds that did not come back; tells whether there is
    /// one.
    fn write_otherwise(&mut self, failed: impl Iterator<Item = usize> + Clone) -> bool {
        let mut changed = false;
        // Between brackets, `{{` breaks the whole file, so that nothing in it comes back; that was not
        // seen where a comment follows.
        for number in failed.clone() {
            let find = &mut self.finds[number];
            let is_plain = self.spots[&find.span.start].verbatim == Some(find.span.start);
            if self.format == Format::Yaml && find.braces == Braces::Curly && is_plain {
                find.braces = Braces::Round;
                changed = true;
            }
        }
        if changed {
            return true;
        }
        for number in failed {
            let find = &mut self.finds[number];
            // Behind the filter `int`, a number comes back that plain text would quote.
            if find.braces == Braces::None && Filter::Int.apply(find.value.expose()).is_ok() {
                (find.braces, find.filter) = (Braces::Curly, Some(Filter::Int));
                changed = true;
            }
        }
        changed
    }

    /// Whether a find should stand in base64, and stands there as it is.
    fn is_no_base64(&self, find: &Find) -> bool {
        let spot = &self.spots[&find.span.start];
        let written = &self.src[find.span.clone()];
        find.in_secret && spot.encoded && memchr::memmem::find(written, &spot.text).is_some()
    }

    /// Where messages say that a find is.
    fn at(&self, find: &Find) -> usize {
        let verbatim = self.spots[&find.span.start].verbatim;
        let at = verbatim.map(|start| start + find.range.start).or(find.at);
        at.unwrap_or(find.span.start)
    }

    fn assemble(&self, references: &[Option<Reference>]) -> Assembled {
        let mut out = Output::with_capacity(self.src.len());
        let mut replaced = Vec::new();
        let mut numbers = 0..self.finds.len();
        let mut done = 0;
        for group in self.finds.chunk_by(|a, b| a.span == b.span) {
            let referred: Vec<_> = numbers
                .by_ref()
                .take(group.len())
                .filter_map(|number| Some((number, references.get(number)?.as_ref()?)))
                .collect();
            let Some(span) = group.first().map(|find| find.span.clone()) else { continue };
            if referred.is_empty() {
                continue;
            }
            out.bytes.push(&self.src[done..span.start]);
            done = span.end;
            let start = out.bytes.len();
            if !self.write(&span, &referred, &mut out) {
                out.bytes.push(&self.src[span]);
            }
            let finds = referred.into_iter().map(|(number, _)| number).collect();
            replaced.push(Replaced { span: start..out.bytes.len(), finds });
        }
        out.bytes.push(&self.src[done..]);
        let src = out.bytes.finish().expose().to_vec();
        let template = Template::parse_without_fill(&self.name, src, self.format);
        Assembled { template, replaced }
    }

    /// Writes the scalar at `span` with references in the place of finds; tells whether it can.
    fn write(
        &self,
        span: &Range<usize>,
        referred: &[(usize, &Reference)],
        out: &mut Output,
    ) -> bool {
        let spot = &self.spots[&span.start];
        let mut text = Draft::default();
        let mut done = 0;
        for (number, reference) in referred {
            let find = &self.finds[*number];
            text.push(&spot.text[done..find.range.start]);
            text.push(find.expression(reference).as_bytes());
            done = find.range.end;
        }
        text.push(&spot.text[done..]);
        // What stands around a reference may make something else of it.
        let bare = self.format.syntax().resolves_bare();
        let hits = expression::hits(text.bytes());
        let (found, wrong) = expression::find(text.bytes(), hits.into_iter(), bare);
        let as_meant = found.len() == referred.len()
            && found.iter().zip(referred).all(|(expression, (number, reference))| {
                let filter = self.finds[*number].filter;
                expression.reference == **reference && expression.filters.iter().eq(filter.iter())
            });
        if !as_meant || !wrong.is_empty() {
            return false;
        }
        if let Some(start) = spot.verbatim {
            out.bytes.push(&self.src[span.start..start]);
            out.bytes.push(text.bytes());
            out.bytes.push(&self.src[start + spot.text.len()..span.end]);
            return true;
        }
        let parts = [Part::Plain(text.bytes())];
        let content = Content { parts: &parts, typed: false };
        self.format.place(&self.src, span.clone(), &content, spot.encoded, out).is_ok()
    }

    /// The numbers of the finds that would not come back, and what the format has against them.
    fn check(&self, assembled: &Assembled) -> BTreeMap<usize, Option<Refusal>> {
        let mut failed = BTreeMap::new();
        let mut out = Output::with_capacity(0);
        for replaced in &assembled.replaced {
            if let Err(refusal) = self.comes_back(replaced, &assembled.template, &mut out) {
                failed.extend(replaced.finds.iter().map(|number| (*number, refusal)));
            }
        }
        failed
    }

    /// Whether a scalar of the template would be rendered to the one of the file as it is written.
    fn comes_back(
        &self,
        replaced: &Replaced,
        template: &Template,
        out: &mut Output,
    ) -> Result<(), Option<Refusal>> {
        let places = &template.places;
        let number = places.partition_point(|place| place.span.start < replaced.span.start);
        let place = places.get(number).filter(|place| place.span == replaced.span).ok_or(None)?;
        let finds = replaced.finds.iter().map(|number| &self.finds[*number]);
        let values: Result<Vec<_>, _> = finds
            .clone()
            .map(|f| f.filter.unwrap_or(Filter::Optional).apply(f.value.expose()))
            .collect();
        let values = values.map_err(|_| None)?;
        let mut rest = values.iter();
        let parts: Option<Vec<_>> = place
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Source(range) => Some(Part::Plain(&template.src[range.clone()])),
                Segment::Decoded(text) => Some(Part::Plain(text)),
                Segment::Value(_) => rest.next().map(|value| Part::Value(value.bytes())),
            })
            .collect();
        let parts = parts.filter(|_| rest.next().is_none()).ok_or(None)?;
        let span = finds.map(|find| find.span.clone()).next().ok_or(None)?;
        let content = Content { parts: &parts, typed: place.typed };
        if !content.is(&self.spots[&span.start].text) {
            return Err(None);
        }
        out.clear();
        let at = place.span.clone();
        self.format.place(&template.src, at, &content, place.encoded, out).map_err(Some)?;
        if out.bytes.bytes() == &self.src[span] { Ok(()) } else { Err(None) }
    }
}

impl Find {
    /// The reference to the suggested entry and field.
    #[must_use]
    pub fn reference(&self) -> Option<Reference> {
        Reference::new(&self.entry, &self.field, None).ok()
    }

    /// What stands in its place in a template that gives it this reference.
    #[must_use]
    pub fn expression(&self, reference: &Reference) -> String {
        let filter = self.filter.map_or_else(String::new, |filter| format!(" | {}", filter.name()));
        match self.braces {
            Braces::Curly => format!("{{{{ {reference}{filter} }}}}"),
            Braces::None => reference.to_string(),
            Braces::Round => format!("(({reference}{filter}))"),
        }
    }
}

const NO_BASE64: &str = "stays here in clear: what Kubernetes reads here is base64, and this is none, or its \
                         `=` at the end is missing";
/// Why something stays that is a part of a value only.
const NO_VALUE: &str = "it is no value of its own, which could be moved";

/// Why something stays that a rendering would write otherwise.
const NOT_AS_WRITTEN: &str = "the way it is written would not come back exactly";

/// How far the beginning of a comment is looked for.
const FAR: usize = 4_096;

/// Why the find at a place stays, and how that is told.
fn stays(place: &str, refusal: Option<Refusal>) -> (Stays, String) {
    let place = escaped(place);
    match refusal {
        Some(Refusal(why)) => {
            (Stays::CannotCarry, format!("{place} stays here in clear: the value {why}"))
        }
        None => (Stays::Spelling, format!("{place} stays here in clear: {NOT_AS_WRITTEN}")),
    }
}

/// A template, and where finds stand in it.
struct Assembled {
    template: Template,
    replaced: Vec<Replaced>,
}

/// A scalar of a template in the place of one with finds.
struct Replaced {
    span: Range<usize>,
    /// The numbers of the finds.
    finds: Vec<usize>,
}
