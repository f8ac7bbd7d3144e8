//! OAuth 2.0 for mailboxes.

#![forbid(unsafe_code)]

mod answer;
mod authorize;
mod client;
mod device;
mod form;
mod grant;
mod http;
mod loopback;
mod mail;
mod object;
mod provider;
mod refresh;
mod refusal;
mod revoke;
mod sasl;
mod secret;
mod words;

pub use answer::{LONGEST_LIFE, Tokens};
pub use authorize::{Authorization, CallbackError, ExchangeError, StartError};
pub use client::{Authentication, Client};
pub use device::DeviceCode;
pub use grant::{
    Access, ClientAt, Details, Grant, Life, NoRefreshToken, Origin, Outage, SCHEMA, TokenEndpoint,
    Unreadable,
};
pub use http::{Agent, AgentError, Http, HttpError, MAX_BODY, Request, Response, Roots};
pub use loopback::{Browser, Loopback, OpenError, WaitError};
pub use mail::{InvalidServer, Login, MailError, Protocol, Server, open_mailbox};
pub use provider::{DiscoveryError, Provider, Providers};
pub use refresh::{Clock, GrantType, Grants, Refresh, RefreshError};
pub use refusal::{Refusal, Remedy};
pub use revoke::{RevokeError, Revoked, revoke};
pub use sasl::Mechanism;
pub use secret::Secret;
