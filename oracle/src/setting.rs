//! Under what setting clients were answered: what may be lost, and how far clocks are to be believed.

use std::time::Duration;

/// For how long a primary that was replaced may still answer somebody who has not noticed.
pub(crate) const ZOMBIE: Duration = Duration::from_secs(10);

/// Under what setting clients were answered.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// When a buyer was told that he has units, and a shop that its payment was taken.
    pub durability: Durability,
    /// How long after its deadline a hold may still be held.
    pub grace: Duration,
    /// How far the clocks of clients and of the module may be apart; `None`: nothing that needs
    /// both is checked.
    pub skew: Option<Duration>,
}

/// When a buyer was told that he has units, and what became of a payment or a cancellation: the
/// proxy's `redis.durability`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the primary had decided. What its replica had not received may be lost with it: if,
    /// and only if, a node took over whose copy ends before.
    #[default]
    Primary,
    /// When a replica had it, too. Nothing that was answered may be lost.
    Replica,
}

// === impl Setting ===

impl Default for Setting {
    fn default() -> Self {
        Self {
            durability: Durability::default(),
            grace: Duration::from_secs(5),
            skew: Some(Duration::from_secs(1)),
        }
    }
}

/// As the sources count time.
pub(crate) fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
