//! Waiting for the browser to come back: a listener on the loopback interface (RFC 8252, section 7.3).

mod page;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::authorize::{Authorization, CallbackError};
use crate::secret::Secret;

/// The longest request that is read. Browsers send a few kilobytes.
const MAX_HEAD: usize = 16 << 10;
/// How long a connection may take to say what it wants. Browsers open some that never say anything.
const HEAD_PATIENCE: Duration = Duration::from_secs(10);
/// How many connections may be open that have not said what they want.
const MAX_OPEN: usize = 32;
/// How often we look whether somebody came.
const PAUSE: Duration = Duration::from_millis(20);

/// A port on 127.0.0.1 that is held from before the browser is sent away until it is back, so that
/// nobody else can take it meanwhile.
pub struct Loopback {
    listener: TcpListener,
    port: u16,
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
    /// Takes a free port.
    ///
    /// # Errors
    /// If there is none.
    pub fn open() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
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
        let (heads, came) = channel();
        let mut open = 0;
        while Instant::now() < until {
            match self.listener.accept() {
                Ok((stream, _)) if open < MAX_OPEN => {
                    open += 1;
                    let heads = heads.clone();
                    // Each on a thread of its own: a connection that says nothing holds nobody up.
                    std::thread::spawn(move || read_head(stream, &heads));
                }
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(answer) = answered(&came, &mut open, authorization) {
                return Ok(answer);
            }
        }
        Err(WaitError::TimedOut)
    }
}

impl Browser {
    /// Shows a page, and lets the browser go. Nothing can be done about a browser that has gone.
    pub fn show(mut self, well: bool, title: &str, text: &str) {
        let status = if well { "200 OK" } else { "400 Bad Request" };
        respond(&mut self.0, status, title, text);
    }
}

type Head = Option<(TcpStream, Zeroizing<Vec<u8>>)>;

fn read_head(mut stream: TcpStream, heads: &Sender<Head>) {
    let mut head = Zeroizing::new(Vec::with_capacity(MAX_HEAD));
    let until = Instant::now() + HEAD_PATIENCE;
    let whole = loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut piece = Zeroizing::new([0; 2048]);
        let ready = !left.is_zero()
            && stream.set_nonblocking(false).is_ok()
            && stream.set_read_timeout(Some(left)).is_ok();
        match ready.then(|| stream.read(&mut *piece)) {
            Some(Ok(read @ 1..)) if head.len() + read <= MAX_HEAD => {
                head.extend_from_slice(&piece[..read]);
                if head.windows(4).any(|end| end == b"\r\n\r\n") {
                    break true;
                }
            }
            Some(Err(error)) if error.kind() == ErrorKind::Interrupted => {}
            _ => break false,
        }
    };
    // Nobody listens any more if the answer came by another connection.
    let _ = heads.send(whole.then_some((stream, head)));
}

fn answered(
    came: &Receiver<Head>,
    open: &mut usize,
    authorization: &Authorization,
) -> Option<(Result<Secret, CallbackError>, Browser)> {
    let head = came.try_recv().ok()?;
    *open -= 1;
    let (mut stream, head) = head?;
    let line = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = std::str::from_utf8(line).unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match target.split_once('?') {
        Some(("/", query)) if method == "GET" => match authorization.code(query) {
            Err(CallbackError::NotOurs) => {
                let text = "This page does not belong to the request that bulla is waiting for. \
                            It goes on waiting: use the address that it printed last.";
                respond(&mut stream, "400 Bad Request", "Not the answer", text);
                None
            }
            answer => Some((answer, Browser(stream))),
        },
        _ => {
            respond(
                &mut stream,
                "404 Not Found",
                "Nothing here",
                "There is nothing at this address.",
            );
            None
        }
    }
}

fn respond(stream: &mut TcpStream, status: &str, title: &str, text: &str) {
    let response = page::response(status, title, text);
    let _ = stream.set_write_timeout(Some(Duration::from_secs(5)));
    // A browser that has gone is no failure of ours.
    let _ = stream.write_all(response.as_bytes()).and_then(|()| stream.flush());
    let _ = stream.shutdown(std::net::Shutdown::Write);
}

#[cfg(test)]
mod tests;
