//! The terminal during a hidden prompt, and while its keys go to another program.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};
use std::thread;

use rustix::process::getpgrp;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcsetattr,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};

use crate::hold;

/// Whether there is a terminal to ask on: stdin may be a pipe all the same.
pub(crate) fn is_there() -> bool {
    terminal().is_ok()
}

fn terminal() -> io::Result<(File, Termios)> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let state = tcgetattr(&terminal)?;
    Ok((terminal, state))
}

/// A terminal that does not show what is typed. It is set back as it was when this is dropped, and
/// when a signal ends the program meanwhile: one that stays silent is a bad thing to leave behind.
pub(crate) struct Hidden {
    terminal: File,
}

/// The terminal that a prompt has silenced, and how it was before.
static SILENCED: Mutex<Option<(File, Termios)>> = Mutex::new(None);

/// What switches a key of the terminal off (`_POSIX_VDISABLE`).
const NO_KEY: u8 = if cfg!(target_os = "linux") { 0 } else { 0xff };

impl Hidden {
    pub(crate) fn begin() -> io::Result<Self> {
        let (terminal, before) = terminal()?;
        let mut hidden = before.clone();
        // Key by key, because the terminal's own lines end silently after 4,095 bytes. The keys that
        // interrupt keep their meaning; to be stopped and continued would show what is typed.
        hidden.local_modes.remove(
            LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::IEXTEN,
        );
        hidden.special_codes[SpecialCodeIndex::VMIN] = 1;
        hidden.special_codes[SpecialCodeIndex::VTIME] = 0;
        hidden.special_codes[SpecialCodeIndex::VSUSP] = NO_KEY;
        *silenced() = Some((terminal.try_clone()?, before));
        watch();
        let begun = Self { terminal };
        tcsetattr(&begun.terminal, OptionalActions::Now, &hidden)?;
        Ok(begun)
    }

    pub(crate) fn show(&mut self, text: &str) -> io::Result<()> {
        self.terminal.write_all(text.as_bytes())
    }

    /// What is typed, and whether a key came that is no part of a text and edits nothing.
    pub(crate) fn keys(&self) -> io::Result<(Keys, Rc<Cell<bool>>)> {
        let odd = Rc::new(Cell::new(false));
        let terminal = self.terminal.try_clone()?;
        Ok((Keys { terminal, last: 0, odd: Rc::clone(&odd) }, odd))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        set_back();
    }
}

/// The terminal while every key goes to a program that has another one, and means nothing here.
///
/// It is set back when this is dropped, and at whatever else ends the program, as a silent one is.
pub(crate) struct Raw {
    terminal: File,
    before: Termios,
}

impl Raw {
    /// Takes the terminal that is standard input; nothing is changed yet.
    pub(crate) fn of_stdin() -> io::Result<Self> {
        let terminal = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let before = tcgetattr(&terminal)?;
        Ok(Self { terminal, before })
    }

    /// How the terminal was.
    pub(crate) fn before(&self) -> &Termios {
        &self.before
    }

    /// Whether this program may read the terminal and change it; who does so from the background is
    /// stopped.
    pub(crate) fn is_ours(&self) -> bool {
        tcgetpgrp(&self.terminal).is_ok_and(|group| group == getpgrp())
    }

    /// Begins, where the terminal is ours.
    pub(crate) fn enter(&self) {
        if !self.is_ours() {
            return;
        }
        let mut raw = self.before.clone();
        raw.make_raw();
        if let Ok(terminal) = self.terminal.try_clone() {
            *silenced() = Some((terminal, self.before.clone()));
            let _ = tcsetattr(&self.terminal, OptionalActions::Now, &raw);
        }
    }

    /// Sets the terminal back for a while.
    pub(crate) fn leave(&self) {
        set_back();
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        set_back();
    }
}

/// Sets the terminal back in the middle of anything: this never waits.
pub(crate) fn set_back_at_once() {
    if let Ok(mut silenced) = SILENCED.try_lock()
        && let Some((terminal, before)) = silenced.take()
    {
        let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
    }
}

fn silenced() -> MutexGuard<'static, Option<(File, Termios)>> {
    SILENCED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn set_back() {
    if let Some((terminal, before)) = silenced().take() {
        let _ = tcsetattr(&terminal, OptionalActions::Now, &before);
    }
}

/// Has signals that end the program set the terminal back first. It goes on for the life of the
/// process: once caught, a signal never gets its own meaning back, and somebody has to act on it.
fn watch() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        hold::leave();
        let Ok(mut signals) = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM]) else { return };
        let _ = WATCH_HANDLE.set(signals.handle());
        thread::spawn(move || {
            for signal in &mut signals {
                set_back();
                // What is held does what it does later; there has to be one that is not.
                if hold::is_on() && signal != SIGQUIT {
                    continue;
                }
                let _ = signal_hook::low_level::emulate_default_handler(signal);
            }
        });
    });
}

static WATCH_HANDLE: OnceLock<Handle> = OnceLock::new();

/// Leaves signals to somebody else from now on, who has to set the terminal back too.
pub(crate) fn stop_watching() {
    if let Some(handle) = WATCH_HANDLE.get() {
        handle.close();
    }
}

/// The keys of a terminal, for `rpassword`, which leaves out control characters without a word and
/// takes the end of the terminal for the end of the line: half a secret must not pass for one.
pub(crate) struct Keys {
    terminal: File,
    last: u8,
    odd: Rc<Cell<bool>>,
}

impl Read for Keys {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(first) = buffer.get_mut(..1) else { return Ok(0) };
        if self.terminal.read(first)? == 0 {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let key = first[0];
        // Ends the line, takes back a letter, a word, all, or gives up.
        let edits = matches!(key, b'\n' | b'\r' | 0x08 | 0x7f | 0x17 | 0x15 | 0x04);
        let control = key.is_ascii_control() || (self.last == 0xc2 && key < 0xa0);
        if control && !edits {
            self.odd.set(true);
            // An escape would take the keys after it along, the one that ends the line too.
            first[0] = 0;
        }
        self.last = key;
        Ok(1)
    }
}
