//! Lines to and from a mail server, in clear only until TLS begins.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc::channel;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use zeroize::Zeroizing;

use super::timed::{Patience, Timed};
use super::{Login, MailError, Server, refused};
use crate::http::{Roots, tls_fault};
use crate::secret::Secret;
use crate::words::clean;

/// The longest line, and the most lines of one answer, that are read.
const MAX_LINE: usize = 16 << 10;
pub(super) const MAX_LINES: usize = 500;

pub(super) struct Wire<'r> {
    stream: Stream,
    roots: &'r Roots,
    /// What was read and not yet taken.
    ahead: Vec<u8>,
    token: &'r Secret,
    mechanism: &'static str,
    /// The token as the mechanism shows it.
    response: Secret,
    /// Whether the server was shown it.
    is_shown: bool,
}

enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
    /// In the middle of becoming TLS.
    Gone,
}

impl<'r> Wire<'r> {
    /// Connects, with TLS if the server begins with it.
    pub(super) fn connect(
        server: &Server,
        login: &Login<'r>,
        roots: &'r Roots,
        patience: Patience,
    ) -> Result<Self, MailError> {
        let until = Instant::now() + patience.visit;
        let unreachable = |error: std::io::Error| MailError::Unreachable(fact(&error));
        let host = server.host.trim_start_matches('[').trim_end_matches(']');
        let mut last = std::io::Error::from(ErrorKind::NotFound);
        for address in addresses(host, server.port, until).map_err(unreachable)? {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                last = ErrorKind::TimedOut.into();
                break;
            }
            match TcpStream::connect_timeout(&address, patience.connect.min(left)) {
                Ok(stream) => {
                    // Short commands would wait for each other otherwise.
                    let _ = stream.set_nodelay(true);
                    let stream = Timed::new(stream, patience, until);
                    let mut wire = Self::in_clear(stream, server, login, roots);
                    if !server.starttls {
                        wire.start_tls(server)?;
                    }
                    return Ok(wire);
                }
                Err(error) => last = error,
            }
        }
        Err(unreachable(last))
    }

    /// A connection without TLS so far.
    pub(super) fn in_clear(
        stream: Timed,
        server: &Server,
        login: &Login<'r>,
        roots: &'r Roots,
    ) -> Self {
        let host = Some((server.host.as_str(), server.port));
        Self {
            stream: Stream::Plain(stream),
            roots,
            ahead: Vec::new(),
            token: login.token,
            mechanism: login.mechanism.name(),
            response: login.mechanism.response(login.user, login.token, host),
            is_shown: false,
        }
    }

    /// Begins TLS. Whatever came before it, and was not asked for, was put there by somebody on the
    /// way, and would be taken for what the server says afterwards.
    pub(super) fn start_tls(&mut self, server: &Server) -> Result<(), MailError> {
        if !self.ahead.is_empty() {
            return Err(MailError::Tls(
                "the server sent more before TLS than it should".to_owned(),
            ));
        }
        let Stream::Plain(stream) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(MailError::Tls("it has begun already".to_owned()));
        };
        let host = server.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let failed = |error: rustls::Error| MailError::Tls(error.to_string());
        let name = ServerName::try_from(host)
            .map_err(|_| MailError::Tls("the server's name can be in no certificate".to_owned()))?;
        let connection =
            ClientConnection::new(self.roots.client().map_err(failed)?, name).map_err(failed)?;
        let mut stream = StreamOwned::new(connection, stream);
        stream.sock.begin_step();
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| match error.kind() {
                ErrorKind::TimedOut => MailError::Unreachable(fact(&error)),
                _ => MailError::Tls(fact(&error)),
            })?;
        }
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    /// Sends a line.
    pub(super) fn send(&mut self, pieces: &[&[u8]]) -> Result<(), MailError> {
        // In one piece, so that it goes out as one record.
        let mut line =
            Zeroizing::new(Vec::with_capacity(pieces.iter().map(|p| p.len()).sum::<usize>() + 2));
        pieces.iter().for_each(|piece| line.extend_from_slice(piece));
        line.extend_from_slice(b"\r\n");
        let sent = match &mut self.stream {
            Stream::Plain(stream) => {
                stream.begin_step();
                stream.write_all(&line)
            }
            Stream::Tls(stream) => {
                stream.sock.begin_step();
                stream.write_all(&line).and_then(|()| stream.flush())
            }
            Stream::Gone => Err(ErrorKind::NotConnected.into()),
        };
        sent.map_err(|error| self.gone(fact(&error)))
    }

    /// Sends a line that ends with the token, as the mechanism shows it.
    pub(super) fn show_token(&mut self, before: &[u8]) -> Result<(), MailError> {
        let response = self.response.duplicate();
        self.is_shown = true;
        self.send(&[before, response.expose()])
    }

    /// The next line, without its end, and without anything that would move a cursor.
    pub(super) fn line(&mut self) -> Result<String, MailError> {
        match &mut self.stream {
            Stream::Plain(stream) => stream.begin_step(),
            Stream::Tls(stream) => stream.sock.begin_step(),
            Stream::Gone => {}
        }
        loop {
            if let Some(end) = self.ahead.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.ahead.len() > MAX_LINE {
                return Err(self.gone("it sends a line without an end".to_owned()));
            }
            let mut piece = [0; 4096];
            let read = match &mut self.stream {
                Stream::Plain(stream) => stream.read(&mut piece),
                Stream::Tls(stream) => stream.read(&mut piece),
                Stream::Gone => Err(ErrorKind::NotConnected.into()),
            };
            match read {
                Ok(0) => return Err(self.gone("it closed the connection".to_owned())),
                Ok(read) => self.ahead.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.gone(fact(&error))),
            }
        }
    }

    /// The server went away, before it was shown the token or afterwards.
    fn gone(&self, fact: String) -> MailError {
        if self.is_shown { MailError::Lost(fact) } else { MailError::Unreachable(fact) }
    }

    /// A line of the server's as it may be shown.
    pub(super) fn shown(&self, line: &str) -> String {
        clean(line, 300, &[self.token, &self.response])
    }

    /// What a refusal means. `told` is what a challenge before it said.
    pub(super) fn refused(&self, words: &str, told: Option<String>) -> MailError {
        match refused(words, self.shown(words), told) {
            // It has seen no token yet, so that is not what it refuses.
            MailError::Refused(_) if !self.is_shown => MailError::NoMechanism(self.mechanism),
            refused => refused,
        }
    }

    /// What the challenge of a refused token says: JSON in base64.
    pub(super) fn challenge(&self, base64: &str) -> Option<String> {
        challenge(base64).map(|told| self.shown(&told))
    }
}

/// Where a server is. The system takes its own time to find that out, so it is asked on the side.
fn addresses(host: &str, port: u16, until: Instant) -> std::io::Result<Vec<SocketAddr>> {
    let (found, finds) = channel();
    let host = host.to_owned();
    std::thread::spawn(move || {
        // Nobody listens any more if it took too long.
        let _ = found.send((host.as_str(), port).to_socket_addrs().map(Iterator::collect));
    });
    let left = until.saturating_duration_since(Instant::now());
    finds.recv_timeout(left).unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

pub(super) fn challenge(base64: &str) -> Option<String> {
    let bytes = STANDARD.decode(base64.trim()).ok().filter(|bytes| !bytes.is_empty())?;
    let text = String::from_utf8_lossy(&bytes);
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    let part = |name: &str| {
        value.get(name).and_then(|value| value.as_str()).map(|value| format!("{name} {value}"))
    };
    let parts: Vec<_> = ["status", "scope"].into_iter().filter_map(part).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The system's words for a failure.
fn fact(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "the connection is refused".to_owned(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "it does not answer in time".to_owned(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "it closed the connection".to_owned()
        }
        _ => tls_fault(error).unwrap_or_else(|| clean(&error.to_string(), 300, &[])),
    }
}
