//! The rungs, from the article's first attempt to this system.

use serde::Serialize;

/// Where each way of selling is found, by the article's names.
pub(crate) const WRONG: &str = "/createWrongOrder/{sid}";
pub(crate) const OPTIMISTIC: &str = "/createOptimisticOrder/{sid}";
pub(crate) const LIMITED: &str = "/createOptimisticLimitOrder/{sid}";
pub(crate) const CACHED: &str = "/createOptimisticOrderUseRedis/{sid}";
pub(crate) const QUEUED: &str = "/createOptimisticOrderUseRedisAndKafka/{sid}";
const SECKILL: &str = "/seckill/{sid}";

/// One way of running a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Rung {
    pub(crate) number: u32,
    /// For the head of a column.
    pub(crate) name: &'static str,
    /// Where it is bought; `{sid}` stands for the stock item.
    pub(crate) path: &'static str,
}

/// All of them, from the ground up.
pub(crate) const RUNGS: [Rung; 7] = [
    rung(0, "no lock", WRONG),
    rung(1, "optimistic lock", OPTIMISTIC),
    rung(2, "two shops", OPTIMISTIC),
    rung(3, "+ limiter", LIMITED),
    rung(4, "+ cached stock", CACHED),
    rung(5, "+ Kafka", QUEUED),
    rung(6, "Seckill", SECKILL),
];

const fn rung(number: u32, name: &'static str, path: &'static str) -> Rung {
    Rung { number, name, path }
}

// === impl Rung ===

impl Rung {
    /// Shops that serve, behind a balancer if there are two.
    pub(crate) fn shops(self) -> usize {
        match self.number {
            0 | 1 => 1,
            6 => 0,
            _ => 2,
        }
    }

    /// Whether the shops have a Redis.
    pub(crate) fn has_redis(self) -> bool {
        (3..6).contains(&self.number)
    }

    /// Whether the stock row is in it.
    pub(crate) fn has_cache(self) -> bool {
        (4..6).contains(&self.number)
    }

    /// Whether orders come out of Kafka.
    pub(crate) fn has_kafka(self) -> bool {
        self.number >= 5
    }

    pub(crate) fn is_seckill(self) -> bool {
        self.number == 6
    }
}
