//! What became of a sale, in a word, for whoever keeps its state in a cache.

use crate::effect::{Change, Effect};
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

    const fn of_effect(effect: &Effect) -> Option<Self> {
        match effect {
            Effect::Opened { .. } => Some(Self::Opened),
            Effect::Paused | Effect::TookOver { .. } => Some(Self::Paused),
            Effect::Resumed | Effect::Unfenced => Some(Self::Resumed),
            Effect::Altered(_) => Some(Self::Altered),
            Effect::Restocked { .. } => Some(Self::Restocked),
            Effect::Closed { .. } => Some(Self::Closed),
            Effect::Accepted { .. }
            | Effect::Confirmed { .. }
            | Effect::Cancelled { .. }
            | Effect::Expired { .. }
            | Effect::Relayed(_)
            | Effect::Stored(_) => None,
        }
    }
}

impl Sale {
    /// What is new after `change`, before which `available_before` units could be had.
    pub fn news(&self, change: &Change, available_before: u64) -> impl Iterator<Item = News> {
        let turned = match (available_before, self.available) {
            (1.., 0) => Some(News::SoldOut),
            (0, 1..) => Some(News::Reopened),
            _ => None,
        };
        change
            .effects
            .iter()
            .filter_map(News::of_effect)
            .chain(turned)
    }
}
