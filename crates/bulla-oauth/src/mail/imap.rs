//! IMAP: AUTHENTICATE, then EXAMINE (RFC 9051, RFC 4959).

use super::wire::{MAX_LINES, Wire};
use super::{Login, MailError, Server};

pub(super) fn open(
    wire: &mut Wire<'_>,
    server: &Server,
    login: &Login<'_>,
) -> Result<(), MailError> {
    let greeting = wire.line()?;
    if let Some(words) = greeting.strip_prefix("* BYE") {
        return Err(MailError::Temporary(wire.shown(words)));
    }
    if !greeting.starts_with("* OK") {
        return Err(MailError::Protocol("IMAP", wire.shown(&greeting)));
    }
    let mut offers = capabilities(wire, "a1")?;
    if server.starttls {
        if !offers.iter().any(|offer| offer == "STARTTLS") {
            return Err(MailError::NoStartTls);
        }
        ok(wire, "a2", "STARTTLS")?;
        wire.start_tls(server)?;
        // What was offered in clear may have been said by anybody.
        offers = capabilities(wire, "a3")?;
    }
    let name = login.mechanism.name();
    if !offers.iter().any(|offer| offer.strip_prefix("AUTH=") == Some(name)) {
        return Err(MailError::NoMechanism(name));
    }
    let at_once = offers.iter().any(|offer| offer == "SASL-IR");
    let command = format!("a4 AUTHENTICATE {name}");
    if at_once {
        wire.show_token(format!("{command} ").as_bytes())?;
    } else {
        wire.send(&[command.as_bytes()])?;
    }
    let (mut shown_token, mut told) = (at_once, None);
    let end = answer(wire, "a4", |wire, line| {
        if !shown_token {
            shown_token = true;
            return wire.show_token(b"");
        }
        told = wire.challenge(line);
        wire.send(&[login.mechanism.answer_to_error().as_bytes()])
    })?;
    match end {
        End::Ok => {}
        End::No(words) => return Err(wire.refused(&words, told)),
        End::Bad(words) => return Err(MailError::Protocol("IMAP", wire.shown(&words))),
    }
    wire.send(&[b"a5 EXAMINE INBOX"])?;
    match answer(wire, "a5", |_, _| Ok(()))? {
        End::Ok => {}
        // Exchange says OK to the token and then BAD to everything.
        End::Bad(words) => return Err(MailError::NotConnected(wire.shown(&words))),
        End::No(words) => {
            return Err(match wire.refused(&words, None) {
                MailError::Refused(words) => MailError::NotConnected(words),
                other => other,
            });
        }
    }
    // It is over; how the server takes leave does not matter.
    let _ = wire.send(&[b"a6 LOGOUT"]);
    Ok(())
}

/// How an answer ends, in the server's words as they came.
enum End {
    Ok,
    No(String),
    Bad(String),
}

/// Reads until the tagged line, and hands continuations to `go_on`.
fn answer<'r>(
    wire: &mut Wire<'r>,
    tag: &str,
    mut go_on: impl FnMut(&mut Wire<'r>, &str) -> Result<(), MailError>,
) -> Result<End, MailError> {
    for _ in 0..MAX_LINES {
        let line = wire.line()?;
        if let Some(rest) = line.strip_prefix("* BYE") {
            return Err(MailError::Temporary(wire.shown(rest)));
        }
        if let Some(rest) = line.strip_prefix('+') {
            go_on(wire, rest.trim_start())?;
            continue;
        }
        let Some(rest) = line.strip_prefix(tag).and_then(|rest| rest.strip_prefix(' ')) else {
            continue;
        };
        let (status, words) = rest.split_once(' ').unwrap_or((rest, ""));
        let words = if words.is_empty() { rest } else { words }.to_owned();
        return match status.to_ascii_uppercase().as_str() {
            "OK" => Ok(End::Ok),
            "NO" => Ok(End::No(words)),
            "BAD" => Ok(End::Bad(words)),
            _ => Err(MailError::Protocol("IMAP", wire.shown(&line))),
        };
    }
    Err(MailError::Protocol("IMAP", "its answer has no end".to_owned()))
}

fn ok(wire: &mut Wire<'_>, tag: &str, command: &str) -> Result<(), MailError> {
    wire.send(&[tag.as_bytes(), b" ", command.as_bytes()])?;
    match answer(wire, tag, |_, _| Ok(()))? {
        End::Ok => Ok(()),
        End::No(words) | End::Bad(words) => Err(MailError::Protocol("IMAP", wire.shown(&words))),
    }
}

fn capabilities(wire: &mut Wire<'_>, tag: &str) -> Result<Vec<String>, MailError> {
    wire.send(&[tag.as_bytes(), b" CAPABILITY"])?;
    let mut offers = Vec::new();
    for _ in 0..MAX_LINES {
        let line = wire.line()?.to_ascii_uppercase();
        if let Some(list) = line.strip_prefix("* CAPABILITY ") {
            offers.extend(list.split_ascii_whitespace().map(str::to_owned));
        } else if let Some(rest) = line.strip_prefix(&format!("{} ", tag.to_ascii_uppercase())) {
            return if rest.starts_with("OK") {
                Ok(offers)
            } else {
                Err(MailError::Protocol("IMAP", wire.shown(rest)))
            };
        }
    }
    Err(MailError::Protocol("IMAP", "its answer has no end".to_owned()))
}
