//! The `data` of Kubernetes Secrets and the `binaryData` of ConfigMaps, which are read through base64.
//!
//! A Secret is an object of kind `Secret` and version `v1`, wherever in a YAML or JSON file it stands:
//! as a document, in a list, or inside of another object that carries it along. What stands in a
//! `SecretList` or `ConfigMapList` needs no kind of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use zeroize::Zeroizing;

use super::{Malformed, Role, Scalar};

/// What a file is made of.
pub(super) enum Node {
    /// A mapping or sequence begins.
    Open,
    /// It ends.
    Close,
    Scalar(Scalar),
}

/// Hands the scalars that `walk` finds to `found`; those in the data of a Secret as encoded.
///
/// What an object is may be told behind its data, so where there may be a Secret, this walks twice.
pub(super) fn scan(
    src: &[u8],
    walk: impl Fn(&mut dyn FnMut(Node)) -> Result<(), Malformed>,
    found: &mut dyn FnMut(Scalar),
) -> Result<(), Malformed> {
    let mut secrets = Secrets::default();
    if may_hold_secret(src) {
        walk(&mut |node| secrets.observe(src, &node))?;
        secrets.encoded.sort_unstable();
    }
    let mut encoded = secrets.encoded.into_iter().peekable();
    let mut number = 0;
    walk(&mut |node| {
        let Node::Scalar(mut scalar) = node else { return };
        if encoded.next_if_eq(&number).is_some() {
            scalar.role = Role::Encoded;
        }
        number += 1;
        found(scalar);
    })
}

/// Whether it is worth while to look for data in base64 in a file.
pub(super) fn may_hold_secret(src: &[u8]) -> bool {
    memmem::find(src, b"apiVersion").is_some()
        && [&b"Secret"[..], b"binaryData"].iter().any(|sign| memmem::find(src, sign).is_some())
}

/// What stands in base64 in `text`; line ends do not count.
pub(super) fn decoded(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let is_line_end = |b: &u8| matches!(b, b'\n' | b'\r');
    let line = text.iter().copied().filter(|b| !is_line_end(b));
    let mut encoded = Zeroizing::new(Vec::with_capacity(text.len()));
    encoded.extend(line);
    STANDARD.decode(&*encoded).ok().map(Zeroizing::new)
}

/// Looks for Secrets among objects.
#[derive(Default)]
struct Secrets {
    open: Vec<Object>,
    scalars: usize,
    /// The numbers of the scalars in their data.
    encoded: Vec<usize>,
}

#[derive(Default)]
struct Object {
    /// What the key says that was read last.
    name: Name,
    kind: Kind,
    is_v1: bool,
    /// What it is to the object around it.
    is: Name,
    /// The numbers of the scalars in its `data`, or in itself if it is that.
    data: Vec<usize>,
    /// The same of its `binaryData`.
    binary: Vec<usize>,
    /// The numbers of the scalars in the `data` of its items that say no kind.
    unsaid: Vec<usize>,
    /// The same of their `binaryData`.
    unsaid_binary: Vec<usize>,
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
    BinaryData,
    Data,
    Items,
    Kind,
    #[default]
    Other,
}

impl Secrets {
    fn observe(&mut self, src: &[u8], node: &Node) {
        match node {
            Node::Open => {
                let is = self.open.last().map_or(Name::Other, |around| around.name);
                self.open.push(Object { is, ..Object::default() });
            }
            Node::Close => self.close(),
            Node::Scalar(scalar) => {
                let number = self.scalars;
                self.scalars += 1;
                let Some(object) = self.open.last_mut() else { return };
                let text = scalar.text.bytes(src);
                if scalar.role == Role::Key {
                    object.name = match text {
                        b"apiVersion" => Name::ApiVersion,
                        b"binaryData" => Name::BinaryData,
                        b"data" => Name::Data,
                        b"items" => Name::Items,
                        b"kind" => Name::Kind,
                        _ => Name::Other,
                    };
                    return;
                }
                match std::mem::take(&mut object.name) {
                    Name::ApiVersion => object.is_v1 = text == b"v1",
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
                match object.is {
                    Name::BinaryData => object.binary.push(number),
                    Name::Data => object.data.push(number),
                    _ => {}
                }
            }
        }
    }

    fn close(&mut self) {
        let Some(mut object) = self.open.pop() else { return };
        if let Some(around) = self.open.last_mut() {
            match object.is {
                Name::BinaryData => return around.binary.append(&mut object.binary),
                Name::Data => return around.data.append(&mut object.data),
                Name::Items => {
                    around.unsaid.append(&mut object.unsaid);
                    return around.unsaid_binary.append(&mut object.unsaid_binary);
                }
                _ if around.is == Name::Items && object.kind == Kind::Unsaid => {
                    around.unsaid.append(&mut object.data);
                    return around.unsaid_binary.append(&mut object.binary);
                }
                _ => {}
            }
        }
        let encoded = match object.kind {
            Kind::ConfigMap => &mut object.binary,
            Kind::ConfigMapList => &mut object.unsaid_binary,
            Kind::Secret => &mut object.data,
            Kind::SecretList => &mut object.unsaid,
            Kind::Other | Kind::Unsaid => return,
        };
        if object.is_v1 {
            self.encoded.append(encoded);
        }
    }
}
