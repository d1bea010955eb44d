//! What became of a sale, in a word, for whoever keeps its state in a cache.

use crate::effect::{Change, Effect};

/// Each change of state, in the order in which they are told.
const ALL: [News; 8] = [
    News::Opened,
    News::Paused,
    News::Resumed,
    News::Altered,
    News::Restocked,
    News::Closed,
    News::SoldOut,
    News::Reopened,
];
use crate::sale::Sale;

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It was created.
    Opened,
    /// Its last available unit went.
    SoldOut,
    /// Units came back to a sale that had none.
    Reopened,
    /// It was paused, or fenced.
    Paused,
    /// It goes on.
    Resumed,
    /// Its options were changed.
    Altered,
    /// Units were added or taken away.
    Restocked,
    /// It was closed.
    Closed,
}

// === impl News ===

impl News {
    /// The word of the channel's messages and of the keyspace events.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::SoldOut => "soldout",
            Self::Reopened => "reopened",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Altered => "altered",
            Self::Restocked => "restocked",
            Self::Closed => "closed",
        }
    }

    pub(crate) const fn of_effect(effect: &Effect<'_>) -> Option<Self> {
        match effect {
            Effect::Opened { .. } => Some(Self::Opened),
            Effect::Paused
            | Effect::TookOver { fenced: true, .. }
            | Effect::Joined { .. }
            | Effect::Rebased { .. } => Some(Self::Paused),
            Effect::Resumed | Effect::Unfenced => Some(Self::Resumed),
            Effect::Altered(_) => Some(Self::Altered),
            Effect::Restocked { .. } | Effect::Recounted { .. } => Some(Self::Restocked),
            Effect::Closed { .. } => Some(Self::Closed),
            Effect::Accepted(_)
            | Effect::Confirmed { .. }
            | Effect::Cancelled { .. }
            | Effect::Expired { .. }
            | Effect::LatePayment { .. }
            | Effect::Relayed(_)
            | Effect::Stored(_)
            | Effect::TookOver { fenced: false, .. }
            | Effect::Restored(_)
            | Effect::RefundOwed { .. } => None,
        }
    }
}

/// What is new, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct NewsSet(u8);

impl NewsSet {
    pub(crate) const fn add(&mut self, news: News) {
        self.0 |= 1 << news as u8;
    }

    const fn has(self, news: News) -> bool {
        self.0 & 1 << news as u8 != 0
    }
}

impl Sale {
    /// What is new after `change`, before which `available_before` units could be had.
    pub fn news(
        &self,
        change: &Change,
        available_before: u64,
    ) -> impl Iterator<Item = News> + use<> {
        let mut news = change.news;
        match (available_before, self.available) {
            (1.., 0) => news.add(News::SoldOut),
            (0, 1..) => news.add(News::Reopened),
            _ => {}
        }
        ALL.into_iter().filter(move |&one| news.has(one))
    }
}
