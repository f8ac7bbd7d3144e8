//! Keeping a grant alive: one refresh however many ask, and no token that is lost on the way.

use std::time::Duration;

use crate::answer::{AnswerFault, Rescued, Tokens};
use crate::client::Client;
use crate::form::Form;
use crate::grant::{Access, ClientAt, Details, Grant, Life, Outage, TokenEndpoint};
use crate::http::{Http, HttpError, Request};
use crate::refusal::{Refusal, Remedy};
use crate::secret::Secret;

/// Where one grant is kept: the port of this crate to a store.
pub trait Grants {
    /// Why the store fails.
    type Error;
    /// A held lock; dropping it lets the next one in.
    type Lock<'g>
    where
        Self: 'g;

    /// Waits for the lock on this grant, which works across all processes that share the store.
    ///
    /// # Errors
    /// If it does not become free.
    fn lock(&self) -> Result<Self::Lock<'_>, Self::Error>;

    /// The grant as it is now.
    ///
    /// # Errors
    /// If the store fails.
    fn load(&self) -> Result<Grant, Self::Error>;

    /// Makes the grant durable before it returns. It holds what a provider gave and will not give
    /// again, so an implementation tries for as long as there is hope.
    ///
    /// `seen` is the refresh token that was loaded before. If another one is there by now, somebody
    /// put it in by hand: then that one stays, and the state alone is written.
    ///
    /// # Errors
    /// If there is no hope.
    fn store(&self, grant: &Grant, seen: Option<&Secret>) -> Result<(), Self::Error>;
}

/// Time, so that tests have their own.
pub trait Clock {
    /// Seconds since 1970.
    fn now(&self) -> u64;
    /// Waits.
    fn sleep(&self, time: Duration);
    /// A number from 0 to 1 that spreads those who wait.
    fn jitter(&self) -> f64;
}

/// How a client gets access tokens.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GrantType {
    /// With the refresh token that a mailbox's owner consented to (RFC 6749, section 6).
    RefreshToken,
    /// By itself, for this scope (RFC 6749, section 4.4).
    ClientCredentials(String),
}

/// What it takes to get access tokens for one grant.
pub struct Refresh<'a, G> {
    /// Where the grant is kept.
    pub grants: &'a G,
    /// Who asks.
    pub client: &'a Client,
    /// Who that is to the provider. A grant of another client's is not shown to this one.
    pub client_at: &'a ClientAt,
    /// Where, unless the grant knows better.
    pub token_endpoint: &'a str,
    /// The account whose tokens these have to be, where only one is right.
    pub account: Option<&'a str>,
    /// How.
    pub grant_type: GrantType,
    /// The way to the network.
    pub http: &'a dyn Http,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// Why there is no access token. In all of these the refresh token is where it was.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError<E> {
    /// The store fails.
    #[error("the place where the grant is kept failed")]
    Store(E),
    /// Nobody consented yet.
    #[error("it was never authorised")]
    NeverAuthorized,
    /// The grant is of another client, so nothing was sent.
    #[error("it was never authorised with this client; its grant is of the client {} at {}", .0.id, .0.provider)]
    OtherClient(ClientAt),
    /// The provider gave tokens of another account, and they were not handed out.
    #[error("the provider gave a token of another account, {0}")]
    OtherAccount(String),
    /// We withdrew the grant.
    #[error("its grant was revoked")]
    Revoked,
    /// A person has to authorise again, in the provider's words.
    #[error("the provider wants it to be authorised again: {refusal}")]
    NeedsPerson {
        /// The provider's words.
        refusal: Refusal,
        /// When a refresh was cut off that explains it.
        cut_off: Option<u64>,
    },
    /// The application, or what is known of it here, has to be put right.
    #[error("the provider refuses the client: {0}")]
    Client(Refusal),
    /// The provider cannot be reached or is not itself.
    #[error("{what}")]
    Unavailable {
        /// What is the case.
        what: String,
        /// How many seconds the provider wants to be left alone.
        retry_after: Option<u64>,
    },
    /// The provider's tokens do not live as long as is asked for.
    #[error("the provider's access tokens live for {life} seconds only")]
    TooShort {
        /// How long the one lives that was just obtained.
        life: u64,
    },
}

/// How often a provider is asked in all, and how long we wait before the second and third time.
const WAITS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// The longest `Retry-After` that is waited for: whoever asks is waiting too.
const LONGEST_WAIT: u64 = 10;

impl<G: Grants> Refresh<'_, G> {
    /// An access token that has at least `least` seconds to live: the cached one, or a fresh one.
    ///
    /// A fresh one was made durable, with the refresh token that came with it, before this returns.
    ///
    /// # Errors
    /// See [`RefreshError`].
    pub fn access(&self, least: u64) -> Result<Access, RefreshError<G::Error>> {
        let before = self.load()?;
        if let Some(access) = before.cached(least, self.clock.now()) {
            return Ok(access);
        }
        let _lock = self.grants.lock().map_err(RefreshError::Store)?;
        let now = self.load()?;
        if let Some(access) = now.cached(least, self.clock.now()) {
            return Ok(access);
        }
        match done_meanwhile(before.life.details(), now.life.details()) {
            Some(access) => self.judged(access?, least),
            None => self.judged(self.refreshed(false)?, least),
        }
    }

    fn judged(&self, access: Access, least: u64) -> Result<Access, RefreshError<G::Error>> {
        match access.left(self.clock.now()) {
            Some(life) if life < least => Err(RefreshError::TooShort { life }),
            _ => Ok(access),
        }
    }

    /// A fresh access token, whatever is cached, and whatever the provider said before: proof that
    /// the grant still works, or works again.
    ///
    /// # Errors
    /// See [`RefreshError`].
    pub fn probe(&self) -> Result<Access, RefreshError<G::Error>> {
        let _lock = self.grants.lock().map_err(RefreshError::Store)?;
        self.refreshed(true)
    }

    /// The cached access token, if it has at least `least` seconds to live. Nobody is asked.
    ///
    /// # Errors
    /// If the store fails.
    pub fn cached(&self, least: u64) -> Result<Option<Access>, RefreshError<G::Error>> {
        Ok(self.load()?.cached(least, self.clock.now()))
    }

    fn load(&self) -> Result<Grant, RefreshError<G::Error>> {
        self.grants.load().map_err(RefreshError::Store)
    }

    /// Asks the provider, of which one that is dead is asked about only if `again`. The lock is held.
    fn refreshed(&self, again: bool) -> Result<Access, RefreshError<G::Error>> {
        loop {
            let before = self.load()?;
            let refresh = before.refresh.as_ref().map(Secret::duplicate);
            if self.grant_type == GrantType::RefreshToken {
                if refresh.is_none() {
                    return Err(RefreshError::NeverAuthorized);
                }
                // Neither the token nor the secret of this client is for somebody else's eyes.
                if let Some(other) = before.origin.client.as_ref().filter(|c| *c != self.client_at)
                {
                    return Err(RefreshError::OtherClient(other.clone()));
                }
            }
            let (cut_off, declined) = match &before.life {
                Life::NeedsPerson { since, refusal, cut_off, .. } => {
                    let (refusal, cut_off) = (refusal.clone(), *cut_off);
                    if refusal.is_final() && !again {
                        return Err(RefreshError::NeedsPerson { refusal, cut_off });
                    }
                    (cut_off, Some((*since, refusal)))
                }
                Life::Revoked { .. } => return Err(RefreshError::Revoked),
                Life::Refreshing { since, .. } => (Some(*since), None),
                Life::Unknown | Life::Live(_) => (None, None),
            };
            let mut details = before.life.into_details();
            details.outage = None;
            let is_ours = before.origin.client.as_ref().is_none_or(|c| c == self.client_at);
            let known = details.token_endpoint.as_ref().filter(|_| is_ours);
            let url = known.map_or(self.token_endpoint, |known| &known.url);
            let authentication = self.client.authentication;
            let endpoint = TokenEndpoint { url: url.to_owned(), authentication };
            // The intent. A crash from here on is known by it, and a full disk shows itself while
            // nothing is lost yet.
            let since = cut_off.unwrap_or_else(|| self.clock.now());
            let life = Life::Refreshing { since, details };
            let mut grant = Grant { refresh: before.refresh, origin: before.origin, life };
            let store = |grant: &Grant| {
                self.grants.store(grant, refresh.as_ref()).map_err(RefreshError::Store)
            };
            store(&grant)?;
            let (asked, lost) = self.ask(&endpoint.url, refresh.as_ref());
            // What was lost now or before explains what comes of it, until something has come.
            let cut_off = if lost { Some(since) } else { cut_off };
            let now = self.clock.now();
            let mut details = std::mem::replace(&mut grant.life, Life::Unknown).into_details();
            match asked {
                Asked::Given(mut tokens) => {
                    grant.renew(tokens.refresh.take(), self.client_at);
                    if let Some(other) = self.other_account(&tokens) {
                        details.access = None;
                        let refusal = Refusal {
                            error: "other_account".to_owned(),
                            description: Some(format!("the tokens are of {other}")),
                            ..Refusal::default()
                        };
                        grant.life =
                            Life::NeedsPerson { since: now, refusal, cut_off: None, details };
                        store(&grant)?;
                        return Err(RefreshError::OtherAccount(other));
                    }
                    details.learn(&tokens, &endpoint, now);
                    let access = details.access.as_ref().expect("just learnt").duplicate();
                    grant.life = Life::Live(details);
                    store(&grant)?;
                    return Ok(access);
                }
                Asked::Refused(refusal) if refusal.remedy() == Remedy::Consent => {
                    // Somebody may have put a newer token in meanwhile, without the lock.
                    let newest = self.load()?;
                    if !Secret::are_same(newest.refresh.as_ref(), refresh.as_ref()) {
                        continue;
                    }
                    let told = refusal.clone();
                    grant.life = Life::NeedsPerson { since: now, refusal, cut_off, details };
                    store(&grant)?;
                    return Err(RefreshError::NeedsPerson { refusal: told, cut_off });
                }
                Asked::Refused(refusal) => {
                    details.trouble = Some((now, refusal.clone()));
                    // It says nothing about a token that may have been lost before.
                    grant.life = match cut_off {
                        Some(since) => Life::Refreshing { since, details },
                        None => Life::Live(details),
                    };
                    store(&grant)?;
                    return Err(RefreshError::Client(refusal));
                }
                Asked::Useless { what, rescued } => {
                    if let Some(rescued) = rescued {
                        grant.renew(Some(rescued.refresh), self.client_at);
                        let life = rescued.refresh_expires_in;
                        details.dies_at = life.map(|life| now.saturating_add(life));
                    }
                    grant.life = Life::Live(details);
                    store(&grant)?;
                    return Err(RefreshError::Unavailable { what, retry_after: None });
                }
                Asked::Unavailable { what, retry_after, .. } => {
                    details.outage = Some(Outage { at: now, what: what.clone(), retry_after });
                    grant.life = match (cut_off, declined) {
                        (cut_off, Some((since, refusal))) if !lost => {
                            Life::NeedsPerson { since, refusal, cut_off, details }
                        }
                        // Without an answer nobody knows whether the provider replaced the token. The
                        // intent stays, and the next one tries the same token again.
                        (Some(since), _) => Life::Refreshing { since, details },
                        (None, _) => Life::Live(details),
                    };
                    store(&grant)?;
                    return Err(RefreshError::Unavailable { what, retry_after });
                }
            }
        }
    }

    /// The account that tokens are of, if it is not the right one.
    fn other_account(&self, tokens: &Tokens) -> Option<String> {
        let right = self.account?;
        tokens.email.clone().filter(|email| !email.eq_ignore_ascii_case(right))
    }

    /// Asks until there is an answer to be had, three times at most. Tells as well whether the
    /// provider may have done what was asked, and its answer was lost.
    fn ask(&self, endpoint: &str, refresh: Option<&Secret>) -> (Asked, bool) {
        let mut lost = false;
        let mut waits = WAITS.into_iter();
        loop {
            let asked = self.ask_once(endpoint, refresh);
            let Asked::Unavailable { retry_after, certain, .. } = &asked else {
                return (asked, lost);
            };
            lost |= !certain;
            let wait = match (*retry_after, waits.next()) {
                (None, Some(wait)) => wait.mul_f64(0.5 + self.clock.jitter()),
                (Some(seconds), Some(_)) if seconds <= LONGEST_WAIT => Duration::from_secs(seconds),
                _ => return (asked, lost),
            };
            self.clock.sleep(wait);
        }
    }

    fn ask_once(&self, endpoint: &str, refresh: Option<&Secret>) -> Asked {
        let form = match &self.grant_type {
            GrantType::ClientCredentials(scope) => Form::default()
                .with("grant_type", b"client_credentials")
                .with("scope", scope.as_bytes()),
            GrantType::RefreshToken => Form::default()
                .with("grant_type", b"refresh_token")
                .with("refresh_token", refresh.map_or(&[], Secret::expose)),
        };
        let unavailable = |what, certain| Asked::Unavailable { what, retry_after: None, certain };
        let response = match self.http.send(&Request::post(endpoint, form, self.client)) {
            Ok(response) => response,
            Err(HttpError::NotSent(what)) => return unavailable(what, true),
            Err(HttpError::NoAnswer(what)) => return unavailable(what, false),
        };
        let sent: Vec<_> = refresh.into_iter().chain(&self.client.secret).collect();
        match Tokens::read(&response, &sent) {
            Ok(tokens) => Asked::Given(tokens),
            Err(AnswerFault::Refused(refusal)) if refusal.remedy() == Remedy::Wait => {
                unavailable(refusal.to_string(), true)
            }
            Err(AnswerFault::Refused(refusal)) => Asked::Refused(refusal),
            Err(AnswerFault::Useless { what, rescued }) => {
                Asked::Useless { what: what.to_owned(), rescued }
            }
            Err(AnswerFault::Unreadable { status, what }) => Asked::Unavailable {
                what: format!("{what} (HTTP {status})"),
                retry_after: response.retry_after,
                // What a gateway says, or a page in the place of tokens, tells nothing about what
                // the token endpoint did.
                certain: (400..500).contains(&status),
            },
        }
    }
}

/// What somebody else's refresh came to while the lock was waited for: it answers those who waited,
/// as well, so that no crowd asks a provider in turn who does not answer, or whose tokens live too
/// short to be kept.
fn done_meanwhile<E>(
    before: Option<&Details>,
    now: Option<&Details>,
) -> Option<Result<Access, RefreshError<E>>> {
    let now = now?;
    let outage = now.outage.as_ref();
    if let Some(outage) = outage.filter(|o| before.and_then(|b| b.outage.as_ref()) != Some(o)) {
        let Outage { what, retry_after, .. } = outage.clone();
        return Some(Err(RefreshError::Unavailable { what, retry_after }));
    }
    let token = |details: &'_ Details| details.access.as_ref().map(|a| a.token.duplicate());
    let is_new = !Secret::are_same(before.and_then(token).as_ref(), token(now).as_ref());
    let access = now.access.as_ref().filter(|_| is_new)?;
    Some(Ok(access.duplicate()))
}

/// What asking came to.
enum Asked {
    Given(Tokens),
    Refused(Refusal),
    /// An answer whose access token is of no use, with what is to be kept of it.
    Useless {
        what: String,
        rescued: Option<Box<Rescued>>,
    },
    /// No answer, with whether it is certain that the provider did nothing.
    Unavailable {
        what: String,
        retry_after: Option<u64>,
        certain: bool,
    },
}

#[cfg(test)]
mod tests;
