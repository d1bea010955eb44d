//! What happened, for a person to read. Written only when somebody wants to.

/// The story of a run.
#[derive(Debug, Default)]
pub(crate) struct Story {
    lines: Option<Vec<String>>,
}

impl Story {
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self {
            lines: is_wanted.then(Vec::new),
        }
    }

    pub(crate) const fn is_wanted(&self) -> bool {
        self.lines.is_some()
    }

    pub(crate) fn add(&mut self, step: u64, now_ms: u64, line: &str) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{step:>7} {:>9.3} s  {line}", seconds(now_ms)));
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

/// Since the beginning of the run.
#[expect(
    clippy::cast_precision_loss,
    reason = "a run takes no longer than a year"
)]
fn seconds(now_ms: u64) -> f64 {
    now_ms.saturating_sub(crate::world::BEGINNING_MS) as f64 / 1000.0
}

/// Adds a line to a world's story; what it says is made only if the story is wanted.
macro_rules! say {
    ($world:expr, $($line:tt)*) => {
        if $world.story.is_wanted() {
            let line = format!($($line)*);
            $world.story.add($world.step, $world.now, &line);
        }
    };
}
pub(crate) use say;
