//! The life of a grant: what is known about the consent that a mailbox's owner gave.

mod disk;

use sha2::{Digest, Sha256};

use crate::answer::Tokens;
use crate::client::Authentication;
use crate::refusal::Refusal;
use crate::secret::Secret;

pub use disk::{SCHEMA, Unreadable};

/// A grant: the refresh token and what is known about it.
pub struct Grant {
    /// The refresh token; none before the first authorisation, and where a client speaks for
    /// itself (client credentials).
    pub refresh: Option<Secret>,
    /// Where it comes from.
    pub origin: Origin,
    /// What is known about it.
    pub life: Life,
}

/// Where a refresh token comes from: what stays the same while a provider replaces it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Origin {
    /// A digest of the token that it began with, unless that is the one at hand.
    first: Option<Digest16>,
    /// The client that it was given to, as far as is known. It is shown to nobody else.
    pub client: Option<ClientAt>,
}

type Digest16 = [u8; 16];

/// A client, and the provider that knows it. Secrets and names of entries may change; these do not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientAt {
    /// The provider's issuer identifier, or else its token endpoint.
    pub provider: String,
    /// The `client_id`.
    pub id: String,
}

/// What is known about a grant.
pub enum Life {
    /// Nothing: there was no authorisation, or the token came from elsewhere and was never used.
    Unknown,
    /// It works, as far as anybody knows.
    Live(Details),
    /// A refresh was begun, and its end was not written. While the credential's lock is held it is
    /// under way; otherwise it was cut off, and the provider may have replaced the refresh token.
    Refreshing {
        /// When it was begun, in seconds since 1970.
        since: u64,
        /// What was known before.
        details: Details,
    },
    /// The provider wants a person to authorise again. The token is kept all the same.
    NeedsPerson {
        /// When the provider said so, in seconds since 1970.
        since: u64,
        /// What the provider said.
        refusal: Refusal,
        /// When a refresh before this one was cut off, if one was: then the reason is that its
        /// answer, with a new token in it, was lost.
        cut_off: Option<u64>,
        /// What was known before.
        details: Details,
    },
    /// It was withdrawn by us.
    Revoked {
        /// When, in seconds since 1970.
        at: u64,
    },
}

/// What is known about a grant that works or did.
#[derive(Default)]
pub struct Details {
    /// The scopes that were granted, as far as the provider said.
    pub scopes: Vec<String>,
    /// The account that consented, as far as the provider said.
    pub account: Option<String>,
    /// When the owner consented, in seconds since 1970.
    pub authorized: Option<u64>,
    /// When a refresh last worked.
    pub used: Option<u64>,
    /// When the refresh token dies, if the provider said so.
    pub dies_at: Option<u64>,
    /// The token endpoint that it was issued by: another would not take it.
    pub token_endpoint: Option<TokenEndpoint>,
    /// An access token that may still be good.
    pub access: Option<Access>,
    /// A refusal that is not about the grant, and when it came: the client has to be put right.
    pub trouble: Option<(u64, Refusal)>,
    /// What the last refresh came to, if there was no answer to be had.
    pub outage: Option<Outage>,
}

/// A provider that could not be reached or was not itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outage {
    /// When, in seconds since 1970.
    pub at: u64,
    /// What was the case.
    pub what: String,
    /// How many seconds the provider wanted to be left alone.
    pub retry_after: Option<u64>,
}

/// Where tokens came from, and how the client said who it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenEndpoint {
    /// Its address.
    pub url: String,
    /// Where the client's secret went.
    pub authentication: Authentication,
}

/// An access token.
pub struct Access {
    /// The token.
    pub token: Secret,
    /// When it was obtained, in seconds since 1970.
    pub obtained: u64,
    /// When it expires; unknown if the provider does not say.
    pub expires: Option<u64>,
}

impl Access {
    /// How many seconds it has left at `now`; none if that is not known, or if the clock was set
    /// back to before it was obtained.
    #[must_use]
    pub fn left(&self, now: u64) -> Option<u64> {
        // A minute of disagreement between two machines is not a clock that was set back.
        let behind = now + 60 < self.obtained;
        self.expires.filter(|_| !behind).map(|expires| expires.saturating_sub(now))
    }

    /// A second copy, made on purpose.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { token: self.token.duplicate(), obtained: self.obtained, expires: self.expires }
    }
}

impl Life {
    /// What is known, whatever the state.
    #[must_use]
    pub fn details(&self) -> Option<&Details> {
        match self {
            Self::Unknown | Self::Revoked { .. } => None,
            Self::Live(details)
            | Self::Refreshing { details, .. }
            | Self::NeedsPerson { details, .. } => Some(details),
        }
    }

    /// Takes out what is known, whatever the state.
    pub(crate) fn into_details(self) -> Details {
        match self {
            Self::Unknown | Self::Revoked { .. } => Details::default(),
            Self::Live(details)
            | Self::Refreshing { details, .. }
            | Self::NeedsPerson { details, .. } => details,
        }
    }
}

impl Details {
    /// Notes what an answer of the provider says.
    pub(crate) fn learn(&mut self, tokens: &Tokens, endpoint: &TokenEndpoint, now: u64) {
        if let Some(scope) = &tokens.scope {
            self.scopes = scope.split_ascii_whitespace().map(str::to_owned).collect();
        }
        if let Some(email) = &tokens.email {
            self.account = Some(email.clone());
        }
        if let Some(life) = tokens.refresh_expires_in {
            self.dies_at = Some(now.saturating_add(life));
        }
        self.token_endpoint = Some(endpoint.clone());
        self.used = Some(now);
        self.trouble = None;
        self.outage = None;
        self.access = Some(Access {
            token: tokens.access.duplicate(),
            obtained: now,
            expires: tokens.expires_in.map(|life| now.saturating_add(life)),
        });
    }
}

impl Grant {
    /// One that nothing is known about.
    #[must_use]
    pub fn new(refresh: Option<Secret>) -> Self {
        Self { refresh, origin: Origin::default(), life: Life::Unknown }
    }

    /// Whether it may be shown to this client: the one that it was given to, or any if nobody knows
    /// which that is.
    #[must_use]
    pub fn is_of(&self, client: &ClientAt) -> bool {
        self.origin.client.as_ref().is_none_or(|known| known == client)
    }

    /// Whether both go back to the same refresh token, so that at most one of them still works where
    /// the provider replaces tokens.
    #[must_use]
    pub fn began_as(&self, other: &Self) -> bool {
        self.refresh.is_some() && other.refresh.is_some() && self.began() == other.began()
    }

    fn began(&self) -> Digest16 {
        self.origin.first.unwrap_or_else(|| self.about())
    }

    /// The same refresh token, of which nothing is known but where it comes from: whether it still
    /// works has to be tried.
    #[must_use]
    pub fn untried(self) -> Self {
        Self { life: Life::Unknown, ..self }
    }

    /// Takes what the provider gave `client` for the token at hand.
    pub(crate) fn renew(&mut self, refresh: Option<Secret>, client: &ClientAt) {
        if let Some(refresh) = refresh {
            let began = self.began();
            let is_first = self.refresh.is_none() || refresh_digest(Some(&refresh)) == began;
            self.origin.first = (!is_first).then_some(began);
            self.refresh = Some(refresh);
        }
        self.origin.client = Some(client.clone());
    }

    /// The access token that is kept, if it has at least `least` seconds to live at `now`. While
    /// another one is on its way, or was lost on it, this one is as good as before.
    #[must_use]
    pub fn cached(&self, least: u64, now: u64) -> Option<Access> {
        let (Life::Live(details) | Life::Refreshing { details, .. }) = &self.life else {
            return None;
        };
        let access = details.access.as_ref()?;
        let enough = access.left(now).is_some_and(|left| left >= least.max(1));
        enough.then(|| access.duplicate())
    }

    /// The grant after its owner consented (again). An answer without a refresh token, as Google
    /// gives for a second consent, leaves the one that is there, if it is this client's and nobody
    /// has said that it is dead.
    ///
    /// # Errors
    /// [`NoRefreshToken`] if there is neither.
    pub fn authorized(
        self,
        tokens: Tokens,
        requested: &[String],
        endpoint: &TokenEndpoint,
        client: &ClientAt,
        now: u64,
    ) -> Result<Self, NoRefreshToken> {
        let mut details =
            Details { scopes: requested.to_vec(), authorized: Some(now), ..Details::default() };
        let mut granted = match tokens.refresh.as_ref().map(Secret::duplicate) {
            Some(refresh) => Self::new(Some(refresh)),
            None => {
                let is_dead = match &self.life {
                    Life::Revoked { .. } => true,
                    Life::NeedsPerson { refusal, .. } => refusal.is_final(),
                    _ => false,
                };
                if self.refresh.is_none() || is_dead || !self.is_of(client) {
                    return Err(NoRefreshToken);
                }
                // The token that stays keeps the end that it had.
                details.dies_at = self.life.details().and_then(|details| details.dies_at);
                self
            }
        };
        details.learn(&tokens, endpoint, now);
        granted.origin.client = Some(client.clone());
        granted.life = match granted.life {
            // Nor does a consent bring an answer back that was lost.
            Life::Refreshing { since, .. } => Life::Refreshing { since, details },
            _ => Life::Live(details),
        };
        Ok(granted)
    }

    /// What the state is about, so that one which belongs to another refresh token is noticed.
    fn about(&self) -> Digest16 {
        refresh_digest(self.refresh.as_ref())
    }
}

fn refresh_digest(token: Option<&Secret>) -> Digest16 {
    let digest = Sha256::digest(token.map_or(&[][..], Secret::expose));
    *digest.first_chunk().expect("SHA-256 gives 32 bytes")
}

/// The provider gave no refresh token, and there was none before that could stay.
#[derive(Debug, thiserror::Error)]
#[error("the provider gave no refresh token")]
pub struct NoRefreshToken;

#[cfg(test)]
mod tests;
