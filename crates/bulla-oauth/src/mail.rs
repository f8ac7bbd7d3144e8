//! Proving that a mailbox opens: logging in as a mail client would, and looking a step further.

mod imap;
mod pop3;
mod smtp;
mod timed;
mod wire;

use std::fmt;
use std::str::FromStr;

use crate::http::Roots;
use crate::sasl::Mechanism;
use crate::secret::Secret;
use timed::{PATIENCE, Patience};
use wire::Wire;

/// What a mail server speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protocol {
    /// RFC 9051 and RFC 3501.
    Imap,
    /// RFC 1939.
    Pop3,
    /// RFC 5321, for submission.
    Smtp,
}

impl Protocol {
    /// Its name for people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Imap => "IMAP",
            Self::Pop3 => "POP3",
            Self::Smtp => "SMTP",
        }
    }
}

/// A mail server: `imaps://HOST[:PORT]` with TLS from the first byte, `imap://HOST[:PORT]` with
/// STARTTLS, and so for `pop3s`, `pop3`, `smtps` and `smtp`. There is no way without TLS.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Server {
    /// What it speaks.
    pub protocol: Protocol,
    /// Its name, which its certificate has to be for.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether TLS begins with a command, and not with the connection.
    pub starttls: bool,
}

/// The text names no mail server.
#[derive(Debug, thiserror::Error)]
#[error("it is not of the form imaps://HOST:PORT, with imap, pop3, pop3s, smtp or smtps")]
pub struct InvalidServer;

impl FromStr for Server {
    type Err = InvalidServer;

    fn from_str(text: &str) -> Result<Self, InvalidServer> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidServer)?;
        // Ports of RFC 8314 and RFC 6409.
        let (protocol, starttls, usual) = match scheme {
            "imaps" => (Protocol::Imap, false, 993),
            "imap" => (Protocol::Imap, true, 143),
            "pop3s" => (Protocol::Pop3, false, 995),
            "pop3" => (Protocol::Pop3, true, 110),
            "smtps" => (Protocol::Smtp, false, 465),
            "smtp" => (Protocol::Smtp, true, 587),
            _ => return Err(InvalidServer),
        };
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, port.parse().ok().filter(|&port| port != 0).ok_or(InvalidServer)?)
            }
            _ => (rest, usual),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
        if host.is_empty() || !host.bytes().all(plain) {
            return Err(InvalidServer);
        }
        Ok(Self { protocol, host: host.to_owned(), port, starttls })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.protocol.name().to_ascii_lowercase();
        let s = if self.starttls { "" } else { "s" };
        write!(f, "{name}{s}://{}:{}", self.host, self.port)
    }
}

/// Who logs in, and with what.
pub struct Login<'l> {
    /// The user name that the server knows the mailbox by; its address, as a rule.
    pub user: &'l str,
    /// An access token.
    pub token: &'l Secret,
    /// How the token is shown.
    pub mechanism: Mechanism,
}

/// Why a mailbox does not open. The texts of the server are in its own words, without control
/// characters, and left out if they repeat the token or a piece of it.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The server cannot be reached, or went away before it was shown the token.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// The server went away after it was shown the token.
    #[error("the connection was lost after the server was shown the token: {0}")]
    Lost(String),
    /// There is no TLS with it.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// It does not offer STARTTLS, or somebody on the way took the offer out.
    #[error("the server does not offer STARTTLS")]
    NoStartTls,
    /// It does not take tokens in this way.
    #[error("the server does not offer {0}")]
    NoMechanism(&'static str),
    /// It is not itself at the moment.
    #[error("the server has a temporary failure: {0}")]
    Temporary(String),
    /// It does not let the token in. Servers say the same of a token that is bad, has too few
    /// scopes, or is another account's.
    #[error("the server does not accept the token: {0}")]
    Refused(String),
    /// The account is known, and this protocol, or the whole mailbox, is switched off for it.
    #[error("the mailbox is switched off: {0}")]
    SwitchedOff(String),
    /// The token was accepted and there is no mailbox behind it, which is how Exchange Online speaks
    /// of a user without a mailbox, without a licence, or without a right to it.
    #[error("the token is accepted, but no mailbox opens with it: {0}")]
    NotConnected(String),
    /// It does not speak the protocol.
    #[error("the server does not speak {0}: {1}")]
    Protocol(&'static str, String),
}

/// Logs in, looks into the mailbox without changing anything (EXAMINE, STAT), and logs out. Over
/// SMTP, which has no mailbox to look into, being let in is all; no mail is sent. It takes a minute at
/// most, whatever the server does.
///
/// # Errors
/// See [`MailError`].
pub fn open_mailbox(server: &Server, login: &Login<'_>, roots: &Roots) -> Result<(), MailError> {
    open_within(server, login, roots, PATIENCE)
}

fn open_within(
    server: &Server,
    login: &Login<'_>,
    roots: &Roots,
    patience: Patience,
) -> Result<(), MailError> {
    let user = login.user.bytes();
    if login.user.is_empty() || user.clone().any(|byte| byte.is_ascii_control()) {
        return Err(MailError::Refused("the user name has control characters".to_owned()));
    }
    visit(&mut Wire::connect(server, login, roots, patience)?, server, login)
}

fn visit(wire: &mut Wire<'_>, server: &Server, login: &Login<'_>) -> Result<(), MailError> {
    match server.protocol {
        Protocol::Imap => imap::open(wire, server, login),
        Protocol::Pop3 => pop3::open(wire, server, login),
        Protocol::Smtp => smtp::open(wire, server, login),
    }
}

/// What a refusal after the token was shown means. Servers have codes for some of it, and words for
/// the rest; words only make an answer more exact here, and nothing is decided by them. `shown` are the
/// words as they may be shown.
fn refused(words: &str, shown: String, challenge: Option<String>) -> MailError {
    let upper = words.to_ascii_uppercase();
    let has = |text: &str| upper.contains(text);
    if has("[UNAVAILABLE]") || has("[SYS/TEMP]") || has("[INUSE]") || has("[LIMIT]") {
        return MailError::Temporary(shown);
    }
    // 5.7.139 is Exchange's code for a protocol that is switched off, SYS/PERM is RFC 3206's.
    if has("[SYS/PERM]") || has("5.7.139") || has("DISABLED") || has("NOT ENABLED") {
        return MailError::SwitchedOff(shown);
    }
    match challenge {
        Some(challenge) => MailError::Refused(format!("{shown} ({challenge})")),
        None => MailError::Refused(shown),
    }
}

#[cfg(test)]
mod tests;
