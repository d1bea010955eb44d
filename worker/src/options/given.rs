//! What the command line says of a sale's options.

use super::Options;
use clap::Args;
use redis::Cmd;

/// Options that were given. What was not is the table's, and without it the module's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct Given {
    /// Units a buyer may have; 0: no limit.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// How long units are held for a buyer who has not paid, in milliseconds; 0: sold at once.
    #[arg(long, value_name = "MS")]
    pub(crate) hold: Option<u64>,

    /// When the sale starts, Unix time in milliseconds; 0: at once.
    #[arg(long, value_name = "MS")]
    pub(crate) start: Option<u64>,

    /// When it ends, Unix time in milliseconds; 0: never.
    #[arg(long, value_name = "MS")]
    pub(crate) end: Option<u64>,

    /// Accepted tries a second over the sale; 0: no limit.
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<u64>,

    /// As many of them at once. Without it, as many as the rate.
    #[arg(long, value_name = "N", requires = "rate")]
    pub(crate) burst: Option<u64>,

    /// Tries a second of one buyer; 0: no limit.
    #[arg(long, value_name = "N")]
    pub(crate) user_rate: Option<u64>,

    /// As many of them at once. Without it, as many as the buyer's rate.
    #[arg(long, value_name = "N", requires = "user_rate")]
    pub(crate) user_burst: Option<u64>,
}

// === impl Given ===

impl Given {
    /// What was given, and where nothing was, what the table has.
    pub(crate) fn over(self, table: Option<&Options>) -> Self {
        let Some(table) = table else { return self };
        let rates = |(given, burst): (Option<u64>, Option<u64>), kept: (u64, u64)| match given {
            Some(_) => (given, burst),
            None => (Some(kept.0), (kept.1 > 0).then_some(kept.1)),
        };
        let (rate, burst) = rates((self.rate, self.burst), (table.rate, table.burst));
        let (user_rate, user_burst) = rates(
            (self.user_rate, self.user_burst),
            (table.user_rate, table.user_burst),
        );
        Self {
            limit: self.limit.or(Some(table.limit)),
            hold: self.hold.or(Some(table.hold)),
            start: self.start.or(Some(table.start)),
            end: self.end.or(Some(table.end)),
            rate,
            burst,
            user_rate,
            user_burst,
        }
    }

    /// All options: a burst of 0 is as large as its rate.
    pub(crate) fn or_default(self) -> Options {
        let default = Options::DEFAULT;
        Options {
            limit: self.limit.unwrap_or(default.limit),
            start: self.start.unwrap_or(default.start),
            end: self.end.unwrap_or(default.end),
            hold: self.hold.unwrap_or(default.hold),
            rate: self.rate.unwrap_or(default.rate),
            burst: self.burst.unwrap_or(default.burst),
            user_rate: self.user_rate.unwrap_or(default.user_rate),
            user_burst: self.user_burst.unwrap_or(default.user_burst),
        }
    }

    /// As arguments of `SECKILL.CREATE`.
    pub(crate) fn put_into(self, command: &mut Cmd) {
        for (word, value) in [
            ("LIMIT", self.limit),
            ("HOLD", self.hold),
            ("START", self.start),
            ("END", self.end),
            // Each burst stands behind its own rate.
            ("RATE", self.rate),
            ("BURST", self.burst.filter(|_| self.rate != Some(0))),
            ("USERRATE", self.user_rate),
            (
                "BURST",
                self.user_burst.filter(|_| self.user_rate != Some(0)),
            ),
        ] {
            if let Some(value) = value {
                command.arg(word).arg(value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Options = Options {
        limit: 2,
        start: 5,
        end: 0,
        hold: 60_000,
        rate: 100,
        burst: 300,
        user_rate: 0,
        user_burst: 0,
    };

    fn words(given: Given) -> String {
        let mut command = Cmd::new();
        given.put_into(&mut command);
        let words: Vec<String> = command
            .args_iter()
            .map(|word| match word {
                redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => String::new(),
            })
            .collect();
        words.join(" ")
    }

    #[test]
    fn the_command_line_wins_over_the_table_and_the_table_over_the_default() {
        assert_eq!(words(Given::default().over(None)), "");
        assert_eq!(
            words(Given::default().over(Some(&TABLE))),
            "LIMIT 2 HOLD 60000 START 5 END 0 RATE 100 BURST 300 USERRATE 0"
        );
        let given = Given {
            limit: Some(0),
            user_rate: Some(4),
            user_burst: Some(8),
            ..Given::default()
        };
        assert_eq!(
            words(given.over(Some(&TABLE))),
            "LIMIT 0 HOLD 60000 START 5 END 0 RATE 100 BURST 300 USERRATE 4 BURST 8"
        );
    }

    #[test]
    fn another_rate_does_not_take_the_burst_of_the_old_one() {
        let given = Given {
            rate: Some(10),
            ..Given::default()
        };
        let words = words(given.over(Some(&TABLE)));
        assert!(words.contains("RATE 10 USERRATE 0"), "{words}");
    }
}
