//! One stream of a program on its way through the masker.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::masker::{Masker, Patterns};

/// How long nothing has to come before a stream counts as waiting for somebody.
const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait, after the program has ended, for what others that hold its streams still say.
const GRACE: Duration = Duration::from_millis(200);
/// How much of that is read, in bytes: as much as the program itself can have left in a pipe.
const LEFT: usize = 1 << 20;

/// Where a stream comes from and goes to.
pub(crate) struct Stream {
    pub(crate) from: OwnedFd,
    pub(crate) to: BorrowedFd<'static>,
    /// Whether it is from a terminal, and so for a person.
    pub(crate) from_terminal: bool,
}

impl Stream {
    /// Carries the stream until its end, or until nothing more comes after the program has ended:
    /// then `ended` is closed at its other end.
    ///
    /// # Errors
    /// If it cannot be written. Then nothing more is read of it, so that the program notices as it
    /// would by itself; only what comes from a terminal is read on, and lost.
    pub(crate) fn carry(self, patterns: &Patterns, ended: &OwnedFd) -> io::Result<()> {
        let Self { from, to, from_terminal } = self;
        let mut masker = Masker::new(patterns);
        let mut buffer = Zeroizing::new(vec![0; 64 << 10]);
        let mut out = Vec::with_capacity(buffer.len());
        let mut written = Ok(());
        // What is still read once the program has ended.
        let mut left = None;
        loop {
            let patience = match left {
                Some(0) => break,
                Some(_) => Some(GRACE),
                None => masker.waits(from_terminal).then_some(PAUSE),
            };
            let ready = wait(&from, left.is_none().then_some(ended), patience)?;
            if ready.over {
                left = Some(LEFT);
            }
            if ready.input {
                match rustix::io::read(&from, buffer.as_mut_slice()) {
                    // A terminal that nobody has open any more gives an error.
                    Ok(0) | Err(Errno::IO) => break,
                    Ok(length) => {
                        masker.feed(&buffer[..length], &mut out);
                        left = left.map(|left| left.saturating_sub(length));
                    }
                    Err(Errno::INTR | Errno::AGAIN) => continue,
                    Err(error) => return Err(error.into()),
                }
            } else if !ready.over {
                if left.is_some() {
                    break;
                }
                masker.pause(from_terminal, &mut out);
            }
            if written.is_ok() {
                written = write_all(to, &out);
            }
            out.clear();
            if written.is_err() && !from_terminal {
                return written;
            }
        }
        masker.finish(&mut out);
        written.and_then(|()| write_all(to, &out))
    }
}

/// What came while we waited; nothing if that took too long.
struct Ready {
    input: bool,
    over: bool,
}

/// Waits for input, for the end of the program, or until patience is at its end.
fn wait(from: &OwnedFd, ended: Option<&OwnedFd>, patience: Option<Duration>) -> io::Result<Ready> {
    let mut fds = vec![PollFd::new(from, PollFlags::IN)];
    fds.extend(ended.map(|ended| PollFd::new(ended, PollFlags::IN)));
    let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
    loop {
        match poll(&mut fds, patience.as_ref()) {
            Ok(_) => {
                let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
                let over = fds.get(1).is_some_and(is_ready);
                return Ok(Ready { input: is_ready(&fds[0]), over });
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes all, whether or not whoever shares the stream has made it one that does not wait.
pub(crate) fn write_all(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&to, bytes) {
            Ok(length) => bytes = &bytes[length..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(&to, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
