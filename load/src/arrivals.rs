//! When buyers come: when they please, and not when others have been answered.
//!
//! A crowd in which each buyer waits for his answer slows down together with a slow shop, and so
//! measures a shop that nobody asked. Here a buyer's time is fixed before, and what he waits counts from
//! then on, whatever kept him.

use std::str::FromStr;
use std::time::Duration;

/// The longest profile, in seconds.
const SECONDS_MAX: u32 = 86_400;

/// The fastest arrival, buyers a second.
const RATE_MAX: u32 = 1_000_000;

/// Stretches of time, each with a rate that goes evenly from one value to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrivals(Vec<Stretch>);

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stretch {
    /// Buyers a second at its beginning and at its end.
    from: f64,
    to: f64,
    seconds: f64,
}

// === impl Arrivals ===

impl Arrivals {
    /// When each buyer comes, from the beginning.
    pub fn times(&self) -> impl Iterator<Item = Duration> {
        let mut stretches = self.0.iter();
        let mut stretch = stretches.next();
        // Since when the stretch lasts, and how many have come in it.
        let (mut began, mut came) = (0.0, 0.0);
        std::iter::from_fn(move || {
            loop {
                let now = stretch?;
                if came < now.all() {
                    let time = Duration::from_secs_f64(began + now.time_of(came));
                    came += 1.0;
                    return Some(time);
                }
                came -= now.all();
                began += now.seconds;
                stretch = stretches.next();
            }
        })
    }

    /// How many buyers come.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.times().count()).unwrap_or(u32::MAX)
    }
}

/// `500/30s`: 500 buyers a second, for 30 seconds; `0-500/10s`: more and more of them; several such, one
/// after the other, with commas between.
impl FromStr for Arrivals {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let stretches: Result<Vec<Stretch>, String> = text.split(',').map(stretch).collect();
        let arrivals = Self(stretches?);
        if arrivals.times().next().is_none() {
            return Err("nobody comes".to_owned());
        }
        Ok(arrivals)
    }
}

fn stretch(text: &str) -> Result<Stretch, String> {
    let text = text.trim();
    let refused = || {
        format!(
            "{text:?}: expected buyers a second and for how long, such as 500/30s, or 0-500/10s for a \
             rate that grows; at most {RATE_MAX} a second, for at most {SECONDS_MAX}s"
        )
    };
    let (rates, seconds) = text.split_once('/').ok_or_else(refused)?;
    let (from, to) = rates.split_once('-').unwrap_or((rates, rates));
    let number = |text: &str, most: u32| {
        let number = text.trim().parse::<u32>().ok();
        number.filter(|number| *number <= most).ok_or_else(refused)
    };
    let seconds = seconds.trim().strip_suffix('s').ok_or_else(refused)?;
    let seconds = number(seconds, SECONDS_MAX)?;
    Ok(Stretch {
        from: number(from, RATE_MAX)?.into(),
        to: number(to, RATE_MAX)?.into(),
        seconds: seconds.into(),
    })
}

// === impl Stretch ===

impl Stretch {
    /// How many come in it.
    fn all(self) -> f64 {
        (self.from + self.to) / 2.0 * self.seconds
    }

    /// When somebody comes before whom so many have come, in seconds.
    fn time_of(self, came: f64) -> f64 {
        if came <= 0.0 {
            return 0.0;
        }
        // came = from · t + growth · t², solved in the way that also holds without growth.
        let growth = (self.to - self.from) / (2.0 * self.seconds);
        let root = (self.from * self.from + 4.0 * growth * came)
            .max(0.0)
            .sqrt();
        (2.0 * came / (self.from + root)).min(self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(text: &str) -> Vec<u128> {
        let arrivals: Arrivals = text.parse().unwrap();
        arrivals.times().map(|time| time.as_millis()).collect()
    }

    #[test]
    fn an_even_rate_has_even_pauses() {
        assert_eq!(times("4/2s"), [0, 250, 500, 750, 1000, 1250, 1500, 1750]);
    }

    #[test]
    fn a_rate_that_grows_has_ever_shorter_pauses() {
        let all = times("0-10/4s");
        assert_eq!(all.len(), 20);
        // A quarter of all comes in the first half.
        assert_eq!(all.iter().filter(|time| **time < 2000).count(), 5);
        assert!(all.is_sorted() && *all.last().unwrap() < 4000, "{all:?}");
        let falling = times("10-0/4s");
        assert_eq!(falling.iter().filter(|time| **time < 2000).count(), 15);
    }

    #[test]
    fn stretches_follow_each_other_and_a_spike_is_one_of_them() {
        let all = times("1/3s, 100/1s,1/2s");
        assert_eq!(all.len(), 105);
        let spike = all.iter().filter(|time| (3000..4000).contains(*time));
        assert_eq!(spike.count(), 100);
        assert_eq!(all[104], 5000);
    }

    #[test]
    fn what_is_no_profile_says_what_was_expected() {
        for text in [
            "",
            "5",
            "5/s",
            "5/3",
            "x/3s",
            "1-2-3/4s",
            "2000000/1s",
            "5/90000s",
        ] {
            let refusal = text.parse::<Arrivals>().unwrap_err();
            assert!(refusal.contains("500/30s"), "{text}: {refusal}");
        }
        assert_eq!("0/9s".parse::<Arrivals>().unwrap_err(), "nobody comes");
    }
}
