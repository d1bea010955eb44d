//! What all peers have to keep to.

/// The same for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// For a person.
    pub(super) name: &'static str,
    /// For the names of files.
    pub(super) id: &'static str,
    /// When what was accepted is on the disk: `appendfsync`. The append-only file is on.
    pub(super) fsync: &'static str,
    /// Whether each buyer has a rate.
    pub(super) has_rate: bool,
}

/// Tries a second that a rate gives each buyer.
pub(super) const RATE: u32 = 10;

/// How long an edge waits for Redis: as long as `bench/edge/try.lua` does in nginx.
pub(super) const DEADLINE_MS: u64 = 1000;

/// A limiter is compared where there is a rate to limit.
pub(super) const TERMS: [Terms; 3] = [
    Terms {
        name: "AOF, fsync always; no rate",
        id: "always",
        fsync: "always",
        has_rate: false,
    },
    Terms {
        name: "AOF, fsync everysec; no rate",
        id: "everysec",
        fsync: "everysec",
        has_rate: false,
    },
    Terms {
        name: "AOF, fsync everysec; 10 tries a second for each buyer",
        id: "rate",
        fsync: "everysec",
        has_rate: true,
    },
];

// === impl Terms ===

impl Terms {
    /// Tries a second of a buyer, 0: as many as he likes.
    pub(super) fn tries(self) -> u32 {
        if self.has_rate { RATE } else { 0 }
    }
}
