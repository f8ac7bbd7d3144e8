//! The process between bulla and a program on a terminal of its own.
//!
//! A terminal belongs to a session, and only the first process of a new session can take one. The
//! program itself cannot be that process: the kernel stops nobody by Ctrl-Z whose parent is outside
//! of the session. So bulla starts itself once more, under [`NAME`]; this process makes the session,
//! takes the terminal, starts the program as a job of its own and waits for it. It stops when the
//! program stops and ends as the program ends, which is how bulla learns of it.
//!
//! A key means nothing to a job that is not in the foreground yet. So the program is started by bulla
//! once more, under [`WAITING`], which waits for that and then becomes the program.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, getpgrp, getpid, ioctl_tiocsctty, kill_process, kill_process_group, setsid,
};
use rustix::termios::{tcgetpgrp, tcsetpgrp};
use signal_hook::consts::{SIGCHLD, SIGCONT};

use super::child::ourselves;
use super::signals::{self, Event, PASSED_ON};
use super::{not_started, started_as};
use crate::cmd::Done;
use crate::failure::{Exit, Failure};
use crate::harden;
use crate::printer::Printer;

/// What this process calls itself, as the word before its arguments.
pub(crate) const NAME: &str = "bulla: leader of a session";

/// What the process calls itself that becomes the program.
const WAITING: &str = "bulla: before a program";

/// Does the work of these processes, if this is one; `None` if it is not.
///
/// Its arguments are the program's path, the name that the program is to see, and the program's own.
/// The terminal is its standard input.
pub(crate) fn lead() -> Option<ExitCode> {
    let mut words = std::env::args_os();
    let name = words.next()?;
    let work = match () {
        () if name == *NAME => run,
        () if name == *WAITING => wait_and_become,
        () => return None,
    };
    harden::unreadable();
    let printer = Printer::new(false, false);
    Some(printer.finish(work(&words.collect::<Vec<_>>())))
}

fn run(words: &[OsString]) -> Done {
    let stdin = std::io::stdin();
    let failed = |error: Errno| {
        Failure::new(Exit::RunFailed, "terminal", "cannot give the program a terminal")
            .hint(format_args!("{error}; --no-mask runs it on yours"))
    };
    setsid().map_err(failed)?;
    ioctl_tiocsctty(&stdin).map_err(failed)?;
    let watched = [&PASSED_ON[..], &[SIGCHLD, SIGCONT]].concat();
    let mut signals = signals::catch(&watched).map_err(not_started)?;
    let mut command = Command::new(ourselves().map_err(not_started)?);
    command.arg0(WAITING).args(words).process_group(0);
    let program = Pid::from_child(&command.spawn().map_err(not_started)?);
    let go_on = || {
        let _ = kill_process_group(program, Signal::CONT);
    };
    tcsetpgrp(&stdin, program).map_err(failed)?;
    let status = signals::wait(program, &mut signals, |event| match event {
        Event::Signal { signal: SIGCONT, .. } => go_on(),
        Event::Signal { signal, .. } => signals::send(program, signal),
        Event::Stopped => {
            let _ = kill_process(getpid(), Signal::STOP);
        }
    });
    Ok(Exit::OfProgram(signals::end_as(status.map_err(not_started)?)))
}

fn wait_and_become(words: &[OsString]) -> Done {
    let [path, name, arguments @ ..] = words else {
        return Err(Failure::new(Exit::RunFailed, "run", "there is no program to become"));
    };
    while tcgetpgrp(std::io::stdin()).map_err(not_started)? != getpgrp() {
        thread::sleep(Duration::from_micros(200));
    }
    Err(started_as(name, &Command::new(path).arg0(name).args(arguments).exec()))
}
