//! What is known of a provider: data, not code.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::client::Authentication;
use crate::http::{Http, HttpError, Request, Response};

/// The providers that come with this version.
const BUILT_IN: &str = include_str!("providers.toml");

/// Where a provider is asked, and how.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Provider {
    /// When somebody last compared this with the provider's documentation.
    pub checked: Option<String>,
    /// The issuer identifier (RFC 8414, section 2).
    pub issuer: Option<String>,
    /// Where the owner of a mailbox consents.
    pub authorization_endpoint: Option<String>,
    /// Where tokens come from.
    pub token_endpoint: String,
    /// Where a grant is withdrawn (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Where a device asks for a code (RFC 8628).
    pub device_authorization_endpoint: Option<String>,
    /// The redirect URI, with `{port}` for the port that is listened on.
    pub redirect: Option<String>,
    /// The scopes that open mailboxes.
    pub scopes: Vec<String>,
    /// The scope with which an application speaks for itself.
    pub app_scope: Option<String>,
    /// What else goes into the address where the owner consents.
    pub parameters: BTreeMap<String, String>,
    /// After how many days without a refresh the refresh token is dead.
    pub idle_days: Option<u64>,
    /// Whether revoking one grant withdraws others too.
    pub revoking_is_wide: bool,
    /// Where a client's secret goes.
    #[serde(skip)]
    pub authentication: Authentication,
    /// Where mailboxes are read, as in [`Server`](crate::Server).
    pub imap: Option<String>,
    /// Where mailboxes are read by POP3.
    pub pop3: Option<String>,
    /// Where mail is sent.
    pub smtp: Option<String>,
}

/// Providers by name.
pub struct Providers(BTreeMap<String, Provider>);

impl Providers {
    /// The ones that come with this version.
    #[must_use]
    pub fn built_in() -> Self {
        Self(toml::from_str(BUILT_IN).expect("a test reads it"))
    }

    /// Adds those of a file of the same form; one of the same name replaces the other.
    ///
    /// # Errors
    /// If the file is no such file, in one line, with the parser's words.
    pub fn add(&mut self, file: &str) -> Result<(), String> {
        let more: BTreeMap<String, Provider> = toml::from_str(file).map_err(|error| {
            let before = error.span().and_then(|span| file.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("line {line}: {}", error.message().replace('\n', ", "))
        })?;
        for (name, provider) in &more {
            if provider.token_endpoint.is_empty() {
                return Err(format!("[{name}] has no token-endpoint"));
            }
            let fault = |field| format!("the {field} of [{name}] is not an https address");
            provider.check().map_err(fault)?;
        }
        self.0.extend(more);
        Ok(())
    }

    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The provider of that name. `tenant` is put where its addresses want one; at Microsoft
    /// `organizations` serves whoever has no directory of his own.
    #[must_use]
    pub fn get(&self, name: &str, tenant: Option<&str>) -> Option<Provider> {
        let mut provider = self.0.get(name)?.clone();
        let tenant = tenant.unwrap_or("organizations");
        let fill = |text: &mut String| *text = text.replace("{tenant}", tenant);
        fill(&mut provider.token_endpoint);
        [
            &mut provider.issuer,
            &mut provider.authorization_endpoint,
            &mut provider.revocation_endpoint,
            &mut provider.device_authorization_endpoint,
        ]
        .into_iter()
        .flatten()
        .for_each(fill);
        Some(provider)
    }
}

/// Why an issuer says nothing that can be used.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The issuer is not an address that can be asked.
    #[error("the issuer is not an https address without query and fragment")]
    Issuer,
    /// It cannot be reached.
    #[error("{0}")]
    Http(#[from] HttpError),
    /// It has no such document, or one that is no such document.
    #[error("the issuer publishes no settings ({0})")]
    NoDocument(String),
    /// The document is another issuer's: whoever answers is not who was asked (RFC 8414, 3.3).
    #[error("the settings are those of another issuer")]
    OtherIssuer,
    /// An address in it is not `https`.
    #[error("{0} in the settings is not an https address")]
    NotHttps(&'static str),
}

impl Provider {
    /// Asks an issuer for its settings, by RFC 8414 or OpenID Connect Discovery.
    ///
    /// # Errors
    /// See [`DiscoveryError`].
    pub fn discover(issuer: &str, http: &dyn Http) -> Result<Self, DiscoveryError> {
        let issuer = issuer.trim_end_matches('/');
        if !is_https(issuer) || issuer.contains(['?', '#']) {
            return Err(DiscoveryError::Issuer);
        }
        let (host, path) = match issuer["https://".len()..].split_once('/') {
            Some((host, path)) => (host, format!("/{path}")),
            None => (&issuer["https://".len()..], String::new()),
        };
        let places = [
            format!("{issuer}/.well-known/openid-configuration"),
            format!("https://{host}/.well-known/oauth-authorization-server{path}"),
        ];
        let mut status = 0;
        for url in &places {
            let response = http.send(&Request::get(url))?;
            status = response.status;
            if status == 200 {
                return Self::read(issuer, &response);
            }
        }
        Err(DiscoveryError::NoDocument(format!("HTTP {status}")))
    }

    fn read(issuer: &str, response: &Response) -> Result<Self, DiscoveryError> {
        #[derive(Deserialize)]
        struct Metadata {
            issuer: String,
            token_endpoint: String,
            #[serde(default)]
            authorization_endpoint: Option<String>,
            #[serde(default)]
            revocation_endpoint: Option<String>,
            #[serde(default)]
            device_authorization_endpoint: Option<String>,
            #[serde(default)]
            token_endpoint_auth_methods_supported: Option<Vec<String>>,
            #[serde(default)]
            scopes_supported: Option<Vec<String>>,
        }
        let metadata: Metadata = serde_json::from_slice(response.body.expose())
            .map_err(|_| DiscoveryError::NoDocument("the answer is none".to_owned()))?;
        if metadata.issuer.trim_end_matches('/') != issuer {
            return Err(DiscoveryError::OtherIssuer);
        }
        // Without a list, basic is what is supported (RFC 8414, section 2).
        let methods = metadata.token_endpoint_auth_methods_supported;
        let posts = methods.is_some_and(|all| all.iter().any(|m| m == "client_secret_post"));
        let offline = metadata.scopes_supported.unwrap_or_default();
        let offline = offline.into_iter().filter(|scope| scope == "offline_access");
        let provider = Self {
            issuer: Some(metadata.issuer),
            token_endpoint: metadata.token_endpoint,
            authorization_endpoint: metadata.authorization_endpoint,
            revocation_endpoint: metadata.revocation_endpoint,
            device_authorization_endpoint: metadata.device_authorization_endpoint,
            authentication: if posts { Authentication::Post } else { Authentication::Basic },
            scopes: offline.collect(),
            // Without it a provider of OpenID Connect gives no refresh token (Core, section 11).
            parameters: BTreeMap::from([("prompt".to_owned(), "consent".to_owned())]),
            ..Self::default()
        };
        provider.check().map_err(DiscoveryError::NotHttps)?;
        Ok(provider)
    }

    /// Tells the first address that is not `https`.
    fn check(&self) -> Result<(), &'static str> {
        let all = [
            ("token-endpoint", Some(&self.token_endpoint)),
            ("authorization-endpoint", self.authorization_endpoint.as_ref()),
            ("revocation-endpoint", self.revocation_endpoint.as_ref()),
            ("device-authorization-endpoint", self.device_authorization_endpoint.as_ref()),
        ];
        match all.into_iter().find(|(_, url)| url.is_some_and(|url| !is_https(url))) {
            Some((name, _)) => Err(name),
            None => Ok(()),
        }
    }

    /// The redirect URI, with `{port}` where it may be any port.
    #[must_use]
    pub fn redirect_pattern(&self) -> &str {
        self.redirect.as_deref().unwrap_or("http://127.0.0.1:{port}/")
    }

    /// The redirect URI for a port that is listened on.
    #[must_use]
    pub fn redirect(&self, port: u16) -> String {
        self.redirect_pattern().replace("{port}", &port.to_string())
    }
}

/// Whether it is an `https` address that names a host, and no user.
fn is_https(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    !host.is_empty() && !host.contains(['@', '\\']) && plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    /// Answers one address.
    struct At(&'static str, &'static str);

    impl Http for At {
        fn send(&self, request: &Request<'_>) -> Result<Response, HttpError> {
            let status = if request.url == self.0 { 200 } else { 404 };
            let body = Secret::copied_from(self.1.as_bytes());
            Ok(Response { status, retry_after: None, body })
        }
    }

    #[test]
    fn the_built_in_ones_are_sound() {
        let all = Providers::built_in();
        assert_eq!(all.names().collect::<Vec<_>>(), ["google", "microsoft"]);
        for name in all.names() {
            let provider = all.get(name, Some("example.onmicrosoft.com")).unwrap();
            provider.check().unwrap();
            assert!(provider.checked.is_some() && !provider.scopes.is_empty());
            assert!(!format!("{provider:?}").contains("{tenant}"));
            assert!(!provider.redirect(8080).contains('{'));
        }
    }

    #[test]
    fn a_file_replaces_what_is_built_in() {
        let mut all = Providers::built_in();
        all.add("[google]\ntoken-endpoint = 'https://example.com/t'\n").unwrap();
        assert_eq!(all.get("google", None).unwrap().token_endpoint, "https://example.com/t");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_in_one_line() {
        let mut all = Providers::built_in();
        let mut wrong = |file| all.add(file).unwrap_err();
        assert_eq!(
            wrong("[x]\ntoken-endpoint = 'http://example.com'\n"),
            "the token-endpoint of [x] is not an https address"
        );
        // That was once `google: token-endpoint`.
        assert_eq!(wrong("[google]\nscopes = []\n"), "[google] has no token-endpoint");
        // And these had line feeds in them, which were shown as `\n`.
        for file in ["\n[x]\ntoken-end = 'https://example.com'\n", "\n\n[x\n"] {
            let fault = wrong(file);
            assert!(fault.starts_with("line 3: ") && !fault.contains('\n'), "{fault}");
        }
    }

    #[test]
    fn an_issuer_is_asked_in_both_places() {
        let body =
            r#"{"issuer":"https://as.example/t","token_endpoint":"https://as.example/token"}"#;
        for place in [
            "https://as.example/t/.well-known/openid-configuration",
            "https://as.example/.well-known/oauth-authorization-server/t",
        ] {
            let found = Provider::discover("https://as.example/t/", &At(place, body)).unwrap();
            assert_eq!(found.token_endpoint, "https://as.example/token");
            assert_eq!(found.authentication, Authentication::Basic);
        }
    }

    #[test]
    fn another_issuers_document_is_not_believed() {
        let place = "https://as.example/.well-known/openid-configuration";
        let find = |body| Provider::discover("https://as.example", &At(place, body)).err();
        let other =
            r#"{"issuer":"https://evil.example","token_endpoint":"https://evil.example/t"}"#;
        assert!(matches!(find(other), Some(DiscoveryError::OtherIssuer)));
        let plain = r#"{"issuer":"https://as.example","token_endpoint":"http://as.example/t"}"#;
        assert!(matches!(find(plain), Some(DiscoveryError::NotHttps("token-endpoint"))));
        assert!(matches!(find("<html>"), Some(DiscoveryError::NoDocument(_))));
        for issuer in ["http://as.example", "https://", "https://u:p@as.example", "https://a?b"] {
            let found = Provider::discover(issuer, &At(place, other)).err();
            assert!(matches!(found, Some(DiscoveryError::Issuer)), "{issuer}");
        }
    }
}
