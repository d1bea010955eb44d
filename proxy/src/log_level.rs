//! What is written into the log, at the start and later: `RUST_LOG`, or what is set while the program
//! runs.

use std::io::IsTerminal;
use tracing::info;
use tracing::metadata::LevelFilter;
use tracing::subscriber::Subscriber;
use tracing_subscriber::filter::{Directive, EnvFilter};
use tracing_subscriber::reload;

/// Pingora writes a line for each connection that breaks, which is for clients to decide; what
/// matters is written here.
const DEFAULT: &str = "info,pingora_core=error,pingora_core::apps=off,pingora_proxy=off";

/// The level of the log.
pub(crate) struct LogLevel(Box<dyn Reload>);

/// The layers of the log are part of the type of its handle, and of no interest here.
trait Reload: Send + Sync {
    fn current(&self) -> Option<String>;
    fn replace(&self, filter: EnvFilter) -> Result<(), reload::Error>;
}

/// What is wrong with a text that should name levels.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{part:?}: {reason}; expected levels (off, error, warn, info, debug, trace), each alone or for a target, for example \"info,seckill_proxy=debug\""
)]
pub(crate) struct BadLevel {
    part: String,
    reason: String,
}

// === impl LogLevel ===

impl LogLevel {
    /// Starts the log, on stderr.
    pub(crate) fn start() -> Self {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(DEFAULT));
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_ansi(std::io::stderr().is_terminal())
            .with_filter_reloading();
        let handle = builder.reload_handle();
        builder.init();
        Self(Box::new(handle))
    }

    /// What is written at present.
    pub(crate) fn current(&self) -> String {
        self.0.current().unwrap_or_default()
    }

    /// Writes this from now on.
    ///
    /// # Errors
    /// [`BadLevel`] names the part that is none.
    pub(crate) fn set(&self, text: &str) -> Result<(), BadLevel> {
        let filter = parsed(text)?;
        let before = self.current();
        self.0.replace(filter).map_err(|error| BadLevel {
            part: text.to_owned(),
            reason: error.to_string(),
        })?;
        // What pingora says comes by way of the crate `log`, which has a limit of its own.
        log::set_max_level(limit(LevelFilter::current()));
        let now = self.current();
        info!(before, now, "the log's level was changed");
        Ok(())
    }
}

impl<S: Subscriber> Reload for reload::Handle<EnvFilter, S> {
    fn current(&self) -> Option<String> {
        self.with_current(ToString::to_string).ok()
    }

    fn replace(&self, filter: EnvFilter) -> Result<(), reload::Error> {
        self.reload(filter)
    }
}

/// A name alone would be a target of which everything is written, and all others nothing: nobody who
/// mistypes a level means that.
fn parsed(text: &str) -> Result<EnvFilter, BadLevel> {
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
        let directive: Directive =
            part.parse()
                .map_err(|error: tracing_subscriber::filter::ParseError| {
                    bad(part, error.to_string())
                })?;
        filter = filter.add_directive(directive);
    }
    Ok(filter)
}

const fn limit(level: LevelFilter) -> log::LevelFilter {
    match level {
        LevelFilter::OFF => log::LevelFilter::Off,
        LevelFilter::ERROR => log::LevelFilter::Error,
        LevelFilter::WARN => log::LevelFilter::Warn,
        LevelFilter::INFO => log::LevelFilter::Info,
        LevelFilter::DEBUG => log::LevelFilter::Debug,
        LevelFilter::TRACE => log::LevelFilter::Trace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_and_what_is_none_is_named() {
        for good in [
            "info",
            "off",
            " info, seckill_proxy=debug\n",
            "warn,pingora_core=error,seckill_proxy::link=trace",
            "INFO",
        ] {
            assert!(parsed(good).is_ok(), "{good}");
        }
        for (bad, part) in [
            ("", "\"\""),
            ("debugg", "\"debugg\""),
            ("info,seckill_proxy", "\"seckill_proxy\""),
            ("info,seckill_proxy=loud", "\"seckill_proxy=loud\""),
            ("info,", "\"\""),
            ("info,seckill_proxy[a=debug", "\"seckill_proxy[a=debug\""),
        ] {
            let said = parsed(bad).unwrap_err().to_string();
            assert!(said.starts_with(part), "{bad}: {said}");
        }
        assert_eq!(parsed("info").unwrap().to_string(), "info");
    }
}
