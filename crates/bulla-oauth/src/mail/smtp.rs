//! SMTP submission: AUTH, and nothing after it (RFC 4954, RFC 6409).

use super::wire::{MAX_LINES, Wire};
use super::{Login, MailError, Server};

pub(super) fn open(
    wire: &mut Wire<'_>,
    server: &Server,
    login: &Login<'_>,
) -> Result<(), MailError> {
    let (code, greeting) = reply(wire)?;
    match code {
        220 => {}
        400..=499 => return Err(MailError::Temporary(wire.shown(&greeting.join(" ")))),
        _ => return Err(MailError::Protocol("SMTP", wire.shown(&greeting.join(" ")))),
    }
    let mut offers = hello(wire)?;
    if server.starttls {
        if !offers.iter().any(|offer| offer == "STARTTLS") {
            return Err(MailError::NoStartTls);
        }
        wire.send(&[b"STARTTLS"])?;
        let (code, answer) = reply(wire)?;
        if code != 220 {
            return Err(MailError::Protocol("SMTP", wire.shown(&answer.join(" "))));
        }
        wire.start_tls(server)?;
        offers = hello(wire)?;
    }
    let name = login.mechanism.name();
    let listed = offers.iter().filter_map(|offer| offer.strip_prefix("AUTH"));
    if !listed.flat_map(|list| list.split([' ', '='])).any(|offer| offer == name) {
        return Err(MailError::NoMechanism(name));
    }
    wire.show_token(format!("AUTH {name} ").as_bytes())?;
    let (mut code, mut answer) = reply(wire)?;
    let mut told = None;
    if code == 334 {
        let first = answer.first().map_or("", String::as_str);
        told = wire.challenge(first);
        wire.send(&[login.mechanism.answer_to_error().as_bytes()])?;
        (code, answer) = reply(wire)?;
    }
    match code {
        235 => {}
        400..=499 => return Err(MailError::Temporary(wire.shown(&words(code, &answer)))),
        _ => return Err(wire.refused(&words(code, &answer), told)),
    }
    let _ = wire.send(&[b"QUIT"]);
    Ok(())
}

fn hello(wire: &mut Wire<'_>) -> Result<Vec<String>, MailError> {
    // RFC 5321, section 4.1.3: a client without a name says its address.
    wire.send(&[b"EHLO [127.0.0.1]"])?;
    let (code, lines) = reply(wire)?;
    match code {
        250 => Ok(lines.iter().skip(1).map(|line| line.to_ascii_uppercase()).collect()),
        400..=499 => Err(MailError::Temporary(wire.shown(&lines.join(" ")))),
        _ => Err(MailError::Protocol("SMTP", wire.shown(&lines.join(" ")))),
    }
}

/// A reply of any number of lines: its code, and the texts.
fn reply(wire: &mut Wire<'_>) -> Result<(u16, Vec<String>), MailError> {
    let mut lines = Vec::new();
    for _ in 0..MAX_LINES {
        let line = wire.line()?;
        let code = line.get(..3).and_then(|code| code.parse().ok());
        let Some(code) = code else { return Err(MailError::Protocol("SMTP", wire.shown(&line))) };
        lines.push(line.get(4..).unwrap_or_default().to_owned());
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok((code, lines));
        }
    }
    Err(MailError::Protocol("SMTP", "its answer has no end".to_owned()))
}

fn words(code: u16, lines: &[String]) -> String {
    format!("{code} {}", lines.join(" "))
}
