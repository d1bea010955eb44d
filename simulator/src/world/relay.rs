//! The relay's next step, by the worker's own rules.

use super::{Answer, World};
use crate::settings::Broker;
use crate::story::say;
use crate::worker::{Delivery, Origin, Relay, Turn};
use seckill_orders::relay::{Places, Run};
use seckill_protocol::EventBatch;
use seckill_sale::Cursor;
use std::rc::Rc;

/// How long a lease lasts, ms.
const LEASE_MS: u64 = 3000;

impl World {
    pub(super) fn relay(&mut self, w: usize) -> Result<(), String> {
        match std::mem::take(&mut self.workers[w].relay) {
            Relay::Waiting => {
                let granted = self.lease(w);
                self.workers[w].relay = if granted == Some(true) {
                    Relay::Leased
                } else {
                    Relay::Waiting
                };
                Ok(())
            }
            Relay::Leased => {
                self.workers[w].relay = match self.places(w)? {
                    Some(places) => {
                        say!(self, "w{w} relays from {}", places.relayed);
                        Relay::Running(Turn {
                            run: Run::from(places.relayed),
                            hand: None,
                            compared: None,
                            failed: false,
                        })
                    }
                    None => {
                        self.refresh_view(w);
                        Relay::Waiting
                    }
                };
                Ok(())
            }
            Relay::Running(turn) => self.run(w, turn),
            Relay::Draining(receipts) => {
                let mut left = receipts;
                left.retain(|receipt| self.kafka.receipt(*receipt).is_none());
                self.workers[w].relay = if left.is_empty() {
                    Relay::Waiting
                } else {
                    Relay::Draining(left)
                };
                Ok(())
            }
        }
    }

    fn run(&mut self, w: usize, mut turn: Turn) -> Result<(), String> {
        // The lease is renewed beside it.
        if self.dice.one_in(10) && self.lease(w) == Some(false) {
            say!(self, "w{w} has lost the lease");
            return self.end_run(w, turn);
        }
        if let Some(batch) = turn.hand.take() {
            let last = batch.last_id();
            let events = batch.events.len() as u64;
            let receipt = self.hand_over(w, batch);
            if let Some(last) = last {
                say!(self, "w{w} sends events up to {last}");
                turn.run.sent(last, events, receipt);
            }
        } else if let Some(arrived) = turn.compared.take() {
            let told = match arrived {
                Some(id) => self.ack(w, Cursor::Relayed, id)?,
                None => Answer::Done,
            };
            if told != Answer::Done {
                return self.end_run(w, turn);
            }
            turn.run.told();
            if turn.failed {
                return self.end_run(w, turn);
            }
        } else if self.receipts_came(&mut turn) {
            if !turn.run.has_to_tell() {
                if turn.failed {
                    return self.end_run(w, turn);
                }
            } else if !self.compare(w, &mut turn)? {
                return self.end_run(w, turn);
            }
        } else if let Some(after) = turn.run.wants().filter(|_| self.dice.below(8) > 0) {
            let count = 1 + self.dice.below(4);
            let read = self.command(self.workers[w].view, |_, sale, _, _| {
                Ok(sale.events_after(after, count))
            })?;
            match read {
                None | Some(Err(_)) => return self.end_run(w, turn),
                Some(Ok(batch)) => turn.hand = batch.filter(|batch| !batch.events.is_empty()),
            }
        } else if turn.run.is_idle() && !self.look(w, &turn)? {
            return self.end_run(w, turn);
        }
        self.workers[w].relay = Relay::Running(turn);
        Ok(())
    }

    /// Takes the receipts that came; false: there were none.
    fn receipts_came(&mut self, turn: &mut Turn) -> bool {
        let mut came = false;
        while let Some(receipt) = turn.run.first().copied()
            && !turn.failed
            && let Some(arrived) = self.kafka.receipt(receipt)
        {
            came = true;
            if arrived {
                turn.run.first_arrived();
            } else {
                turn.run.first_failed();
                turn.failed = true;
            }
        }
        came
    }

    /// False: the run is over.
    fn compare(&mut self, w: usize, turn: &mut Turn) -> Result<bool, String> {
        let Some(places) = self.places(w)? else {
            return Ok(false);
        };
        match turn.run.compare(places) {
            Ok(arrived) => turn.compared = Some(arrived),
            Err(moved) => {
                say!(self, "w{w}: {moved}");
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Looks at the places while nothing happens. False: the run is over.
    fn look(&mut self, w: usize, turn: &Turn) -> Result<bool, String> {
        let Some(places) = self.places(w)? else {
            return Ok(false);
        };
        if turn.run.compare(places).is_err() {
            return Ok(false);
        }
        if places.is_storing() {
            self.workers[w].stored.look_up = true;
        }
        Ok(true)
    }

    fn end_run(&mut self, w: usize, turn: Turn) -> Result<(), String> {
        self.workers[w].relay = Relay::Draining(turn.run.rest().collect());
        self.refresh_view(w);
        Ok(())
    }

    fn hand_over(&mut self, w: usize, batch: EventBatch) -> u64 {
        if self.settings.broker == Broker::None {
            let receipt = self.kafka.new_receipt();
            self.workers[w].writer.intake.push_back(Delivery {
                events: Rc::new(batch),
                origin: Origin::Relay(receipt),
            });
            return receipt;
        }
        self.kafka.send(self.workers[w].session, batch)
    }

    /// Whether the lease is this worker's; `None`: no answer.
    fn lease(&mut self, w: usize) -> Option<bool> {
        let name = self.workers[w].name(w);
        let view = self.workers[w].view;
        let now = self.now;
        let node = &mut self.nodes[view];
        if !node.is_up || !node.is_primary || node.sale.is_none() {
            self.refresh_view(w);
            return None;
        }
        let leased = node.lease.ask(&name, LEASE_MS, now);
        Some(leased.holder == Some(&*name))
    }

    /// `SECKILL.INFO`; `None`: no answer.
    fn places(&mut self, w: usize) -> Result<Option<Places>, String> {
        let places = self.look_at(self.workers[w].view, |sale| Places {
            head: sale.head(),
            relayed: sale.relayed(),
            stored: sale.stored(),
        });
        Ok(places.filter(|_| !self.loses()))
    }
}
