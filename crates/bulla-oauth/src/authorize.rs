//! The authorization code flow with PKCE, for an application on somebody's machine (RFC 8252).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::answer::{AnswerFault, Tokens, is_token};
use crate::client::Client;
use crate::form::Form;
use crate::http::{Http, HttpError, Request};
use crate::provider::Provider;
use crate::refusal::Refusal;
use crate::secret::Secret;

/// One attempt to have the owner of a mailbox consent. Its state and verifier are used once.
pub struct Authorization {
    url: String,
    redirect_uri: String,
    issuer: Option<String>,
    state: String,
    verifier: Secret,
}

/// Why an attempt cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoRandomness,
    /// The provider has no page where people consent.
    #[error("the provider has no authorization endpoint")]
    NoEndpoint,
}

/// What is wrong with an address that a browser was sent to.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// It is not the answer to this attempt: another page's doing, or an earlier attempt's.
    #[error("what came back from the browser is not the answer to this request")]
    NotOurs,
    /// It names another issuer (RFC 9207): the answer is not from who was asked.
    #[error("the answer is another provider's")]
    OtherIssuer,
    /// It is neither an answer nor a code.
    #[error("what came back from the browser holds no code")]
    NoCode,
    /// The provider or the owner said no.
    #[error("{0}")]
    Refused(Refusal),
}

/// Why a code brought no tokens.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The provider says no.
    #[error("{0}")]
    Refused(Refusal),
    /// The provider cannot be reached, or is not itself. A code works once, so it is not tried again.
    #[error("{0}")]
    Unavailable(String),
    /// The provider took the code, and gave nothing for it that can be used.
    #[error("the provider took the code, but {0}")]
    Useless(&'static str),
}

impl Authorization {
    /// Begins an attempt. `redirect_uri` has to be one of the client's; `login_hint` is the address
    /// that the provider should ask for.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn new(
        provider: &Provider,
        client: &Client,
        redirect_uri: &str,
        scopes: &[String],
        login_hint: &str,
    ) -> Result<Self, StartError> {
        let endpoint = provider.authorization_endpoint.as_deref().ok_or(StartError::NoEndpoint)?;
        let (state, verifier) = (random()?, Secret::new(random()?.into_bytes()));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()));
        let scope = scopes.join(" ");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", &scope)
            .append_pair("state", &state)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("login_hint", login_hint)
            .extend_pairs(&provider.parameters);
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        Ok(Self {
            url: format!("{endpoint}{joint}{}", query.finish()),
            redirect_uri: redirect_uri.to_owned(),
            issuer: provider.issuer.clone(),
            state,
            verifier,
        })
    }

    /// The address that the owner has to open in a browser. It holds no secret.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The code in the query of the address that the provider sent the browser to.
    ///
    /// # Errors
    /// See [`CallbackError`].
    pub fn code(&self, query: &str) -> Result<Secret, CallbackError> {
        let mut values = Values::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let value = Zeroizing::new(value.into_owned());
            let place = match &*name {
                "code" => &mut values.code,
                "state" => &mut values.state,
                "iss" => &mut values.issuer,
                "error" => &mut values.error,
                "error_description" => &mut values.description,
                "error_uri" => &mut values.uri,
                "error_subtype" => &mut values.subtype,
                _ => continue,
            };
            // What is there twice could mean one thing to us and another to who looked before.
            if place.replace(value).is_some() {
                return Err(CallbackError::NotOurs);
            }
        }
        let state = values.state.as_ref().map_or("", |state| state.as_str());
        if !bool::from(state.as_bytes().ct_eq(self.state.as_bytes())) {
            return Err(CallbackError::NotOurs);
        }
        if let (Some(told), Some(known)) = (&values.issuer, &self.issuer)
            && told.trim_end_matches('/') != known.trim_end_matches('/')
        {
            return Err(CallbackError::OtherIssuer);
        }
        if let Some(error) = &values.error {
            let text = |value: &Option<Zeroizing<String>>| value.as_ref().map(|v| v.to_string());
            let (subtype, description) = (text(&values.subtype), text(&values.description));
            return Err(CallbackError::Refused(Refusal::from_parts(
                error,
                subtype.as_deref(),
                description.as_deref(),
                text(&values.uri).as_deref(),
                &[],
            )));
        }
        match values.code {
            Some(code) if is_token(&code) => Ok(Secret::copied_from(code.as_bytes())),
            _ => Err(CallbackError::NoCode),
        }
    }

    /// The code in what somebody pasted: the whole address that the browser was sent to, or just
    /// `code=...` out of it. That comes without the state; that nobody else's is accepted is then the
    /// verifier's doing (RFC 7636). A word alone is no code: a slip of the hand would be sent to the
    /// provider.
    ///
    /// # Errors
    /// See [`CallbackError`].
    pub fn pasted(&self, text: &str) -> Result<Secret, CallbackError> {
        // Some put it into quotes, as for a shell.
        let text = text.trim().trim_matches(['"', '\'', '<', '>']);
        if let Some((_, query)) = text.split_once('?') {
            return self.code(query.split('#').next().unwrap_or_default());
        }
        match text.strip_prefix("code=") {
            Some(code) if !code.contains('&') => {
                // Out of an address a code comes with its slashes encoded.
                let as_query = Zeroizing::new(format!("c={}", code.replace('+', "%2B")));
                let decoded = form_urlencoded::parse(as_query.as_bytes()).next();
                match decoded {
                    Some((_, code)) if is_token(&code) => Ok(Secret::copied_from(code.as_bytes())),
                    _ => Err(CallbackError::NoCode),
                }
            }
            _ if ["code=", "error=", "state="].iter().any(|key| text.starts_with(key)) => {
                self.code(text)
            }
            _ => Err(CallbackError::NoCode),
        }
    }

    /// Trades the code for tokens (RFC 6749, section 4.1.3).
    ///
    /// # Errors
    /// See [`ExchangeError`].
    pub fn exchange(
        self,
        code: &Secret,
        client: &Client,
        token_endpoint: &str,
        http: &dyn Http,
    ) -> Result<Tokens, ExchangeError> {
        let form = Form::default()
            .with("grant_type", b"authorization_code")
            .with("code", code.expose())
            .with("redirect_uri", self.redirect_uri.as_bytes())
            .with("code_verifier", self.verifier.expose());
        let request = Request::post(token_endpoint, form, client);
        let sent: Vec<_> = [code, &self.verifier].into_iter().chain(&client.secret).collect();
        asked(http.send(&request), &sent)
    }
}

/// What came of asking for tokens once.
pub(crate) fn asked(
    answer: Result<crate::http::Response, HttpError>,
    sent: &[&Secret],
) -> Result<Tokens, ExchangeError> {
    let response = answer.map_err(|error| ExchangeError::Unavailable(error.to_string()))?;
    Tokens::read(&response, sent).map_err(|fault| match fault {
        AnswerFault::Refused(refusal) => ExchangeError::Refused(refusal),
        AnswerFault::Unreadable { status, what } => {
            ExchangeError::Unavailable(format!("{what} (HTTP {status})"))
        }
        AnswerFault::Useless { what, .. } => ExchangeError::Useless(what),
    })
}

/// What an answer may hold.
#[derive(Default)]
struct Values {
    code: Option<Zeroizing<String>>,
    state: Option<Zeroizing<String>>,
    issuer: Option<Zeroizing<String>>,
    error: Option<Zeroizing<String>>,
    description: Option<Zeroizing<String>>,
    uri: Option<Zeroizing<String>>,
    subtype: Option<Zeroizing<String>>,
}

/// 32 random bytes as 43 letters (RFC 7636, section 4.1).
fn random() -> Result<String, StartError> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|_| StartError::NoRandomness)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt() -> Authorization {
        let provider = Provider {
            issuer: Some("https://as.example".to_owned()),
            authorization_endpoint: Some("https://as.example/auth".to_owned()),
            parameters: [("prompt".to_owned(), "consent".to_owned())].into(),
            ..Provider::default()
        };
        let client =
            Client { id: "me".to_owned(), secret: None, authentication: Default::default() };
        let scopes = ["openid".to_owned(), "https://mail.google.com/".to_owned()];
        let redirect = "http://127.0.0.1:9/";
        Authorization::new(&provider, &client, redirect, &scopes, "a+b@example.com").unwrap()
    }

    #[test]
    fn the_address_holds_the_challenge_and_not_the_verifier() {
        let attempt = attempt();
        let query = attempt.url().split_once('?').unwrap().1;
        let pairs: std::collections::BTreeMap<_, _> =
            form_urlencoded::parse(query.as_bytes()).collect();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(attempt.verifier.expose()));
        assert_eq!(pairs["code_challenge"], challenge);
        assert_eq!(pairs["code_challenge_method"], "S256");
        assert_eq!(pairs["login_hint"], "a+b@example.com");
        assert_eq!(pairs["scope"], "openid https://mail.google.com/");
        assert_eq!(attempt.verifier.expose().len(), 43);
        assert!(!attempt.url().contains(attempt.verifier.text().unwrap()));
        assert_ne!(attempt.state, self::attempt().state);
    }

    #[test]
    fn only_the_answer_to_this_attempt_is_taken() {
        let attempt = attempt();
        let state = &attempt.state;
        let code = |query: &str| attempt.code(query);
        assert_eq!(code(&format!("code=4%2F0A&state={state}")).unwrap().expose(), b"4/0A");
        let not_ours = [
            "code=x".to_owned(),
            "code=x&state=".to_owned(),
            format!("code=x&state={state}x"),
            format!("code=x&state={state}&state={state}"),
            format!("code=x&code=y&state={state}"),
            "error=access_denied".to_owned(),
        ];
        for query in not_ours {
            assert!(matches!(code(&query), Err(CallbackError::NotOurs)), "{query}");
        }
        let other = format!("code=x&state={state}&iss=https%3A%2F%2Fevil.example");
        assert!(matches!(code(&other), Err(CallbackError::OtherIssuer)));
        assert!(code(&format!("code=x&state={state}&iss=https%3A%2F%2Fas.example")).is_ok());
        let empty = format!("code=&state={state}");
        assert!(matches!(code(&empty), Err(CallbackError::NoCode)));
        let denied = format!("error=access_denied&error_description=%1b%5b2Jno&state={state}");
        let Err(CallbackError::Refused(refusal)) = code(&denied) else { panic!() };
        assert_eq!(refusal.to_string(), "access_denied: [2Jno");
    }

    #[test]
    fn what_is_pasted_may_be_the_address_or_the_code() {
        let attempt = attempt();
        let state = &attempt.state;
        let good = [
            format!(" http://127.0.0.1:9/?state={state}&code=4%2F0A&scope=x#frag \n"),
            format!("'http://127.0.0.1:9/?state={state}&code=4%2F0A'"),
            format!("?code=4%2F0A&state={state}"),
            format!("code=4%2F0A&state={state}"),
            "code=4/0A".to_owned(),
            "code=4%2F0A\n".to_owned(),
        ];
        for text in good {
            let code = attempt.pasted(&text);
            assert!(code.is_ok_and(|code| code.expose() == b"4/0A"), "{text}");
        }
        let bad = ["", "http://127.0.0.1:9/", "http://127.0.0.1:9/?code=x&state=other", "a b"];
        // `hello` was once sent to the provider.
        for text in
            bad.into_iter().chain(["hello", "4/0A", "code=", "code=a b", "code=x&state=other"])
        {
            assert!(attempt.pasted(text).is_err(), "{text}");
        }
    }
}
