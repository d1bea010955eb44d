//! Counts the alarms in the log: errors that begin with `ALARM`, by their field `kind`. So what is
//! counted is what is written, at whatever level.

use prometheus::IntCounterVec;
use std::fmt;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// How each alarm begins.
const ALARM: &str = "ALARM";

/// An alarm without a kind.
const OTHER: &str = "other";

/// Counts.
pub(super) struct AlarmCounter(IntCounterVec);

/// What is looked at of a line.
#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    is_alarm: bool,
    kind: Option<String>,
}

// === impl AlarmCounter ===

impl AlarmCounter {
    /// Counts in this family, which has the label `kind`.
    pub(super) const fn new(family: IntCounterVec) -> Self {
        Self(family)
    }
}

impl<S: Subscriber> Layer<S> for AlarmCounter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        if line.is_alarm {
            let kind = line.kind.as_deref().unwrap_or(OTHER);
            self.0.with_label_values(&[kind]).inc();
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "kind" => self.kind = Some(value.to_owned()),
            "message" => self.is_alarm = value.starts_with(ALARM),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.is_alarm = format!("{value:?}").starts_with(ALARM);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::Opts;
    use tracing::error;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn an_alarm_is_counted_by_its_kind_and_other_errors_are_not() {
        let family = IntCounterVec::new(Opts::new("alarms", "."), &["kind"]).unwrap();
        let counter = AlarmCounter::new(family.clone());
        let log = tracing_subscriber::registry().with(counter);
        tracing::subscriber::with_default(log, || {
            let sid = 7;
            error!(kind = "hole", sale = sid, "ALARM: sale {sid} stands still");
            error!("ALARM: something");
            error!(kind = "hole", "the consumer is broken");
        });
        let count = |kind: &str| family.with_label_values(&[kind]).get();
        assert_eq!((count("hole"), count(OTHER)), (1, 1));
    }
}
