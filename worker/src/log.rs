//! The log: text or JSON on stderr, at a level that can be changed while the program runs.

mod alarms;

use alarms::AlarmCounter;
use prometheus::{IntCounterVec, Opts};
use serde::Deserialize;
use std::io::{IsTerminal, stderr};
use tracing::info;
use tracing::metadata::LevelFilter;
use tracing_subscriber::filter::{Directive, EnvFilter, ParseError};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt, reload};

/// What is logged unless something else is said: the migrations are reported by ourselves.
pub(crate) const DEFAULT: &str = "info,refinery_core=warn";

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The log that was started.
#[derive(Debug)]
pub(crate) struct Log {
    /// What is written.
    pub(crate) level: LogLevel,
    /// How many alarms were raised, by their kind.
    pub(crate) alarms: IntCounterVec,
}

/// The level of the log.
#[derive(Clone, Debug)]
pub(crate) struct LogLevel(reload::Handle<EnvFilter, Registry>);

/// What is wrong with a text that should name levels.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{part:?}: {reason}; expected levels (off, error, warn, info, debug, trace), each alone or for a target, for example \"info,seckill_worker=debug\""
)]
pub(crate) struct BadLevel {
    part: String,
    reason: String,
}

// === impl Log ===

impl Log {
    /// Starts the log. `RUST_LOG` wins over `level`.
    ///
    /// # Errors
    /// The counter of the alarms cannot be made.
    pub(crate) fn start(format: Format, level: EnvFilter) -> prometheus::Result<Self> {
        let level = EnvFilter::try_from_default_env().unwrap_or(level);
        let (level, handle) = reload::Layer::new(level);
        let layer = fmt::layer()
            .with_writer(stderr)
            .with_ansi(stderr().is_terminal())
            .with_target(false);
        let layer = match format {
            Format::Text => layer.boxed(),
            Format::Json => layer.json().flatten_event(true).boxed(),
        };
        let opts = Opts::new("alarms_total", "Alarms raised in the log, by their kind.");
        let alarms = IntCounterVec::new(opts.namespace(crate::figures::NAMESPACE), &["kind"])?;
        let counter = AlarmCounter::new(alarms.clone());
        tracing_subscriber::registry()
            .with(layer.with_filter(level))
            .with(counter.with_filter(LevelFilter::ERROR))
            .init();
        Ok(Self {
            level: LogLevel(handle),
            alarms,
        })
    }
}

// === impl LogLevel ===

impl LogLevel {
    /// What is written at present.
    pub(crate) fn current(&self) -> String {
        self.0.with_current(ToString::to_string).unwrap_or_default()
    }

    /// Writes this from now on.
    ///
    /// # Errors
    /// [`BadLevel`] names the part that is none.
    pub(crate) fn set(&self, text: &str) -> Result<(), BadLevel> {
        let filter = parsed(text)?;
        let before = self.current();
        self.0.reload(filter).map_err(|error| BadLevel {
            part: text.to_owned(),
            reason: error.to_string(),
        })?;
        let now = self.current();
        info!(before, now, "the log's level was changed");
        Ok(())
    }
}

/// Reads levels. A name alone would be a target of which everything is written, and all others
/// nothing: nobody who mistypes a level means that.
///
/// # Errors
/// [`BadLevel`] names the part that is none.
pub(crate) fn parsed(text: &str) -> Result<EnvFilter, BadLevel> {
    let bad = |part: &str, reason: String| BadLevel {
        part: part.to_owned(),
        reason,
    };
    let mut filter = EnvFilter::new("off");
    for part in text.trim().split(',').map(str::trim) {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        level
            .parse::<LevelFilter>()
            .map_err(|_| bad(part, format!("{level:?} is no level")))?;
        let directive: Directive = part
            .parse()
            .map_err(|error: ParseError| bad(part, error.to_string()))?;
        filter = filter.add_directive(directive);
    }
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_what_is_none_is_named() {
        for good in [DEFAULT, "off", " info, seckill_worker=debug\n", "INFO"] {
            assert!(parsed(good).is_ok(), "{good}");
        }
        for (bad, part) in [
            ("", "\"\""),
            ("debugg", "\"debugg\""),
            ("info,seckill_worker", "\"seckill_worker\""),
            ("info,seckill_worker=loud", "\"seckill_worker=loud\""),
            ("info,", "\"\""),
        ] {
            let said = parsed(bad).unwrap_err().to_string();
            assert!(said.starts_with(part), "{bad}: {said}");
        }
    }
}
