//! The time of day, as answers say it.
//!
//! It is made once a second on each thread, and whoever needs it says what he takes for now: to look
//! at the clock once more would cost more than all the rest.

use pingora_core::protocols::http::date::get_cached_date;
use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// As it was made, and until when it holds.
struct Made {
    text: Vec<u8>,
    until: Instant,
}

thread_local! {
    static LAST: RefCell<Option<Made>> = const { RefCell::new(None) };
}

/// Writes the time of day at `now`, which may be a moment ago.
pub(crate) fn write(now: Instant, out: &mut Vec<u8>) {
    LAST.with_borrow_mut(|last| {
        let made = match last.take() {
            Some(made) if now < made.until => made,
            _ => make(now),
        };
        out.extend_from_slice(&made.text);
        *last = Some(made);
    });
}

fn make(now: Instant) -> Made {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let passed = Duration::from_nanos(since_epoch.map_or(0, |since| since.subsec_nanos()).into());
    Made {
        text: get_cached_date().as_bytes().to_vec(),
        until: now + Duration::from_secs(1).saturating_sub(passed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(now: Instant) -> String {
        let mut out = Vec::new();
        write(now, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_holds_for_a_second_and_no_longer() {
        let is_now = |text: &str| text.as_bytes() == get_cached_date().as_bytes();
        let mut seconds = std::collections::BTreeSet::new();
        for _ in 0..14 {
            let text = written(Instant::now());
            // Between the two, the second may have changed.
            assert!(is_now(&text) || is_now(&written(Instant::now())), "{text}");
            seconds.insert(text);
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!((2..=3).contains(&seconds.len()), "{seconds:?}");
    }
}
