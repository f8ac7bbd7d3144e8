//! Rewrites the references of other tools as ours, in place, and proves that the result asks for just
//! them.

mod foreign;

use std::collections::BTreeSet;
use std::ops::Range;

use zeroize::Zeroizing;

use self::foreign::{Foreign, Hit};
use crate::Reference;
use crate::expression;
use crate::filter::Filter;
use crate::format::{Content, Format, Malformed, Output, Part, Role, Scalar, Text};
use crate::problem::{Pending, Problem, Rule, locate};
use crate::secret::Secret;
use crate::template::{Segment, Template};

/// A file whose references of other tools are rewritten as ours.
///
/// What is neither rewritten nor a reference stays byte for byte. Comments are not looked at.
pub struct Migration {
    /// What was rewritten, in the order of the file.
    pub moved: Vec<Moved>,
    /// What looks like a reference of another tool and stays, in the order of the file.
    pub left: Vec<Unmoved>,
    /// The file with the references of [`moved`](Self::moved). What else is in it may be secret.
    pub contents: Secret,
}

/// A reference that was rewritten.
pub struct Moved {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// Whose reference it was.
    pub tool: &'static str,
    /// What it was, without parameters such as the address of a server.
    pub foreign: String,
    /// What it is now.
    pub reference: Reference,
    /// How that is written in its place.
    pub expression: String,
    identity: String,
}

impl Moved {
    /// Whether both were references to one secret. If not, they must not have become one reference.
    #[must_use]
    pub fn is_same_secret(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

/// What looks like a reference of another tool and was not rewritten.
pub struct Unmoved {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// Why not.
    pub why: &'static str,
    /// Whether it is a variable of the environment, and no entry was [named](Naming::variables) for these.
    pub is_variable: bool,
}

/// What references of other tools are to become.
#[derive(Clone, Copy, Default)]
pub struct Naming<'a> {
    /// What stands in front of the names of all entries.
    pub prefix: Option<&'a str>,
    /// The entry that has a field for each variable of the environment. Without one, `${NAME}` stays.
    pub variables: Option<&'a str>,
}

impl Migration {
    /// Rewrites a file. `name` is what messages call it; without a `format`, the name and the content
    /// decide.
    ///
    /// # Errors
    /// If the file has references of other tools and its format is not known, or if it does not follow its
    /// format.
    pub fn of(
        name: &str,
        src: &[u8],
        format: Option<Format>,
        naming: Naming<'_>,
    ) -> Result<Self, Problem> {
        let problem =
            |at, rule, what: &str| locate(name, src, vec![Pending::new(at, rule, what)]).remove(0);
        let Some(format) = format.or_else(|| Format::detect(name, src)) else {
            return match foreign::find(&String::from_utf8_lossy(src), naming.variables).first() {
                None => Ok(Self {
                    moved: Vec::new(),
                    left: Vec::new(),
                    contents: Secret::copied_from(src),
                }),
                Some(_) => Err(problem(
                    0,
                    Rule::UnknownFormat,
                    "the format of the file is not known; name it",
                )),
            };
        };
        let mut reading = Reading::of(src, format, naming)
            .map_err(|Malformed { at, rule, what, .. }| problem(at, rule, what))?;
        let before = Template::parse_without_fill(name, src.to_vec(), format).problems.len();
        let (contents, template) = loop {
            let (contents, spans) = reading.assemble();
            let template = Template::parse_without_fill(name, contents.expose().to_vec(), format);
            if !reading.give_up_what_is_not_proven(&template, &spans) {
                break (contents, template);
            }
        };
        if template.problems.len() > before {
            return Err(template.problems[0].clone());
        }
        // Each changed scalar reads as it should; that no other came or went shows that all others do.
        if !reading.edits.is_empty() && template.shape.scalars != reading.scalars {
            return Err(problem(
                0,
                Rule::NotProven,
                "with references in it, the file would read otherwise",
            ));
        }
        Ok(reading.result(name, src, contents))
    }
}

/// What every reference that [`LeftOver`] finds in plain letters has in it.
pub(crate) const SIGNS: [&[u8]; 5] = [b"op://", b"ref+", b"secret \"", b"secret `", b"secret \\\""];

/// Where references of 1Password, vals and consul-template stand in a file: rendering leaves them as they
/// are.
pub(crate) struct LeftOver<'a> {
    src: &'a [u8],
    pub(crate) found: Vec<usize>,
    /// Whether Vault's agent reads what stands under the key that came last.
    is_for_vault: bool,
}

impl<'a> LeftOver<'a> {
    /// A search in the scalars of a file, if there is anything to be found; `is_seen` says whether one of
    /// [`SIGNS`] stands in it.
    pub(crate) fn new(src: &'a [u8], format: Format, is_seen: bool) -> Option<Self> {
        // What stands in base64 is seen only once it is read.
        let may_be = format != Format::Text && (is_seen || format.may_encode(src));
        may_be.then(|| Self { src, found: Vec::new(), is_for_vault: false })
    }

    /// Those in a file of no known format, if it is clear where they end, but none of consul-template.
    pub(crate) fn in_text(src: &[u8]) -> Vec<usize> {
        foreign::places(std::str::from_utf8(src).unwrap_or_default(), true)
    }

    /// Comes to the next scalar of the file.
    pub(crate) fn look_at(&mut self, scalar: &Scalar) {
        if scalar.role == Role::Key {
            // Vault's agent reads what stands in this annotation of a pod.
            let key = scalar.text.bytes(self.src);
            self.is_for_vault = memchr::memmem::find(key, b"agent-inject-template").is_some();
        }
        let data = scalar.data(self.src);
        let bytes = match (&data, &scalar.text) {
            (Some(data), _) => data,
            (None, Text::Opaque) => trimmed(&self.src[scalar.span.clone()]),
            (None, text) => text.bytes(self.src),
        };
        let text = std::str::from_utf8(bytes).unwrap_or_default();
        if scalar.is_value() && !foreign::places(text, self.is_for_vault).is_empty() {
            self.found.push(scalar.span.start);
        }
    }
}

/// A file as it is being rewritten.
struct Reading<'a> {
    /// The file, with quotes around what stands in braces without any.
    src: Zeroizing<Vec<u8>>,
    /// Where what has these quotes is in it.
    quoted: Vec<Range<usize>>,
    format: Format,
    naming: Naming<'a>,
    /// How many scalars there are.
    scalars: usize,
    edits: Vec<Edit>,
    left: Vec<(usize, &'static str)>,
}

/// A scalar in which something is rewritten.
struct Edit {
    span: Range<usize>,
    /// What it decodes to.
    text: Zeroizing<Vec<u8>>,
    /// Where just this text stands in the file, if it does.
    verbatim: Option<usize>,
    /// Whether it stands there without quotes, in a format in which braces then mean something else.
    plain: bool,
    pieces: Vec<Piece>,
    way: Way,
}

/// How a scalar is written.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Way {
    /// The reference takes the place of all of it, quotes included.
    Alone,
    /// Only the text changes.
    Verbatim,
    /// Only what is rewritten changes, which stands in the file as in the text, with escapes or line ends
    /// around it that do not.
    Around,
    /// As the format writes such a text.
    Encoded,
}

/// A reference of another tool in the text of a scalar.
struct Piece {
    /// Where it stands in the file, for people.
    at: usize,
    /// Where it stands in the text.
    range: Range<usize>,
    foreign: Foreign,
    reference: Reference,
    expression: String,
    filters: Vec<Filter>,
}

impl<'a> Reading<'a> {
    fn of(src: &[u8], format: Format, naming: Naming<'a>) -> Result<Self, Malformed> {
        let mut quoted =
            if format == Format::Yaml { in_bare_braces(src, naming) } else { Vec::new() };
        loop {
            let mut with_quotes = Zeroizing::new(Vec::with_capacity(src.len() + 2 * quoted.len()));
            let (mut done, mut spans) = (0, Vec::new());
            for range in &quoted {
                with_quotes.extend_from_slice(&src[done..range.start]);
                let start = with_quotes.len();
                with_quotes.push(b'\'');
                with_quotes.extend_from_slice(&src[range.clone()]);
                with_quotes.push(b'\'');
                spans.push(start..with_quotes.len());
                done = range.end;
            }
            with_quotes.extend_from_slice(&src[done..]);
            let mut reading = Self {
                src: with_quotes,
                quoted: spans,
                format,
                naming,
                scalars: 0,
                edits: Vec::new(),
                left: Vec::new(),
            };
            reading
                .scan()
                .map_err(|error| Malformed { at: reading.before_quotes(error.at), ..error })?;
            // What stands in a block of text is no scalar, and no quotes belong there.
            let alone: BTreeSet<_> = reading.edits.iter().map(|edit| edit.span.start).collect();
            let is_scalar: Vec<_> =
                reading.quoted.iter().map(|span| alone.contains(&span.start)).collect();
            if is_scalar.iter().all(|is_one| *is_one) {
                return Ok(reading);
            }
            let mut is_scalar = is_scalar.into_iter();
            quoted.retain(|_| is_scalar.next().unwrap_or(false));
        }
    }

    fn scan(&mut self) -> Result<(), Malformed> {
        let src = std::mem::take(&mut self.src);
        let scanned = self.format.syntax().scan(&src, &mut |scalar| self.visit(&src, &scalar));
        self.src = src;
        self.edits.sort_by_key(|edit| edit.span.start);
        scanned
    }

    fn visit(&mut self, src: &[u8], scalar: &Scalar) {
        self.scalars += 1;
        let span = scalar.span.clone();
        let leave = |this: &mut Self, why| this.left.push((span.start, why));
        let data = scalar.data(src);
        let opaque = matches!(scalar.text, Text::Opaque);
        let bytes = match &data {
            Some(data) => data,
            None if opaque => trimmed(&src[span.clone()]),
            None => scalar.text.bytes(src),
        };
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let hits = foreign::find(text, self.naming.variables);
        if hits.is_empty() {
            return;
        }
        if scalar.is_encoded() {
            return leave(self, "Kubernetes reads base64 there; write `{{ REFERENCE | base64 }}`");
        } else if !scalar.is_value() {
            return leave(self, "it stands in a name, where no reference is resolved");
        }
        let whole = matches!(&hits[..], [only] if only.span == (0..text.len()));
        if opaque && !(whole && hits[0].what.is_ok()) {
            return leave(self, "programs disagree on how to read what stands here");
        }
        let verbatim = match &scalar.text {
            Text::Verbatim(range) => Some(range.start),
            _ => None,
        };
        let mut pieces = Vec::with_capacity(hits.len());
        // Where what comes next may stand in the file.
        let (mut from, mut is_lost) = (span.start, false);
        for Hit { span: range, what } in hits {
            let at = match verbatim {
                Some(start) => start + range.start,
                None if is_lost => from,
                None => match memchr::memmem::find(&src[from..span.end], &bytes[range.clone()]) {
                    Some(found) => {
                        from += found + range.len();
                        from - range.len()
                    }
                    // Escapes are in it: what follows is somewhere behind the last that was found.
                    None => {
                        is_lost = true;
                        from
                    }
                },
            };
            let named = what.and_then(|foreign| {
                let entry = match self.naming.prefix {
                    Some(prefix) => format!("{prefix}/{}", foreign.entry),
                    None => foreign.entry.clone(),
                };
                match Reference::new(&entry, &foreign.field, None) {
                    Ok(reference) => Ok((foreign, reference)),
                    Err(_) => Err("no reference can name it"),
                }
            });
            match named {
                Err(why) => self.left.push((at, why)),
                Ok((foreign, reference)) => pieces.push(Piece {
                    at,
                    range,
                    foreign,
                    reference,
                    expression: String::new(),
                    filters: Vec::new(),
                }),
            }
        }
        if pieces.is_empty() {
            return;
        }
        let is_quoted =
            self.quoted.binary_search_by_key(&span.start, |quoted| quoted.start).is_ok();
        let way = match verbatim {
            _ if opaque || (is_quoted && whole) => Way::Alone,
            Some(_) => Way::Verbatim,
            None => Way::Around,
        };
        let plain = self.format == Format::Yaml && span.len() == text.len();
        let text = Zeroizing::new(bytes.to_vec());
        self.edits.push(Edit { span, text, verbatim, plain, pieces, way });
    }

    /// Writes the file, and says where the scalars that were changed are in it.
    fn assemble(&mut self) -> (Secret, Vec<Range<usize>>) {
        let mut out = Output::with_capacity(self.src.len());
        let mut spans = Vec::with_capacity(self.edits.len());
        let mut done = 0;
        let bare = self.format.syntax().resolves_bare();
        for edit in &mut self.edits {
            out.bytes.push(&self.src[done..edit.span.start]);
            done = edit.span.end;
            let start = out.bytes.len();
            if !edit.write(&self.src, self.format, bare, &mut out) {
                out.bytes.push(&self.src[edit.span.clone()]);
            }
            spans.push(start..out.bytes.len());
        }
        out.bytes.push(&self.src[done..]);
        (out.bytes.finish(), spans)
    }

    /// Finds another way of writing what does not read as it should, or leaves it; tells whether anything
    /// has to be written again.
    fn give_up_what_is_not_proven(&mut self, template: &Template, spans: &[Range<usize>]) -> bool {
        let mut again = false;
        let mut number = 0;
        self.edits.retain_mut(|edit| {
            let span = &spans[number];
            number += 1;
            if edit.is_proven(template, span) {
                return true;
            }
            again = true;
            if matches!(edit.way, Way::Verbatim | Way::Around) {
                edit.way = Way::Encoded;
                return true;
            }
            let why =
                "a reference cannot stand here in this format; write quotes around the whole value";
            self.left.extend(edit.pieces.iter().map(|piece| (piece.at, why)));
            false
        });
        again
    }

    /// Where something stands in the file as it was given.
    fn before_quotes(&self, at: usize) -> usize {
        let ended = self.quoted.partition_point(|span| span.end <= at);
        let inside = self.quoted.get(ended).is_some_and(|span| span.start < at);
        at - 2 * ended - usize::from(inside)
    }

    fn result(mut self, name: &str, src: &[u8], contents: Secret) -> Migration {
        self.left.sort_by_key(|(at, _)| *at);
        let place = |at: usize| Pending::new(self.before_quotes(at), Rule::Missing, "");
        let at = self.left.iter().map(|(at, _)| place(*at)).collect();
        let places = locate(name, src, at);
        let left = places.into_iter().zip(&self.left);
        let left = left.map(|(Problem { line, column, .. }, (_, why))| Unmoved {
            line,
            column,
            why,
            is_variable: *why == foreign::NO_ENTRY,
        });
        let left = left.collect();
        let at = self.edits.iter().flat_map(|edit| edit.pieces.iter().map(|piece| place(piece.at)));
        let places = locate(name, src, at.collect());
        let pieces = self.edits.into_iter().flat_map(|edit| edit.pieces);
        let moved =
            places.into_iter().zip(pieces).map(|(Problem { line, column, .. }, piece)| Moved {
                line,
                column,
                tool: piece.foreign.tool,
                foreign: piece.foreign.shown,
                reference: piece.reference,
                expression: piece.expression,
                identity: piece.foreign.identity,
            });
        Migration { moved: moved.collect(), left, contents }
    }
}

impl Edit {
    /// Writes the scalar with references; tells whether it can.
    fn write(&mut self, src: &[u8], format: Format, bare: bool, out: &mut Output) -> bool {
        let is_bare =
            bare && matches!(&self.pieces[..], [only] if only.range == (0..self.text.len()));
        self.pieces.iter_mut().for_each(|piece| piece.filters.clear());
        let (mut text, starts) = self.rewritten(is_bare);
        let (_, wrong) = expression::find(&text, expression::hits(&text).into_iter(), bare);
        // The other tool puts a value there as it is; in the user information of a URL, we want to be told.
        let unencoded: BTreeSet<_> =
            wrong.iter().filter(|w| w.rule == Rule::UnencodedInUrl).map(|w| w.at).collect();
        if !unencoded.is_empty() {
            for (piece, start) in self.pieces.iter_mut().zip(starts) {
                piece.filters.extend(unencoded.contains(&start).then_some(Filter::Url));
            }
            (text, _) = self.rewritten(is_bare);
        }
        match (self.way, self.verbatim) {
            (Way::Alone, _) => out.bytes.push(&text),
            (Way::Verbatim, Some(start)) => {
                out.bytes.push(&src[self.span.start..start]);
                out.bytes.push(&text);
                out.bytes.push(&src[start + self.text.len()..self.span.end]);
            }
            (Way::Around, _) => {
                let mut done = self.span.start;
                for piece in &self.pieces {
                    let foreign = &self.text[piece.range.clone()];
                    let found = memchr::memmem::find(&src[done..self.span.end], foreign);
                    let Some(found) = found else { break };
                    out.bytes.push(&src[done..done + found]);
                    out.bytes.push(piece.expression.as_bytes());
                    done += found + foreign.len();
                }
                out.bytes.push(&src[done..self.span.end]);
            }
            _ => {
                let parts = [Part::Plain(&text)];
                let content = Content { parts: &parts, typed: false };
                return format.place(src, self.span.clone(), &content, false, out).is_ok();
            }
        }
        true
    }

    /// The text with references, and where these begin.
    fn rewritten(&mut self, is_bare: bool) -> (Zeroizing<Vec<u8>>, Vec<usize>) {
        let mut text = Zeroizing::new(Vec::with_capacity(2 * self.text.len()));
        let mut starts = Vec::with_capacity(self.pieces.len());
        let mut done = 0;
        for piece in &mut self.pieces {
            let Piece { range, reference, filters, .. } = piece;
            let filter: String =
                filters.iter().map(|filter| format!(" | {}", filter.name())).collect();
            piece.expression = match (is_bare, self.plain) {
                (true, _) => reference.to_string(),
                // In plain scalars of YAML, `{{` may be a mapping.
                (false, true) => format!("(({reference}{filter}))"),
                (false, false) => format!("{{{{ {reference}{filter} }}}}"),
            };
            text.extend_from_slice(&self.text[done..range.start]);
            starts.push(text.len());
            text.extend_from_slice(piece.expression.as_bytes());
            done = range.end;
        }
        text.extend_from_slice(&self.text[done..]);
        (text, starts)
    }

    /// Whether the template has a place at `span` that is this text with just these references.
    fn is_proven(&self, template: &Template, span: &Range<usize>) -> bool {
        let number = template.places.partition_point(|place| place.span.start < span.start);
        let Some(place) = template.places.get(number).filter(|place| place.span == *span) else {
            return false;
        };
        let mut pieces = self.pieces.iter().peekable();
        let hits = expression::hits(&self.text);
        let (there, _) = expression::find(&self.text, hits.into_iter(), false);
        let mut there = there.into_iter();
        // How far the text is told by the segments so far.
        let mut done = 0;
        for segment in &place.segments {
            let own = match segment {
                Segment::Source(range) => &template.src[range.clone()],
                Segment::Decoded(text) => text,
                Segment::Value(slot) => {
                    let reference = &template.wanted[slot.wanted].reference;
                    done = match pieces.next_if(|piece| piece.range.start == done) {
                        Some(piece)
                            if piece.reference == *reference && piece.filters == slot.filters =>
                        {
                            piece.range.end
                        }
                        Some(_) => return false,
                        // It was there already, and is a part of the text.
                        None => match there.find(|expression| expression.span.start == done) {
                            Some(expression) if expression.reference == *reference => {
                                expression.span.end
                            }
                            _ => return false,
                        },
                    };
                    continue;
                }
            };
            if !self.text[done..].starts_with(own) {
                return false;
            }
            done += own.len();
        }
        done == self.text.len() && pieces.next().is_none()
    }
}

/// What is left of a scalar without its quotes.
fn trimmed(raw: &[u8]) -> &[u8] {
    let quote = |q: u8| raw.strip_prefix(&[q])?.strip_suffix(&[q]);
    quote(b'"').or_else(|| quote(b'\'')).unwrap_or(raw)
}

/// Where references in braces are all that stands behind the key or dash of a line of YAML. As it is, that
/// is a mapping; for the other tool, which reads no YAML, it is the value.
fn in_bare_braces(src: &[u8], naming: Naming<'_>) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in src.split_inclusive(|&b| b == b'\n') {
        let at = start;
        start += line.len();
        let Some(open) = memchr::memmem::find(line, b"{{") else { continue };
        let before = line[..open].trim_ascii_end();
        let follows_key = before.len() < open && before.ends_with(b":")
            || before.trim_ascii() == b"-" && before.len() < open;
        let Ok(text) = std::str::from_utf8(&line[open..]) else { continue };
        if !follows_key {
            continue;
        }
        let hits = foreign::find(text, naming.variables);
        let Some(Hit { span, what: Ok(_) }) = hits.first() else { continue };
        let after = &text[span.end..];
        let ends = after.trim().is_empty()
            || (after.starts_with([' ', '\t']) && after.trim().starts_with('#'));
        if span.start == 0 && ends && !text[span.clone()].contains('\'') {
            found.push(at + open..at + open + span.end);
        }
    }
    found
}
