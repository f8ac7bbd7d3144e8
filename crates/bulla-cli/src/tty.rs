//! The terminal during a hidden prompt.

use std::fs::File;
use std::thread;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

/// Whether there is a terminal to ask on: stdin may be a pipe all the same.
pub(crate) fn is_there() -> bool {
    terminal().is_some()
}

fn terminal() -> Option<(File, Termios)> {
    let terminal = File::options().read(true).write(true).open("/dev/tty").ok()?;
    let state = tcgetattr(&terminal).ok()?;
    Some((terminal, state))
}

/// Sets the terminal back as it was when it is dropped, and when a signal ends the program while
/// it is held: a terminal that no longer shows what is typed is a bad thing to leave behind.
pub(crate) struct Guard {
    watcher: Option<(Handle, thread::JoinHandle<()>)>,
}

impl Guard {
    pub(crate) fn hold() -> Self {
        let Some((terminal, state)) = terminal() else { return Self { watcher: None } };
        let Ok(mut signals) = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]) else {
            return Self { watcher: None };
        };
        let handle = signals.handle();
        let watch = thread::spawn(move || {
            for signal in &mut signals {
                let _ = tcsetattr(&terminal, OptionalActions::Now, &state);
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
            let _ = tcsetattr(&terminal, OptionalActions::Now, &state);
        });
        Self { watcher: Some((handle, watch)) }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some((handle, watch)) = self.watcher.take() {
            handle.close();
            let _ = watch.join();
        }
    }
}
