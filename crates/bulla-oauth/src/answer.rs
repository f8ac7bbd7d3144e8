//! The token endpoint's answer, read leniently where that harms nobody (RFC 6749, section 5).

use std::borrow::Cow;

use serde::Deserialize;

use crate::http::Response;
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

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    access_token: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    refresh_token: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    token_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id_token: Option<Cow<'a, str>>,
    #[serde(default)]
    scope: Option<serde_json::Value>,
    #[serde(default)]
    expires_in: Option<serde_json::Value>,
    // Microsoft's older endpoint and others say it so.
    #[serde(default, alias = "refresh_expires_in")]
    refresh_token_expires_in: Option<serde_json::Value>,
}

impl Tokens {
    /// Reads an answer. `sent` are the secrets of the request, so that no error repeats one.
    pub(crate) fn read(response: &Response, sent: &[&Secret]) -> Result<Self, AnswerFault> {
        let Response { status, body, .. } = response;
        // Some say 200 and mean an error.
        if let Some(refusal) = Refusal::read(body.expose(), sent) {
            return Err(match status {
                408 | 429 | 500.. => AnswerFault::Unreadable {
                    status: *status,
                    what: "the provider is not available",
                },
                _ => AnswerFault::Refused(refusal),
            });
        }
        if *status != 200 {
            let what = match status {
                300..=399 => "the answer is a redirect, which is not followed",
                _ => "the answer is not one of a token endpoint",
            };
            return Err(AnswerFault::Unreadable { status: *status, what });
        }
        let parsed: Body<'_> = serde_json::from_slice(body.expose()).map_err(|_| {
            AnswerFault::Unreadable { status: *status, what: "the answer is not JSON with tokens" }
        })?;
        let refresh = parsed.refresh_token.as_deref().filter(|token| is_token(token));
        let refresh = refresh.map(|token| Secret::copied_from(token.as_bytes()));
        let refresh_expires_in =
            parsed.refresh_token_expires_in.as_ref().and_then(seconds).filter(|&life| life > 0);
        let bearer = parsed.token_type.as_deref().is_none_or(|t| t.eq_ignore_ascii_case("bearer"));
        let access = parsed.access_token.as_deref().filter(|token| is_token(token));
        let expires_in = parsed.expires_in.as_ref().and_then(seconds);
        let what = match (&access, bearer, expires_in) {
            (None, ..) => Some("there is no access token in the answer"),
            (_, false, _) => Some("the access token is not a bearer token"),
            (.., Some(0)) => Some("the access token in the answer has expired already"),
            _ => None,
        };
        if let Some(what) = what {
            let rescued = refresh.map(|refresh| Box::new(Rescued { refresh, refresh_expires_in }));
            return Err(AnswerFault::Useless { what, rescued });
        }
        let access = access.expect("it was looked at above");
        Ok(Self {
            access: Secret::copied_from(access.as_bytes()),
            expires_in: expires_in.map(|life| life.min(LONGEST_LIFE)),
            refresh,
            refresh_expires_in,
            // Both are shown to people.
            scope: parsed.scope.as_ref().and_then(scopes).filter(|scope| !repeats(scope, sent)),
            email: parsed
                .id_token
                .as_deref()
                .and_then(email)
                .filter(|email| *email == clean(email, 254, sent)),
        })
    }
}

/// Tokens are printable ASCII (RFC 6749, appendix A). Anything else would reach into the headers and
/// command lines that they are put into.
pub(crate) fn is_token(text: &str) -> bool {
    (1..=16 << 10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A number of seconds, as number, text or fraction. What is negative has passed, so it is 0.
fn seconds(value: &serde_json::Value) -> Option<u64> {
    let number = match value {
        serde_json::Value::String(text) => text.trim().parse::<f64>().ok()?,
        other => other.as_f64()?,
    };
    // Casts of floats saturate, which is what is wanted here.
    (!number.is_nan()).then_some(number.max(0.0) as u64)
}

/// Scopes as a text with spaces, or as the list that some make of them.
fn scopes(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Array(list) => {
            let list: Option<Vec<_>> = list.iter().map(serde_json::Value::as_str).collect();
            Some(list?.join(" "))
        }
        _ => None,
    }
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
    claims.email.filter(address).or(claims.preferred_username.filter(address))
}

#[cfg(test)]
mod tests;
