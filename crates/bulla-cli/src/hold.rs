//! Signals that would end the program, held while a provider's answer is on its way: there may be a new
//! refresh token in it that nobody gives a second time, or that a grant was withdrawn.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Once};
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::{flag, low_level};

use crate::harden;

/// The signal that came last since signals were first held; 0 for none.
static CAME: LazyLock<Arc<AtomicUsize>> = LazyLock::new(Arc::default);
/// Whether a signal that is caught here does at once what it does: while none are held, and nobody
/// else watches them.
static AT_ONCE: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);
static HOLDS: AtomicBool = AtomicBool::new(false);
static LEFT: AtomicBool = AtomicBool::new(false);

/// Signals are held until this is dropped; then one that came does what it does.
pub(crate) struct Held(());

impl Held {
    /// Holds signals from now on, but for those that are ignored, as `nohup` does it.
    pub(crate) fn begin() -> Self {
        static CATCH: Once = Once::new();
        HOLDS.store(true, SeqCst);
        AT_ONCE.store(false, SeqCst);
        CATCH.call_once(|| {
            let ignored = harden::ignored();
            let mut caught = Vec::new();
            for (signal, number) in [(SIGHUP, 1), (SIGINT, 2), (SIGTERM, 15)] {
                if ignored & (1 << (signal - 1)) == 0 {
                    // Once caught, a signal never gets its own meaning back, so it is caught for good.
                    let _ = flag::register_usize(signal, Arc::clone(&CAME), number);
                    let _ = flag::register_conditional_default(signal, Arc::clone(&AT_ONCE));
                    caught.push(signal);
                }
            }
            tell_when_held(&caught);
        });
        Self(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HOLDS.store(false, SeqCst);
        AT_ONCE.store(!LEFT.load(SeqCst), SeqCst);
        if let Ok(signal @ 1..) = i32::try_from(CAME.swap(0, SeqCst)) {
            let _ = low_level::emulate_default_handler(signal);
        }
    }
}

/// Says at once what became of a signal that is held: whoever sent it would wait for up to half a minute
/// without a word, or send one that nobody can hold.
fn tell_when_held(caught: &[i32]) {
    let Ok(mut signals) = Signals::new(caught) else { return };
    thread::spawn(move || {
        for _ in signals.forever().filter(|_| is_on()) {
            let _ = writeln!(io::stderr(), "warning: {HELD}");
        }
    });
}

const HELD: &str = "a provider's answer is on its way, and to end now may lose it; this ends as soon as \
                    it is kept, and SIGQUIT (Ctrl-\\) ends it at once";

/// Whether signals are held.
pub(crate) fn is_on() -> bool {
    HOLDS.load(SeqCst)
}

/// Whether a signal is held, so that nothing new is to be begun.
pub(crate) fn is_to_end() -> bool {
    is_on() && CAME.load(SeqCst) != 0
}

/// Leaves signals that are not held to somebody else from now on.
pub(crate) fn leave() {
    LEFT.store(true, SeqCst);
    AT_ONCE.store(false, SeqCst);
}
