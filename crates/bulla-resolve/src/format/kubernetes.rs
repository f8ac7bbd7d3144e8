//! The Secrets of Kubernetes, in which every value is one, and the `binaryData` of ConfigMaps, which is read
//! through base64 as the `data` of a Secret is.
//!
//! A Secret is an object of kind `Secret` and version `v1`, wherever in a YAML or JSON file it stands:
//! as a document, in a list, or inside of another object that carries it along. What stands in a
//! `SecretList` or `ConfigMapList` needs no kind of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use zeroize::Zeroizing;

use super::{Malformed, Role, Scalar, Text};
use crate::expression;

/// What a file is made of.
pub(super) enum Node {
    /// A mapping or sequence begins.
    Open,
    /// It ends.
    Close,
    Scalar(Scalar),
}

/// What an object calls itself, by where its namespace, if it tells one, and its name stand in the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Called {
    namespace: Option<(usize, usize)>,
    name: (usize, usize),
}

impl Called {
    /// The namespace, if there is one, and the name.
    pub(crate) fn names(self, src: &[u8]) -> impl Iterator<Item = &str> {
        let name = |(start, end)| std::str::from_utf8(&src[start..end]).unwrap_or_default();
        self.namespace.into_iter().chain([self.name]).map(name)
    }
}

/// Up to so many bytes, the scalars of a file are kept for when more is known of it; a longer one is gone
/// through twice, which takes no memory.
pub(super) const SHORT: usize = 64 << 10;

/// Hands the scalars that `walk` finds to `found`; those in the data of a Secret as what they are. What an
/// object is may be told behind its data.
pub(super) fn scan(
    src: &[u8],
    walk: impl Fn(&mut dyn FnMut(Node)) -> Result<(), Malformed>,
    found: &mut dyn FnMut(Scalar),
) -> Result<(), Malformed> {
    let mut secrets = Secrets::default();
    let mut kept = None;
    if may_hold_secret(src) {
        kept = (src.len() <= SHORT).then(Vec::new);
        walk(&mut |node| {
            secrets.observe(src, &node);
            if let (Some(kept), Node::Scalar(scalar)) = (&mut kept, node) {
                kept.push(scalar);
            }
        })?;
        secrets.told.sort_unstable_by_key(|(number, ..)| *number);
    }
    let mut told = secrets.told.into_iter().peekable();
    let mut number = 0;
    let mut tell = |mut scalar: Scalar| {
        if let Some((_, role, owner)) = told.next_if(|(next, ..)| *next == number) {
            // An alias may make data of it elsewhere.
            let is_both = scalar.role == Role::Encoded && role == Role::Secret;
            scalar.role = if is_both { Role::EncodedSecret } else { role };
            scalar.owner = owner;
        }
        number += 1;
        found(scalar);
    };
    if let Some(kept) = kept {
        kept.into_iter().for_each(tell);
        return Ok(());
    }
    walk(&mut |node| {
        if let Node::Scalar(scalar) = node {
            tell(scalar);
        }
    })
}

/// Whether it is worth while to look for Secrets, or data in base64, in a file.
pub(super) fn may_hold_secret(src: &[u8]) -> bool {
    let has = |sign: &[u8]| memmem::find(src, sign).is_some();
    (has(b"apiVersion") && (has(b"Secret") || has(b"binaryData")))
        || expression::may_escape_letters(src)
}

/// What stands in base64 in `text`; line ends do not count.
pub(crate) fn decoded(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let is_line_end = |b: &u8| matches!(b, b'\n' | b'\r');
    let line = text.iter().copied().filter(|b| !is_line_end(b));
    let mut encoded = Zeroizing::new(Vec::with_capacity(text.len()));
    encoded.extend(line);
    STANDARD.decode(&*encoded).ok().map(Zeroizing::new)
}

/// Looks for Secrets among objects.
#[derive(Default)]
pub(super) struct Secrets {
    open: Vec<Object>,
    scalars: usize,
    /// The numbers of the scalars in their data, what these are, and what the objects are called.
    pub(super) told: Vec<(usize, Role, Option<Called>)>,
}

#[derive(Default)]
struct Object {
    /// What the key says that was read last.
    name: Name,
    kind: Kind,
    is_v1: Option<bool>,
    /// What it is to the object around it.
    is: Name,
    /// Whether a merge key makes it a part of that object.
    is_merged: bool,
    /// What is known of its name, or of that of the object whose metadata it is.
    metadata: Metadata,
    /// The numbers of the scalars in its data, or in itself if it is that, with the name of the data.
    data: Vec<(usize, Name)>,
    /// The same of its items that say no kind, and what these are called.
    unsaid: Vec<(usize, Name, Option<Called>)>,
}

/// What `metadata` says of the object around it.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
struct Metadata {
    name: Said,
    namespace: Said,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Said {
    At(usize, usize),
    #[default]
    Nothing,
    /// It comes from an alias or a merge key, is written in escapes, or could be no name.
    Unclear,
}

impl Metadata {
    /// Has come to a key.
    fn key(&mut self, key: Name) {
        match key {
            Name::Called => self.name = Said::Unclear,
            Name::Namespace => self.namespace = Said::Unclear,
            // It brings what is not said here.
            Name::Merge => {
                for said in [&mut self.name, &mut self.namespace] {
                    if *said == Said::Nothing {
                        *said = Said::Unclear;
                    }
                }
            }
            _ => {}
        }
    }

    /// Has come to the value of a key.
    fn value(&mut self, key: Name, src: &[u8], scalar: &Scalar) {
        let said = match &scalar.text {
            Text::Verbatim(range) if range.is_empty() => Said::Nothing,
            Text::Verbatim(range) if is_name(&src[range.clone()]) => {
                Said::At(range.start, range.end)
            }
            _ => Said::Unclear,
        };
        match key {
            Name::Called => self.name = said,
            Name::Namespace => self.namespace = said,
            _ => {}
        }
    }

    fn called(self) -> Option<Called> {
        let Said::At(start, end) = self.name else { return None };
        let namespace = match self.namespace {
            Said::At(start, end) => Some((start, end)),
            Said::Nothing => None,
            Said::Unclear => return None,
        };
        Some(Called { namespace, name: (start, end) })
    }
}

/// Whether a text can be the name of an object: a DNS subdomain (RFC 1123 section 2.1) in small letters.
fn is_name(text: &[u8]) -> bool {
    const LONGEST: usize = 253;
    let is_inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_label = |label: &[u8]| {
        let ends = label.first().zip(label.last());
        ends.is_some_and(|(first, last)| is_inner(*first) && is_inner(*last))
            && label.iter().all(|b| is_inner(*b) || *b == b'-')
    };
    text.len() <= LONGEST && text.split(|b| *b == b'.').all(is_label)
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Kind {
    ConfigMap,
    ConfigMapList,
    Other,
    Secret,
    SecretList,
    #[default]
    Unsaid,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Name {
    ApiVersion,
    /// The annotation in which `kubectl apply` keeps the whole object.
    Applied,
    BinaryData,
    /// The name of an object, in its metadata.
    Called,
    Data,
    Items,
    Kind,
    /// The merge key of YAML 1.1.
    Merge,
    Metadata,
    Namespace,
    /// No key was read: it is a list, or the value is over.
    #[default]
    None,
    Other,
    StringData,
}

impl Name {
    fn of(key: &[u8]) -> Self {
        match key {
            b"<<" => Self::Merge,
            b"apiVersion" => Self::ApiVersion,
            b"binaryData" => Self::BinaryData,
            b"data" => Self::Data,
            b"items" => Self::Items,
            b"kind" => Self::Kind,
            b"kubectl.kubernetes.io/last-applied-configuration" => Self::Applied,
            b"metadata" => Self::Metadata,
            b"name" => Self::Called,
            b"namespace" => Self::Namespace,
            b"stringData" => Self::StringData,
            _ => Self::Other,
        }
    }

    fn is_data(self) -> bool {
        matches!(self, Self::BinaryData | Self::Data | Self::StringData)
    }
}

impl Object {
    /// Takes what a merge key brings; what it says itself counts more.
    fn merge(&mut self, mut merged: Self) {
        self.data.append(&mut merged.data);
        self.unsaid.append(&mut merged.unsaid);
        self.is_v1 = self.is_v1.or(merged.is_v1);
        if self.kind == Kind::Unsaid {
            self.kind = merged.kind;
        }
        if self.metadata == Metadata::default() {
            self.metadata = merged.metadata;
        }
    }
}

impl Secrets {
    fn observe(&mut self, src: &[u8], node: &Node) {
        match node {
            Node::Open => self.open(),
            Node::Close => self.close(),
            Node::Scalar(scalar) => {
                let text = scalar.text.bytes(src);
                let is_key = scalar.role == Role::Key;
                if let Some(object) = self.open.last_mut()
                    && object.is == Name::Metadata
                {
                    match is_key {
                        true => object.metadata.key(Name::of(text)),
                        false => object.metadata.value(object.name, src, scalar),
                    }
                }
                self.scalar(text, is_key);
            }
        }
    }

    pub(super) fn open(&mut self) {
        let around = self.open.last();
        let merging = around.filter(|around| {
            let in_list = around.is_merged && around.name == Name::None;
            around.name == Name::Merge || in_list
        });
        let is = merging.map(|around| around.is).or(around.map(|around| around.name));
        let (is, is_merged) = (is.unwrap_or_default(), merging.is_some());
        self.open.push(Object { is, is_merged, ..Object::default() });
    }

    pub(super) fn scalar(&mut self, text: &[u8], is_key: bool) {
        let number = self.scalars;
        self.scalars += 1;
        let Some(object) = self.open.last_mut() else { return };
        if is_key {
            object.name = Name::of(text);
            return;
        }
        match std::mem::take(&mut object.name) {
            Name::ApiVersion => object.is_v1 = Some(text == b"v1"),
            Name::Applied => object.data.push((number, Name::Applied)),
            Name::Kind => {
                object.kind = match text {
                    b"ConfigMap" => Kind::ConfigMap,
                    b"ConfigMapList" => Kind::ConfigMapList,
                    b"Secret" => Kind::Secret,
                    b"SecretList" => Kind::SecretList,
                    _ => Kind::Other,
                }
            }
            _ => {}
        }
        if object.is.is_data() {
            object.data.push((number, object.is));
        }
    }

    pub(super) fn close(&mut self) {
        let Some(mut object) = self.open.pop() else { return };
        let called = object.metadata.called();
        let with_name = |(number, is)| (number, is, called);
        if let Some(around) = self.open.last_mut() {
            match object.is {
                _ if object.is_merged => return around.merge(object),
                is if is.is_data() => return around.data.append(&mut object.data),
                Name::Items => return around.unsaid.append(&mut object.unsaid),
                _ if object.kind != Kind::Unsaid => {}
                _ if around.is == Name::Items => {
                    return around.unsaid.extend(object.data.into_iter().map(with_name));
                }
                // The annotation belongs to an object further out.
                is => {
                    if is == Name::Metadata {
                        around.metadata = object.metadata;
                    }
                    let applied = object.data.into_iter().filter(|(_, is)| *is == Name::Applied);
                    return around.data.extend(applied);
                }
            }
        }
        if object.is_v1 != Some(true) {
            return;
        }
        let data: Vec<_> = match object.kind {
            Kind::ConfigMap | Kind::Secret => object.data.into_iter().map(with_name).collect(),
            Kind::ConfigMapList | Kind::SecretList => object.unsaid,
            Kind::Other | Kind::Unsaid => return,
        };
        let is_secret = matches!(object.kind, Kind::Secret | Kind::SecretList);
        self.told.extend(data.into_iter().filter_map(|(number, is, called)| {
            let role = match is {
                Name::Data if is_secret => Role::EncodedSecret,
                Name::Applied | Name::StringData if is_secret => Role::Secret,
                Name::BinaryData if !is_secret => Role::Encoded,
                _ => return None,
            };
            Some((number, role, called.filter(|_| is_secret)))
        }));
    }
}
