//! What the process does before it touches its first secret.

use std::sync::{Arc, OnceLock};
use std::{fs, panic};

use rustix::fs::Mode;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, umask,
};
use signal_hook::consts::SIGXFSZ;

use crate::tty;

/// No core dumps, no debugger of the same user, no file that others can read, no panic message
/// with a value in it.
///
/// Each of these can be refused by the system. That is no reason not to work, and `bulla doctor`
/// tells.
pub(crate) fn process() {
    unreadable();
    let core = getrlimit(Resource::Core);
    // Not the hard limit, which would stay with every program that is started from here.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), ..core });
    // A folder of templates may have more folders in it than the usual limit on open files.
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
    // A limit on the size of files is to be an error like any other, not the end of the process. What
    // is caught, unlike what is ignored, has its own meaning again in a program started from here.
    if ignored() & (1 << (SIGXFSZ - 1)) == 0 {
        let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    }
    let umask = umask(Mode::from_raw_mode(0o077));
    let _ = BEFORE.set(Before { core, files, umask });
    panic::set_hook(Box::new(|panic| {
        use std::io::Write as _;
        tty::set_back_at_once();
        let place = panic.location().map_or_else(String::new, |l| format!(" at {l}"));
        let _ = writeln!(
            std::io::stderr(),
            "bulla: internal error{place}\nhint: nothing half done was left behind; please report this line"
        );
    }));
}

/// No core dump of this process, whatever its limit and its handler, and no look into it for others
/// of the same user. A program that is started from here is as it was again.
pub(crate) fn unreadable() {
    #[cfg(target_os = "linux")]
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// What [`process`] has changed that a started program would inherit.
struct Before {
    core: Rlimit,
    files: Rlimit,
    umask: Mode,
}

static BEFORE: OnceLock<Before> = OnceLock::new();

/// Sets back what a started program would inherit.
pub(crate) fn give_back() {
    if let Some(before) = BEFORE.get() {
        let _ = setrlimit(Resource::Core, before.core);
        let _ = setrlimit(Resource::Nofile, before.files);
        umask(before.umask);
    }
}

/// The signals that are ignored, one bit each. Nothing else tells without changing it.
pub(crate) fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}
