//! Progress bars: on work that takes over a second, and only on a terminal.

use std::cell::OnceCell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Shows how far some work has come, once it has taken a second.
pub(crate) struct Progress {
    what: &'static str,
    began: Instant,
    shown: bool,
    /// How many are done between two looks at the clock.
    stride: u64,
    bar: OnceCell<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(what: &'static str, quiet: bool) -> Self {
        // Looking at the clock each time would be more work than most of what is counted.
        Self::with_stride(256, what, quiet)
    }

    /// The same for work of which each piece may take seconds.
    pub(crate) fn of_slow(what: &'static str, quiet: bool) -> Self {
        Self::with_stride(1, what, quiet)
    }

    fn with_stride(stride: u64, what: &'static str, quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        Self { what, began: Instant::now(), shown, stride, bar: OnceCell::new() }
    }

    /// Tells that `done` of `total` are done; a `total` of 0 means that it is not known.
    pub(crate) fn at(&self, done: u64, total: u64) {
        if !self.shown || !done.is_multiple_of(self.stride) {
            return;
        }
        if self.bar.get().is_none() && self.began.elapsed() < Duration::from_secs(1) {
            return;
        }
        let bar = self.bar.get_or_init(|| self.start(total));
        bar.set_position(done);
    }

    fn start(&self, total: u64) -> ProgressBar {
        let (bar, template) = if total == 0 {
            (ProgressBar::new_spinner(), "{msg}: {human_pos} {elapsed}")
        } else {
            (ProgressBar::new(total), "{msg}: {bar:30} {human_pos}/{human_len} {eta}")
        };
        let style = ProgressStyle::with_template(template).expect("the template is constant");
        bar.with_style(style).with_message(self.what)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}
