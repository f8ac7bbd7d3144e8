//! Starts the program, carries its streams and waits for its end.

use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use bulla_resolve::Secret;
use rustix::process::{Pid, Signal, WaitStatus, kill_current_process_group};
use rustix::stdio::{stderr, stdin, stdout};
use rustix::termios::isatty;
use signal_hook::consts::{SIGCONT, SIGWINCH};

use super::masker::Patterns;
use super::pump::Stream;
use super::screen::{self, Screen};
use super::signals::{self, Event, PASSED_ON, WATCHED};
use super::{leader, not_started, started_as};
use crate::cmd::Done;
use crate::env;
use crate::failure::{Exit, Failure, io_fact};
use crate::harden;
use crate::tty::{self, Raw};
use crate::unlock;

/// A program that is ready to be started.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// What it was called, and what it is to see as its name.
    pub(crate) name: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) variables: Vec<(String, Secret)>,
}

impl Program {
    /// Becomes the program.
    pub(crate) fn exec(&self) -> Failure {
        let mut command = self.command();
        harden::give_back();
        started_as(&self.name, &command.exec())
    }

    /// Runs the program with everything masked that it writes.
    pub(crate) fn run(&self, patterns: &Patterns) -> Done {
        let done = if screen::is_interactive() {
            self.run_on_a_terminal(patterns)
        } else {
            self.run_beside(patterns)
        };
        // By now the terminal is as it was, whichever way this ends.
        Ok(Exit::OfProgram(signals::end_as(done?)))
    }

    /// Runs the program as a part of our own job. Keys, and the signals that they send, go to it
    /// without us; it writes to pipes, and to terminals that are only written to.
    fn run_beside(&self, patterns: &Patterns) -> Result<WaitStatus, Failure> {
        let mut outlets = Outlets::default();
        let mut command = self.command();
        let theirs = outlets.open(stdout())?;
        // Two streams into one place are one stream: nobody could put them in order again.
        let same = same_place(stdout(), stderr());
        let also =
            if same { theirs.try_clone().map_err(not_started)? } else { outlets.open(stderr())? };
        command.stdout(theirs).stderr(also);
        let Outlets { streams, screens } = outlets;
        let start = || spawn(command, &self.name);
        supervise(start, streams, patterns, |program, event| match event {
            Event::Signal { signal: SIGWINCH, .. } => {
                for (ours, like) in &screens {
                    let _ = screen::copy_size(like, ours);
                }
                // Its own terminal has told it before this one had the size.
                signals::send(program, SIGWINCH);
            }
            Event::Signal { signal: SIGCONT, .. } | Event::Stopped => {}
            // What a key sends, it sends to the whole job.
            Event::Signal { signal, from_process } => {
                if from_process {
                    signals::send(program, signal);
                }
            }
        })
    }

    /// Runs the program on a terminal of its own, behind which ours is passed through.
    fn run_on_a_terminal(&self, patterns: &Patterns) -> Result<WaitStatus, Failure> {
        let outer = Arc::new(Raw::of_stdin().map_err(not_started)?);
        let screen = Screen::whole(outer.before(), stdin()).map_err(not_started)?;
        let ours = || screen.ours.try_clone().map_err(not_started);
        let theirs = || screen.theirs.try_clone().map_err(not_started);
        let (wake, waking) = pipe().map_err(not_started)?;

        let mut outlets = Outlets::default();
        outlets.streams.push(Stream { from: ours()?, to: stdout(), from_terminal: true });
        let their_err = if screen::is_own(stderr()) { theirs()? } else { outlets.open(stderr())? };
        let mut command = Command::new(ourselves().map_err(not_started)?);
        command.arg0(leader::NAME).arg(&self.path).arg(&self.name).args(&self.arguments);
        self.set_variables(&mut command);
        command.stdin(theirs()?).stdout(theirs()?).stderr(their_err);
        let (keys, size) = (ours()?, ours()?);
        drop(screen);

        let start = || {
            let program = spawn(command, &self.name)?;
            outer.enter();
            screen::send_keys(Arc::clone(&outer), keys, wake);
            Ok(program)
        };
        let resume = |program: Pid| {
            outer.enter();
            let _ = screen::copy_size(stdin(), &size);
            let _ = rustix::io::write(&waking, &[0]);
            signals::send(program, SIGCONT);
        };
        let done = supervise(start, outlets.streams, patterns, |program, event| match event {
            Event::Signal { signal: SIGWINCH, .. } => {
                let _ = screen::copy_size(stdin(), &size);
            }
            Event::Signal { signal: SIGCONT, .. } => resume(program),
            Event::Signal { signal, .. } => signals::send(program, signal),
            Event::Stopped => {
                outer.leave();
                // Our whole job stops, as it would by a key. Where there is no shell to continue it,
                // the kernel does not stop it, and then the program goes on as well.
                let _ = kill_current_process_group(Signal::TSTP);
                resume(program);
            }
        });
        outer.leave();
        done
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.arg0(&self.name).args(&self.arguments);
        self.set_variables(&mut command);
        command
    }

    fn set_variables(&self, command: &mut Command) {
        command.env_remove(env::PASSPHRASE_FILE).env_remove(env::IDENTITY_FILE);
        // Other credentials of a service are the program's own.
        if unlock::credential().is_some_and(|path| path.symlink_metadata().is_ok()) {
            command.env_remove(env::CREDENTIALS_DIRECTORY);
        }
        for (name, value) in &self.variables {
            command.env(name, OsStr::from_bytes(value.expose()));
        }
    }
}

/// What a program writes to, and where that goes.
#[derive(Default)]
struct Outlets {
    streams: Vec<Stream>,
    /// Terminals among them, each with the one that it is to be as large as.
    screens: Vec<(OwnedFd, BorrowedFd<'static>)>,
}

impl Outlets {
    /// Something to write to that is a terminal where `to` is one, and gives the side of the program.
    fn open(&mut self, to: BorrowedFd<'static>) -> Result<OwnedFd, Failure> {
        let from_terminal = isatty(to);
        let (from, theirs) = if from_terminal {
            let Screen { ours, theirs } = Screen::to_write_to(to).map_err(not_started)?;
            self.screens.push((ours.try_clone().map_err(not_started)?, to));
            (ours, theirs)
        } else {
            pipe().map_err(not_started)?
        };
        self.streams.push(Stream { from, to, from_terminal });
        Ok(theirs)
    }
}

fn same_place(one: impl AsFd, other: impl AsFd) -> bool {
    let place = |fd: BorrowedFd<'_>| rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    matches!((place(one.as_fd()), place(other.as_fd())), (Ok(one), Ok(other)) if one == other)
}

/// The program that is running, even if another has been installed in its place.
pub(crate) fn ourselves() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// The two sides of a pipe that programs do not inherit: to read, and to write.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    io::pipe().map(|(read, write)| (read.into(), write.into()))
}

/// Starts a program; our copies of what it writes to are closed.
fn spawn(mut command: Command, name: &OsStr) -> Result<Pid, Failure> {
    command.spawn().map(|child| Pid::from_child(&child)).map_err(|error| started_as(name, &error))
}

/// Starts a program, carries its streams and waits for its end.
fn supervise(
    start: impl FnOnce() -> Result<Pid, Failure>,
    streams: Vec<Stream>,
    patterns: &Patterns,
    mut happens: impl FnMut(Pid, Event),
) -> Result<WaitStatus, Failure> {
    let mut signals = signals::catch(&[&PASSED_ON[..], &WATCHED].concat()).map_err(not_started)?;
    tty::stop_watching();
    let (ended, ending) = pipe().map_err(not_started)?;
    harden::give_back();
    let program = start()?;
    thread::scope(|scope| {
        let carry = |stream: Stream| scope.spawn(|| stream.carry(patterns, &ended));
        let carriers: Vec<_> = streams.into_iter().map(carry).collect();
        let status = signals::wait(program, &mut signals, |event| happens(program, event));
        drop(ending);
        let mut carried = Ok(());
        for carrier in carriers {
            carried = carried.and(carrier.join().expect("a panic ends the process"));
        }
        match carried {
            // Whoever read our output has left: that is an affair of the program.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let fact = format!("the output of the program was lost: {}", io_fact(&error));
                Err(Failure::new(Exit::RunFailed, "output", fact))
            }
            _ => status.map_err(not_started),
        }
    })
}
