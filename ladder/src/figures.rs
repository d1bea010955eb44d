//! What one sale on one rung came to, and the medians over several.

use crate::books::{Books, Counters};
use crate::crowd::Seen;
use crate::stand::Sale;
use anyhow::Result;
use seckill_testbed::median;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What one sale came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// Questions that were answered.
    pub(crate) answers: u64,
    /// Buyers who were told that they have a unit.
    pub(crate) told_yes: u64,
    pub(crate) told_sold_out: u64,
    pub(crate) told_limited: u64,
    pub(crate) told_conflict: u64,
    /// Answers of 5xx.
    pub(crate) failed: u64,
    /// `stock.sale`
    pub(crate) sold: u64,
    pub(crate) orders: u64,
    /// Orders beyond the stock.
    pub(crate) oversold: u64,
    /// Units that nobody has although there were buyers for them.
    pub(crate) undersold: u64,
    /// Buyers who were told "yes" and have no order.
    pub(crate) lost: u64,
    pub(crate) answers_a_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    /// From the opening until the last order is in MySQL.
    pub(crate) complete_ms: f64,
    /// That reached MySQL.
    pub(crate) statements: u64,
    pub(crate) selects: u64,
    pub(crate) updates: u64,
    pub(crate) inserts: u64,
    pub(crate) commits: u64,
    /// To MySQL, open at one time.
    pub(crate) connections: u64,
    /// Of all servers together, for each answer.
    pub(crate) cpu_us: f64,
}

/// All rounds of one rung, with so many buyers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Climbed {
    pub(crate) rung: u32,
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) buyers: u32,
    pub(crate) rounds: Vec<Figures>,
}

/// Everything that was seen of one sale.
pub(crate) struct Evidence<'a> {
    pub(crate) buyers: u32,
    pub(crate) sale: Sale,
    pub(crate) seen: &'a Seen,
    pub(crate) books: &'a Books,
    pub(crate) before: Counters,
    pub(crate) after: Counters,
    pub(crate) complete: Duration,
    pub(crate) cpu: Duration,
}

// === impl Figures ===

impl Figures {
    pub(crate) fn of(evidence: &Evidence<'_>) -> Result<Self> {
        let Evidence {
            buyers,
            sale,
            seen,
            books,
            before,
            after,
            complete,
            cpu,
        } = *evidence;
        let waits = seen.waits.percentiles()?;
        let answers = u64::try_from(seen.waits.len())?;
        let stock = u64::from(sale.stock);
        let wanted = stock.min(buyers.into());
        let since =
            |counter: fn(&Counters) -> u64| counter(&after).saturating_sub(counter(&before));
        Ok(Self {
            answers,
            told_yes: u64::try_from(seen.promises.len())?,
            told_sold_out: seen.sold_out,
            told_limited: seen.limited,
            told_conflict: seen.conflicts,
            failed: seen.failed,
            sold: books.sold,
            orders: books.orders,
            oversold: books.orders.saturating_sub(stock),
            undersold: wanted.saturating_sub(books.orders),
            lost: books.lost,
            answers_a_second: count(answers) / seen.took.as_secs_f64(),
            p50_ms: waits.p50_ms,
            p99_ms: waits.p99_ms,
            p999_ms: waits.p999_ms,
            complete_ms: complete.as_secs_f64() * 1e3,
            statements: since(|counters| counters.statements),
            selects: since(|counters| counters.selects),
            updates: since(|counters| counters.updates),
            inserts: since(|counters| counters.inserts),
            commits: since(|counters| counters.commits),
            connections: after.connections,
            cpu_us: cpu.as_secs_f64() * 1e6 / count(answers),
        })
    }
}

// === impl Climbed ===

impl Climbed {
    /// The median of a figure over the rounds.
    pub(crate) fn median(&self, figure: impl Fn(&Figures) -> f64) -> f64 {
        median(&mut self.rounds.iter().map(figure).collect::<Vec<_>>())
    }

    /// The same of a count.
    pub(crate) fn median_count(&self, figure: impl Fn(&Figures) -> u64) -> f64 {
        self.median(|round| count(figure(round)))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no sale here has more than 2^53 of anything"
)]
pub(crate) fn count(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_figure_has_a_median_of_its_own() {
        let round = |lost, p50_ms| Figures {
            lost,
            p50_ms,
            ..Figures::default()
        };
        let climbed = Climbed {
            rung: 0,
            name: String::new(),
            path: String::new(),
            buyers: 300,
            rounds: vec![round(3, 1.0), round(1, 2.0), round(2, 9.0), round(2, 1.0)],
        };
        assert_eq!(climbed.median_count(|round| round.lost), 2.0);
        assert_eq!(climbed.median(|round| round.p50_ms), 1.5);
    }
}
