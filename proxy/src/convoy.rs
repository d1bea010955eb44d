//! Tries for one sale that travel together.
//!
//! The first one leaves at once. What comes while it is under way waits at the sale's stop and
//! leaves as one command when it is back, so that a crowd costs Redis a command for many buyers and
//! a single buyer waits for nobody. A stop that has filled up does not wait.
//!
//! Each try has a deadline of its own and does not depend on the others: who is cut off goes away
//! with his end of a channel, and an answer that comes for him later finds nobody there. Who is cut
//! off before his convoy has left is not asked for at all.

use crate::gate::{Decided, Gate};
use crate::problem::Problem;
use crate::sales::Sale;
use crate::shut::turns_all_away;
use seckill_protocol::{Uid, Verdict};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// The most tries of one command. Redis serves nobody else meanwhile: 128 take it a tenth of a
/// millisecond.
const CONVOY_MAX: usize = 128;

/// Where tries wait for the next convoy of a sale.
#[derive(Debug, Default)]
pub(crate) struct Stop(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    tries: VecDeque<Try>,
    /// Convoys that come back here.
    under_way: usize,
}

/// What a try came to: a verdict, and the life of the connection that it came on; 0 if nobody was
/// asked.
pub(crate) type CameTo = Result<(Verdict, u64), Problem>;

/// One buyer's try for one unit.
#[derive(Debug)]
struct Try {
    uid: Uid,
    answer: oneshot::Sender<CameTo>,
    /// Its place among the questions that may wait.
    _place: OwnedSemaphorePermit,
}

/// A series of convoys, one after the other, until nobody waits.
struct Convoy {
    gate: Arc<Gate>,
    sale: Arc<Sale>,
    is_home: bool,
}

/// Takes a try along, and returns where its answer will come. An answer that never comes is as good
/// as a broken connection.
pub(crate) fn join(
    gate: &Arc<Gate>,
    sale: &Arc<Sale>,
    uid: Uid,
    place: OwnedSemaphorePermit,
) -> oneshot::Receiver<CameTo> {
    let (answer, answered) = oneshot::channel();
    let leaves = sale.stop.wait(Try {
        uid,
        answer,
        _place: place,
    });
    if leaves {
        // A task of its own: whoever has made it leave may be cut off, and the others not with him.
        tokio::spawn(
            Convoy {
                gate: Arc::clone(gate),
                sale: Arc::clone(sale),
                is_home: false,
            }
            .travel(),
        );
    }
    answered
}

// === impl Stop ===

impl Stop {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait here.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().tries.len()
    }

    /// Returns whether a convoy has to leave now.
    fn wait(&self, asked: Try) -> bool {
        let mut waiting = self.lock();
        waiting.tries.push_back(asked);
        let room = waiting.under_way.saturating_mul(CONVOY_MAX);
        let leaves = waiting.under_way == 0 || waiting.tries.len() > room;
        if leaves {
            waiting.under_way = waiting.under_way.saturating_add(1);
        }
        leaves
    }

    /// The next who leave together; if there is nobody, the convoy is home.
    fn leave(&self) -> Option<Vec<Try>> {
        let mut waiting = self.lock();
        let mut leaving = Vec::new();
        while leaving.len() < CONVOY_MAX
            && let Some(next) = waiting.tries.pop_front()
        {
            if !next.answer.is_closed() {
                leaving.push(next);
            }
        }
        if leaving.is_empty() {
            waiting.under_way = waiting.under_way.saturating_sub(1);
            return None;
        }
        Some(leaving)
    }

    /// Takes out those who get an answer without a question.
    fn answer(&self, verdict: impl Fn(&Uid) -> Option<Verdict>) {
        let told: Vec<_> = {
            let mut waiting = self.lock();
            let tries = std::mem::take(&mut waiting.tries);
            let mut told = Vec::new();
            for asked in tries {
                match verdict(&asked.uid) {
                    Some(verdict) => told.push((asked, verdict)),
                    None => waiting.tries.push_back(asked),
                }
            }
            told
        };
        for (asked, verdict) in told {
            asked.tell(Ok((verdict, 0)));
        }
    }
}

// === impl Try ===

impl Try {
    fn tell(self, answer: CameTo) {
        // Who was cut off has been told something already.
        let _ = self.answer.send(answer);
    }
}

// === impl Convoy ===

impl Convoy {
    async fn travel(mut self) {
        let sale = Arc::clone(&self.sale);
        while let Some(tries) = sale.stop.leave() {
            match self.ask(&tries).await {
                Ok(Decided { verdicts, life }) => {
                    let is_shut = verdicts.last().is_some_and(|v| turns_all_away(v, 1));
                    for (asked, verdict) in tries.into_iter().zip(verdicts) {
                        asked.tell(Ok((verdict, life)));
                    }
                    if is_shut {
                        // Those who wait need not ask what has just been answered.
                        let now = Instant::now();
                        sale.stop
                            .answer(|uid| self.gate.remembered(&sale, uid, now));
                    }
                }
                Err(problem) => {
                    for asked in tries {
                        asked.tell(Err(problem));
                    }
                }
            }
        }
        self.is_home = true;
    }

    async fn ask(&self, tries: &[Try]) -> Result<Decided, Problem> {
        let convoys = &self.gate.counters().convoy_tries;
        // No more than CONVOY_MAX, so that nothing is lost.
        convoys.observe(u32::try_from(tries.len()).unwrap_or(u32::MAX).into());
        let mut question = redis::cmd("SECKILL.MTRY");
        question.arg(&self.sale.key);
        for asked in tries {
            question.arg(asked.uid.as_str());
        }
        let uids = tries.iter().map(|asked| &asked.uid);
        self.gate.decide(&self.sale, &question, uids, 1).await
    }
}

impl Drop for Convoy {
    fn drop(&mut self) {
        // A convoy that did not get home (its task was ended) must not be waited for.
        if !self.is_home {
            let mut waiting = self.sale.stop.lock();
            waiting.under_way = waiting.under_way.saturating_sub(1);
        }
    }
}
