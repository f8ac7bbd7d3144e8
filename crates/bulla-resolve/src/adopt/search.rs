//! Looks through a file for secrets.

mod aliases;
mod genesys;
mod pairs;
mod parts;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

use zeroize::Zeroizing;

use self::pairs::Pairs;
pub(super) use self::parts::{LIKE_A_SECRET, Stay};
use super::inside;
use super::otherwise::{self, Scope};
use super::{Braces, EntryKind, Find, Spot, shapes, signs, written_at};
use crate::Reference;
use crate::check::lines;
use crate::expression;
use crate::filter::Filter;
use crate::format::{Format, Malformed, Role, Scalar, Text};
use crate::genesys::Sections;
use crate::indirect::{Indirect, indirect};
use crate::names::{self, SecretNames, segment, stem};
use crate::problem::without_secrets;
use crate::reference::MAX_ENTRY;
use crate::secret::Secret;

/// A file as it is searched.
pub(super) struct Search<'a> {
    src: &'a [u8],
    /// The same as text, if all of it is.
    text: Option<&'a str>,
    format: Format,
    /// Where names tell no secrets.
    scope: Scope,
    /// What entries are named after.
    stem: String,
    /// What was found, in the order of the file once all was searched.
    pub(super) finds: Vec<Find>,
    /// The scalars that finds stand in, by their beginnings.
    pub(super) spots: BTreeMap<usize, Spot>,
    /// The secrets that no template would give back.
    pub(super) stays: Vec<Stay>,
    /// Names that look like secrets, in the place of which entries have numbers.
    pub(super) secret_names: RefCell<SecretNames>,
    /// How many values are references of other tools.
    pub(super) references: usize,
    /// How many values other tools have encrypted.
    pub(super) encrypted: usize,
    /// Which find is the first of an entry and field, and how many values it has had.
    fields: BTreeMap<(String, String), (usize, usize)>,
    sections: Sections,
    /// How many scalars were looked at.
    scalars: usize,
    /// The names of the sections and keys around a value, with their depths.
    path: Vec<(usize, Cow<'a, str>)>,
    /// Whether the last name of the path waits for its value.
    named: bool,
    /// Whether the value before was nothing, and may go on in the next line.
    is_open: bool,
    /// Up to where the document was read, if it is an object of External Secrets.
    external_secret: Option<usize>,
    /// In XML, what `key="..."` or `name="..."` calls the value beside it, with its depth and place.
    label: Option<(usize, usize, String)>,
    /// In YAML and JSON, the names and values that stand beside each other.
    pairs: Pairs,
}

impl<'a> Search<'a> {
    pub(super) fn new(name: &str, src: &'a [u8], format: Format) -> Self {
        Self {
            src,
            text: std::str::from_utf8(src).ok(),
            format,
            scope: Scope::of(name, format),
            stem: stem(name),
            finds: Vec::new(),
            spots: BTreeMap::new(),
            stays: Vec::new(),
            secret_names: RefCell::default(),
            references: 0,
            encrypted: 0,
            fields: BTreeMap::new(),
            sections: Sections::default(),
            scalars: 0,
            path: Vec::new(),
            named: false,
            is_open: false,
            external_secret: None,
            label: None,
            pairs: Pairs::default(),
        }
    }

    /// Goes through the whole file.
    pub(super) fn run(&mut self) -> Result<(), Malformed> {
        if self.format != Format::Text {
            self.format.syntax().scan(self.src, &mut |scalar| self.look_at(&scalar))?;
        }
        self.finish();
        Ok(())
    }

    /// Takes the secrets of lines out of a plain text that is called `file`, if it holds no reference
    /// already; all of it is one scalar.
    pub(super) fn lines(&mut self, file: &str) {
        let src = self.src;
        if expression::has_plain(src) {
            return;
        }
        let entry = self.stem.clone();
        for (name, range) in lines::in_file(file, src) {
            let what = What {
                place: name.clone(),
                value: &src[range.clone()],
                range,
                verbatim: Some(0),
                braces: Braces::Curly,
                ..What::whole(0..src.len(), src)
            };
            self.add(what, &entry, EntryKind::Secret, &segment(&name), false);
        }
    }

    /// Comes to the next scalar of the file.
    pub(super) fn look_at(&mut self, scalar: &Scalar) {
        let src = self.src;
        let data = scalar.data(src);
        let text = data.as_ref().map_or_else(|| scalar.text.bytes(src), |data| &data[..]);
        if self.format.is_genesys() {
            let referred = scalar.is_value() && expression::has_plain(text);
            self.sections.observe(src, self.scalars, scalar, referred);
        }
        self.scalars += 1;
        self.visit(scalar, text);
        self.pairs.pass(scalar);
    }

    /// Has come to the end of the file.
    pub(super) fn finish(&mut self) {
        if self.format == Format::Yaml {
            self.aliases();
        }
        for section in std::mem::take(&mut self.sections).into_sections() {
            self.genesys_section(&section);
        }
        self.finds.sort_by_key(|find| (find.span.start, find.range.start));
        self.finds.dedup_by(|next, find| {
            next.span.start == find.span.start && next.range.start < find.range.end
        });
        let mut done = 0;
        for find in &mut self.finds {
            let spot = &self.spots[&find.span.start];
            let is_yaml = self.format == Format::Yaml && !spot.encoded;
            let has_lines = || memchr::memchr(b'\n', &self.src[find.span.clone()]).is_some();
            if is_yaml && spot.verbatim.is_none() && has_lines() {
                let piece = (&spot.text[..], &find.range);
                find.at = written_at(self.src, &find.span, done, piece);
                done = find.at.map_or(done, |at| at + find.range.len());
            }
        }
    }

    /// Follows the names to a value, and looks whether it is a secret.
    fn visit(&mut self, scalar: &Scalar, text: &[u8]) {
        let depth = scalar.depth;
        let has_pairs = matches!(self.format, Format::Json | Format::Jsonc | Format::Yaml);
        match scalar.role {
            Role::Set => self.path.clear(),
            Role::Key | Role::Section => {
                self.leave(depth);
                if has_pairs {
                    self.pairs.enter(self.src, scalar);
                }
                let name = match (names::too_long(text), &scalar.text) {
                    (Some(name), _) => Cow::Borrowed(name),
                    (None, Text::Verbatim(range)) => {
                        let name = self.text.and_then(|text| text.get(range.clone()));
                        let lossy = || String::from_utf8_lossy(&self.src[range.clone()]);
                        name.map_or_else(lossy, Cow::Borrowed)
                    }
                    _ => Cow::Owned(String::from_utf8_lossy(text).into_owned()),
                };
                if let Some(at) = self.external_secret.filter(|_| self.path.is_empty()) {
                    let start = scalar.span.start;
                    self.external_secret = Some(start).filter(|_| !has_mark(&self.src[at..start]));
                }
                self.path.push((depth, name));
                self.named = scalar.role == Role::Key;
                // The name of an element comes again behind its attributes.
                let at = scalar.span.start;
                if self.label.as_ref().is_some_and(|label| depth < label.0 && at >= label.1) {
                    self.label = None;
                }
            }
            Role::Encoded | Role::EncodedSecret | Role::Secret | Role::Value => {
                self.leave(depth + 1);
                let named = std::mem::take(&mut self.named)
                    && self.path.last().is_some_and(|(around, _)| *around == depth);
                if self.format == Format::Xml {
                    // What only sets tags apart is no value.
                    if text.trim_ascii().is_empty() {
                        return;
                    }
                    self.follow_label(scalar, text, named);
                } else if has_pairs && named {
                    self.follow_pair(scalar, text);
                }
                let known = self.format.is_genesys()
                    && self.path.iter().any(|(_, name)| Sections::have_credentials(name));
                if named && self.is_at(&[(1, "apiVersion")]) {
                    let is_one = text.starts_with(b"external-secrets.io/");
                    self.external_secret = is_one.then_some(scalar.span.end);
                }
                let is_plain = signs::is_plain(text);
                if !known && (is_plain || !expression::has_plain(text)) {
                    self.value(scalar, text, named, is_plain);
                }
            }
        }
    }

    /// Forgets the names that lie as deep as this, or deeper.
    fn leave(&mut self, depth: usize) {
        while self.path.last().is_some_and(|(around, _)| *around >= depth) {
            self.path.pop();
        }
    }

    /// `<add key="password" value="x"/>`, `<property name="password">x</property>` and
    /// `<name>password</name><value>x</value>`: gives the value the name that is meant.
    fn follow_label(&mut self, scalar: &Scalar, text: &[u8], named: bool) {
        let Some((depth, name)) = self.path.last_mut().filter(|_| named) else { return };
        let is = |word| name.eq_ignore_ascii_case(word);
        if is("key") || is("name") {
            let text = names::too_long(text).map_or(text, str::as_bytes);
            let text = String::from_utf8_lossy(text).into_owned();
            self.label = Some((*depth, scalar.span.start, text));
        } else if let Some((around, _, label)) = &self.label
            && ((*depth == *around && is("value")) || *depth + 1 == *around)
        {
            *name = Cow::Owned(label.clone());
        }
    }

    /// Looks at a value; `is_plain` says what [`signs::is_plain`] does.
    fn value(&mut self, scalar: &Scalar, bytes: &[u8], named: bool, is_plain: bool) {
        let key = self.path.last().map(|(_, key)| &**key).filter(|_| named);
        let is_place = |key: &&str| self.format == Format::Systemd && PLACES.contains(key);
        let is_named = key.is_some_and(|key| !is_place(&key));
        if matches!(scalar.text, Text::Opaque) {
            return self.unread(scalar, named, is_named);
        }
        let key = key.filter(|_| is_named);
        let is_login = self.is_docker_login(named);
        let may_tell = is_login || scalar.is_in_secret() || key.is_some_and(signs::is_secret_name);
        if is_plain && !may_tell {
            return;
        }
        // `null` and truth values, where they are written without quotes.
        let written = &self.src[scalar.span.clone()];
        let is_word = |word: &&str| written.eq_ignore_ascii_case(word.as_bytes());
        let has_words =
            matches!(self.format, Format::Json | Format::Jsonc | Format::Toml | Format::Yaml);
        if has_words && ["null", "~", "true", "false"].iter().any(is_word) {
            return;
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            // What is no text can only be told by its name or place.
            return if scalar.is_in_secret() || key.is_some_and(signs::is_secret_name) {
                self.whole(scalar, bytes)
            };
        };
        match indirect(text) {
            _ if self.is_sealed(text, named) => return self.encrypted += 1,
            Some(Indirect::Encrypted(_)) => self.encrypted += 1,
            Some(Indirect::Reference) => self.references += 1,
            _ => {}
        }
        if signs::is_placeholder(text) {
            return;
        }
        let key = key.filter(|key| self.tells(key, text));
        let is_secret = key.is_some_and(|key| signs::is_secret(key, text))
            || (scalar.is_in_secret() && is_secret_there(scalar.is_encoded(), text));
        let in_url = signs::password_in_url(text);
        let is_odd_url = in_url.is_some_and(|range| !inside::is_canonical(&text[range]));
        if is_secret || is_odd_url || shapes::is_secret_value(text) {
            return self.whole(scalar, bytes);
        }
        if is_login {
            return self.docker_login(scalar, text);
        }
        let generated = Some(text).filter(|_| self.is_generator(named)).and_then(inside::generated);
        let pieces = generated.map_or_else(|| inside::pieces(text, !named), |piece| vec![piece]);
        if pieces.iter().any(|piece| piece.range == (0..text.len())) {
            return self.whole(scalar, bytes);
        }
        self.parts(scalar, text, pieces);
    }

    /// A scalar that is a secret as it is.
    fn whole(&mut self, scalar: &Scalar, text: &[u8]) {
        let (entry, field) = match self.path.last() {
            Some((_, key)) => (self.entry(self.around(scalar)), segment(key)),
            None => (self.stem.clone(), UNNAMED.to_owned()),
        };
        let place = self.place();
        let is_block = self.format == Format::Yaml
            && !scalar.is_encoded()
            && matches!(self.src.get(scalar.span.start), Some(b'|' | b'>'));
        let mut what = What { place, ..What::whole_of(scalar, text) };
        // The line end that a block has is not a part of the value.
        if let Some(line) = text.strip_suffix(b"\n").filter(|_| is_block) {
            what.range = 0..line.len();
            what.value = line;
            what.braces = Braces::Curly;
        }
        self.add(what, &entry, EntryKind::Secret, &field, false);
    }

    /// Whether a name can tell a secret where the search is.
    fn tells(&self, key: &str, text: &str) -> bool {
        match self.scope {
            Scope::All => !(key == "secretKey" && self.is_of_external_secret(text)),
            Scope::Package => {
                !otherwise::are_names_in_package(self.path.iter().map(|(_, name)| &**name))
            }
            Scope::Translation => !otherwise::is_text(key, text),
        }
    }

    /// Whether an ExternalSecret or PushSecret of Kubernetes calls the key in a Secret so.
    fn is_of_external_secret(&self, text: &str) -> bool {
        let is_key = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        text.bytes().all(is_key)
            && self.external_secret.is_some()
            && (self.is_at(&[(1, "spec"), (2, "data"), (4, "secretKey")])
                || self.is_at(&[(1, "spec"), (2, "data"), (4, "match"), (5, "secretKey")]))
    }

    /// Whether these are all the names around a value, with their depths.
    fn is_at(&self, names: &[(usize, &str)]) -> bool {
        self.path.iter().map(|(depth, name)| (*depth, &**name)).eq(names.iter().copied())
    }

    /// The names around a value, from within.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.path.iter().rev().map(|(_, name)| &**name)
    }

    /// Whether the value is the `auth` of a registry in Docker's `config.json`.
    fn is_docker_login(&self, named: bool) -> bool {
        let mut names = self.names();
        named && names.next() == Some("auth") && names.nth(1) == Some("auths")
    }

    /// Whether the value is one that kubeseal has encrypted, in a SealedSecret.
    fn is_sealed(&self, text: &str, named: bool) -> bool {
        named && self.names().nth(1) == Some("encryptedData") && otherwise::is_sealed(text)
    }

    /// Whether kustomize makes a value of a Secret of the text.
    fn is_generator(&self, named: bool) -> bool {
        !named && self.names().take(2).eq(["literals", "secretGenerator"])
    }

    /// `USER:PASSWORD` in base64.
    fn docker_login(&mut self, scalar: &Scalar, text: &str) {
        let login = Filter::Base64.undo(text.as_bytes());
        let Some(login) = login.filter(|login| login.expose().contains(&b':')) else {
            return self.whole(scalar, text.as_bytes());
        };
        let entry = self.entry(self.path[..self.path.len() - 1].iter().map(|(_, n)| &**n));
        let what = What {
            place: self.place(),
            value: login.expose(),
            filter: Some(Filter::Base64),
            braces: Braces::Curly,
            ..What::whole_of(scalar, text.as_bytes())
        };
        self.add(what, &entry, EntryKind::Secret, "auth", false);
    }

    /// Where the search is, for people.
    fn place(&self) -> String {
        if self.path.is_empty() {
            return "(unnamed)".to_owned();
        }
        // The innermost, as many as anybody reads.
        let mut length = 0;
        let fits = |(_, name): &&(usize, Cow<'_, str>)| {
            length += name.len() + 1;
            length <= LONGEST_PLACE
        };
        let count = self.path.iter().rev().take_while(fits).count().max(1);
        let (left, told) = self.path.split_at(self.path.len() - count);
        let names: Vec<_> = told.iter().map(|(_, name)| without_secrets(name)).collect();
        format!("{}{}", if left.is_empty() { "" } else { "..." }, names.join("."))
    }

    /// What an entry is named after between the file and the last name of the path: the names around that,
    /// or those of the Secret of Kubernetes in whose data a value stands. A Secret without a namespace whose
    /// file is called as it is needs no second name.
    fn around(&self, scalar: &Scalar) -> impl Iterator<Item = &str> {
        let owner = scalar.owner.map(|called| called.names(self.src).collect::<Vec<_>>());
        let is_twice = owner.as_ref().is_some_and(|names| *names == [&*self.stem]);
        let count = if owner.is_some() { 0 } else { self.path.len().saturating_sub(1) };
        let path = self.path[..count].iter().map(|(_, name)| &**name);
        path.chain(owner.filter(|_| !is_twice).into_iter().flatten())
    }

    /// The entry that is named after the file and `names`.
    fn entry<'n>(&self, names: impl Iterator<Item = &'n str>) -> String {
        let mut entry = self.stem.clone();
        for name in names {
            // No reference could name it.
            if entry.len() > MAX_ENTRY {
                break;
            }
            entry.push('/');
            let number = self.secret_names.borrow_mut().number(name);
            entry.push_str(&number.unwrap_or_else(|| segment(name)));
        }
        entry
    }

    /// Adds a find; where its field is taken by another value, under a number of its own. What is too
    /// long for a reference is named after the file alone.
    fn add(&mut self, what: What<'_>, entry: &str, kind: EntryKind, field: &str, public: bool) {
        let mut own = field.to_owned();
        let key = (entry.to_owned(), field.to_owned());
        let (first, values) = self.fields.entry(key).or_insert((self.finds.len(), 0));
        *values += 1;
        if self.finds.get(*first).is_some_and(|find| find.value.expose() != what.value) {
            own = format!("{field}-{values}");
        }
        if Reference::new(entry, &own, None).is_err() {
            let is_short = entry == self.stem && field == UNNAMED;
            if !is_short {
                let stem = self.stem.clone();
                self.add(what, &stem, EntryKind::Secret, UNNAMED, public);
            }
            return;
        }
        let What { place, span, text, encoded, in_secret, verbatim, range, value, .. } = what;
        let What { client, filter, braces, .. } = what;
        let text = || Spot { text: Zeroizing::new(text.to_vec()), verbatim, encoded };
        self.spots.entry(span.start).or_insert_with(text);
        self.finds.push(Find {
            place: without_secrets(&place).into_owned(),
            line: 0,
            column: 0,
            entry: entry.to_owned(),
            kind,
            field: own,
            public,
            value: Secret::copied_from(value),
            client,
            in_secret,
            span,
            range,
            at: None,
            filter,
            braces,
        });
    }
}

/// Whether another document of YAML may begin.
fn has_mark(text: &[u8]) -> bool {
    let is_mark = |line: &[u8]| line.starts_with(b"---") || line.starts_with(b"...");
    text.split(|b| matches!(b, b'\n' | b'\r')).skip(1).any(is_mark)
}

/// Whether a value is a secret where every value is one. Outside of base64 another tool may replace parts
/// of it, and then its parts are looked at.
fn is_secret_there(is_encoded: bool, text: &str) -> bool {
    (is_encoded || signs::is_literal(text)) && signs::is_secret_anywhere(text)
}

/// How long the names are together by which a place is told, in bytes.
const LONGEST_PLACE: usize = 250;

/// Settings of units that say where a credential lies, or whether there is one.
const PLACES: [&str; 4] =
    ["AssertCredential", "ConditionCredential", "ImportCredential", "LoadCredential"];

/// The field of what has no name.
const UNNAMED: &str = "secret";

/// What was found, before it has a name.
struct What<'t> {
    place: String,
    span: Range<usize>,
    text: &'t [u8],
    encoded: bool,
    in_secret: bool,
    verbatim: Option<usize>,
    range: Range<usize>,
    value: &'t [u8],
    client: Option<String>,
    filter: Option<Filter>,
    braces: Braces,
}

impl<'t> What<'t> {
    /// All that a scalar decodes to.
    fn whole_of(scalar: &Scalar, text: &'t [u8]) -> Self {
        let (encoded, in_secret) = (scalar.is_encoded(), scalar.is_in_secret());
        Self { encoded, in_secret, ..Self::whole(scalar.span.clone(), text) }
    }

    /// The whole scalar at `span`, which decodes to `text`.
    fn whole(span: Range<usize>, text: &'t [u8]) -> Self {
        Self {
            place: String::new(),
            span,
            text,
            encoded: false,
            in_secret: false,
            verbatim: None,
            range: 0..text.len(),
            value: text,
            client: None,
            filter: None,
            braces: Braces::None,
        }
    }
}
