//! POP3: AUTH in two lines, as Exchange wants it, then STAT (RFC 1939, RFC 5034).

use super::wire::{MAX_LINES, Wire};
use super::{Login, MailError, Server};

pub(super) fn open(
    wire: &mut Wire<'_>,
    server: &Server,
    login: &Login<'_>,
) -> Result<(), MailError> {
    let greeting = wire.line()?;
    if !greeting.starts_with("+OK") {
        return Err(match greeting.strip_prefix("-ERR") {
            Some(words) => MailError::Temporary(wire.shown(words)),
            None => MailError::Protocol("POP3", wire.shown(&greeting)),
        });
    }
    let mut offers = capabilities(wire)?;
    if server.starttls {
        if !offers.iter().any(|offer| offer == "STLS") {
            return Err(MailError::NoStartTls);
        }
        wire.send(&[b"STLS"])?;
        let answer = wire.line()?;
        if !answer.starts_with("+OK") {
            return Err(MailError::Protocol("POP3", wire.shown(&answer)));
        }
        wire.start_tls(server)?;
        offers = capabilities(wire)?;
    }
    let name = login.mechanism.name();
    let list = offers.iter().find_map(|offer| offer.strip_prefix("SASL "));
    // Not every server lists them; one that does means it.
    if list.is_some_and(|list| !list.split(' ').any(|offer| offer == name)) {
        return Err(MailError::NoMechanism(name));
    }
    wire.send(&[b"AUTH ", name.as_bytes()])?;
    let answer = wire.line()?;
    if !answer.starts_with('+') || answer.starts_with("+OK") {
        return Err(wire.refused(words(&answer), None));
    }
    wire.show_token(b"")?;
    let mut answer = wire.line()?;
    let mut told = None;
    if !answer.starts_with("+OK")
        && let Some(rest) = answer.strip_prefix('+')
    {
        told = wire.challenge(rest);
        wire.send(&[login.mechanism.answer_to_error().as_bytes()])?;
        answer = wire.line()?;
    }
    if !answer.starts_with("+OK") {
        return Err(wire.refused(words(&answer), told));
    }
    wire.send(&[b"STAT"])?;
    let answer = wire.line()?;
    if !answer.starts_with("+OK") {
        return Err(match wire.refused(words(&answer), None) {
            MailError::Refused(words) => MailError::NotConnected(words),
            other => other,
        });
    }
    let _ = wire.send(&[b"QUIT"]);
    Ok(())
}

fn words(line: &str) -> &str {
    line.strip_prefix("-ERR").unwrap_or(line)
}

fn capabilities(wire: &mut Wire<'_>) -> Result<Vec<String>, MailError> {
    wire.send(&[b"CAPA"])?;
    let mut offers = Vec::new();
    if !wire.line()?.starts_with("+OK") {
        return Ok(offers);
    }
    for _ in 0..MAX_LINES {
        let line = wire.line()?;
        if line == "." {
            return Ok(offers);
        }
        offers.push(line.to_ascii_uppercase());
    }
    Err(MailError::Protocol("POP3", "its answer has no end".to_owned()))
}
