//! `recover`: a fenced, stale or empty Redis becomes what MySQL and Kafka know, and sells on.
//!
//! | file | idea |
//! | --- | --- |
//! | `books.rs` | what MySQL has |
//! | `topic.rs` | what lies on the topic |
//! | `report.rs` | what is said, to a person or to a machine |
//! | `mod.rs` | looks, does the next step, and looks again |
//!
//! What is wrong and what is to be done next, and whether both have facts of one sale, are the pure
//! rules of `seckill_orders`. Each step may be done again, and what is to be done is found out anew
//! after each: whoever is cut off anywhere begins again. What cannot be seen in Redis is in
//! `stock_sale`: the options, and whether it was `recover` that paused the sale.

mod books;
mod report;
mod topic;

use crate::cli::Recover;
use crate::config::{Broker, Config};
use crate::gate::{Beginning, Cursor, Gate, Put, Refused, Sale};
use crate::mysql::Session;
use crate::options::{self, Row};
use crate::orders::{Stock, StockId};
use anyhow::{Context, bail, ensure};
use books::{Books, PAGE, Sums};
use diagnosis::{Copy, Kind, Message, Next, Seen, Step, next_step, reach};
use indicatif::ProgressBar;
use report::{Outcome, Report};
use seckill_orders::{compare, diagnosis};
use seckill_protocol::{EventBatch, EventId, ReservationState};
use std::io::Write;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How often what others have to do is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// After so long without a movement, the beginning of an epoch is sent again; then after twice as
/// long, and so on.
const SEND_AGAIN_AFTER: Duration = Duration::from_secs(3);

/// Events of the log read at a time.
const EVENTS_MAX: usize = 5000;

/// How often it begins again because MySQL's books moved meanwhile.
const ATTEMPTS_MAX: u32 = 5;

/// Recovers the sales one after the other, and says what became of each.
///
/// # Errors
/// If any could not be recovered; what was said names it and the reason.
pub(crate) async fn recover(
    config: &Config,
    recover: &Recover,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut recovery = Recovery {
        config,
        recover,
        session: Session::new(config.mysql.opts.clone()),
        gate: Gate::for_chore(&config.redis).context("redis.url")?,
        report: Report::new(out, recover.json),
    };
    recovery.gate.enter().await.context("redis.url")?;
    let mut failed = 0;
    for sid in &recover.sids {
        let done = recovery.one(sid).await;
        failed += usize::from(done.is_err());
        recovery.report.outcome(sid, &done)?;
    }
    let all = recover.sids.len();
    ensure!(failed == 0, "{failed} of {all} sales are not recovered");
    Ok(())
}

struct Recovery<'a, W> {
    config: &'a Config,
    recover: &'a Recover,
    session: Session,
    gate: Gate,
    report: Report<'a, W>,
}

/// A sale as it is now, on both sides.
struct Look {
    books: Books,
    row: Option<Row>,
    sale: Option<Sale>,
    seen: Seen,
}

/// What is waited for, and since when nothing has moved.
struct Wait {
    step: Step,
    cursor: EventId,
    since: Instant,
    send_again_after: Duration,
}

/// The sale that is recovered.
struct Patient<'a> {
    sid: &'a str,
    id: StockId,
    /// What this run has put back, if it has.
    filled: Option<Put>,
    /// The messages on the topic, once they were looked at.
    topic: Option<Vec<Message>>,
}

// === impl Recovery ===

impl<W: Write> Recovery<'_, W> {
    async fn one(&mut self, sid: &str) -> anyhow::Result<Outcome> {
        let mut patient = Patient {
            sid,
            id: sid.parse()?,
            filled: None,
            topic: None,
        };
        let mut wait: Option<Wait> = None;
        let mut attempts = 0;
        loop {
            let look = self.look(&mut patient).await?;
            let step = next_step(&look.seen);
            if matches!(
                step,
                Step::Create | Step::PutBack | Step::Fill | Step::SetBack { .. }
            ) {
                attempts += 1;
                ensure!(
                    attempts <= ATTEMPTS_MAX * 2,
                    "the sale does not come to rest: is another recover at work?"
                );
            }
            match step {
                Step::AwaitTopic(_) | Step::AwaitLog(_) | Step::AwaitFence => {
                    self.wait(&mut wait, sid, step, &look).await?;
                }
                Step::Create => self.create(&patient, &look).await?,
                Step::PutBack => self.put_back(&mut patient, &look).await?,
                Step::Fill => self.fill(&mut patient, &look).await?,
                Step::GoOn => {
                    self.go_on(&patient, &look).await?;
                    let sale = self.gate.sale(sid).await?;
                    return Ok(Outcome::recovered(sale, patient.filled));
                }
                Step::Nothing => {
                    let sale = look.sale.context("the sale has gone")?;
                    return Ok(match (patient.filled, wait) {
                        (None, None) => Outcome::healthy(sale, look.seen.cursor),
                        (filled, _) => Outcome::recovered(sale, filled),
                    });
                }
                Step::NeverBegan => bail!(
                    "Redis has no such sale, and MySQL has nothing of one: `seckill-worker warm \
                     {sid}` makes it"
                ),
                Step::SetBack { head } => self.begin_epoch(&patient, &look, head).await?,
                Step::MysqlLost { has_to_be } => bail!(
                    "Redis was told that MySQL has the sale up to {has_to_be}, but MySQL has it up \
                     to {} only, and nothing that is missing is elsewhere: MySQL was set back, or is \
                     another database. Put MySQL right first",
                    look.seen.cursor
                ),
            }
        }
    }

    /// Waits a moment for what others have to do.
    async fn wait(
        &mut self,
        wait: &mut Option<Wait>,
        sid: &str,
        step: Step,
        look: &Look,
    ) -> anyhow::Result<()> {
        let cursor = look.seen.cursor;
        let nothing_moved = |wait: &&mut Wait| wait.step == step && wait.cursor == cursor;
        match wait.as_mut().filter(nothing_moved) {
            None => {
                if wait.as_ref().is_none_or(|wait| wait.step != step) {
                    self.report.say(sid, &awaited(step, cursor))?;
                }
                *wait = Some(Wait {
                    step,
                    cursor,
                    since: Instant::now(),
                    send_again_after: SEND_AGAIN_AFTER,
                });
            }
            Some(wait) => {
                let patience = Duration::from_secs(self.recover.wait);
                let waited = wait.since.elapsed();
                ensure!(waited < patience, self.stuck(step, look));
                if waited > wait.send_again_after
                    && let Step::AwaitLog(EventId { seq: 1, .. }) = step
                {
                    // A relay that had read the beginning of the epoch before it was joined, and told
                    // Redis so afterwards, would not send it again by itself.
                    wait.send_again_after *= 2;
                    let set_back = self.gate.ack(sid, Cursor::Relayed, cursor).await;
                    set_back.context("SECKILL.ACK … RELAYED")?;
                }
            }
        }
        sleep(LOOK_EVERY).await;
        Ok(())
    }

    /// Looks at a sale in MySQL, in Redis, and, where it matters, on the topic.
    async fn look(&mut self, patient: &mut Patient<'_>) -> anyhow::Result<Look> {
        let Patient { sid, id, .. } = *patient;
        let (books, sale, copy) = loop {
            let books = books::read(&mut self.session, id).await?;
            let books = books
                .with_context(|| format!("there is no row with id {id} in the table stock"))?;
            let sale = match self.gate.sale(sid).await {
                Ok(sale) => Some(sale),
                Err(Refused::NoSale) => None,
                Err(refused) => return Err(refused).context("SECKILL.INFO"),
            };
            let copy = match &sale {
                None => None,
                Some(sale) => Some(Copy {
                    is_fenced: sale.state == "fenced",
                    head: sale.head,
                    next: self.next_event(sid, books.cursor).await?,
                }),
            };
            // Else what MySQL took up in between would look as if it were nowhere.
            if !self.has_moved(id, books.cursor).await? {
                break (books, sale, copy);
            }
        };
        let row = options::read(&mut self.session, id).await?;
        let mut seen = Seen {
            cursor: books.cursor,
            sale: books.sale,
            copy,
            on_topic: None,
            recovering: row.is_some_and(|row| row.recovering),
            is_filled: patient.filled.is_some(),
        };
        let step = next_step(&seen);
        if self.config.broker == Broker::Kafka && step.needs_the_topic() {
            let messages = match patient.topic.take() {
                Some(messages) => messages,
                None => {
                    let (kafka, sid) = (self.config.kafka.clone(), sid.to_owned());
                    tokio::task::spawn_blocking(move || topic::events_of(&kafka, &sid))
                        .await?
                        .context("cannot look for what Kafka has of it")?
                }
            };
            let next = seen.copy.as_ref().and_then(|copy| copy.next);
            let before = messages.iter().copied();
            let before = before.filter(|message| next.is_none_or(|next| message.last < next.id));
            seen.on_topic = reach(books.cursor, &before.collect::<Vec<_>>());
            patient.topic = Some(messages);
        }
        Ok(Look {
            books,
            row,
            sale,
            seen,
        })
    }

    async fn next_event(&self, sid: &str, cursor: EventId) -> anyhow::Result<Option<Next>> {
        let batch = self.gate.events(sid, cursor, 1).await;
        let batch = batch.context("SECKILL.EVENTS")?;
        Ok(batch.and_then(|batch| {
            let event = batch.events.first()?;
            let id = EventId::new(batch.epoch, event.seq);
            Some(Next::new(id, &event.fact))
        }))
    }

    /// Makes the sale that Redis lost, paused and without a unit.
    async fn create(&mut self, patient: &Patient<'_>, look: &Look) -> anyhow::Result<()> {
        let Patient { sid, id, .. } = *patient;
        let given = self.recover.options;
        ensure!(
            look.row.is_some() || given != options::Given::default(),
            "Redis has no such sale, and nobody has kept its options: say those with which it was \
             created, as --limit 1 --hold 900000"
        );
        let options = given.over(look.row.map(|row| row.options).as_ref());
        options::set_recovering(&mut self.session, id, &options.or_default(), true).await?;
        let beginning = Beginning {
            total: 0,
            sold: 0,
            name: &look.books.name,
            options,
            paused: true,
        };
        let created = self.gate.begin(sid, beginning).await;
        // If the answer to an earlier attempt was lost, the sale is there already.
        let sale = match (created, self.gate.sale(sid).await) {
            (_, Ok(sale)) => sale,
            (Err(refused), Err(_)) | (Ok(()), Err(refused)) => {
                return Err(refused).context("SECKILL.CREATE");
            }
        };
        ensure!(
            sale.head.epoch > look.seen.cursor.epoch,
            "the clock of Redis is behind: a sale that is made now has the epoch {}, and MySQL has \
             {} already. Set the clock, delete the key of the sale, and recover again",
            sale.head.epoch,
            look.seen.cursor.epoch
        );
        let cursor = look.seen.cursor;
        self.report.say(
            sid,
            &format!("not in Redis; MySQL has it up to {cursor}. Made again, paused"),
        )?;
        Ok(())
    }

    /// Puts back what MySQL has, and joins the log in Redis to it.
    async fn put_back(&mut self, patient: &mut Patient<'_>, look: &Look) -> anyhow::Result<()> {
        let Patient { sid, id, .. } = *patient;
        if patient.filled.is_none()
            && let Some(Copy {
                next: Some(next), ..
            }) = &look.seen.copy
            && let Kind::Epoch { previous } = next.kind
            && !look.seen.recovering
        {
            let cursor = look.seen.cursor;
            self.report.say(
                sid,
                &format!("Redis has it up to {previous}, MySQL up to {cursor}"),
            )?;
        }
        self.fill(patient, look).await?;
        if patient.filled.is_none() {
            return Ok(());
        }
        match self.gate.join(sid, look.seen.cursor).await {
            Ok(()) => {}
            // MySQL has taken the epoch up meanwhile: the next look shows it.
            Err(Refused::Other(_)) if self.has_moved(id, look.seen.cursor).await? => {
                patient.filled = None;
            }
            Err(refused) => return Err(refused).context("SECKILL.RESTORE … JOIN"),
        }
        Ok(())
    }

    async fn has_moved(&mut self, id: StockId, cursor: EventId) -> anyhow::Result<bool> {
        let books = books::read(&mut self.session, id).await?;
        Ok(books.is_none_or(|books| books.cursor != cursor))
    }

    /// Puts back what MySQL has.
    async fn fill(&mut self, patient: &mut Patient<'_>, look: &Look) -> anyhow::Result<()> {
        let Patient { sid, .. } = *patient;
        let opened = look.row.map_or(0, |row| row.opened);
        let sale = look.sale.as_ref().context("the sale has gone")?;
        self.weigh(patient, opened, sale.stored).await?;
        self.pause(patient, sale).await?;
        // Weighed again: now nothing is granted any more.
        let (sums, rest) = self.weigh(patient, opened, sale.stored).await?;
        let bar = ProgressBar::new(sums.orders);
        let put = self
            .stream(patient, opened, sale, (&sums, &rest), &bar)
            .await;
        bar.finish_and_clear();
        let (put, paid) = match put {
            Ok(put) => put,
            // Another copy has taken over, and lacks what was put back into the one before.
            Err(_) if self.is_in_another_epoch(sid, sale).await => return Ok(()),
            Err(error) => return Err(error),
        };
        let began = (&sums.books, sale.head);
        let is_whole = self.check(patient, opened, began, paid).await?;
        if is_whole {
            let orders = sums.orders;
            let Put {
                added,
                moved,
                known,
            } = put;
            let said = format!(
                "{orders} orders put back: {added} were missing, {moved} were behind, {known} were there"
            );
            self.report.say(sid, &said)?;
            patient.filled = Some(put);
        }
        Ok(())
    }

    async fn is_in_another_epoch(&self, sid: &str, before: &Sale) -> bool {
        let sale = self.gate.sale(sid).await;
        sale.is_ok_and(|sale| sale.head.epoch != before.head.epoch)
    }

    /// What MySQL has, and what the rest of the log in Redis will make of it.
    async fn weigh(
        &mut self,
        patient: &Patient<'_>,
        opened: u64,
        stored: EventId,
    ) -> anyhow::Result<(Sums, compare::Rest)> {
        let Patient { sid, id, .. } = *patient;
        let sums = books::sums(&mut self.session, id, opened).await?;
        let cursor = sums.books.cursor;
        let (shared, rest) = self.log(sid, stored, cursor).await?;
        let ids = compare::orders_of(cursor, &shared, &rest);
        let orders = books::orders(&mut self.session, id, &ids).await?;
        let stock = Stock {
            count: sums.books.count,
            sale: sums.books.sale,
        };
        let rest = compare::shared(&shared, &orders)
            .and_then(|()| compare::rest(cursor, stock, &orders, rest))
            .map_err(|reason| {
                anyhow::anyhow!(
                    "Redis and MySQL have facts that exclude each other, and only a person can say \
                     which are right; nothing is put back: {reason}"
                )
            })?;
        Ok((sums, rest))
    }

    /// The log in Redis: what MySQL has of it, too, and what not.
    async fn log(
        &self,
        sid: &str,
        stored: EventId,
        cursor: EventId,
    ) -> anyhow::Result<(Vec<EventBatch>, Vec<EventBatch>)> {
        let (mut shared, mut rest) = (Vec::new(), Vec::new());
        let mut after = stored;
        while let Some(batch) = self
            .gate
            .events(sid, after, EVENTS_MAX)
            .await
            .context("SECKILL.EVENTS")?
        {
            after = batch.last_id().unwrap_or(after);
            let (before, behind) = compare::split(batch, cursor);
            shared.extend(before);
            rest.extend(behind);
        }
        Ok((shared, rest))
    }

    /// Puts the units and all orders back. Returns also how many units are in reservations that are
    /// paid for and that MySQL refused.
    ///
    /// Into a copy that has reservations already, those that have ended go first: their units may
    /// belong to others by now.
    async fn stream(
        &mut self,
        patient: &Patient<'_>,
        opened: u64,
        sale: &Sale,
        (sums, rest): (&Sums, &compare::Rest),
        bar: &ProgressBar,
    ) -> anyhow::Result<(Put, u64)> {
        let mut put = Put::default();
        let recount = async |gate: &Gate, paid: u64| {
            let (total, sold) = units(sums, rest.restocked, paid)?;
            let recounted = gate.recount(patient.sid, total, sold).await;
            recounted.context("SECKILL.RESTORE … UNITS")
        };
        let mut paid = 0;
        if sale.reservations > 0 {
            put += self.pass(patient, opened, |is_live| !is_live, bar).await?;
            paid = self.paid_and_refused(patient, opened).await?;
            recount(&self.gate, paid).await?;
            put += self.pass(patient, opened, |is_live| is_live, bar).await?;
        } else {
            recount(&self.gate, paid).await?;
            put += self.pass(patient, opened, |_| true, bar).await?;
        }
        Ok((put, paid))
    }

    /// Units of reservations that MySQL refused and that are paid for in Redis: there they stay sold,
    /// and MySQL has the refunds.
    async fn paid_and_refused(
        &mut self,
        patient: &Patient<'_>,
        opened: u64,
    ) -> anyhow::Result<u64> {
        let Patient { sid, id, .. } = *patient;
        let mut units = 0;
        for rid in books::refused(&mut self.session, id, opened).await? {
            let found = self.gate.reservation(sid, rid).await;
            let found = found.context("SECKILL.GET")?;
            let sold = found.filter(|found| found.state == ReservationState::Confirmed);
            units += sold.map_or(0, |sold| u64::from(sold.qty));
        }
        Ok(units)
    }

    /// Puts orders back, of those held or confirmed and of the others as `wanted` says.
    async fn pass(
        &mut self,
        patient: &Patient<'_>,
        opened: u64,
        wanted: impl Fn(bool) -> bool,
        bar: &ProgressBar,
    ) -> anyhow::Result<Put> {
        let Patient { sid, id, .. } = *patient;
        let mut put = Put::default();
        for EventId { epoch, seq: last } in books::epochs(&mut self.session, id, opened).await? {
            let mut after = EventId::new(epoch, 0);
            while after.seq < last {
                let mut page = books::page(&mut self.session, id, after).await?;
                after.seq = after.seq.saturating_add(PAGE);
                page.retain(|reservation| wanted(reservation.state.is_live()));
                if page.is_empty() {
                    continue;
                }
                put += self
                    .gate
                    .put_back(sid, &page)
                    .await
                    .context("SECKILL.RESTORE … RESERVATION")?;
                bar.inc(page.len() as u64);
            }
        }
        Ok(put)
    }

    /// Recounts the sale, and compares it with MySQL before anything is sold. False: since both were as
    /// in `began` something has happened that has to be put back, too.
    async fn check(
        &mut self,
        patient: &Patient<'_>,
        opened: u64,
        began: (&Books, EventId),
        paid: u64,
    ) -> anyhow::Result<bool> {
        let Patient { sid, .. } = *patient;
        self.gate.audit(sid).await.context("SECKILL.AUDIT")?;
        // Payments go on meanwhile. Between two looks at Redis at which nothing has happened, both
        // sides can be compared.
        let mut before = self.gate.sale(sid).await?;
        let (books, head) = began;
        if before.head.epoch != head.epoch {
            // Another copy, or an older one: it may lack what was put back.
            return Ok(false);
        }
        for _ in 0..ATTEMPTS_MAX {
            let (sums, rest) = self.weigh(patient, opened, before.stored).await?;
            if sums.books.cursor != books.cursor {
                return Ok(false);
            }
            let sale = self.gate.sale(sid).await?;
            if sale.head != before.head {
                before = sale;
                continue;
            }
            let (total, sold) = units(&sums, rest.restocked, paid)?;
            let reservations = sums.orders + rest.accepted;
            let taken = sale.held + sale.sold;
            let beyond = (u64::try_from(sums.live).unwrap_or(0) + paid + sold)
                .saturating_sub(u64::try_from(sums.books.sale).unwrap_or(0));
            let expected = rest.sale.and_then(|sale| u64::try_from(sale).ok());
            let expected = expected.map_or(taken, |sale| sale + beyond);
            let is_same = (reservations..=reservations + sums.rowless).contains(&sale.reservations)
                && (sale.total, taken) == (total, expected);
            if !is_same && (&sums.books, sale.head) != began {
                // Units that were added after they were counted, or sold elsewhere.
                return Ok(false);
            }
            ensure!(
                is_same,
                "Redis has other facts than MySQL, and nothing is sold: {} reservations and {taken} \
                 of {} units gone in Redis, but {reservations} and {expected} of {total} by MySQL's \
                 books. `seckill-worker reconcile` says more",
                sale.reservations,
                sale.total,
            );
            break;
        }
        Ok(true)
    }

    /// MySQL has the new epoch, and everything is there: sells on what `recover` had paused.
    async fn go_on(&mut self, patient: &Patient<'_>, look: &Look) -> anyhow::Result<()> {
        let Patient { sid, id, .. } = *patient;
        let options = look
            .sale
            .as_ref()
            .context("the sale has gone")?
            .seen
            .options;
        if look.row.is_some_and(|row| row.closed) {
            self.gate.close(sid).await.context("SECKILL.CLOSE")?;
        } else {
            self.gate.resume(sid).await.context("SECKILL.RESUME")?;
        }
        options::set_recovering(&mut self.session, id, &options, false).await?;
        Ok(())
    }

    /// Redis was set back, as by an old backup, or was replaced by a node that MySQL has less of. If
    /// MySQL has all that Redis has, an epoch begins, and Redis is a copy like any other that lacks
    /// something. What it has told buyers since then and nobody else knows, a person has to see to.
    async fn begin_epoch(
        &mut self,
        patient: &Patient<'_>,
        look: &Look,
        head: EventId,
    ) -> anyhow::Result<()> {
        let Patient { sid, id, .. } = *patient;
        let cursor = look.seen.cursor;
        let sale = look.sale.as_ref().context("the sale has gone")?;
        self.pause(patient, sale).await?;
        // Now nothing is granted any more.
        let (shared, _) = self.log(sid, sale.stored, cursor).await?;
        let ids = compare::orders_of(cursor, &shared, &[]);
        let orders = books::orders(&mut self.session, id, &ids).await?;
        compare::set_back(&shared, &orders).map_err(|reason| {
            anyhow::anyhow!(
                "Redis has the sale up to {head} only, and MySQL up to {cursor}, but no node took \
                 over: Redis was set back, as by an old backup, and has gone on since. What it has \
                 told buyers since then is in no order, and they have to be told otherwise: {reason}. \
                 Then delete the key of the sale, and recover again"
            )
        })?;
        self.report.say(
            sid,
            &format!("Redis was set back to {head}, MySQL has it up to {cursor}"),
        )?;
        let begun = self.gate.begin_epoch(sid, cursor.epoch).await;
        begun.context("SECKILL.RESTORE … EPOCH")
    }

    /// Stops the selling, unless it stands still already.
    async fn pause(&mut self, patient: &Patient<'_>, sale: &Sale) -> anyhow::Result<()> {
        let Patient { sid, id, .. } = *patient;
        if !matches!(sale.state.as_str(), "fenced" | "paused") {
            options::set_recovering(&mut self.session, id, &sale.seen.options, true).await?;
            self.gate.pause(sid).await.context("SECKILL.PAUSE")?;
            self.report.say(sid, "paused")?;
        }
        Ok(())
    }

    /// Why nothing moves any more, and what is still to happen.
    fn stuck(&self, step: Step, look: &Look) -> String {
        let seconds = self.recover.wait;
        let cursor = look.seen.cursor;
        let nobody = format!(
            "for {seconds} s no worker has done so. Start one (`seckill-worker run`); if one runs, \
             its log says why the sale stands still"
        );
        match step {
            Step::AwaitTopic(last) => format!(
                "Kafka has it up to {last}, and MySQL up to {cursor} only. A worker has to write \
                 the rest first: {nobody}. Then recover again"
            ),
            _ if look.seen.recovering => format!(
                "everything is put back, and the sale stays paused until MySQL has taken up the \
                 new epoch: {nobody}. Then recover again, to sell on"
            ),
            _ => format!(
                "the sale stays fenced until MySQL has taken up what Redis has: {nobody}. Then the \
                 sale goes on by itself"
            ),
        }
    }
}

/// What a wait is for.
fn awaited(step: Step, cursor: EventId) -> String {
    match step {
        Step::AwaitTopic(last) => format!(
            "Kafka has it up to {last}, MySQL up to {cursor}: waiting until a worker has written it"
        ),
        Step::AwaitFence => "waiting until a worker lets the fence fall".to_owned(),
        _ => format!("MySQL has it up to {cursor} and reads on from there: waiting for a worker"),
    }
}

/// All units, and those of them that are gone in no reservation. Of the latter, `paid` are in
/// reservations that MySQL does not count.
fn units(sums: &Sums, restocked: i64, paid: u64) -> anyhow::Result<(u64, u64)> {
    let Sums { books, live, .. } = sums;
    let sold = books.sale.checked_sub(*live);
    let sold = sold.and_then(|sold| u64::try_from(sold).ok());
    let sold = sold.map(|sold| sold.saturating_sub(paid));
    let total = books.count.checked_add(restocked);
    let total = total.and_then(|total| u64::try_from(total).ok());
    let (Some(total), Some(sold)) = (total, sold) else {
        bail!(
            "MySQL's books do not close: stock.count is {} and stock.sale {}, and {live} units are \
             in orders held or confirmed. `seckill-worker reconcile` says more",
            books.count,
            books.sale
        );
    };
    Ok((total, sold))
}
