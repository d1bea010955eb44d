//! Everything works again: the sale must come to rest, sell what is left, and be right everywhere.

use super::World;
use super::recovery::stands_still;
use crate::settings::Broker;
use crate::story::say;
use crate::worker::{Relay, Transaction};
use seckill_orders::status::Status;
use seckill_protocol::{EventId, ReservationId, ReservationState, UidRef, Verdict};
use seckill_sale::decide::IfLate;
use seckill_sale::{Sale, Try};

/// Steps in which everything must come to rest.
const PATIENCE: u64 = 60_000;

impl World {
    /// Lets everything work again, and looks at the end.
    pub(crate) fn heal(&mut self) -> Result<(), String> {
        self.is_healed = true;
        say!(self, "from here on everything works");
        for which in 0..self.nodes.len() {
            if !self.nodes[which].is_up {
                self.start_node(which)?;
            }
        }
        self.demote()?;
        self.link.is_up = true;
        for w in 0..self.workers.len() {
            if self.workers[w].is_frozen {
                self.kill_worker(w);
            }
            if !self.workers[w].is_up {
                self.start_worker(w);
            }
        }
        self.resume()?;
        self.come_to_rest()?;
        if self.is_over() {
            return Ok(());
        }
        self.sell_the_rest()?;
        self.come_to_rest()?;
        self.look_at_the_end()
    }

    fn is_over(&self) -> bool {
        self.step >= self.last_step
    }

    fn resume(&mut self) -> Result<(), String> {
        self.command(self.official, |now, sale, change, _| {
            sale.perform(now, change, |sale| {
                if sale.is_fenced() {
                    Ok(((), None))
                } else {
                    sale.decide_resume()
                }
            })
        })
        .map(drop)
    }

    fn come_to_rest(&mut self) -> Result<(), String> {
        for _ in 0..PATIENCE {
            if self.is_at_rest() || self.is_over() {
                return Ok(());
            }
            self.step += 1;
            self.now += 20;
            let w = self.dice.below(self.workers.len());
            match self.dice.below(100) {
                0..2 => self.late(),
                2..30 => self.worker(w, Self::relay),
                30..45 => self.broker(),
                45..60 => self.worker(w, Self::read_topic),
                60..80 => self.worker(w, Self::write),
                80..88 => self.worker(w, Self::announce),
                88..92 => self.worker(w, Self::cancel_refused),
                92..97 => self.replicate(),
                97 if !self.mysql.recovering => self.resume(),
                _ => self.recover(),
            }?;
        }
        let standing = self.look_at(self.official, |sale| {
            format!(
                "head {}, relayed {}, stored {}, {} held, fenced: {}",
                sale.head(),
                sale.relayed(),
                sale.stored(),
                sale.held(),
                sale.is_fenced()
            )
        });
        Err(format!(
            "the sale does not come to rest: {}; MySQL's cursor {}, {} refusals owed",
            standing.unwrap_or_default(),
            self.mysql.cursor,
            self.mysql.refusals.len()
        ))
    }

    fn is_at_rest(&self) -> bool {
        let stored = self.look_at(self.official, |sale| {
            sale.stored() == sale.head()
                && sale.relayed() == sale.head()
                && sale.held() == 0
                && !stands_still(sale)
        });
        let workers_rest = self.workers.iter().all(|worker| {
            let relays = match &worker.relay {
                Relay::Running(turn) => !turn.run.is_idle() || turn.hand.is_some(),
                Relay::Draining(receipts) => !receipts.is_empty(),
                Relay::Waiting | Relay::Leased => false,
            };
            let writes = !worker.writer.intake.is_empty() || !worker.writer.batch.is_empty();
            let idles = matches!(worker.writer.transaction, Transaction::None);
            !relays && !writes && idles
        });
        stored == Some(true)
            && workers_rest
            && self.late.is_empty()
            && self.mysql.refusals.is_empty()
            && !self.mysql.recovering
            && self.recovery.is_none()
            && self.link.has_everything()
            && self.has_read_everything()
    }

    fn has_read_everything(&self) -> bool {
        let end = self.kafka.log.len();
        let owner = self
            .kafka
            .owner
            .and_then(|w| self.workers[w].reader.position);
        self.settings.broker == Broker::None || end == 0 || owner == Some(end)
    }

    /// New buyers take what is left, and pay.
    fn sell_the_rest(&mut self) -> Result<(), String> {
        let view = self.official;
        for number in 0..1000 {
            let uid = format!("late{number}");
            let Ok(uid) = UidRef::new(uid.as_bytes()) else {
                return Err("no uid".to_owned());
            };
            let request = Try {
                uid,
                qty: 1,
                token: None,
            };
            let answer = self.command(view, |now, sale, change, soft| {
                sale.perform_try(now, change, soft, &request)
            })?;
            match answer {
                Some(Ok(Verdict::Accepted(rid))) => {
                    self.oracle.told(rid);
                    self.command(view, |now, sale, change, _| {
                        sale.perform_confirm(now, change, rid, IfLate::Take)
                    })?;
                }
                Some(Ok(Verdict::SoldOut { .. })) => return Ok(()),
                other => return Err(format!("a buyer at the end is answered {other:?}")),
            }
        }
        Err("units without end".to_owned())
    }

    fn look_at_the_end(&mut self) -> Result<(), String> {
        let [a, b] = &self.nodes;
        if a.blocks() != b.blocks() {
            return Err("the replica is not what the primary is".to_owned());
        }
        let official = self.official;
        let before = self.nodes[official].blocks();
        let Some(sale) = &self.nodes[official].sale else {
            return Err("the sale has gone".to_owned());
        };
        sale.audit().map_err(|error| error.to_string())?;
        if sale.available() != 0 {
            return Err(format!(
                "{} units are left, and somebody wants them",
                sale.available()
            ));
        }
        self.oracle.keeps_its_word(sale)?;
        self.orders_are_reservations(sale)?;
        self.mysql.check()?;
        let node = &mut self.nodes[official];
        node.restart(self.settings.fence)?;
        if node.blocks() != before {
            return Err("what the AOF has is not what the primary is".to_owned());
        }
        Ok(())
    }

    fn orders_are_reservations(&self, sale: &Sale) -> Result<(), String> {
        let mysql = &self.mysql;
        let mut refused = 0;
        for reservation in sale.reservations_from(0) {
            let rid = reservation.rid;
            let rowless = mysql.rowless.get(&rid.0).map(|(_, _, status)| *status);
            let is_owed = sale.is_refund_due(rid) && !self.oracle.has_lost_facts();
            if is_owed && !mysql.refunds.contains_key(&rid.0) {
                return Err(format!(
                    "the payment for {rid} came too late, and is not to be refunded"
                ));
            }
            let Some(status) = mysql.orders.get(&rid.0).map(|row| row.status).or(rowless) else {
                return Err(format!("reservation {rid} has no order"));
            };
            let fits = match status {
                Status::Held => reservation.state == ReservationState::Held,
                Status::Confirmed => reservation.state == ReservationState::Confirmed,
                // How a hold ended of which a copy did not know that it had: it has no units.
                Status::Cancelled | Status::Expired if self.oracle.may_be_behind(rid) => {
                    !reservation.state.is_live()
                }
                Status::Cancelled => reservation.state == ReservationState::Cancelled,
                Status::Expired => reservation.state == ReservationState::Expired,
                Status::Refused => {
                    refused += i64::from(reservation.qty);
                    reservation.state != ReservationState::Confirmed
                        || mysql.refunds.contains_key(&rid.0)
                }
            };
            if !fits {
                return Err(format!(
                    "reservation {rid} is {}, and its order {status}",
                    reservation.state
                ));
            }
        }
        let gone = |id: &&EventId| sale.reservation(ReservationId(**id)).is_none();
        if let Some(id) = mysql.orders.keys().chain(mysql.rowless.keys()).find(gone) {
            return Err(format!("order {id} has no reservation"));
        }
        let taken = i64::try_from(sale.held() + sale.sold()).unwrap_or(i64::MAX);
        if mysql.elsewhere == 0 && refused == 0 && mysql.sale != taken {
            return Err(format!(
                "stock.sale is {}, and the sale has sold {taken}",
                mysql.sale
            ));
        }
        Ok(())
    }
}
