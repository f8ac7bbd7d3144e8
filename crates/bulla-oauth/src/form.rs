//! The body of a request: `application/x-www-form-urlencoded`, in a buffer that is wiped.

use form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// Names and values on their way into the body of a request (RFC 6749, appendix B).
#[derive(Default)]
pub(crate) struct Form(Zeroizing<Vec<u8>>);

impl Form {
    pub(crate) fn with(mut self, name: &str, value: &[u8]) -> Self {
        // Every byte may become three. What is outgrown is wiped when it is replaced.
        let most = self.0.len() + 3 * (name.len() + value.len()) + 2;
        if most > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * most));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        if !self.0.is_empty() {
            self.0.push(b'&');
        }
        let encoded = byte_serialize(name.as_bytes()).chain(["="]).chain(byte_serialize(value));
        encoded.for_each(|piece| self.0.extend_from_slice(piece.as_bytes()));
        self
    }

    pub(crate) fn finish(mut self) -> Secret {
        Secret::new(std::mem::take(&mut *self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_form_is_encoded() {
        let form = Form::default().with("refresh_token", b"1//a+b&c=d %").with("x", b"y");
        assert_eq!(form.finish().expose(), b"refresh_token=1%2F%2Fa%2Bb%26c%3Dd+%25&x=y");
    }
}
