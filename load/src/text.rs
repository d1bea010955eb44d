//! Numbers as people read them.

use std::time::Duration;

/// A count with its thousands apart: `1,234,567`.
#[must_use]
pub fn count(value: u64) -> String {
    group(&value.to_string())
}

fn group(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A span in the unit that suits it: `850 µs`, `1.25 ms`, `3.4 s`.
#[must_use]
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs_f64();
    if span < Duration::from_millis(1) {
        format!("{} µs", span.as_micros())
    } else if span < Duration::from_millis(10) {
        format!("{:.2} ms", seconds * 1e3)
    } else if span < Duration::from_secs(1) {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

/// A rate, whole: what is behind the point says nothing.
#[must_use]
pub fn rate(per_second: f64) -> String {
    group(&format!("{per_second:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
    }

    #[test]
    fn a_rate_is_whole() {
        assert_eq!(rate(0.4), "0");
        assert_eq!(rate(12_345.6), "12,346");
    }

    #[test]
    fn a_span_has_the_unit_that_suits_it() {
        assert_eq!(span(Duration::from_micros(850)), "850 µs");
        assert_eq!(span(Duration::from_micros(1_250)), "1.25 ms");
        assert_eq!(span(Duration::from_millis(37)), "37 ms");
        assert_eq!(span(Duration::from_millis(3_420)), "3.4 s");
    }
}
