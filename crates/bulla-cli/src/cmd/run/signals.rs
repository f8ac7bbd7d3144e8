//! Signals on their way to a program, and how it ended on its way back.

use std::io;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};
use signal_hook::consts::{
    SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::origin::WithOrigin;
use signal_hook::low_level::emulate_default_handler;

use crate::{harden, hold};

/// What is passed on to the program.
pub(crate) const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
/// What the program's terminal and its state need besides.
pub(crate) const WATCHED: [i32; 3] = [SIGCHLD, SIGCONT, SIGWINCH];

/// Catches `signals`, but for those that are ignored, as `nohup` does it: then the program is to
/// ignore them too, and what is caught here would have its own meaning again there.
pub(crate) fn catch(signals: &[i32]) -> io::Result<SignalsInfo<WithOrigin>> {
    hold::leave();
    let ignored = harden::ignored();
    let caught = signals.iter().filter(|&&signal| ignored & (1 << (signal - 1)) == 0);
    SignalsInfo::<WithOrigin>::new(caught)
}

/// What comes to whoever waits for a program.
pub(crate) enum Event {
    /// A signal that is one of those that were caught; whether a process has sent it, or else the
    /// kernel, as for a key.
    Signal { signal: i32, from_process: bool },
    /// The program was stopped.
    Stopped,
}

/// Waits for the end of a program, and tells what happens meanwhile.
pub(crate) fn wait(
    program: Pid,
    signals: &mut SignalsInfo<WithOrigin>,
    mut happens: impl FnMut(Event),
) -> io::Result<WaitStatus> {
    loop {
        for origin in signals.wait() {
            if origin.signal != SIGCHLD {
                let from_process = origin.process.is_some();
                happens(Event::Signal { signal: origin.signal, from_process });
            }
        }
        loop {
            match waitpid(Some(program), WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some((_, status))) if status.stopped() => happens(Event::Stopped),
                Ok(Some((_, status))) => return Ok(status),
                Ok(None) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Sends a signal by its number; one who has ended meanwhile needs none.
pub(crate) fn send(to: Pid, signal: i32) {
    if let Some(signal) = Signal::from_named_raw(signal) {
        let _ = kill_process(to, signal);
    }
}

/// How this process is to end, as the program has ended: by the same signal, at once, or with this
/// code; where a signal cannot be, with the code that a shell gives it.
pub(crate) fn end_as(status: WaitStatus) -> u8 {
    if let Some(signal) = status.terminating_signal() {
        // This returns for a signal whose meaning is not known here.
        let _ = emulate_default_handler(signal);
        return u8::try_from(128 + signal).unwrap_or(u8::MAX);
    }
    status.exit_status().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}
