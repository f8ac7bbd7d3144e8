//! Takes the literal secrets of a configuration out: finds them, suggests where they belong, and
//! writes the template that gives the file back.

pub(crate) mod signs;

use std::collections::BTreeMap;
use std::ops::Range;

use zeroize::Zeroizing;

use crate::Reference;
use crate::format::{Content, Format, Malformed, Output, Part, Role, Scalar, Text};
use crate::genesys::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Section, Sections};
use crate::problem::{Pending, Problem, Rule, escaped, locate};
use crate::reference::SCHEME;
use crate::secret::{Draft, Secret};
use crate::template::{Segment, Template};

/// The literal secrets of a file.
///
/// Everything in it comes back: a template made from it renders to the same file, byte for byte.
pub struct Adoption {
    /// What was found, in the order of the file.
    pub finds: Vec<Find>,
    /// What looks like a secret and stays where it is, because no template would give it back as it
    /// is written.
    pub left: Vec<Problem>,
    name: String,
    src: Zeroizing<Vec<u8>>,
    format: Format,
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
    span: Range<usize>,
    form: Form,
}

/// How the reference is written in the place of a find.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    /// Alone.
    Bare,
    /// Behind a filter, for a number that is written without quotes.
    Int,
    /// In braces, as the last line of a block; the line's end is not a part of the value.
    Line,
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
        let Some(format) = format.or_else(|| Format::detect(name, src)) else {
            let what = "the format of the file is not known; name it";
            return Err(problem(Pending::new(0, Rule::UnknownFormat, what)));
        };
        let mut search = Search::new(name, src, format);
        search
            .run()
            .map_err(|Malformed { at, rule, what }| problem(Pending::new(at, rule, what)))?;
        let mut adoption = Self {
            finds: search.finds,
            left: Vec::new(),
            name: name.to_owned(),
            src: Zeroizing::new(src.to_vec()),
            format,
        };
        adoption.leave_what_does_not_come_back();
        Ok(adoption)
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
        let pending = failed.into_iter().map(|number| self.stays(&self.finds[number])).collect();
        Err(locate(&self.name, &self.src, pending))
    }

    /// Takes those out that do not come back. Twice, as without them others may read differently.
    fn leave_what_does_not_come_back(&mut self) {
        let mut pending = Vec::new();
        loop {
            let suggested: Vec<_> = self.finds.iter().map(Find::reference).collect();
            let failed = self.check(&self.assemble(&suggested));
            if failed.is_empty() {
                break;
            }
            let mut failed = failed.into_iter().peekable();
            for (number, mut find) in std::mem::take(&mut self.finds).into_iter().enumerate() {
                if failed.next_if_eq(&number).is_none() {
                    self.finds.push(find);
                } else if find.form == Form::Bare && is_number(find.value.expose()) {
                    // Behind the filter `int`, a number comes back that plain text would quote.
                    find.form = Form::Int;
                    self.finds.push(find);
                } else {
                    pending.push(self.stays(&find));
                }
            }
        }
        self.left = locate(&self.name, &self.src, pending);
        let places = self.finds.iter().map(|find| Pending::new(find.span.start, Rule::Missing, ""));
        let places = locate(&self.name, &self.src, places.collect());
        for (find, place) in self.finds.iter_mut().zip(places) {
            (find.line, find.column) = (place.line, place.column);
        }
    }

    fn stays(&self, find: &Find) -> Pending {
        let what = format!(
            "{} stays here in clear: the way it is written would not come back exactly",
            escaped(&find.place)
        );
        Pending::new(find.span.start, Rule::LiteralSecret, what)
    }

    fn assemble(&self, references: &[Option<Reference>]) -> Assembled {
        let mut out = Output { bytes: Draft::with_capacity(self.src.len()), values: Vec::new() };
        let mut spans = Vec::with_capacity(self.finds.len());
        let mut done = 0;
        for (number, find) in self.finds.iter().enumerate() {
            let Some(reference) = references.get(number).and_then(Option::as_ref) else {
                spans.push(None);
                continue;
            };
            out.bytes.push(&self.src[done..find.span.start]);
            done = find.span.end;
            let start = out.bytes.len();
            let text = match find.form {
                Form::Bare => reference.to_string(),
                Form::Int => format!("{{{{ {reference} | int }}}}"),
                Form::Line => format!("{{{{ {reference} }}}}\n"),
            };
            let parts = [Part::Plain(text.as_bytes())];
            let content = Content { parts: &parts, typed: false };
            let syntax = self.format.syntax();
            if syntax.encode(&self.src, find.span.clone(), &content, &mut out).is_err() {
                out.bytes.push(&self.src[find.span.clone()]);
            }
            spans.push(Some(start..out.bytes.len()));
        }
        out.bytes.push(&self.src[done..]);
        let src = out.bytes.finish().expose().to_vec();
        let template = Template::parse_without_fill(&self.name, src, self.format);
        Assembled { template, spans }
    }

    /// The numbers of the finds that would not come back.
    fn check(&self, assembled: &Assembled) -> Vec<usize> {
        let finds = self.finds.iter().zip(&assembled.spans).enumerate();
        finds
            .filter_map(|(number, (find, span))| Some((number, find, span.clone()?)))
            .filter(|(_, find, span)| !self.comes_back(find, span, &assembled.template))
            .map(|(number, ..)| number)
            .collect()
    }

    /// Whether the place at `span` of the template would be rendered to the find as it is written.
    fn comes_back(&self, find: &Find, span: &Range<usize>, template: &Template) -> bool {
        let places = &template.places;
        let number = places.partition_point(|place| place.span.start < span.start);
        let Some(place) = places.get(number).filter(|place| place.span == *span) else {
            return false;
        };
        let parts: Vec<_> = place
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Source(range) => Part::Plain(&template.src[range.clone()]),
                Segment::Decoded(text) => Part::Plain(text),
                Segment::Value(_) => Part::Value(find.value.expose()),
            })
            .collect();
        let expected = if find.form == Form::Line { 2 } else { 1 };
        if parts.len() != expected || !matches!(parts[0], Part::Value(_)) {
            return false;
        }
        let mut out = Output { bytes: Draft::default(), values: Vec::new() };
        let content = Content { parts: &parts, typed: place.typed };
        let encoded = self.format.syntax().encode(&template.src, span.clone(), &content, &mut out);
        encoded.is_ok() && out.bytes.bytes() == &self.src[find.span.clone()]
    }
}

impl Find {
    /// The reference to the suggested entry and field.
    #[must_use]
    pub fn reference(&self) -> Option<Reference> {
        Reference::new(&self.entry, &self.field, None).ok()
    }
}

/// A secret that stands in a file in clear.
pub(crate) struct Literal {
    /// The section and option, or the path of keys.
    pub(crate) place: String,
    pub(crate) span: Range<usize>,
}

/// The literal secrets of a file, also those that no template would give back.
pub(crate) fn literals(name: &str, src: &[u8], format: Format) -> Result<Vec<Literal>, Malformed> {
    let mut search = Search::new(name, src, format);
    search.run()?;
    let finds = search.finds.into_iter().filter(|find| !find.public);
    Ok(finds.map(|Find { place, span, .. }| Literal { place, span }).collect())
}

/// A template, and where each find stands in it.
struct Assembled {
    template: Template,
    spans: Vec<Option<Range<usize>>>,
}

/// A file as it is searched.
struct Search<'a> {
    src: &'a [u8],
    format: Format,
    /// What entries are named after.
    stem: String,
    finds: Vec<Find>,
    /// Which find is the first of an entry and field, and how many values it has had.
    fields: BTreeMap<(String, String), (usize, usize)>,
    sections: Sections,
    /// The names of the sections and keys around a value, with their depths.
    path: Vec<(usize, String)>,
    /// Whether the last name of the path waits for its value.
    named: bool,
}

impl<'a> Search<'a> {
    fn new(name: &str, src: &'a [u8], format: Format) -> Self {
        Self {
            src,
            format,
            stem: stem(name),
            finds: Vec::new(),
            fields: BTreeMap::new(),
            sections: Sections::default(),
            path: Vec::new(),
            named: false,
        }
    }

    fn run(&mut self) -> Result<(), Malformed> {
        let mut number = 0;
        let src = self.src;
        if self.format == Format::Text {
            return Ok(());
        }
        self.format.syntax().scan(src, &mut |scalar| {
            let text = scalar.text.bytes(src);
            let referred = memchr::memmem::find(text, SCHEME.as_bytes()).is_some();
            if self.format.is_genesys() {
                self.sections.observe(src, number, &scalar, referred);
            }
            number += 1;
            self.visit(&scalar, text, referred);
        })?;
        for section in std::mem::take(&mut self.sections).into_sections() {
            self.genesys_section(&section);
        }
        self.finds.sort_by_key(|find| find.span.start);
        self.finds.dedup_by_key(|find| find.span.start);
        Ok(())
    }

    /// Follows the names to a value, and looks whether it is a secret.
    fn visit(&mut self, scalar: &Scalar, text: &[u8], referred: bool) {
        let depth = scalar.depth;
        match scalar.role {
            Role::Set => self.path.clear(),
            Role::Key | Role::Section => {
                self.path.retain(|(around, _)| *around < depth);
                self.path.push((depth, String::from_utf8_lossy(text).into_owned()));
                self.named = scalar.role == Role::Key;
            }
            Role::Value => {
                self.path.retain(|(around, _)| *around <= depth);
                let named = std::mem::take(&mut self.named)
                    && self.path.last().is_some_and(|(around, _)| *around == depth);
                let known = self.format.is_genesys()
                    && self.path.iter().any(|(_, name)| Sections::have_credentials(name));
                if !referred && !known && !matches!(scalar.text, Text::Opaque) {
                    self.value(scalar, text, named);
                }
            }
        }
    }

    fn value(&mut self, scalar: &Scalar, text: &[u8], named: bool) {
        let Ok(text) = std::str::from_utf8(text) else { return };
        let Some((_, key)) = self.path.last() else { return };
        // `null` and truth values, which JSON and YAML write without quotes.
        let bare = scalar.span.len() == text.len()
            && matches!(self.format, Format::Json | Format::Yaml)
            && ["null", "~", "true", "false"].iter().any(|word| text.eq_ignore_ascii_case(word));
        let secret = (named && signs::is_secret_name(key)) || signs::is_secret_value(text);
        if bare || !secret || signs::is_placeholder(text) {
            return;
        }
        let field = segment(key);
        let around = self.path[..self.path.len() - 1].iter().map(|(_, name)| segment(name));
        let entry = [self.stem.clone()].into_iter().chain(around).collect::<Vec<_>>().join("/");
        let place = self.path.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(".");
        let is_block = self.format == Format::Yaml
            && matches!(self.src.get(scalar.span.start), Some(b'|' | b'>'));
        let line = text.strip_suffix('\n').filter(|_| is_block);
        let find = (place, scalar.span.clone(), line.unwrap_or(text).as_bytes());
        self.add(find, &entry, EntryKind::Secret, &field, false);
        if let Some(find) = self.finds.last_mut().filter(|_| line.is_some()) {
            find.form = Form::Line;
        }
    }

    /// The credentials of a section that Genesys' mail server reads.
    fn genesys_section(&mut self, section: &Section) {
        let own = format!("{}/{}", self.stem, segment(&section.name));
        let secret = section.text("secret").map(|name| format!("secret-{name}"));
        for option in section.options.iter().filter(|option| !option.referred && !option.is_blank())
        {
            let place = format!("[{}] {}", section.name, option.name);
            let find = (place, option.span.clone(), &option.value[..]);
            match (option.name.as_str(), &secret) {
                ("password", _) if !section.is_client() => {
                    self.add(find, &section.name, EntryKind::OauthClient, CLIENT_SECRET, false);
                }
                ("password", Some(_)) if section.uses_tokens() => {
                    self.refresh_token(find, section);
                }
                // The application's own secret, repeated in each section that uses it.
                ("password", None) if uses_client_credentials(section) => {
                    let entry = self.shared(&option.value, CLIENT_SECRET).unwrap_or(own.clone());
                    self.add(find, &entry, EntryKind::Secret, CLIENT_SECRET, false);
                }
                ("password", _) => self.add(find, &own, EntryKind::Secret, "password", false),
                ("client-id", Some(entry)) if section.is_client() && section.uses_tokens() => {
                    let entry = entry.clone();
                    self.client_id(find, &entry);
                }
                (name, _) if name.ends_with(".password") => {
                    self.add(find, &own, EntryKind::Secret, &segment(name), false);
                }
                _ => {}
            }
        }
    }

    fn refresh_token(&mut self, find: (String, Range<usize>, &[u8]), section: &Section) {
        let Some(address) = section.address() else {
            let own = format!("{}/{}", self.stem, segment(&section.name));
            return self.add(find, &own, EntryKind::Secret, REFRESH_TOKEN, false);
        };
        let shared = format!("mailbox/{address}");
        // One grant can serve the mailbox and the outgoing server; another one is told apart.
        let differs = self.known(&shared, REFRESH_TOKEN).is_some_and(|value| value != find.2);
        let entry = if differs { format!("{shared}+{}", section.name) } else { shared };
        self.add(find, &entry, EntryKind::Mailbox, REFRESH_TOKEN, false);
    }

    fn client_id(&mut self, find: (String, Range<usize>, &[u8]), entry: &str) {
        // Not secret: where two sections disagree, the second keeps its own.
        if self.known(entry, CLIENT_ID).is_none_or(|value| value == find.2) {
            self.add(find, entry, EntryKind::OauthClient, CLIENT_ID, true);
        }
    }

    /// The entry that already has `value` in its field `field`.
    fn shared(&self, value: &[u8], field: &str) -> Option<String> {
        let same = |find: &&Find| find.field == field && find.value.expose() == value;
        let find = self.finds.iter().filter(|f| f.kind == EntryKind::Secret).find(same)?;
        Some(find.entry.clone())
    }

    /// What was found first for a field.
    fn known(&self, entry: &str, field: &str) -> Option<&[u8]> {
        let (first, _) = self.fields.get(&(entry.to_owned(), field.to_owned()))?;
        Some(self.finds[*first].value.expose())
    }

    /// Adds a find; where its field is taken by another value, under a number of its own.
    fn add(
        &mut self,
        (place, span, value): (String, Range<usize>, &[u8]),
        entry: &str,
        kind: EntryKind,
        field: &str,
        public: bool,
    ) {
        let mut own = field.to_owned();
        let key = (entry.to_owned(), field.to_owned());
        let (first, values) = self.fields.entry(key).or_insert((self.finds.len(), 0));
        *values += 1;
        if self.finds.get(*first).is_some_and(|find| find.value.expose() != value) {
            own = format!("{field}-{values}");
        }
        if Reference::new(entry, &own, None).is_err() {
            return;
        }
        self.finds.push(Find {
            place,
            line: 0,
            column: 0,
            entry: entry.to_owned(),
            kind,
            field: own,
            public,
            value: Secret::copied_from(value),
            span,
            form: Form::Bare,
        });
    }
}

/// Whether the section's password is the secret of a Microsoft application.
fn uses_client_credentials(section: &Section) -> bool {
    let is = |name: &str, value: &str| {
        section.text(name).is_some_and(|text| text.eq_ignore_ascii_case(value))
    };
    is("grant-type", "client_credentials") || is("type", "GRAPH") || is("server-type", "GRAPH")
}

/// What entries of a file are named after: its name without folder, leading dot and extension.
fn stem(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = match file.strip_prefix('.') {
        Some(hidden) => hidden,
        None => file.rsplit_once('.').map_or(file, |(stem, _)| stem),
    };
    segment(stem)
}

/// A name as a part of an entry's name.
fn segment(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-._~+@".contains(c) { c } else { '-' };
    let segment: String = name.chars().take(100).map(plain).collect();
    let segment = segment.trim_matches(['-', '.']);
    if segment.is_empty() { "unnamed".to_owned() } else { segment.to_owned() }
}

fn is_number(value: &[u8]) -> bool {
    crate::filter::Filter::Int.apply(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_named_after_files() {
        for (name, expected) in [
            ("conf/app.yaml", "app"),
            (".env", "env"),
            (".env.production", "env.production"),
            ("prod.env", "prod"),
            ("a b.c.json", "a-b.c"),
            ("--", "unnamed"),
        ] {
            assert_eq!(stem(name), expected);
        }
    }
}
