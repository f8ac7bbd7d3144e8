//! What the process does before it touches its first secret.

use std::panic;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core dumps, no debugger of the same user, no file that others can read, no panic message
/// with a value in it.
///
/// Each of these can be refused by the system. That is no reason not to work, and `bulla doctor`
/// tells.
pub(crate) fn process() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    // A core dump that is piped to a handler ignores the limit but not this; and this also keeps
    // other processes of the same user from reading our memory.
    #[cfg(target_os = "linux")]
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // A folder of templates may have more folders in it than the usual limit on open files.
    let files = rustix::process::getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    panic::set_hook(Box::new(|panic| {
        use std::io::Write as _;
        let place = panic.location().map_or_else(String::new, |l| format!(" at {l}"));
        let _ = writeln!(
            std::io::stderr(),
            "bulla: internal error{place}\nhint: nothing half done was left behind; please report this line"
        );
    }));
}
