//! Lines to and from a mail server, in clear only until TLS begins.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::{MailError, Server};
use crate::http::{Roots, tls_fault};
use crate::refusal::clean;

/// How long a connection may take to come about, and how long a whole visit.
const CONNECT: Duration = Duration::from_secs(10);
const VISIT: Duration = Duration::from_secs(60);
/// The longest wait for one line.
const LINE: Duration = Duration::from_secs(20);
/// The longest line, and the most lines of one answer, that are read.
const MAX_LINE: usize = 16 << 10;
pub(super) const MAX_LINES: usize = 500;

pub(super) struct Wire<'r> {
    stream: Stream,
    roots: &'r Roots,
    /// What was read and not yet taken.
    ahead: Vec<u8>,
    until: Instant,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    /// In the middle of becoming TLS.
    Gone,
}

impl<'r> Wire<'r> {
    /// Connects, with TLS if the server begins with it.
    pub(super) fn connect(server: &Server, roots: &'r Roots) -> Result<Self, MailError> {
        let unreachable = |error: std::io::Error| MailError::Unreachable(fact(&error));
        let host = server.host.trim_start_matches('[').trim_end_matches(']');
        let addresses = (host, server.port).to_socket_addrs().map_err(unreachable)?;
        let mut last = std::io::Error::from(ErrorKind::NotFound);
        for address in addresses {
            match TcpStream::connect_timeout(&address, CONNECT) {
                Ok(stream) => {
                    // Short commands would wait for each other otherwise.
                    let _ = stream.set_nodelay(true);
                    let until = Instant::now() + VISIT;
                    let stream = Stream::Plain(stream);
                    let mut wire = Self { stream, roots, ahead: Vec::new(), until };
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
        for time in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
            time(&stream.sock, Some(LINE)).map_err(|error| MailError::Tls(fact(&error)))?;
        }
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|error| {
                MailError::Tls(tls_fault(&error).unwrap_or_else(|| fact(&error)))
            })?;
        }
        self.stream = Stream::Tls(Box::new(stream));
        Ok(())
    }

    /// Sends a line.
    pub(super) fn send(&mut self, pieces: &[&[u8]]) -> Result<(), MailError> {
        // In one piece, so that it goes out as one record.
        let mut line = zeroize::Zeroizing::new(Vec::with_capacity(
            pieces.iter().map(|piece| piece.len()).sum::<usize>() + 2,
        ));
        pieces.iter().for_each(|piece| line.extend_from_slice(piece));
        line.extend_from_slice(b"\r\n");
        let sent = match &mut self.stream {
            Stream::Plain(stream) => stream.write_all(&line),
            Stream::Tls(stream) => stream.write_all(&line).and_then(|()| stream.flush()),
            Stream::Gone => Err(ErrorKind::NotConnected.into()),
        };
        sent.map_err(|error| MailError::Unreachable(fact(&error)))
    }

    /// The next line, without its end, and without anything that would move a cursor.
    pub(super) fn line(&mut self) -> Result<String, MailError> {
        loop {
            if let Some(end) = self.ahead.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line);
                return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.ahead.len() > MAX_LINE {
                return Err(MailError::Unreachable("it sends a line without an end".to_owned()));
            }
            let left = self.until.saturating_duration_since(Instant::now()).min(LINE);
            if left.is_zero() {
                return Err(MailError::Unreachable("it takes too long".to_owned()));
            }
            let mut piece = [0; 4096];
            let read = match &mut self.stream {
                Stream::Plain(stream) => {
                    stream.set_read_timeout(Some(left)).and_then(|()| stream.read(&mut piece))
                }
                Stream::Tls(stream) => {
                    stream.sock.set_read_timeout(Some(left)).and_then(|()| stream.read(&mut piece))
                }
                Stream::Gone => Err(ErrorKind::NotConnected.into()),
            };
            match read {
                Ok(0) => return Err(MailError::Unreachable("it closed the connection".to_owned())),
                Ok(read) => self.ahead.extend_from_slice(&piece[..read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(MailError::Unreachable(fact(&error))),
            }
        }
    }
}

/// A line of a server's as it may be shown.
pub(super) fn shown(line: &str) -> String {
    clean(line, 300, &[])
}

/// What the challenge of a refused token says: JSON in base64.
pub(super) fn challenge(base64: &str) -> Option<String> {
    let bytes = STANDARD.decode(base64.trim()).ok().filter(|bytes| !bytes.is_empty())?;
    let text = String::from_utf8_lossy(&bytes);
    let value: serde_json::Value = serde_json::from_str(&text).ok()?;
    let part = |name: &str| {
        value.get(name).and_then(|value| value.as_str()).map(|value| format!("{name} {value}"))
    };
    let parts: Vec<_> = ["status", "scope"].into_iter().filter_map(part).collect();
    (!parts.is_empty()).then(|| shown(&parts.join(", ")))
}

/// The system's words for a failure.
fn fact(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => "the connection is refused".to_owned(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "it does not answer in time".to_owned(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            "it closed the connection".to_owned()
        }
        _ => tls_fault(error).unwrap_or_else(|| shown(&error.to_string())),
    }
}
