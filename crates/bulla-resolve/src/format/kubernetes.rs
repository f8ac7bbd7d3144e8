//! The `data` of Kubernetes Secrets, which is read through base64.
//!
//! A Secret is an object of kind `Secret` and version `v1`, wherever in a YAML or JSON file it stands:
//! as a document, in a list, or inside of another object that carries it along.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use zeroize::Zeroizing;

use super::{Malformed, Role, Scalar};
use crate::expression;

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

/// Whether line ends in the data of a Secret could hide a reference from a search in `src`.
pub(super) fn may_hide(src: &[u8]) -> bool {
    may_hold_secret(src) && {
        let mut joined = Zeroizing::new(Vec::with_capacity(src.len()));
        let mut rest = src.iter().peekable();
        while let Some(&byte) = rest.next() {
            match byte {
                b'\\' if rest.next_if(|next| b"nr".contains(next)).is_some() => {}
                byte if byte.is_ascii_whitespace() => {}
                byte => joined.push(byte),
            }
        }
        expression::has_hits(&joined)
    }
}

/// Whether it is worth while to look for Secrets in a file.
pub(super) fn may_hold_secret(src: &[u8]) -> bool {
    memmem::find(src, b"apiVersion").is_some() && memmem::find(src, b"Secret").is_some()
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
    is_secret: bool,
    is_v1: bool,
    /// Whether it is the data of the object around it.
    is_data: bool,
    /// The numbers of the scalars in its data, or in itself if it is data.
    data: Vec<usize>,
}

#[derive(Clone, Copy, Default, Eq, PartialEq)]
enum Name {
    ApiVersion,
    Data,
    Kind,
    #[default]
    Other,
}

impl Secrets {
    fn observe(&mut self, src: &[u8], node: &Node) {
        match node {
            Node::Open => {
                let is_data = self.open.last().is_some_and(|around| around.name == Name::Data);
                self.open.push(Object { is_data, ..Object::default() });
            }
            Node::Close => {
                let Some(mut object) = self.open.pop() else { return };
                if object.is_data {
                    if let Some(around) = self.open.last_mut() {
                        around.data.append(&mut object.data);
                    }
                } else if object.is_secret && object.is_v1 {
                    self.encoded.append(&mut object.data);
                }
            }
            Node::Scalar(scalar) => {
                let number = self.scalars;
                self.scalars += 1;
                let Some(object) = self.open.last_mut() else { return };
                let text = scalar.text.bytes(src);
                if scalar.role == Role::Key {
                    object.name = match text {
                        b"apiVersion" => Name::ApiVersion,
                        b"data" => Name::Data,
                        b"kind" => Name::Kind,
                        _ => Name::Other,
                    };
                    return;
                }
                match std::mem::take(&mut object.name) {
                    Name::ApiVersion => object.is_v1 = text == b"v1",
                    Name::Kind => object.is_secret = text == b"Secret",
                    Name::Data | Name::Other => {}
                }
                if object.is_data {
                    object.data.push(number);
                }
            }
        }
    }
}
