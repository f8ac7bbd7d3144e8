//! Requests out, answers in: the port that everything else here speaks through.

mod agent;

pub(crate) use agent::tls_fault;
pub use agent::{Agent, AgentError, Roots};

use crate::client::Client;
use crate::form::Form;
use crate::secret::Secret;

/// One request to a provider.
pub struct Request<'r> {
    /// Where to. Always `https`.
    pub url: &'r str,
    /// The form to post; without one the request is a GET.
    pub form: Option<Secret>,
    /// The client id and secret for HTTP basic authentication, where the provider wants them there
    /// (RFC 6749, section 2.3.1). Both are form-encoded before.
    pub basic: Option<Secret>,
}

impl<'r> Request<'r> {
    /// A request without a body.
    #[must_use]
    pub fn get(url: &'r str) -> Self {
        Self { url, form: None, basic: None }
    }

    /// A form, with the client's authentication added where the client wants it.
    pub(crate) fn post(url: &'r str, form: Form, client: &Client) -> Self {
        let (form, basic) = client.authenticate(form);
        Self { url, form: Some(form.finish()), basic }
    }
}

/// What came back.
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// `Retry-After` in seconds, if the server gave it as a number.
    pub retry_after: Option<u64>,
    /// The body, at most [`MAX_BODY`] bytes.
    pub body: Secret,
}

/// The longest answer that is read: 1 MiB. A provider's are a few kilobytes.
pub const MAX_BODY: usize = 1 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The request did not reach the server, so it did nothing.
    #[error("{0}")]
    NotSent(String),
    /// The request may have reached the server, and whether it did what was asked is not known.
    #[error("{0}")]
    NoAnswer(String),
}

/// Sends requests to providers.
pub trait Http {
    /// Sends one request, once, and waits for the whole answer. Redirects are answers like others.
    ///
    /// # Errors
    /// If no whole answer came, with whether the request was sent.
    fn send(&self, request: &Request<'_>) -> Result<Response, HttpError>;
}
