//! The books of a sale: what the module, MySQL and the buyers say, held against each other.
//!
//! A pure function from what was read to what is wrong. It trusts none of the three.

use seckill_protocol::{ReservationId, Uid};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// What was read when the sale had come to rest.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    /// Buyers who came.
    pub(crate) buyers: i64,
    /// Tries that never got an answer: what came of them, nobody was told.
    pub(crate) given_up: u64,
    /// Each reservation that a buyer was told is his, as often as he was told.
    pub(crate) told: Vec<(Uid, ReservationId)>,
    pub(crate) stock: Stock,
    pub(crate) orders: Vec<Order>,
    pub(crate) module: Module,
    /// What `SECKILL.AUDIT` replied: `OK …`, or its error.
    pub(crate) audit: Result<String, String>,
}

/// The row of `stock`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stock {
    pub(crate) count: i64,
    pub(crate) sale: i64,
}

/// A row of `stock_order`.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) rid: ReservationId,
    pub(crate) uid: Uid,
    pub(crate) qty: i64,
    pub(crate) status: Status,
}

/// The status of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// Held or confirmed: its units belong to the buyer.
    Live,
    /// Cancelled or expired: its units went back.
    Over,
    /// MySQL had no unit for it.
    Refused,
}

/// What `SECKILL.INFO` says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Module {
    pub(crate) total: i64,
    pub(crate) available: i64,
    pub(crate) held: i64,
    pub(crate) sold: i64,
    /// Units a buyer; 0: no limit.
    pub(crate) limit: i64,
}

/// The closed books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Books {
    /// Different reservations that buyers were told.
    pub(crate) accepted: u64,
    /// Orders in MySQL that were not refused.
    pub(crate) orders: u64,
    /// `stock.sale`.
    pub(crate) sale: i64,
    /// Units of live orders beyond the stock.
    pub(crate) oversold: i64,
    /// Told reservations without an order of that buyer.
    pub(crate) lost: u64,
    /// Orders beyond the first of a reservation, and units beyond a buyer's limit.
    pub(crate) duplicated: u64,
    pub(crate) audit_ok: bool,
    /// What does not add up; empty: the books are closed.
    pub(crate) damage: Vec<Damage>,
}

/// One thing that does not add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    Oversold {
        units: i64,
    },
    Lost {
        reservations: Vec<(Uid, ReservationId)>,
    },
    Duplicated {
        times: u64,
    },
    Untold {
        orders: u64,
    },
    Audit {
        reply: String,
    },
    Sums {
        sale: i64,
        orders: i64,
        module: i64,
    },
    Conservation {
        count: i64,
        total: i64,
        parts: i64,
    },
    Counts {
        accepted: u64,
        orders: u64,
    },
    Undersold {
        units: i64,
        wanted: i64,
    },
    GivenUp {
        tries: u64,
    },
}

// === impl Accounts ===

impl Accounts {
    /// Closes the books.
    pub(crate) fn close(&self) -> Books {
        let kept: Vec<&Order> = self.orders.iter().filter(|order| order.is_kept()).collect();
        let live_units: i64 = kept.iter().map(|order| order.live_units()).sum();
        let (accepted, lost, untold) = self.against_orders(&kept);
        let mut books = Books {
            accepted,
            orders: count(kept.len()),
            sale: self.stock.sale,
            oversold: (live_units - self.stock.count).max(0),
            lost: count(lost.len()),
            duplicated: self.duplicated(&kept),
            audit_ok: self
                .audit
                .as_ref()
                .is_ok_and(|reply| reply.starts_with("OK")),
            damage: Vec::new(),
        };
        let mut found = |wrong: bool, damage: Damage| {
            if wrong {
                books.damage.push(damage);
            }
        };

        found(
            books.oversold > 0,
            Damage::Oversold {
                units: books.oversold,
            },
        );
        found(books.lost > 0, Damage::Lost { reservations: lost });
        found(
            books.duplicated > 0,
            Damage::Duplicated {
                times: books.duplicated,
            },
        );
        // A buyer who gave up may have an order that he does not know of.
        found(untold > self.given_up, Damage::Untold { orders: untold });
        found(
            !books.audit_ok,
            Damage::Audit {
                reply: self.audit_reply(),
            },
        );
        let module_units = self.module.held + self.module.sold;
        found(
            books.sale != live_units || books.sale != module_units,
            Damage::Sums {
                sale: books.sale,
                orders: live_units,
                module: module_units,
            },
        );
        let parts = self.module.available + module_units;
        found(
            self.module.total != parts || self.module.total != self.stock.count,
            Damage::Conservation {
                count: self.stock.count,
                total: self.module.total,
                parts,
            },
        );
        found(
            books.accepted != books.orders,
            Damage::Counts {
                accepted: books.accepted,
                orders: books.orders,
            },
        );
        let wanted = self.stock.count.min(self.buyers);
        found(
            live_units < wanted,
            Damage::Undersold {
                units: live_units,
                wanted,
            },
        );
        found(
            self.given_up > 0,
            Damage::GivenUp {
                tries: self.given_up,
            },
        );
        books
    }

    /// What buyers were told against their orders: different reservations told, those of them
    /// without an order of their buyer, and orders that nobody was told.
    fn against_orders(&self, kept: &[&Order]) -> (u64, Vec<(Uid, ReservationId)>, u64) {
        let ordered: BTreeSet<_> = kept.iter().map(|order| (&order.uid, order.rid)).collect();
        let told: BTreeSet<_> = self.told.iter().collect();
        let told_rids: BTreeSet<_> = self.told.iter().map(|(_, rid)| *rid).collect();
        let lost = told
            .into_iter()
            .filter(|(uid, rid)| !ordered.contains(&(uid, *rid)));
        let untold = kept.iter().filter(|order| !told_rids.contains(&order.rid));
        (
            count(told_rids.len()),
            lost.cloned().collect(),
            count(untold.count()),
        )
    }

    /// Orders beyond the first of a reservation, and units of a buyer beyond his limit.
    fn duplicated(&self, kept: &[&Order]) -> u64 {
        let mut seen = BTreeSet::new();
        let mut again = 0;
        let mut units: BTreeMap<&Uid, i64> = BTreeMap::new();
        for order in kept {
            if seen.insert(order.rid) {
                *units.entry(&order.uid).or_default() += order.live_units();
            } else {
                again += 1;
            }
        }
        let limit = match self.module.limit {
            0 => i64::MAX,
            limit => limit,
        };
        let beyond: i64 = units.values().map(|units| (units - limit).max(0)).sum();
        again + u64::try_from(beyond).unwrap_or(0)
    }

    fn audit_reply(&self) -> String {
        match &self.audit {
            Ok(reply) | Err(reply) => reply.clone(),
        }
    }
}

// === impl Order ===

impl Order {
    fn is_kept(&self) -> bool {
        self.status != Status::Refused
    }

    fn live_units(&self) -> i64 {
        match self.status {
            Status::Live => self.qty,
            Status::Over | Status::Refused => 0,
        }
    }
}

// === impl Status ===

impl FromStr for Status {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "held" | "confirmed" => Ok(Self::Live),
            "cancelled" | "expired" => Ok(Self::Over),
            "refused" => Ok(Self::Refused),
            _ => Err(format!("an order's status is {word:?}")),
        }
    }
}

// === impl Damage ===

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Oversold { units } => write!(f, "{units} units were sold that do not exist"),
            Self::Lost { reservations } => {
                write!(
                    f,
                    "{} reservations were told to buyers and have no order",
                    reservations.len()
                )?;
                match reservations.first() {
                    Some((uid, rid)) => write!(f, ", for example {rid} of {uid}"),
                    None => Ok(()),
                }
            }
            Self::Duplicated { times } => write!(f, "{times} orders or units are there twice"),
            Self::Untold { orders } => write!(f, "{orders} orders were told to nobody"),
            Self::Audit { reply } => write!(f, "SECKILL.AUDIT says: {reply}"),
            Self::Sums {
                sale,
                orders,
                module,
            } => write!(
                f,
                "stock.sale is {sale}, live orders have {orders} units, the module held and sold {module}"
            ),
            Self::Conservation {
                count,
                total,
                parts,
            } => write!(
                f,
                "stock.count is {count}, the module's total {total}, its parts add up to {parts}"
            ),
            Self::Counts { accepted, orders } => {
                write!(
                    f,
                    "{accepted} reservations were told and {orders} orders are there"
                )
            }
            Self::Undersold { units, wanted } => {
                write!(f, "{units} units were sold where buyers wanted {wanted}")
            }
            Self::GivenUp { tries } => write!(f, "{tries} tries never got an answer"),
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(number: u64) -> Uid {
        Uid::new(format!("buyer-{number}").as_bytes()).unwrap()
    }

    fn rid(seq: u64) -> ReservationId {
        ReservationId::new(7, seq)
    }

    fn order(seq: u64) -> Order {
        Order {
            rid: rid(seq),
            uid: uid(seq),
            qty: 1,
            status: Status::Live,
        }
    }

    /// Three units, five buyers, everything as it should be.
    fn sound() -> Accounts {
        Accounts {
            buyers: 5,
            given_up: 0,
            // Each was told twice: accepted, and then that he has it already.
            told: (1..=3)
                .chain(1..=3)
                .map(|seq| (uid(seq), rid(seq)))
                .collect(),
            stock: Stock { count: 3, sale: 3 },
            orders: (1..=3).map(order).collect(),
            module: Module {
                total: 3,
                available: 0,
                held: 3,
                sold: 0,
                limit: 1,
            },
            audit: Ok("OK total=3 available=0 held=3 sold=0 reservations=3".to_owned()),
        }
    }

    /// What is found after `change`.
    fn damage(change: impl FnOnce(&mut Accounts)) -> Vec<Damage> {
        let mut accounts = sound();
        change(&mut accounts);
        accounts.close().damage
    }

    #[test]
    fn sound_books_close() {
        let books = sound().close();
        assert_eq!((books.accepted, books.orders, books.sale), (3, 3, 3));
        assert_eq!((books.oversold, books.lost, books.duplicated), (0, 0, 0));
        assert!(books.audit_ok);
        assert_eq!(books.damage, []);
    }

    #[test]
    fn units_beyond_the_stock_are_oversold() {
        let damage = damage(|accounts| {
            accounts.stock.count = 2;
            accounts.module.total = 2;
        });
        assert!(
            damage.contains(&Damage::Oversold { units: 1 }),
            "{damage:?}"
        );
    }

    #[test]
    fn a_told_reservation_without_an_order_is_lost() {
        let damage = damage(|accounts| {
            accounts.orders.pop();
            accounts.stock.sale = 2;
        });
        let lost = Damage::Lost {
            reservations: vec![(uid(3), rid(3))],
        };
        assert!(damage.contains(&lost), "{damage:?}");
        assert!(
            damage.contains(&Damage::Sums {
                sale: 2,
                orders: 2,
                module: 3
            }),
            "{damage:?}"
        );
    }

    #[test]
    fn an_order_of_another_buyer_is_no_order_of_this_one() {
        let damage = damage(|accounts| {
            if let Some(order) = accounts.orders.last_mut() {
                order.uid = uid(4);
            }
        });
        assert_eq!(
            damage,
            [Damage::Lost {
                reservations: vec![(uid(3), rid(3))]
            }]
        );
    }

    #[test]
    fn a_refused_order_is_a_lost_one() {
        let damage = damage(|accounts| {
            if let Some(order) = accounts.orders.last_mut() {
                order.status = Status::Refused;
            }
        });
        assert!(
            damage
                .iter()
                .any(|damage| matches!(damage, Damage::Lost { .. })),
            "{damage:?}"
        );
    }

    #[test]
    fn a_second_order_of_one_reservation_is_a_duplicate() {
        let damage = damage(|accounts| accounts.orders.push(order(3)));
        assert!(
            damage.contains(&Damage::Duplicated { times: 1 }),
            "{damage:?}"
        );
        assert!(
            damage.contains(&Damage::Oversold { units: 1 }),
            "{damage:?}"
        );
    }

    #[test]
    fn units_beyond_a_buyers_limit_are_duplicates() {
        let both_of_one = |accounts: &mut Accounts| {
            for order in accounts.orders.iter_mut().take(2) {
                order.uid = uid(1);
            }
            for (buyer, told) in &mut accounts.told {
                if *told == rid(2) {
                    *buyer = uid(1);
                }
            }
        };
        assert_eq!(damage(both_of_one), [Damage::Duplicated { times: 1 }]);
        let without_limit = damage(|accounts| {
            both_of_one(accounts);
            accounts.module.limit = 0;
        });
        assert_eq!(without_limit, []);
    }

    #[test]
    fn an_order_that_nobody_was_told_is_found() {
        let last_untold =
            |accounts: &mut Accounts| accounts.told.retain(|(_, told)| *told != rid(3));
        let damage_found = damage(last_untold);
        assert!(
            damage_found.contains(&Damage::Untold { orders: 1 }),
            "{damage_found:?}"
        );
        assert!(damage_found.contains(&Damage::Counts {
            accepted: 2,
            orders: 3
        }));
        let given_up = damage(|accounts| {
            last_untold(accounts);
            accounts.given_up = 1;
        });
        assert!(
            !given_up.contains(&Damage::Untold { orders: 1 }),
            "{given_up:?}"
        );
        assert!(
            given_up.contains(&Damage::GivenUp { tries: 1 }),
            "{given_up:?}"
        );
    }

    #[test]
    fn an_audit_that_finds_something_is_passed_on() {
        let reply = "AUDIT held=2, reservations hold 3".to_owned();
        let damage = damage(|accounts| accounts.audit = Err(reply.clone()));
        assert_eq!(damage, [Damage::Audit { reply }]);
    }

    #[test]
    fn a_sale_column_of_its_own_opinion_is_found() {
        let damage = damage(|accounts| accounts.stock.sale = 4);
        assert_eq!(
            damage,
            [Damage::Sums {
                sale: 4,
                orders: 3,
                module: 3
            }]
        );
    }

    #[test]
    fn units_that_vanish_in_the_module_are_found() {
        let damage = damage(|accounts| accounts.module.available = 1);
        assert_eq!(
            damage,
            [Damage::Conservation {
                count: 3,
                total: 3,
                parts: 4
            }]
        );
    }

    #[test]
    fn a_sale_that_does_not_sell_what_is_wanted_is_found() {
        let damage = damage(|accounts| {
            accounts.stock.count = 4;
            accounts.module.total = 4;
            accounts.module.available = 1;
        });
        assert_eq!(
            damage,
            [Damage::Undersold {
                units: 3,
                wanted: 4
            }]
        );
    }

    #[test]
    fn units_that_went_back_are_not_sold() {
        let damage = damage(|accounts| {
            if let Some(order) = accounts.orders.last_mut() {
                order.status = Status::Over;
            }
            accounts.stock.sale = 2;
            accounts.module.available = 1;
            accounts.module.held = 2;
        });
        assert_eq!(
            damage,
            [Damage::Undersold {
                units: 2,
                wanted: 3
            }]
        );
    }

    #[test]
    fn every_status_of_an_order_is_known() {
        for word in ["held", "confirmed", "cancelled", "expired", "refused"] {
            assert!(word.parse::<Status>().is_ok(), "{word}");
        }
        assert!("lost".parse::<Status>().is_err());
    }
}
