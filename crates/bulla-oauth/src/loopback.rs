//! Waiting for the browser to come back: a listener on the loopback interface (RFC 8252, section 7.3).

mod page;

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::authorize::{Authorization, CallbackError};
use crate::secret::Secret;

/// The longest request that is read. Browsers send a few kilobytes.
const MAX_HEAD: usize = 16 << 10;
/// How long a connection may take to say what it wants. Browsers open some that never say anything.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How many connections may be open that have not said what they want. One more, and the oldest of
/// them has to go, so that nobody can keep the browser out by connecting first.
const MAX_OPEN: usize = 100;
/// How often we look whether somebody came.
const PAUSE: Duration = Duration::from_millis(20);
/// How many ports are tried, where any will do and somebody has one of them on the other address.
const TRIES: u32 = 20;

/// A port of this machine that is held from before the browser is sent away until it is back, so that
/// nobody else can take it meanwhile.
pub struct Loopback {
    listeners: Vec<TcpListener>,
    port: u16,
    path: String,
}

/// Why nobody can wait for the browser.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The redirect URI leads to no place where this machine could listen.
    #[error("the redirect URI {0} is not an http address of this machine")]
    Elsewhere(String),
    /// There is no port, or it is somebody else's.
    #[error("no port could be opened on this machine: {0}")]
    Io(#[from] std::io::Error),
}

/// Why the browser did not come back.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// It took too long.
    #[error("nobody came back from the browser in time")]
    TimedOut,
    /// The port broke.
    #[error("the port on this machine failed: {0}")]
    Io(#[from] std::io::Error),
}

/// The browser that came back. It waits for a page that says what came of it.
pub struct Browser(TcpStream);

impl Loopback {
    /// Takes the port that a redirect URI names, or a free one where it has `{port}` in that place.
    ///
    /// `localhost` is two addresses, and a browser takes the one that it likes. Both are held, or
    /// somebody else could get the answer on the other. Where there is no IPv6 at all, one is enough.
    ///
    /// # Errors
    /// If the URI is not of this machine, if there is no free port, or somebody has it.
    pub fn open(redirect: &str) -> Result<Self, OpenError> {
        let place = Place::of(redirect).ok_or_else(|| OpenError::Elsewhere(redirect.to_owned()))?;
        let mut tries = 1;
        loop {
            match listen(&place.addresses, place.port) {
                Err(error)
                    if error.kind() == ErrorKind::AddrInUse && place.port == 0 && tries < TRIES =>
                {
                    tries += 1;
                }
                Err(error) => return Err(error.into()),
                Ok((listeners, port)) => return Ok(Self { listeners, port, path: place.path }),
            }
        }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the answer to `authorization`, and gives the port up with it. Whatever else comes,
    /// such as a request for an icon or an answer with another state, is told off, and waits on.
    ///
    /// # Errors
    /// See [`WaitError`].
    pub fn wait(
        self,
        authorization: &Authorization,
        patience: Duration,
    ) -> Result<(Result<Secret, CallbackError>, Browser), WaitError> {
        let until = Instant::now() + patience;
        let mut callers = VecDeque::new();
        while Instant::now() < until {
            let mut idle = true;
            for listener in &self.listeners {
                // Those who are there are listened to before more come.
                for _ in 0..MAX_OPEN / 2 {
                    match listener.accept() {
                        Ok((stream, _)) => callers.extend(Caller::new(stream)),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(error) => return Err(error.into()),
                    }
                    idle = false;
                }
            }
            let mut at = 0;
            while let Some(caller) = callers.get_mut(at) {
                match caller.listen() {
                    Heard::Part => at += 1,
                    Heard::Nothing => drop(callers.remove(at)),
                    Heard::Whole => {
                        idle = false;
                        let caller = callers.remove(at).expect("it is there");
                        if let Some(answer) = self.answered(caller, authorization) {
                            return Ok(answer);
                        }
                    }
                }
            }
            callers.drain(..callers.len().saturating_sub(MAX_OPEN));
            if idle {
                std::thread::sleep(PAUSE);
            }
        }
        Err(WaitError::TimedOut)
    }

    fn answered(
        &self,
        caller: Caller,
        authorization: &Authorization,
    ) -> Option<(Result<Secret, CallbackError>, Browser)> {
        let Caller { mut stream, head, .. } = caller;
        let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
        let mut words = std::str::from_utf8(line).unwrap_or_default().split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match target.split_once('?') {
            Some((path, query)) if path == self.path && method == "GET" => {
                match authorization.code(query) {
                    Err(CallbackError::NotOurs) => {
                        let text = "This page does not belong to the request that bulla is waiting \
                                    for. It goes on waiting: use the address that it printed last.";
                        respond(&mut stream, "400 Bad Request", "Not the answer", text);
                        None
                    }
                    answer => Some((answer, Browser(stream))),
                }
            }
            _ => {
                let text = "There is nothing at this address.";
                respond(&mut stream, "404 Not Found", "Nothing here", text);
                None
            }
        }
    }
}

impl Browser {
    /// Shows a page, and lets the browser go. Nothing can be done about a browser that has gone.
    pub fn show(mut self, well: bool, title: &str, text: &str) {
        let status = if well { "200 OK" } else { "400 Bad Request" };
        respond(&mut self.0, status, title, text);
    }
}

/// Where a redirect URI leads.
struct Place {
    addresses: Vec<IpAddr>,
    /// 0 for any.
    port: u16,
    path: String,
}

impl Place {
    fn of(redirect: &str) -> Option<Self> {
        let rest = redirect.strip_prefix("http://")?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, "{port}")) => (host, 0),
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().ok().filter(|&port| port != 0)?)
            }
            _ => (authority, 80),
        };
        let addresses = match host {
            "127.0.0.1" => vec![Ipv4Addr::LOCALHOST.into()],
            "[::1]" => vec![Ipv6Addr::LOCALHOST.into()],
            _ if host.eq_ignore_ascii_case("localhost") => {
                let both = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
                both[..if has_ipv6() { 2 } else { 1 }].to_vec()
            }
            _ => return None,
        };
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = if path.is_empty() { "/" } else { path }.to_owned();
        Some(Self { addresses, port, path })
    }
}

/// Whether this machine has the other address of `localhost`. Systems have several errors for that it
/// has not; that somebody has taken all its ports is none of them.
fn has_ipv6() -> bool {
    let any = TcpListener::bind((Ipv6Addr::LOCALHOST, 0));
    any.map_or_else(|error| error.kind() == ErrorKind::AddrInUse, |_| true)
}

/// Listens on one port of all these addresses.
fn listen(addresses: &[IpAddr], port: u16) -> std::io::Result<(Vec<TcpListener>, u16)> {
    let (mut listeners, mut port) = (Vec::new(), port);
    for address in addresses {
        let listener = TcpListener::bind((*address, port))?;
        listener.set_nonblocking(true)?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok((listeners, port))
}

/// Somebody who came, and what was heard so far.
struct Caller {
    stream: TcpStream,
    head: Zeroizing<Vec<u8>>,
    came: Instant,
}

enum Heard {
    /// Not all yet.
    Part,
    Whole,
    /// Nothing, and it will not become more.
    Nothing,
}

impl Caller {
    fn new(stream: TcpStream) -> Option<Self> {
        stream.set_nonblocking(true).ok()?;
        Some(Self { stream, head: Zeroizing::default(), came: Instant::now() })
    }

    /// Takes what there is, without waiting.
    fn listen(&mut self) -> Heard {
        let mut piece = Zeroizing::new([0; 2048]);
        match self.stream.read(&mut *piece) {
            Ok(read @ 1..) if self.head.len() + read <= MAX_HEAD => {
                if self.head.is_empty() {
                    // All at once: what is outgrown would not be wiped.
                    self.head.reserve_exact(MAX_HEAD);
                }
                self.head.extend_from_slice(&piece[..read]);
                let whole = self.head.windows(4).any(|end| end == b"\r\n\r\n");
                if whole { Heard::Whole } else { Heard::Part }
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
                    && self.came.elapsed() < HEAD_PATIENCE =>
            {
                Heard::Part
            }
            _ => Heard::Nothing,
        }
    }
}

fn respond(stream: &mut TcpStream, status: &str, title: &str, text: &str) {
    let response = page::response(status, title, text);
    // A browser that has gone is no failure of ours.
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_write_timeout(Some(Duration::from_secs(5)));
    let _ = stream.write_all(response.as_bytes()).and_then(|()| stream.flush());
    let _ = stream.shutdown(Shutdown::Write);
}

#[cfg(test)]
mod tests;
