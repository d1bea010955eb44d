//! Playing a seed, and finding a shorter play that fails as well.

use crate::settings::Hazard;
use crate::story::Story;
use crate::world::World;
use std::fmt;

/// A seed, and how much of it is played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// From where all dice come.
    pub seed: u64,
    /// Steps in which things go wrong. As many more follow as it takes to come to rest.
    pub steps: u64,
    /// It stops after this step, whatever is still to come.
    pub until: Option<u64>,
    /// What does not go wrong, whatever the seed says.
    pub without: Vec<Hazard>,
}

/// What became of a play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// Steps that were played.
    pub steps: u64,
    /// What is wrong, if anything is.
    pub violation: Option<String>,
    /// What happened, if that was asked for.
    pub story: Vec<String>,
}

// === impl Play ===

impl Play {
    /// Plays it; what happens is written down if `tells`.
    #[must_use]
    pub fn run(&self, tells: bool) -> Played {
        match World::new(self.seed, &self.without, Story::new(tells)) {
            Ok(mut world) => {
                let done = self.all(&mut world);
                Played {
                    steps: world.step,
                    violation: done.err(),
                    story: world.story.into_lines(),
                }
            }
            Err(violation) => Played {
                steps: 0,
                violation: Some(violation),
                story: Vec::new(),
            },
        }
    }

    fn all(&self, world: &mut World) -> Result<(), String> {
        let until = self.until.unwrap_or(u64::MAX);
        world.stops_after(until);
        for _ in 0..self.steps.min(until) {
            world.step()?;
        }
        if until > self.steps {
            world.heal()
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Play {
    /// The arguments that play it again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--seed {} --steps {}", self.seed, self.steps)?;
        if let Some(until) = self.until {
            write!(f, " --until {until}")?;
        }
        for (n, hazard) in self.without.iter().enumerate() {
            let before = if n == 0 { " --without " } else { "," };
            write!(f, "{before}{hazard}")?;
        }
        Ok(())
    }
}

/// A play that fails, too, with less going wrong and in fewer steps. It need not fail in the same
/// way: without one mishap the dice fall differently.
#[must_use]
pub fn shrink(failing: &Play) -> Play {
    let fails = |play: &Play| play.run(false).violation.is_some();
    let mut least = failing.clone();
    for hazard in Hazard::ALL {
        let mut fewer = least.clone();
        fewer.without.push(hazard);
        if fails(&fewer) {
            least = fewer;
        }
    }
    let mut steps = 25;
    while steps < least.steps {
        let shorter = Play {
            steps,
            ..least.clone()
        };
        if fails(&shorter) {
            return shorter;
        }
        steps += steps / 4;
    }
    least
}
