//! A connection that waits for nobody longer than it may, whatever is read through it.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long the parts of a visit may take.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// For one of the addresses of a server to take the connection.
    pub(super) connect: Duration,
    /// For one answer, or for TLS to begin.
    pub(super) step: Duration,
    /// For all of it, from looking the name up to the last answer.
    pub(super) visit: Duration,
}

/// What a mail server gets. Whoever waits for the lock of a mailbox that is being authorised waits
/// longer than a visit takes.
pub(super) const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(10),
    step: Duration::from_secs(20),
    visit: Duration::from_secs(60),
};

/// A connection with an end to its time. The time that is left is set before each call of the system:
/// a server that sends a byte now and then would begin any other limit anew with each of them.
pub(super) struct Timed {
    socket: TcpStream,
    patience: Patience,
    /// When the visit, and when the step that it is at, has to be over.
    visit: Instant,
    step: Instant,
}

impl Timed {
    pub(super) fn new(socket: TcpStream, patience: Patience, visit: Instant) -> Self {
        Self { socket, patience, visit, step: visit }
    }

    /// What comes now has a step's time.
    pub(super) fn begin_step(&mut self) {
        self.step = self.visit.min(Instant::now() + self.patience.step);
    }

    fn left(&self) -> Result<Duration> {
        let left = self.step.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

/// The system says "try again" where a time is over.
fn over(error: Error) -> Error {
    if error.kind() == ErrorKind::WouldBlock { ErrorKind::TimedOut.into() } else { error }
}

impl Read for Timed {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        self.socket.set_read_timeout(Some(self.left()?))?;
        self.socket.read(into).map_err(over)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.socket.set_write_timeout(Some(self.left()?))?;
        self.socket.write(bytes).map_err(over)
    }

    fn flush(&mut self) -> Result<()> {
        self.socket.flush()
    }
}
