//! The token endpoint's answer, read leniently where that harms nobody (RFC 6749, section 5).

use serde::Deserialize;

use crate::http::Response;
use crate::object::Object;
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::words::{clean, repeats};

/// Tokens that a provider gave.
pub struct Tokens {
    /// The access token.
    pub access: Secret,
    /// How many seconds it lives, if the provider says so; never more than [`LONGEST_LIFE`].
    pub expires_in: Option<u64>,
    /// A refresh token, if there was one in the answer.
    pub refresh: Option<Secret>,
    /// How many seconds the refresh token lives, if the provider says so.
    pub refresh_expires_in: Option<u64>,
    /// The scopes that were granted, if the provider says so.
    pub scope: Option<String>,
    /// The address that an ID token in the answer is about (OpenID Connect Core, section 5.1).
    pub email: Option<String>,
}

/// A life that is longer is taken for this one: a week. No provider gives so long ones, and a lie
/// would keep a dead token in use.
pub const LONGEST_LIFE: u64 = 7 * 24 * 3600;

/// What is wrong with an answer that should hold tokens.
#[derive(Debug)]
pub(crate) enum AnswerFault {
    /// The provider says no.
    Refused(Refusal),
    /// It is nothing that a token endpoint says: a proxy's page, an outage, a broken answer.
    Unreadable { status: u16, what: &'static str },
    /// There is a new refresh token in it, and the access token beside it is of no use. The refresh
    /// token has to be kept all the same.
    Useless { what: &'static str, rescued: Option<Box<Rescued>> },
}

/// What is to be kept of an answer that is of no use otherwise.
pub(crate) struct Rescued {
    pub(crate) refresh: Secret,
    pub(crate) refresh_expires_in: Option<u64>,
}

impl std::fmt::Debug for Rescued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rescued")
    }
}

impl Tokens {
    /// Reads an answer. `sent` are the secrets of the request, so that no error repeats one.
    ///
    /// The status decides what an answer is (RFC 6749, sections 5.1 and 5.2), apart from errors that
    /// come with a good one. A refresh token in it is kept, whatever is wrong with the rest.
    pub(crate) fn read(response: &Response, sent: &[&Secret]) -> Result<Self, AnswerFault> {
        let Response { status, body, .. } = response;
        let unreadable = |what| AnswerFault::Unreadable { status: *status, what };
        let object = Object::read(body.expose());
        let is_good = (200..300).contains(status);
        let gives =
            object.as_ref().filter(|object| is_good && object.text("access_token").is_some());
        // Some say 200 and mean an error.
        if gives.is_none()
            && let Some(refusal) = Refusal::read(body.expose(), sent)
        {
            return Err(match status {
                408 | 429 | 500.. => unreadable("the provider is not available"),
                _ => AnswerFault::Refused(refusal),
            });
        }
        if !is_good {
            return Err(unreadable(match status {
                300..=399 => "the answer is a redirect, which is not followed",
                _ => "the answer is not one of a token endpoint",
            }));
        }
        let object = object.ok_or_else(|| unreadable("the answer is not JSON with tokens"))?;
        let refresh = object.text("refresh_token").filter(|token| is_refresh_token(token));
        let refresh = refresh.map(|token| Secret::copied_from(token.as_bytes()));
        if !object.is_whole && refresh.is_none() {
            return Err(unreadable("the answer is not JSON with tokens"));
        }
        // Microsoft's older endpoint and others have the second name.
        let refresh_expires_in = ["refresh_token_expires_in", "refresh_expires_in"]
            .into_iter()
            .find_map(|name| seconds(object.number(name)?))
            .filter(|&life| life > 0);
        let bearer =
            object.text("token_type").is_none_or(|sort| sort.eq_ignore_ascii_case("bearer"));
        let access = object.text("access_token").filter(|token| is_token(token));
        let expires_in = object.number("expires_in").and_then(seconds);
        let access = match access {
            _ if !object.is_whole => Err("the answer was cut off"),
            None => Err("there is no access token in the answer"),
            _ if !bearer => Err("the access token is not a bearer token"),
            _ if expires_in == Some(0) => Err("the access token in the answer has expired already"),
            Some(access) => Ok(access),
        };
        let access = match access {
            Ok(access) => Secret::copied_from(access.as_bytes()),
            Err(what) => {
                let rescued =
                    refresh.map(|refresh| Box::new(Rescued { refresh, refresh_expires_in }));
                return Err(AnswerFault::Useless { what, rescued });
            }
        };
        let scopes = || Some(object.texts("scope")?.join(" "));
        Ok(Self {
            access,
            expires_in: expires_in.map(|life| life.min(LONGEST_LIFE)),
            refresh,
            refresh_expires_in,
            // A list is what some make of it. Both are shown to people.
            scope: object
                .text("scope")
                .map(|scope| scope.to_owned())
                .or_else(scopes)
                .filter(|scope| !repeats(scope, sent)),
            email: object
                .text("id_token")
                .as_deref()
                .and_then(email)
                .filter(|email| *email == clean(email, 254, sent)),
        })
    }
}

/// A refresh token is printable ASCII, perhaps with spaces (RFC 6749, appendix A.17), and as long as
/// its provider likes. It goes into forms, where every byte is encoded.
fn is_refresh_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// Access tokens and codes are printable ASCII without spaces (RFC 6750, section 2.1). Anything else
/// would reach into the headers and command lines that they are put into.
pub(crate) fn is_token(text: &str) -> bool {
    (1..=16 << 10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A number of seconds. What is negative has passed, so it is 0.
pub(crate) fn seconds(number: f64) -> Option<u64> {
    // Casts of floats saturate, which is what is wanted here.
    (!number.is_nan()).then_some(number.max(0.0) as u64)
}

/// The address in an ID token. It came straight from the token endpoint over TLS, so its signature
/// need not be looked at (OpenID Connect Core, section 3.1.3.7, 6).
fn email(token: &str) -> Option<String> {
    use base64::Engine;
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        email: Option<String>,
        #[serde(default)]
        preferred_username: Option<String>,
    }
    let claims = token.split('.').nth(1)?;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    let address = |text: &String| text.contains('@');
    let email = claims.email.filter(address).or(claims.preferred_username.filter(address))?;
    Some(clean(&email, 320, &[]))
}

#[cfg(test)]
mod tests;
