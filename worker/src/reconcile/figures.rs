//! The figures of a sale that belong to no single order: the stock row, and the places in the log.

use super::judge::{Names, is_live};
use super::plan::{Difference, Mend, Plan, Step};
use super::{Servers, Trouble, read};
use crate::books::{Figures, read_figures};
use crate::gate::SaleInfo;
use crate::orders::StockId;
use mysql_async::prelude::Queryable;
use seckill_protocol::EventId;
use std::time::Duration;
use tokio::time::sleep;

/// How often it is looked for an instant at which both sides stand at the same event.
const LOOKS: usize = 20;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Compares `stock.sale` with what the orders come to once the plan's steps are done.
pub(super) async fn sale(
    servers: &mut Servers,
    names: &Names,
    began_ms: u64,
    plan: &mut Plan,
) -> Result<(), Trouble> {
    let info = servers.gate.sale_info(&names.id.to_string()).await?;
    let sold_before = i64::try_from(info.sold_before).unwrap_or(i64::MAX);
    let id = names.id;
    let sums = servers.session.work(async |conn| {
        read::begin_snapshot(conn).await?;
        let sums = read::sums(conn, id, began_ms, "").await?;
        conn.query_drop("COMMIT").await?;
        Ok(sums)
    });
    let Some(sums) = sums.await? else {
        return Ok(());
    };
    let (taken, released) = changes(plan);
    let to = sums.expected(sold_before) + taken - released;
    let from = sums.sale;
    if from == to {
        return Ok(());
    }
    let what = format!(
        "stock.sale is {from}, the orders come to {to}: {sold_before} units sold before the sale, \
         {} in orders",
        to - sold_before
    );
    plan.differences.push(if plan.for_persons() > 0 {
        let after = "settle the orders above first, then reconcile again".to_owned();
        Difference::person(what, [after])
    } else if to > sums.count {
        let over = format!(
            "more is sold than stock.count, {}: add units to the stock row, or refund buyers",
            sums.count
        );
        Difference::person(what, [over])
    } else if to > from || from - to <= released {
        Difference::step(what, Step::SetSale { from, to })
    } else {
        // Lower, it would let units be sold that somebody may have taken without an order.
        let version = sums.version;
        let set = format!(
            "if nobody sells from this row without writing an order: UPDATE stock SET sale = {to}, \
             version = version + 1 WHERE id = {id} AND version = {version}"
        );
        Difference::person(what, [set])
    });
    Ok(())
}

/// Units that the plan's steps take, and those that they give back.
fn changes(plan: &Plan) -> (i64, i64) {
    let (mut taken, mut released) = (0, 0);
    for step in plan.steps() {
        match step {
            Step::InsertOrder(reservation) if reservation.state.is_live() => {
                taken += i64::from(reservation.qty);
            }
            Step::MoveOrder { qty, from, to, .. } => {
                let units = i64::from(*qty);
                match (is_live(*from), is_live(*to)) {
                    (true, false) => released += units,
                    (false, true) => taken += units,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    (taken, released)
}

/// Compares `stock.count` with the module's total, at an instant at which MySQL has all that the
/// module had. While there is none, nothing is said.
pub(super) async fn count(
    servers: &mut Servers,
    names: &Names,
    plan: &mut Plan,
) -> Result<(), Trouble> {
    let sid = names.id.to_string();
    for _ in 0..LOOKS {
        let before = servers.gate.sale_info(&sid).await?;
        let Some(figures) = figures(servers, names.id).await? else {
            return Ok(());
        };
        let after = servers.gate.sale_info(&sid).await?;
        let passed = figures.cursor.is_some_and(|cursor| cursor >= before.head);
        if !passed || before.total != after.total {
            sleep(PAUSE).await;
            continue;
        }
        let total = i64::try_from(after.total).unwrap_or(i64::MAX);
        if figures.count != total {
            let (id, key, count) = (names.id, &names.key, figures.count);
            let delta = count - total;
            plan.differences.push(Difference::person(
                format!("stock.count is {count}, the module sells {total} units in all"),
                [
                    format!("if MySQL is right: SECKILL.RESTOCK {key} {delta}, then set stock.count back by {delta}: the worker adds it again"),
                    format!("if the module is right: UPDATE stock SET count = {total}, version = version + 1 WHERE id = {id}"),
                ],
            ));
        }
        return Ok(());
    }
    Ok(())
}

async fn figures(servers: &mut Servers, id: StockId) -> Result<Option<Figures>, Trouble> {
    let mut found = read_figures(&mut servers.session, [id]).await?;
    Ok(found.remove(&id))
}

/// What both sides say of the places, and what is owed.
#[derive(Debug)]
pub(super) struct Places {
    cursor: EventId,
    info: SaleInfo,
    owed: Vec<EventId>,
}

impl Places {
    pub(super) async fn read(servers: &mut Servers, id: StockId) -> Result<Self, Trouble> {
        // First, because what MySQL tells the module it has by then.
        let info = servers.gate.sale_info(&id.to_string()).await?;
        let work =
            async |conn: &mut _| Ok((read::cursor(conn, id).await?, read::owed(conn, id).await?));
        let (cursor, owed) = servers.session.work(work).await?;
        Ok(Self { cursor, info, owed })
    }

    /// Whether a worker that runs would still change something here.
    pub(super) fn is_settled(&self) -> bool {
        self.cursor == self.info.stored
            && self.info.relayed == self.info.stored
            && self.owed.is_empty()
            && self.info.state != "fenced"
    }

    /// Whether it moved since.
    pub(super) fn moved_since(&self, before: &Self) -> bool {
        (
            self.cursor,
            self.info.stored,
            self.info.relayed,
            &self.owed,
            &self.info.state,
        ) != (
            before.cursor,
            before.info.stored,
            before.info.relayed,
            &before.owed,
            &before.info.state,
        )
    }
}

/// Judges places that have not moved for long.
pub(super) async fn judge_places(
    servers: &mut Servers,
    names: &Names,
    places: &Places,
    plan: &mut Plan,
) -> Result<(), Trouble> {
    let Places { cursor, info, owed } = places;
    let (cursor, stored) = (*cursor, info.stored);
    if info.state == "fenced" {
        let look = format!("seckill-worker recover {}", names.id);
        let what = format!(
            "the sale is fenced: a node took over with the log up to {}, MySQL's cursor is {cursor}",
            info.head
        );
        plan.differences.push(Difference::person(what, [look]));
        return Ok(());
    }
    if cursor < stored {
        let what = format!("MySQL's cursor is {cursor}, but it had the log up to {stored} before");
        let to = stored;
        plan.differences.push(Difference::step(
            what,
            Step::MoveCursor { from: cursor, to },
        ));
    } else if cursor > stored {
        let what = format!("MySQL has the log up to {cursor}, the module knows only of {stored}");
        plan.differences
            .push(Difference::step(what, Step::TellStored { to: cursor }));
    }
    let from = cursor.max(stored);
    if info.relayed > from && servers.topic_lacks(names.id, from).await? {
        let what = format!(
            "the module was told that Kafka has the log up to {}, MySQL has it up to {from}, and \
             nothing of what is between lies on the topic",
            info.relayed
        );
        plan.differences
            .push(Difference::step(what, Step::SendAgain { from }));
    }
    for rid in owed {
        let is_planned = |difference: &Difference| {
            difference.mend == Mend::Step(Step::CancelRefused { rid: *rid })
        };
        if !plan.differences.iter().any(is_planned) {
            let what = format!("MySQL refused reservation {rid}, and the module was not told");
            plan.differences
                .push(Difference::step(what, Step::CancelRefused { rid: *rid }));
        }
    }
    Ok(())
}
