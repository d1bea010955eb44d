//! What is being done, on standard error; the results go to standard output.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::time::Duration;

/// How often a line moves.
pub(crate) const MOVE_EVERY: Duration = Duration::from_millis(200);

/// A line that moves on a terminal. Elsewhere only its end is written.
pub(crate) struct Line {
    bar: ProgressBar,
}

// === impl Line ===

impl Line {
    /// A line for something that takes `all` steps.
    pub(crate) fn new(all: u64) -> Self {
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(Some(all), target);
        if let Ok(style) = ProgressStyle::with_template("  {bar:24.cyan/dim} {msg}") {
            bar.set_style(style);
        }
        Self { bar }
    }

    pub(crate) fn moves(&self, done: u64, words: String) {
        self.bar.set_position(done);
        self.bar.set_message(words);
    }

    /// Leaves this line in its place.
    pub(crate) fn ends(self, words: &str) {
        self.bar.finish_and_clear();
        line(words);
    }
}

/// A line that stays.
pub(crate) fn line(words: &str) {
    // Nobody to tell is no reason to stop measuring.
    drop(writeln!(std::io::stderr(), "  {words}"));
}
