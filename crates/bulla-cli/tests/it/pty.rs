//! A terminal that is played by the test: the program sees a real one, as its controlling terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::support::Home;

/// A program on a terminal.
pub(crate) struct Session {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    seen: String,
    /// How much of `seen` was waited for already.
    read: usize,
    /// The program's side, by which the state of the terminal can be asked for.
    terminal: File,
}

/// How long to wait for what should come at once: a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

impl Session {
    /// Starts `bulla` with all three streams on the terminal.
    pub(crate) fn start(home: &Home, args: &[&str]) -> Self {
        Self::start_with(home, args, None)
    }

    /// The same with standard output in a file.
    pub(crate) fn start_with(home: &Home, args: &[&str], stdout: Option<File>) -> Self {
        Self::start_program(home, env!("CARGO_BIN_EXE_bulla"), args, stdout)
    }

    /// The same for another program, such as a shell that starts `bulla`.
    pub(crate) fn start_program(
        home: &Home,
        program: &str,
        args: &[&str],
        stdout: Option<File>,
    ) -> Self {
        let keyboard =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = File::from(rustix::fs::open(name, flags, Mode::empty()).unwrap());
        let keyboard = File::from(keyboard);

        let stream = || Stdio::from(terminal.try_clone().unwrap());
        // Whoever starts the program does not know its terminal, so setsid does what a login does.
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(program).args(args);
        home.set(&mut command);
        command.env_remove("BULLA_PASSPHRASE_FILE");
        command.stdin(stream()).stderr(stream()).stdout(stdout.map_or_else(stream, Stdio::from));
        let child = command.spawn().unwrap();

        let (send, screen) = channel();
        let mut shown = keyboard.try_clone().unwrap();
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = shown.read(&mut bytes) {
                if send.send(bytes[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, keyboard, screen, seen: String::new(), read: 0, terminal }
    }

    /// Waits until `text` is on the screen, after what was waited for before.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen[self.read..].find(text) {
                self.read += at + text.len();
                return;
            }
            match self.screen.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("`{text}` did not come; the screen is: {}", self.seen)
                }
            }
        }
    }

    /// Waits for a question whose answer is not shown.
    #[track_caller]
    pub(crate) fn expect_hidden(&mut self, question: &str) {
        self.expect(question);
        let until = Instant::now() + PATIENCE;
        while self.echoes() {
            assert!(Instant::now() < until, "what is typed at `{question}` is shown");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// What is on the screen so far, as far as it was waited for.
    pub(crate) fn seen(&self) -> &str {
        &self.seen
    }

    /// Presses keys.
    pub(crate) fn types(&mut self, keys: impl AsRef<[u8]>) {
        self.keyboard.write_all(keys.as_ref()).unwrap();
    }

    /// Makes the terminal larger or smaller.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.keyboard, size).unwrap();
    }

    /// Whether the terminal shows what is typed.
    pub(crate) fn echoes(&self) -> bool {
        tcgetattr(&self.terminal).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; gives how it ended and all that was on the screen.
    #[track_caller]
    pub(crate) fn end(mut self) -> (ExitStatus, String) {
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it does not end; the screen is: {}", self.seen);
            thread::sleep(Duration::from_millis(1));
        };
        assert!(self.echoes(), "the terminal no longer shows what is typed");
        // All is on the screen already: the last of it comes a moment later.
        while let Ok(bytes) = self.screen.recv_timeout(Duration::from_millis(50)) {
            self.seen.push_str(&String::from_utf8_lossy(&bytes));
        }
        (status, std::mem::take(&mut self.seen))
    }

    /// Waits for the end and holds it to an exit code, as a shell tells it.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> String {
        let (status, screen) = self.end();
        let found = status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
        assert_eq!(found, code, "the screen is: {screen}");
        screen
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Both fail where it has ended, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
