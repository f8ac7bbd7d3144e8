//! Access tokens as mail servers want them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// How an access token is shown to a mail server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Mechanism {
    /// Google's, which Microsoft and the others took over.
    #[default]
    Xoauth2,
    /// RFC 7628.
    Oauthbearer,
}

impl Mechanism {
    /// Its registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Xoauth2 => "XOAUTH2",
            Self::Oauthbearer => "OAUTHBEARER",
        }
    }

    /// The initial response for a user and his token, in base64, as it goes over the wire.
    ///
    /// `host` and `port` are the server's; only OAUTHBEARER names them, and may leave them out.
    #[must_use]
    pub fn response(self, user: &str, token: &Secret, server: Option<(&str, u16)>) -> Secret {
        let room = 2 * user.len() + token.expose().len() + 400;
        let mut plain = Zeroizing::new(Vec::with_capacity(room));
        let mut put = |text: &str| plain.extend_from_slice(text.as_bytes());
        match self {
            Self::Xoauth2 => {
                put("user=");
                put(user);
            }
            Self::Oauthbearer => {
                put("n,a=");
                // RFC 5801, section 4.
                put(&user.replace('=', "=3D").replace(',', "=2C"));
                put(",");
                if let Some((host, port)) = server {
                    put(&format!("\u{1}host={host}\u{1}port={port}"));
                }
            }
        }
        put("\u{1}auth=Bearer ");
        plain.extend_from_slice(token.expose());
        plain.extend_from_slice(b"\x01\x01");
        let mut text = String::with_capacity(plain.len().div_ceil(3) * 4);
        STANDARD.encode_string(&*plain, &mut text);
        Secret::new(text.into_bytes())
    }

    /// What a client has to answer to the challenge that tells an error, before the server says no.
    pub(crate) fn answer_to_error(self) -> &'static str {
        match self {
            Self::Xoauth2 => "",
            Self::Oauthbearer => "AQ==",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xoauth2_is_what_googles_page_says() {
        let token = Secret::copied_from(b"ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg");
        let response = Mechanism::Xoauth2.response("someuser@example.com", &token, None);
        assert_eq!(
            response.text().unwrap(),
            "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
        );
    }

    #[test]
    fn oauthbearer_is_what_rfc_7628_says() {
        let token = Secret::copied_from(b"vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
        let server = Some(("server.example.com", 143));
        let response = Mechanism::Oauthbearer.response("user@example.com", &token, server);
        // RFC 7628, section 4.1.
        assert_eq!(
            response.text().unwrap(),
            "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
        );
        let odd = Mechanism::Oauthbearer.response("a=b,c@d", &token, None);
        let plain = STANDARD.decode(odd.expose()).unwrap();
        assert!(plain.starts_with(b"n,a=a=3Db=2Cc@d,\x01auth=Bearer "));
    }
}
