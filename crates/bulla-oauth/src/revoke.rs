//! Withdrawing a grant at the provider (RFC 7009).

use crate::client::Client;
use crate::form::Form;
use crate::http::{Http, Request};
use crate::refusal::Refusal;
use crate::secret::Secret;

/// Why a grant was not withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// The provider says no.
    #[error("{0}")]
    Refused(Refusal),
    /// The provider cannot be reached, or is not itself.
    #[error("{0}")]
    Unavailable(String),
}

/// What withdrawing came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Revoked {
    /// The provider withdrew it.
    Now,
    /// The provider did not know it any more.
    Before,
}

/// Withdraws the grant of a refresh token. The token goes in the body, not into an address that is
/// logged.
///
/// # Errors
/// See [`RevokeError`].
pub fn revoke(
    refresh: &Secret,
    client: &Client,
    endpoint: &str,
    http: &dyn Http,
) -> Result<Revoked, RevokeError> {
    let form =
        Form::default().with("token", refresh.expose()).with("token_type_hint", b"refresh_token");
    let response = http.send(&Request::post(endpoint, form, client));
    let response = response.map_err(|error| RevokeError::Unavailable(error.to_string()))?;
    let sent: Vec<_> = [refresh].into_iter().chain(&client.secret).collect();
    match (response.status, Refusal::read(response.body.expose(), &sent)) {
        (200, None) => Ok(Revoked::Now),
        // Google's words for a token that is gone.
        (_, Some(refusal)) if refusal.error == "invalid_token" => Ok(Revoked::Before),
        (400..=401, Some(refusal)) => Err(RevokeError::Refused(refusal)),
        (status, _) => Err(RevokeError::Unavailable(format!("the provider answers HTTP {status}"))),
    }
}
