//! What goes wrong, as often as the seed's hazards say.

use super::World;
use crate::node::Death;
use crate::settings::{Broker, Hazard};
use crate::story::say;
use crate::worker::Writer;
use seckill_protocol::EventId;

type Mishap = fn(&mut World) -> Result<(), String>;

impl World {
    pub(super) fn mishap(&mut self) -> Result<(), String> {
        let h = |hazard| self.hazard(hazard);
        let mishaps: [(usize, Mishap); 13] = [
            (h(Hazard::NodeDies), Self::node_dies),
            (4 + h(Hazard::NodeDies), Self::node_starts),
            (h(Hazard::Failover), Self::failover),
            (1 + h(Hazard::Failover), Self::demote),
            (h(Hazard::Link), Self::link_changes),
            (h(Hazard::WorkerDies), Self::worker_dies),
            (4 + h(Hazard::WorkerDies), Self::worker_starts),
            (h(Hazard::WorkerFreezes), Self::worker_freezes),
            (h(Hazard::Rebalance), Self::rebalance),
            (h(Hazard::Mysql), Self::mysql_ends_what_is_under_way),
            (h(Hazard::Shop), Self::shop_sells),
            (h(Hazard::Operator), Self::operator),
            (h(Hazard::Time), Self::time_passes),
        ];
        if self.dice.below(20) < self.hazard(Hazard::Recover) {
            return self.recover();
        }
        let all = mishaps.iter().map(|(weight, _)| weight).sum();
        let mut at = self.dice.below(all);
        for (weight, mishap) in mishaps {
            if at < weight {
                return mishap(self);
            }
            at -= weight;
        }
        Ok(())
    }

    fn time_passes(&mut self) -> Result<(), String> {
        let ms = [50, 500, 5000, 40_000][self.dice.below(4)];
        self.now += ms;
        say!(self, "{ms} ms pass");
        Ok(())
    }

    fn node_dies(&mut self) -> Result<(), String> {
        let which = self.dice.below(2);
        let death = if self.dice.coin() {
            Death::Kill
        } else {
            Death::Power
        };
        let unsynced = self.nodes[which].unsynced(self.now, death, self.syncs_always());
        let lost = self.dice.below(unsynced + 1);
        if self.nodes[which].is_up {
            self.nodes[which].die(lost);
            say!(
                self,
                "{} dies ({death:?}), and its disk lacks {lost} changes",
                self.nodes[which].name
            );
        }
        Ok(())
    }

    fn node_starts(&mut self) -> Result<(), String> {
        let which = self.dice.below(2);
        if !self.nodes[which].is_up {
            self.start_node(which)?;
        }
        Ok(())
    }

    /// It loads what it has. What was primary comes back as one, until somebody tells it otherwise.
    pub(super) fn start_node(&mut self, which: usize) -> Result<(), String> {
        let before = self.nodes[which].sale.take();
        self.nodes[which].restart(self.settings.fence)?;
        let name = self.nodes[which].name;
        if which == self.official {
            let copy = self.nodes[which].sale.as_ref();
            let lost = self.oracle.goes_on_with(before.as_ref(), copy);
            say!(self, "{name} is back, without {} reservations", lost.len());
            self.link.is_synced = false;
        } else {
            say!(self, "{name} is back");
            self.link.is_synced = false;
        }
        Ok(())
    }

    /// The replica takes over, whatever it lacks. The old primary, if it lives, does not know yet.
    fn failover(&mut self) -> Result<(), String> {
        let replica = 1 - self.official;
        let may = self.nodes[replica].is_up && !self.nodes[replica].is_primary;
        if !may || !self.link.is_synced {
            return Ok(());
        }
        let (old, new) = (&self.nodes[self.official], &self.nodes[replica]);
        let lost = self
            .oracle
            .goes_on_with(old.sale.as_ref(), new.sale.as_ref());
        say!(
            self,
            "{} takes over, without {} reservations",
            new.name,
            lost.len()
        );
        self.official = replica;
        self.link.is_synced = false;
        self.link.backlog.clear();
        self.nodes[replica].promote();
        if self.settings.replica_first
            && let Some(rid) = self.oracle.told_in_vain(&lost)
        {
            return Err(format!(
                "a buyer was told of {rid} before the replica had it"
            ));
        }
        // It walks over its sales at once, whoever can reach it.
        self.now += 1;
        self.nodes[replica].perform(self.now, |_, _, _| Ok(()));
        self.changed(replica)
    }

    /// A primary that was replaced hears of it.
    pub(super) fn demote(&mut self) -> Result<(), String> {
        let old = 1 - self.official;
        if self.nodes[old].is_up && self.nodes[old].is_primary {
            self.nodes[old].is_primary = false;
            self.link.is_synced = false;
            say!(self, "{} is a replica now", self.nodes[old].name);
        }
        Ok(())
    }

    fn link_changes(&mut self) -> Result<(), String> {
        self.link.is_up = !self.link.is_up;
        if self.link.is_up && self.dice.coin() {
            // The backlog did not reach so far back.
            self.link.is_synced = false;
        }
        say!(
            self,
            "the replica is {}",
            if self.link.is_up {
                "connected"
            } else {
                "cut off"
            }
        );
        if self.dice.coin() {
            let which = self.dice.below(2);
            if self.nodes[which].is_up {
                self.nodes[which].rewrite();
            }
        }
        Ok(())
    }

    fn worker_dies(&mut self) -> Result<(), String> {
        let w = self.dice.below(self.workers.len());
        if self.workers[w].is_up {
            self.kill_worker(w);
        }
        Ok(())
    }

    pub(super) fn kill_worker(&mut self, w: usize) {
        self.kafka.disconnect(self.workers[w].session);
        self.workers[w].die(w, &mut self.mysql);
        if self.kafka.owner == Some(w) {
            self.kafka.owner = None;
        }
        say!(self, "w{w} dies");
    }

    fn worker_starts(&mut self) -> Result<(), String> {
        let w = self.dice.below(self.workers.len());
        if !self.workers[w].is_up {
            self.start_worker(w);
        } else if self.workers[w].is_frozen {
            self.workers[w].is_frozen = false;
            say!(self, "w{w} wakes up");
        }
        Ok(())
    }

    fn worker_freezes(&mut self) -> Result<(), String> {
        let w = self.dice.below(self.workers.len());
        if self.workers[w].is_up && !self.workers[w].is_frozen {
            self.workers[w].is_frozen = true;
            say!(self, "w{w} is frozen");
            if self.dice.coin() && self.kafka.owner == Some(w) {
                self.kafka.owner = None;
            }
            // MySQL waits for it no longer than for a lost connection.
            if self.dice.coin() {
                self.workers[w].writer.roll_back(w, &mut self.mysql);
            }
        }
        Ok(())
    }

    fn rebalance(&mut self) -> Result<(), String> {
        if self.settings.broker != Broker::None {
            self.kafka.owner = Some(self.dice.below(self.workers.len()));
        }
        Ok(())
    }

    fn mysql_ends_what_is_under_way(&mut self) -> Result<(), String> {
        if let Some(w) = self.mysql.lock {
            self.workers[w].writer.roll_back(w, &mut self.mysql);
            say!(self, "MySQL ends the transaction of w{w}");
        }
        Ok(())
    }

    /// Somebody sells a unit of the stock row who knows nothing of the sale.
    fn shop_sells(&mut self) -> Result<(), String> {
        let writer = self.mysql.lock.map(|w| &self.workers[w].writer);
        let locked = writer.is_some_and(Writer::has_stock_locked);
        if !locked && self.mysql.cursor > EventId::ZERO && self.mysql.sale < self.mysql.count {
            self.mysql.sale += 1;
            self.mysql.elsewhere += 1;
            self.mysql.version += 1;
            say!(self, "a unit is sold elsewhere");
        }
        Ok(())
    }

    fn operator(&mut self) -> Result<(), String> {
        let view = self.official;
        let delta = i64::try_from(self.dice.between(0, 4)).unwrap_or(0) - 2;
        let what = self.dice.below(4);
        let recovering = self.mysql.recovering;
        let told = self.command(view, |now, sale, change, _| {
            sale.perform(now, change, |sale| match what {
                0 => sale.decide_pause(),
                // A person leaves a fence alone, and what `recover` has paused.
                _ if sale.is_fenced() || recovering => Ok(((), None)),
                1 | 2 => sale.decide_resume(),
                _ => sale.decide_restock(now, delta).or(Ok(((), None))),
            })
        })?;
        let what = match what {
            0 => "pauses".to_owned(),
            1 | 2 => "resumes, or adds".to_owned(),
            _ => format!("adds {delta}"),
        };
        say!(self, "an operator {what}: {told:?}");
        Ok(())
    }
}
