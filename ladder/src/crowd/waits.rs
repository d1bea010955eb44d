//! How long buyers waited.

use anyhow::Result;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An hour, in microseconds: a longer wait is counted as this.
const CEILING_US: u64 = 3_600_000_000;

/// Each wait, in microseconds.
#[derive(Default)]
pub(crate) struct Waits(Vec<u64>);

/// What they come to, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Percentiles {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
}

// === impl Waits ===

impl Waits {
    pub(crate) fn add(&mut self, wait: Duration) {
        self.0
            .push(u64::try_from(wait.as_micros()).unwrap_or(CEILING_US));
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn percentiles(&self) -> Result<Percentiles> {
        let mut histogram = Histogram::<u64>::new_with_max(CEILING_US, 3)?;
        for wait in &self.0 {
            histogram.saturating_record(*wait);
        }
        let ms = |quantile| {
            let wait = Duration::from_micros(histogram.value_at_quantile(quantile));
            wait.as_secs_f64() * 1e3
        };
        Ok(Percentiles {
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_in_milliseconds() {
        let mut waits = Waits::default();
        (1..=1000).for_each(|ms| waits.add(Duration::from_millis(ms)));
        let told = waits.percentiles().unwrap();
        // Three significant digits are kept.
        assert!((told.p50_ms - 500.0).abs() < 1.0, "{told:?}");
        assert!((told.p99_ms - 990.0).abs() < 1.0, "{told:?}");
        assert_eq!(waits.len(), 1000);
    }
}
