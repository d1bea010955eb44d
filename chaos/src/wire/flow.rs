//! What happens to the bytes of one direction.

use super::Trouble;
use std::time::Duration;

/// What happens to what is said in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flow {
    /// It arrives.
    #[default]
    Passes,
    /// It waits.
    Held,
    /// It is lost.
    Swallowed,
}

/// How it stands with a wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Whether new connections are reset.
    pub(super) refuses: bool,
    /// How late everything arrives.
    pub(super) delay: Duration,
    /// From who connects to who is connected to.
    pub(super) questions: Flow,
    /// The other way.
    pub(super) answers: Flow,
    /// How often all connections were reset; one that began earlier is over.
    pub(super) cuts: u64,
}

// === impl State ===

impl State {
    pub(super) fn suffer(&mut self, trouble: Trouble) {
        if trouble == Trouble::Cut {
            self.cuts += 1;
            return;
        }
        self.heal();
        match trouble {
            Trouble::Cut => {}
            Trouble::Refuse => {
                self.refuses = true;
                self.cuts += 1;
            }
            Trouble::Delay(delay) => self.delay = delay,
            Trouble::Hold => {
                self.questions = Flow::Held;
                self.answers = Flow::Held;
            }
            Trouble::SwallowQuestions => self.questions = Flow::Swallowed,
            Trouble::SwallowAnswers => self.answers = Flow::Swallowed,
        }
    }

    pub(super) fn heal(&mut self) {
        *self = Self {
            cuts: self.cuts,
            ..Self::default()
        };
    }
}
