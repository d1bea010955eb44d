//! Which of many orders MySQL does not take, and whether to believe that it is their fault.
//!
//! An order that MySQL refuses for good must not stop its neighbours: it is refused, its reservation
//! is cancelled in the module, and the sale goes on. But where one order after the other is refused,
//! the table is at fault and not the buyers, and nobody must be turned away for that: the sale stands
//! still until somebody has mended it.

use super::fold::{Order, Unwritable};
use crate::mysql::Failure;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, ServerError};

/// So many orders of a sale may be refused in a row. One more, and it is not their fault.
pub(crate) const IN_A_ROW_MAX: usize = 10;

/// What was found among the orders of a statement that MySQL refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The orders that it does not take, and why.
    pub(crate) unwritable: Unwritable,
    /// The longest row of them with none between that it takes.
    pub(crate) in_a_row: usize,
    /// How many of the first ones it does not take.
    pub(crate) from_the_first: usize,
}

/// Inserts ever smaller parts until it is known which orders MySQL does not take. What it takes is
/// inserted by that, and the caller rolls back.
///
/// # Errors
/// Any failure that is not the fault of an order.
pub(crate) async fn find(
    conn: &mut Conn,
    orders: &[Order],
    insert: impl Fn(&[Order]) -> String,
    failure: Failure,
) -> Result<Found, Failure> {
    match failure {
        Failure::Data(error) if is_of_an_order(&error) => {}
        failure => return Err(failure),
    }
    let mut search = Search::new(orders);
    while let Some(part) = search.part() {
        let taken = match conn.query_drop(insert(part)).await {
            Ok(()) => Ok(()),
            Err(error) => match Failure::from(error) {
                Failure::Data(error) if is_of_an_order(&error) => Err(error.to_string()),
                failure => return Err(failure),
            },
        };
        search.note(taken);
        if search.in_a_row > IN_A_ROW_MAX {
            break;
        }
    }
    Ok(search.found)
}

/// Whether a refusal speaks of what is in the row. One that is there already does not: then MySQL
/// has more than its cursor says.
fn is_of_an_order(error: &ServerError) -> bool {
    let is_there = error.code == 1062 && error.message.contains("stock_order_event'");
    !is_there
}

/// Halving, from the first order to the last.
struct Search<'a> {
    /// Parts that have not been tried, the first one last.
    parts: Vec<&'a [Order]>,
    found: Found,
    in_a_row: usize,
    /// Whether any was taken.
    any_taken: bool,
}

// === impl Search ===

impl<'a> Search<'a> {
    /// The orders together are known to be refused.
    fn new(orders: &'a [Order]) -> Self {
        let mut search = Self {
            parts: Vec::new(),
            found: Found {
                unwritable: Unwritable::new(),
                in_a_row: 0,
                from_the_first: 0,
            },
            in_a_row: 0,
            any_taken: false,
        };
        search.split(orders);
        search
    }

    fn split(&mut self, part: &'a [Order]) {
        if part.len() == 1 {
            // Once more, alone.
            self.parts.push(part);
            return;
        }
        let (first, second) = part.split_at(part.len() / 2);
        self.parts.push(second);
        self.parts.push(first);
    }

    /// What to try next.
    fn part(&self) -> Option<&'a [Order]> {
        self.parts.last().copied().filter(|part| !part.is_empty())
    }

    /// What came of it.
    fn note(&mut self, taken: Result<(), String>) {
        let Some(part) = self.parts.pop() else {
            return;
        };
        match (taken, part) {
            (Ok(()), _) => {
                self.in_a_row = 0;
                self.any_taken = true;
            }
            (Err(reason), [order]) => {
                self.found.unwritable.insert(order.id, reason);
                self.in_a_row += 1;
                self.found.in_a_row = self.found.in_a_row.max(self.in_a_row);
                if !self.any_taken {
                    self.found.from_the_first += 1;
                }
            }
            (Err(_), part) => self.split(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::status::Status;
    use seckill_protocol::{EventId, Uid};

    fn orders(count: u64) -> Vec<Order> {
        let order = |seq| Order {
            id: EventId::new(1, seq),
            uid: Uid::new(b"u7").unwrap(),
            qty: 1,
            status: Status::Held,
            deadline_ms: Some(9),
            token: None,
            at_ms: 5,
        };
        (1..=count).map(order).collect()
    }

    /// What is found, and in how many statements.
    fn search(count: u64, bad: impl Fn(u64) -> bool) -> (Found, usize) {
        let orders = orders(count);
        let mut search = Search::new(&orders);
        let mut statements = 0;
        while let Some(part) = search.part() {
            statements += 1;
            let refused = part.iter().any(|order| bad(order.id.seq));
            search.note(if refused { Err("no".into()) } else { Ok(()) });
        }
        (search.found, statements)
    }

    #[test]
    fn exactly_the_orders_at_fault_are_found_and_in_few_statements() {
        for bad in [&[1_u64][..], &[500], &[1000], &[3, 4, 900], &[1, 2, 3]] {
            let (found, statements) = search(1000, |seq| bad.contains(&seq));
            let seqs: Vec<u64> = found.unwritable.keys().map(|id| id.seq).collect();
            assert_eq!(seqs, bad);
            assert!(statements <= 25 * bad.len(), "{bad:?}: {statements}");
        }
        assert_eq!(search(1, |_| true).0.unwritable.len(), 1);
    }

    #[test]
    fn a_row_of_refused_orders_is_told_from_single_ones() {
        let every_second = search(100, |seq| seq.is_multiple_of(2)).0;
        assert_eq!((every_second.in_a_row, every_second.from_the_first), (1, 0));
        let all = search(30, |_| true).0;
        assert_eq!((all.in_a_row, all.from_the_first), (30, 30));
        let some = search(30, |seq| seq <= 2 || (10..14).contains(&seq)).0;
        assert_eq!((some.in_a_row, some.from_the_first), (4, 2));
    }
}
