//! How a sale stands, for everybody who looks: Redis is asked at most once a second, however many
//! look.

use crate::gate::text;
use redis::{Value, from_redis_value};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long one answer of Redis serves everybody.
const FRESH: Duration = Duration::from_secs(1);

/// A sale as `SECKILL.INFO` had it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// What it sells; `None` if nobody has said.
    pub(crate) name: Option<String>,
    /// When it starts, if that was still to come.
    starts: Option<Instant>,
    /// When it ends, if that is known.
    ends: Option<Instant>,
    pub(crate) units: Units,
}

/// What buyers can do at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Waiting,
    Open,
    SoldOut,
    Paused,
    Ended,
}

/// The units of a sale. Their sum is what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Units {
    pub(crate) available: u64,
    pub(crate) held: u64,
    pub(crate) sold: u64,
}

/// What was last seen of one sale. Whoever looks while somebody asks Redis waits for the answer.
#[derive(Debug, Default)]
pub(crate) struct Window(pub(crate) Mutex<Option<Glance>>);

/// One look: how the sale stood, or that there is none.
#[derive(Clone, Debug)]
pub(crate) struct Glance {
    at: Instant,
    pub(crate) seen: Option<Arc<State>>,
}

// === impl Glance ===

impl Glance {
    /// What was seen right now.
    pub(crate) fn now(seen: Option<State>) -> Self {
        Self {
            at: Instant::now(),
            seen: seen.map(Arc::new),
        }
    }

    /// Whether it is recent enough to be shown. When the start has come, another look is due.
    pub(crate) fn is_fresh(&self) -> bool {
        let seen = self.seen.as_deref();
        let has_begun = seen.is_some_and(|state| state.starts_in_ms() == Some(0));
        self.at.elapsed() < FRESH && !has_begun
    }
}

// === impl State ===

impl State {
    /// Reads the reply of `SECKILL.INFO`.
    pub(crate) fn read(answer: &Value) -> Option<Self> {
        let fields: HashMap<String, Value> = from_redis_value(answer.clone()).ok()?;
        let number =
            |name: &str| -> Option<u64> { from_redis_value(fields.get(name)?.clone()).ok() };
        let (now_ms, now) = (number("now")?, Instant::now());
        // An instant of Redis by the clock of here, which goes on when nobody asks Redis.
        let here = |instant_ms: u64| {
            let wait_ms = instant_ms.checked_sub(now_ms)?;
            now.checked_add(Duration::from_millis(wait_ms))
        };
        let name = text(fields.get("name")?)?;
        Some(Self {
            phase: Phase::read(text(fields.get("state")?)?)?,
            name: (!name.is_empty()).then(|| name.to_owned()),
            starts: here(number("start")?).filter(|start| *start > now),
            ends: here(number("end")?),
            units: Units {
                available: number("available")?,
                held: number("held")?,
                sold: number("sold")?,
            },
        })
    }

    /// How long until it starts, if that was still to come.
    pub(crate) fn starts_in_ms(&self) -> Option<u64> {
        self.starts.and_then(left_ms)
    }

    /// How long until it ends, if that is known.
    pub(crate) fn ends_in_ms(&self) -> Option<u64> {
        self.ends.and_then(left_ms)
    }
}

fn left_ms(then: Instant) -> Option<u64> {
    let left = then.saturating_duration_since(Instant::now());
    u64::try_from(left.as_millis()).ok()
}

// === impl Phase ===

impl Phase {
    fn read(word: &str) -> Option<Self> {
        Some(match word {
            "waiting" => Self::Waiting,
            "open" => Self::Open,
            "soldout" => Self::SoldOut,
            // Why nothing is decided is nothing to a buyer.
            "paused" | "fenced" => Self::Paused,
            "ended" | "closed" => Self::Ended,
            _ => return None,
        })
    }

    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::SoldOut => "soldout",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(state: &str, start: i64, end: i64) -> Value {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let fields = [
            ("state", text(state)),
            ("name", text("Brass lamp")),
            ("available", Value::Int(3)),
            ("held", Value::Int(2)),
            ("sold", Value::Int(1)),
            ("start", Value::Int(start)),
            ("end", Value::Int(end)),
            ("now", Value::Int(100_000)),
        ];
        Value::Map(fields.map(|(name, value)| (text(name), value)).to_vec())
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_goes_on_while_redis_is_not_asked() {
        let state = State::read(&info("waiting", 112_000, 172_000)).unwrap();
        assert_eq!(state.phase, Phase::Waiting);
        assert_eq!(state.starts_in_ms(), Some(12_000));
        tokio::time::advance(Duration::from_millis(700)).await;
        assert_eq!(state.starts_in_ms(), Some(11_300));
        assert_eq!(state.ends_in_ms(), Some(71_300));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(state.starts_in_ms(), Some(0));
    }

    #[tokio::test]
    async fn what_has_begun_has_no_start_and_what_never_ends_no_end() {
        let state = State::read(&info("soldout", 99_000, 0)).unwrap();
        assert_eq!((state.starts_in_ms(), state.ends_in_ms()), (None, None));
        let Units {
            available,
            held,
            sold,
        } = state.units;
        assert_eq!((available, held, sold), (3, 2, 1));
    }

    #[tokio::test]
    async fn a_buyer_is_told_no_more_than_what_he_can_do() {
        let phase = |word| State::read(&info(word, 0, 0)).map(|state| state.phase.word());
        assert_eq!(phase("fenced"), Some("paused"));
        assert_eq!(phase("closed"), Some("ended"));
        assert_eq!(phase("on holiday"), None);
        assert_eq!(State::read(&Value::Okay), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_glance_serves_everybody_for_a_second_and_not_beyond_the_start() {
        let none = Glance::now(None);
        let soon = Glance::now(State::read(&info("waiting", 100_500, 0)));
        tokio::time::advance(Duration::from_millis(499)).await;
        assert!(none.is_fresh() && soon.is_fresh());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(none.is_fresh() && !soon.is_fresh());
        tokio::time::advance(Duration::from_millis(500)).await;
        assert!(!none.is_fresh());
    }
}
