//! Lines on the terminal, around the one that moves.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where there is no terminal, the moving line becomes a plain one this often.
const PLAIN_EVERY: Duration = Duration::from_secs(1);

/// Speaks to whoever watches; any thread may.
#[derive(Clone, Default)]
pub(crate) struct Say(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bar: Option<ProgressBar>,
    last_plain: Option<Instant>,
}

// === impl Say ===

impl Say {
    /// A line that stays.
    pub(crate) fn line(&self, line: impl AsRef<str>) {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.bar {
            Some(bar) => bar.suspend(|| write(line.as_ref())),
            None => write(line.as_ref()),
        }
    }

    /// A line that stays: a part, where it is, how long it took.
    pub(crate) fn ready(&self, part: &str, what: &str, began: Instant) {
        let took = seckill_load::text::span(began.elapsed());
        self.line(format!("  {part:<9} {what:<52} {took:>7}"));
    }

    /// The line that moves: how far of how much, and in words.
    pub(crate) fn moving(&self, done: u64, all: u64, words: String) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if std::io::stdout().is_terminal() {
            let bar = state.bar.get_or_insert_with(new_bar);
            bar.set_length(all);
            bar.set_position(done);
            bar.set_message(words);
        } else if state.last_plain.get_or_insert_with(Instant::now).elapsed() >= PLAIN_EVERY {
            state.last_plain = Some(Instant::now());
            write(&format!("  {words}"));
        }
    }

    /// Takes the moving line away.
    pub(crate) fn still(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = state.bar.take() {
            bar.finish_and_clear();
        }
    }
}

fn new_bar() -> ProgressBar {
    let target = indicatif::ProgressDrawTarget::stdout();
    let bar = ProgressBar::with_draw_target(None, target);
    match ProgressStyle::with_template("  {bar:24.cyan/dim} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn write(line: &str) {
    // A reader that went away is no reason to leave a sale half-way.
    drop(writeln!(std::io::stdout(), "{line}"));
}
