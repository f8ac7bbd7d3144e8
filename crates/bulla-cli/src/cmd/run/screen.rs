//! Terminals that are made for a program, and the one that it would have had.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{
    OptionalActions, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use zeroize::Zeroizing;

use super::pump::write_all;
use crate::tty::Raw;

/// A terminal of our own, for a program to be on.
pub(crate) struct Screen {
    /// Our side.
    pub(crate) ours: OwnedFd,
    /// The side of the program, as long as it has not been started.
    pub(crate) theirs: OwnedFd,
}

impl Screen {
    /// One for a program that is to have all of a terminal: in the state `modes` and as large as
    /// `like`.
    pub(crate) fn whole(modes: &Termios, like: impl AsFd) -> io::Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let name = ptsname(&ours, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = rustix::fs::open(name, flags, Mode::empty())?;
        tcsetattr(&theirs, OptionalActions::Now, modes)?;
        let _ = copy_size(like, &ours);
        Ok(Self { ours, theirs })
    }

    /// One that a program only writes to; what it writes is left for `like` to make lines of.
    pub(crate) fn to_write_to(like: impl AsFd) -> io::Result<Self> {
        let mut modes = tcgetattr(&like)?;
        modes.make_raw();
        Self::whole(&modes, like)
    }
}

/// Makes one terminal as large as another.
pub(crate) fn copy_size(from: impl AsFd, to: impl AsFd) -> io::Result<()> {
    Ok(tcsetwinsize(to, tcgetwinsize(from)?)?)
}

/// Whether a program with our streams has a terminal to itself: it reads its keys and writes to it.
///
/// Where one of the two goes elsewhere, somebody else may have the keys, such as the pager at the
/// other end of a pipe.
pub(crate) fn is_interactive() -> bool {
    is_own(io::stdin()) && is_own(io::stdout())
}

/// Whether this is the terminal that our session belongs to.
pub(crate) fn is_own(stream: impl AsFd) -> bool {
    tcgetpgrp(stream).is_ok()
}

/// Sends every key of the terminal to `screen`, as long as the terminal is ours. Each byte from
/// `wake` has it look again whether it is. It ends with the process.
pub(crate) fn send_keys(outer: Arc<Raw>, screen: OwnedFd, wake: OwnedFd) {
    thread::spawn(move || {
        let mut keys = Zeroizing::new([0; 4096]);
        loop {
            let stdin = io::stdin();
            let mut fds = vec![PollFd::new(&wake, PollFlags::IN)];
            if outer.is_ours() {
                fds.push(PollFd::new(&stdin, PollFlags::IN));
            }
            match poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            if !fds[0].revents().is_empty()
                && !matches!(rustix::io::read(&wake, &mut [0; 16]), Ok(1..))
            {
                return;
            }
            let typed = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
            if !typed || !outer.is_ours() {
                continue;
            }
            match rustix::io::read(io::stdin(), keys.as_mut_slice()) {
                Ok(0) => return,
                Ok(length) => {
                    if write_all(&screen, &keys[..length]).is_err() {
                        return;
                    }
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => return,
            }
        }
    });
}
