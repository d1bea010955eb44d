//! The life of one buyer.

use super::caller::{Caller, Road, Way};
use super::{Tally, span};
use crate::schedule::Sale;
use anyhow::Result;
use fastrand::Rng;
use seckill_oracle::record::{Answer, Rejection};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// In milliseconds from the opening: the first second belongs to the rush, the rest drips in.
const RUSH: Range<u64> = 0..1_000;
const DRIP: Range<u64> = 1_000..12_000;

/// How long somebody waits for an answer who waits, and who does not, in milliseconds.
const WAITS: Range<u64> = 400..3_000;
const HANGS_UP: Range<u64> = 1..40;

/// Until he asks again, in milliseconds.
const ASKS_AGAIN: Range<u64> = 100..900;

/// Until he knows whether he wants it, in milliseconds.
const THINKS: Range<u64> = 0..3_000;

/// One buyer. What he does follows from the seed and his name; when, also from what he is told.
pub(super) struct Buyer {
    uid: String,
    rng: Rng,
    sale: Sale,
    caller: Arc<Caller>,
}

/// What becomes of a reservation by its buyer.
enum Fate {
    Paid,
    GivenUp,
    Forgotten,
    /// Paid for when it has lapsed.
    PaidLate,
    /// Paid for and given up at the same time, as by two tabs of a browser.
    Both,
}

// === impl Buyer ===

impl Buyer {
    pub(super) fn new(number: u32, seed: u64, sale: Sale, caller: Arc<Caller>) -> Self {
        Self::named(format!("u{number}"), seed, sale, caller)
    }

    pub(super) fn named(uid: String, seed: u64, sale: Sale, caller: Arc<Caller>) -> Self {
        let own = uid.bytes().fold(seed, |hash, byte| {
            hash.wrapping_mul(31).wrapping_add(byte.into())
        });
        Self {
            uid,
            rng: Rng::with_seed(own),
            sale,
            caller,
        }
    }

    pub(super) async fn live(mut self, until: Instant) -> Result<()> {
        let arrives = if self.rng.u8(0..10) < 4 { RUSH } else { DRIP };
        sleep(span(&mut self.rng, arrives)).await;
        let purchases = if self.rng.u8(0..4) == 0 { 2 } else { 1 };
        for purchase in 0..purchases {
            let Some(rid) = self.obtain(purchase, until).await? else {
                break;
            };
            self.settle(&rid, until).await?;
        }
        Ok(())
    }

    /// Takes one unit and pays for it, or learns that there is none.
    pub(super) async fn take_one(mut self, until: Instant) -> Result<()> {
        let token = format!("{}-0", self.uid);
        while Instant::now() < until {
            let way = self.way(WAITS);
            let asked = self
                .caller
                .try_for(&self.uid, 1, Some(&token), Road::Queue, way);
            match asked.await? {
                Answer::Accepted { rid } | Answer::Duplicate { rid } => {
                    Tally::count(&self.caller.tally().accepted);
                    return self.pay(&rid, until).await;
                }
                Answer::Unknown { .. } => sleep(span(&mut self.rng, ASKS_AGAIN)).await,
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Tries until he has a reservation, or has heard enough.
    async fn obtain(&mut self, purchase: u32, until: Instant) -> Result<Option<String>> {
        let qty = if self.sale.limit > 1 && self.rng.u8(0..8) == 0 {
            2
        } else {
            1
        };
        let token = format!("{}-{purchase}", self.uid);
        let token = (self.rng.u8(0..8) > 0).then_some(token);
        let road = match self.rng.u8(0..20) {
            0 | 1 => Road::Forward,
            2 => Road::TurnedDown,
            _ => Road::Queue,
        };
        let is_patient = self.rng.bool();
        while Instant::now() < until {
            let hangs_up = self.rng.u8(0..20) == 0;
            let way = self.way(if hangs_up { HANGS_UP } else { WAITS });
            let asked = self
                .caller
                .try_for(&self.uid, qty, token.as_deref(), road, way);
            match asked.await? {
                Answer::Accepted { rid } | Answer::Duplicate { rid } => {
                    Tally::count(&self.caller.tally().accepted);
                    return Ok(Some(rid));
                }
                Answer::Rejected {
                    verdict: Rejection::SoldOut,
                } if !is_patient => return Ok(None),
                Answer::Rejected { .. } => sleep(span(&mut self.rng, 300..2_000)).await,
                Answer::Unknown { .. } if self.rng.u8(0..12) == 0 => return Ok(None),
                Answer::Unknown { .. } => sleep(span(&mut self.rng, ASKS_AGAIN)).await,
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn settle(&mut self, rid: &str, until: Instant) -> Result<()> {
        let fate = match self.rng.u8(0..20) {
            0..11 => Fate::Paid,
            11..14 => Fate::GivenUp,
            14..17 => Fate::Forgotten,
            17 | 18 => Fate::PaidLate,
            _ => Fate::Both,
        };
        sleep(span(&mut self.rng, THINKS)).await;
        match fate {
            Fate::Paid => self.pay(rid, until).await,
            Fate::GivenUp => self.give_up(rid, until).await,
            Fate::Forgotten => Ok(()),
            Fate::PaidLate => {
                sleep(Duration::from_millis(self.sale.hold_ms)).await;
                self.pay(rid, until).await
            }
            Fate::Both => {
                let (pays, gives_up) = (self.way(WAITS), self.way(WAITS));
                let (paid, given_up) = tokio::join!(
                    self.caller.confirm(&self.uid, rid, pays),
                    self.caller.cancel(&self.uid, rid, gives_up)
                );
                paid.and(given_up).map(drop)
            }
        }
    }

    /// Asks until he knows.
    async fn pay(&mut self, rid: &str, until: Instant) -> Result<()> {
        while Instant::now() < until {
            let way = self.way(WAITS);
            match self.caller.confirm(&self.uid, rid, way).await? {
                Answer::Unknown { .. } => sleep(span(&mut self.rng, ASKS_AGAIN)).await,
                _ => break,
            }
        }
        Ok(())
    }

    /// Asks until he knows.
    async fn give_up(&mut self, rid: &str, until: Instant) -> Result<()> {
        while Instant::now() < until {
            let way = self.way(WAITS);
            match self.caller.cancel(&self.uid, rid, way).await? {
                Answer::Unknown { .. } => sleep(span(&mut self.rng, ASKS_AGAIN)).await,
                _ => break,
            }
        }
        Ok(())
    }

    fn way(&mut self, patience: Range<u64>) -> Way {
        Way {
            proxy: self.rng.usize(..self.caller.proxies()),
            patience: span(&mut self.rng, patience),
        }
    }
}
