//! An application that is registered with a provider.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::byte_serialize;
use zeroize::Zeroizing;

use crate::form::Form;
use crate::secret::Secret;

/// A registered application, and how it says who it is.
pub struct Client {
    /// `client_id`. Not a secret.
    pub id: String,
    /// `client_secret`; none for a public client (RFC 6749, section 2.1). A desktop application of
    /// Google's has one and sends it, although it is none.
    pub secret: Option<Secret>,
    /// Where the secret is sent.
    pub authentication: Authentication,
}

/// Where a client's secret goes (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Authentication {
    /// Into the body of the request: `client_secret_post`.
    #[default]
    Post,
    /// Into the header of the request: `client_secret_basic`.
    Basic,
}

impl Client {
    /// Adds who the client is to a form, or gives the header that says so.
    pub(crate) fn authenticate(&self, form: Form) -> (Form, Option<Secret>) {
        match (&self.secret, self.authentication) {
            (Some(secret), Authentication::Basic) => (form, Some(self.basic(secret))),
            (secret, _) => {
                let form = form.with("client_id", self.id.as_bytes());
                match secret {
                    Some(secret) => (form.with("client_secret", secret.expose()), None),
                    None => (form, None),
                }
            }
        }
    }

    /// `Basic BASE64(id:secret)`, both form-encoded first.
    fn basic(&self, secret: &Secret) -> Secret {
        let mut pair =
            Zeroizing::new(Vec::with_capacity(3 * (self.id.len() + secret.expose().len()) + 1));
        let encoded =
            byte_serialize(self.id.as_bytes()).chain([":"]).chain(byte_serialize(secret.expose()));
        encoded.for_each(|piece| pair.extend_from_slice(piece.as_bytes()));
        let mut header = String::with_capacity(6 + pair.len() * 4 / 3 + 4);
        header.push_str("Basic ");
        STANDARD.encode_string(&*pair, &mut header);
        Secret::new(header.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(authentication: Authentication) -> Client {
        let secret = Some(Secret::copied_from(b"a+b/c"));
        Client { id: "me@x".to_owned(), secret, authentication }
    }

    #[test]
    fn the_secret_goes_where_the_provider_wants_it() {
        let (form, basic) = client(Authentication::Post).authenticate(Form::default());
        assert!(basic.is_none());
        assert_eq!(form.finish().expose(), b"client_id=me%40x&client_secret=a%2Bb%2Fc");
        let (form, basic) = client(Authentication::Basic).authenticate(Form::default());
        assert!(form.finish().expose().is_empty());
        let expected = format!("Basic {}", STANDARD.encode("me%40x:a%2Bb%2Fc"));
        assert_eq!(basic.unwrap().expose(), expected.as_bytes());
    }

    #[test]
    fn a_public_client_sends_no_secret() {
        let client = Client { secret: None, ..client(Authentication::Basic) };
        let (form, basic) = client.authenticate(Form::default());
        assert!(basic.is_none());
        assert_eq!(form.finish().expose(), b"client_id=me%40x");
    }
}
