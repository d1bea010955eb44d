//! The questions that the module answers, and what its answers mean.

use crate::callback::LatePayment;
use crate::convoy;
use crate::counters::Counters;
use crate::ledger::Notes;
use crate::link::Trouble;
use crate::news::News;
use crate::problem::Problem;
use crate::sales::{Sale, Sales};
use crate::servers::Servers;
use crate::state::{Glance, State};
use crate::throttle::Throttle;
use redis::{Cmd, RedisError, Value, from_redis_value};
use seckill_protocol::{ReservationId, ReservationState, Uid, Verdict, VerdictDetail};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tracing::error;

/// How many sales can be looked at in Redis at the same time. Who looks need not say who he is, and
/// makes up sales if he likes: he must not take the places of those who buy.
const LOOKS_MAX: usize = 64;

/// Asks the module, unless it is known what it would say.
pub(crate) struct Gate {
    servers: Servers,
    sales: Arc<Sales>,
    news: Arc<News>,
    /// Questions that may wait for an answer at the same time.
    places: Arc<Semaphore>,
    /// Looks that may.
    looks: Semaphore,
    waiting_max: usize,
    deadline: Duration,
    /// Whether an acceptance counts only when a replica has it.
    copies: bool,
    counters: Arc<Counters>,
    oddities: Throttle,
}

/// A reservation as the module has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    /// Its id.
    pub(crate) rid: ReservationId,
    /// Its owner.
    pub(crate) uid: String,
    /// Its units.
    pub(crate) qty: u64,
    /// Where it stands.
    pub(crate) state: ReservationState,
    /// When it lapses unless paid for, in Unix milliseconds; `None`: never.
    pub(crate) deadline: Option<u64>,
    /// Whether MySQL has its order.
    pub(crate) stored: bool,
}

/// What the module has decided about buyers who asked together.
#[derive(Debug)]
pub(crate) struct Decided {
    /// For each buyer.
    pub(crate) verdicts: Vec<Verdict>,
    /// The life of the connection that they came on.
    pub(crate) life: u64,
}

/// What the shop's answer makes of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Paid for.
    Confirm(LatePayment),
    /// Turned down.
    Cancel,
}

/// Why an [`Outcome`] was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSettled {
    /// It may have been taken or not; asking again does no harm.
    #[error("{0}")]
    Unknown(String),
    /// The module says no, and will go on saying so.
    #[error("{0}")]
    Refused(String),
}

// === impl Gate ===

impl Gate {
    /// Asks `servers` about `sales`. So many questions may wait, each for at most `deadline`. With
    /// `copies`, what a buyer is granted is told when a replica has it.
    pub(crate) fn new(
        servers: Servers,
        sales: Sales,
        waiting_max: usize,
        deadline: Duration,
        copies: bool,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            news: Arc::new(News::new(servers.clone())),
            servers,
            sales: Arc::new(sales),
            places: Arc::new(Semaphore::new(waiting_max)),
            looks: Semaphore::new(LOOKS_MAX),
            waiting_max,
            deadline,
            copies,
            counters,
            oddities: Throttle::default(),
        }
    }

    /// Connects to Redis, in the background and on the runtime that this is called from.
    pub(crate) fn open(&self) {
        self.servers.begin();
        tokio::spawn(Arc::clone(&self.news).follow(Arc::clone(&self.sales)));
    }

    /// Whether a question would be asked now.
    pub(crate) fn is_connected(&self) -> bool {
        self.servers.trouble().is_none()
    }

    /// The sales that were asked about.
    pub(crate) fn sales(&self) -> &Sales {
        &self.sales
    }

    /// Who decides.
    pub(crate) const fn servers(&self) -> &Servers {
        &self.servers
    }

    /// The news of sales.
    pub(crate) fn news(&self) -> &News {
        &self.news
    }

    /// How many questions wait for an answer.
    pub(crate) fn waiting(&self) -> usize {
        let free = self.places.available_permits();
        self.waiting_max.saturating_sub(free)
    }

    /// What is counted.
    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Asks for units.
    ///
    /// # Errors
    /// [`Problem`] if there is no such sale, `qty` is above its limit, or Redis did not decide.
    /// In the last case the units may have been granted: asked again, the verdict is `DUPLICATE`.
    pub(crate) async fn try_for(
        self: &Arc<Self>,
        sid: &str,
        uid: &Uid,
        qty: u32,
        token: Option<&[u8]>,
        notes: &mut Notes,
    ) -> Result<Verdict, Problem> {
        if is_plain(qty, token) {
            let now = notes.began();
            let told = |sale: &Arc<Sale>| self.remembered(sale, uid, now);
            if let Some(verdict) = self.sales.see(sid, told).flatten() {
                return Ok(verdict);
            }
        }
        let sale = self.sales.named(sid);
        // In a place of its own: who is told what is remembered need not carry room for it.
        Box::pin(self.ask_for(&sale, uid, qty, token, notes)).await
    }

    async fn ask_for(
        self: &Arc<Self>,
        sale: &Arc<Sale>,
        uid: &Uid,
        qty: u32,
        token: Option<&[u8]>,
        notes: &mut Notes,
    ) -> Result<Verdict, Problem> {
        let place = self.place()?;
        if self.servers.is_away(&sale.key) {
            return Err(Problem::Unavailable);
        }
        let until = self.copies.then(|| Instant::now() + self.deadline);
        let (verdict, life) = if is_plain(qty, token) {
            let life = self.servers.life(&sale.key);
            let answer = convoy::join(self, sale, uid.clone(), place);
            let answered = timeout(self.deadline, answer);
            match notes.while_redis_answers(answered).await {
                Ok(Ok(answer)) => answer?,
                Ok(Err(_)) => return Err(Problem::Unavailable),
                Err(_) => {
                    self.servers.unanswered(&sale.key, life);
                    return Err(Problem::Unavailable);
                }
            }
        } else {
            // In a place of its own as well: those who travel together need not have room for it.
            let answered = Box::pin(self.try_alone(sale, uid, qty, token));
            notes.while_redis_answers(answered).await?
        };
        if let Some(until) = until
            && matches!(verdict, Verdict::Accepted(_) | Verdict::Duplicate(_))
        {
            let copied = self.servers.copied(&sale.key, life, until);
            let copied = notes.while_redis_answers(copied).await;
            copied.map_err(|trouble| self.meaning(&trouble))?;
        }
        Ok(verdict)
    }

    async fn try_alone(
        &self,
        sale: &Sale,
        uid: &Uid,
        qty: u32,
        token: Option<&[u8]>,
    ) -> Result<(Verdict, u64), Problem> {
        let mut question = redis::cmd("SECKILL.TRY");
        question.arg(&sale.key).arg(uid.as_str());
        question.arg("QTY").arg(qty);
        if let Some(token) = token {
            question.arg("TOKEN").arg(token);
        }
        let uids = std::iter::once(uid);
        let decided = self.decide(sale, &question, uids, qty).await?;
        let verdict = decided.verdicts.first().copied();
        Ok((verdict.ok_or(Problem::Unavailable)?, decided.life))
    }

    /// What the module would tell a buyer who asks for one unit and without a token, if that is
    /// known; then it counts as told.
    pub(crate) fn remembered(
        &self,
        sale: &Sale,
        uid: &Uid,
        now: std::time::Instant,
    ) -> Option<Verdict> {
        let verdict = sale.shut.tell(uid, self.news.life(), now)?;
        self.sales.turned_away(sale, verdict);
        Some(verdict)
    }

    /// Asks the question of these buyers, each for `qty` units, and keeps what there is to learn
    /// from the answer. There is a verdict for each buyer.
    pub(crate) async fn decide<'u>(
        &self,
        sale: &Sale,
        question: &Cmd,
        uids: impl ExactSizeIterator<Item = &'u Uid>,
        qty: u32,
    ) -> Result<Decided, Problem> {
        let buyers = uids.len();
        let asked = sale.shut.ask(uids, self.news.life());
        match self.servers.ask(&sale.key, question).await {
            Ok((life, answer)) => match verdicts(&answer).filter(|all| all.len() == buyers) {
                Some(verdicts) => {
                    self.servers.decided(&sale.key);
                    asked.answered(&verdicts, qty);
                    Ok(Decided { verdicts, life })
                }
                None => Err(self.odd(&format!("unexpected answer to a try: {answer:?}"))),
            },
            Err(trouble) => {
                if trouble.is_no() {
                    asked.refused();
                }
                let problem = self.meaning(&trouble);
                if problem == Problem::UnknownSale {
                    self.sales.remove(sale);
                }
                Err(problem)
            }
        }
    }

    /// Looks a reservation up.
    ///
    /// # Errors
    /// [`Problem`] if there is none, or Redis did not answer.
    pub(crate) async fn reservation(
        &self,
        sid: &str,
        rid: ReservationId,
    ) -> Result<Reservation, Problem> {
        let key = self.sales.key(sid);
        let mut question = about("SECKILL.GET", &key);
        question.arg(rid.to_string());
        let _place = self.place()?;
        let answer = self.servers.ask(&key, &question).await;
        let (_, answer) = answer.map_err(|trouble| self.meaning(&trouble))?;
        reservation(&answer)
            .ok_or_else(|| self.odd(&format!("unexpected answer to GET: {answer:?}")))
    }

    /// Looks how a sale stands, unless somebody has just looked.
    ///
    /// # Errors
    /// [`Problem`] if there is none, or Redis did not answer.
    pub(crate) async fn state(&self, sid: &str) -> Result<Arc<State>, Problem> {
        let sale = self.sales.named(sid);
        let window = timeout(self.deadline, sale.window.0.lock()).await;
        let mut window = window.map_err(|_| Problem::Unavailable)?;
        if let Some(glance) = window.as_ref().filter(|glance| glance.is_fresh()) {
            return glance.seen.clone().ok_or(Problem::UnknownSale);
        }
        let _place = self.looks.try_acquire().map_err(|_| Problem::Overloaded)?;
        let question = about("SECKILL.INFO", &sale.key);
        let glance = match self.servers.ask(&sale.key, &question).await {
            Ok((_, answer)) => {
                Glance::now(Some(State::read(&answer).ok_or_else(|| {
                    self.odd(&format!("unexpected answer to INFO: {answer:?}"))
                })?))
            }
            Err(trouble) => match self.meaning(&trouble) {
                Problem::UnknownSale => {
                    self.sales.remove(&sale);
                    Glance::now(None)
                }
                problem => return Err(problem),
            },
        };
        let seen = window.insert(glance).seen.clone();
        seen.ok_or(Problem::UnknownSale)
    }

    /// Confirms or cancels a reservation. Repeating it changes nothing. Where an acceptance counts
    /// only when a replica has it, so does this: somebody has paid.
    ///
    /// # Errors
    /// [`NotSettled`] says whether it makes sense to ask again.
    pub(crate) async fn settle(
        &self,
        sid: &str,
        rid: ReservationId,
        outcome: Outcome,
    ) -> Result<(), NotSettled> {
        let key = self.sales.key(sid);
        let question = match outcome {
            Outcome::Confirm(late_payment) => {
                let mut question = about("SECKILL.CONFIRM", &key);
                question.arg(rid.to_string()).arg(match late_payment {
                    LatePayment::Take => "LATE",
                    LatePayment::Refuse => "REFUND",
                });
                question
            }
            Outcome::Cancel => {
                let mut question = about("SECKILL.CANCEL", &key);
                question.arg(rid.to_string());
                question
            }
        };
        // Of the server that answers, or of one that then vouches for nothing.
        let life = self.servers.life(&key);
        let (life, settled) = match self.servers.ask(&key, &question).await {
            Ok((life, _)) => (life, Ok(())),
            Err(Trouble::Failed(error)) if is_final(&error) => {
                (life, Err(NotSettled::Refused(error.to_string())))
            }
            Err(trouble) => return Err(NotSettled::Unknown(trouble.to_string())),
        };
        // A "no" counts as well: it may have written down that the payment is owed back.
        if self.copies {
            let until = Instant::now() + self.deadline;
            let copied = self.servers.copied(&key, life, until).await;
            copied.map_err(|trouble| NotSettled::Unknown(trouble.to_string()))?;
        }
        settled
    }

    fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            self.counters.overloaded.inc();
            Problem::Overloaded
        })
    }

    fn meaning(&self, trouble: &Trouble) -> Problem {
        match trouble {
            // The links tell of these themselves.
            Trouble::Away | Trouble::Late | Trouble::NoPrimary | Trouble::Refused(_) => {
                Problem::Unavailable
            }
            Trouble::Failed(error) => self.meaning_of_error(error),
        }
    }

    fn meaning_of_error(&self, error: &RedisError) -> Problem {
        match error.code() {
            Some("NOSALE") => Problem::UnknownSale,
            Some("NORESERVATION") => Problem::UnknownReservation,
            // Whether it was granted is not known before MySQL is compared.
            Some("FENCED") => Problem::Paused,
            Some("ERR") if names_quantity(error.detail().unwrap_or_default()) => {
                Problem::BadQuantity
            }
            // Somebody uses the key for something else: no sale is called that.
            Some("WRONGTYPE") => Problem::UnknownSale,
            None if error.is_timeout() || error.is_io_error() => Problem::Unavailable,
            _ => self.odd(&error.to_string()),
        }
    }

    fn odd(&self, what: &str) -> Problem {
        if let Some(skipped) = self.oddities.pass() {
            error!(skipped, "Redis does not decide: {what}");
        }
        Problem::Unavailable
    }
}

/// Whether a try is one that can be answered from memory, and that can travel with others.
const fn is_plain(qty: u32, token: Option<&[u8]>) -> bool {
    qty == 1 && token.is_none()
}

fn about(command: &str, key: &str) -> Cmd {
    let mut question = redis::cmd(command);
    question.arg(key);
    question
}

/// The one mistake in the arguments that a buyer can make and only the sale can see.
fn names_quantity(detail: &str) -> bool {
    detail.contains("QTY") && detail.contains("LIMIT")
}

fn is_final(error: &RedisError) -> bool {
    matches!(
        error.code(),
        Some("GONE" | "NOSTOCK" | "NORESERVATION" | "NOSALE" | "WRONGTYPE")
    )
}

/// The verdicts of a flat array of words and details.
fn verdicts(answer: &Value) -> Option<Vec<Verdict>> {
    let Value::Array(parts) = answer else {
        return None;
    };
    let (pairs, []) = parts.as_chunks() else {
        return None;
    };
    pairs.iter().map(verdict).collect()
}

fn verdict([word, detail]: &[Value; 2]) -> Option<Verdict> {
    let detail = match detail {
        Value::Int(number) => VerdictDetail::Integer(*number),
        other => VerdictDetail::Reservation(text(other)?.parse().ok()?),
    };
    Verdict::from_reply(text(word)?, detail).ok()
}

/// What a reply says in words.
pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn reservation(answer: &Value) -> Option<Reservation> {
    let fields: HashMap<String, Value> = from_redis_value(answer.clone()).ok()?;
    let number = |name: &str| -> Option<i64> { from_redis_value(fields.get(name)?.clone()).ok() };
    Some(Reservation {
        rid: text(fields.get("rid")?)?.parse().ok()?,
        uid: text(fields.get("uid")?)?.to_owned(),
        qty: u64::try_from(number("qty")?).ok()?,
        state: text(fields.get("state")?)?.parse().ok()?,
        deadline: number("deadline")
            .and_then(|ms| u64::try_from(ms).ok())
            .filter(|&ms| ms > 0),
        stored: number("stored")? != 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn verdicts_are_read_in_their_order() {
        let rid = ReservationId::new(7, 1);
        assert_eq!(
            verdicts(&Value::Array(vec![
                bulk("ACCEPTED"),
                bulk("7-1"),
                Value::SimpleString("DUPLICATE".to_owned()),
                Value::SimpleString("7-1".to_owned()),
                bulk("SOLDOUT"),
                Value::Int(-1),
            ])),
            Some(vec![
                Verdict::Accepted(rid),
                Verdict::Duplicate(rid),
                Verdict::SoldOut { wait_ms: None },
            ])
        );
    }

    #[test]
    fn what_is_no_verdict_grants_nothing() {
        for answer in [
            Value::Nil,
            Value::Okay,
            bulk("ACCEPTED"),
            Value::Array(vec![bulk("ACCEPTED")]),
            Value::Array(vec![bulk("ACCEPTED"), Value::Int(1)]),
            Value::Array(vec![bulk("ACCEPTED"), bulk("7")]),
            Value::Array(vec![bulk("ENDED"), Value::Int(0), bulk("ENDED")]),
        ] {
            assert_eq!(verdicts(&answer), None, "{answer:?}");
        }
    }

    #[test]
    fn a_reservation_is_read_from_the_reply_of_either_protocol() {
        let pairs = [
            ("rid", bulk("7-1")),
            ("uid", bulk("u7")),
            ("qty", Value::Int(2)),
            ("state", bulk("held")),
            ("at", Value::Int(1)),
            ("deadline", Value::Int(900)),
            ("stored", Value::Int(0)),
        ];
        let flat = Value::Array(
            pairs
                .iter()
                .flat_map(|(name, value)| [bulk(name), value.clone()])
                .collect(),
        );
        let map = Value::Map(pairs.map(|(name, value)| (bulk(name), value)).to_vec());
        for answer in [flat, map] {
            assert_eq!(
                reservation(&answer),
                Some(Reservation {
                    rid: ReservationId::new(7, 1),
                    uid: "u7".to_owned(),
                    qty: 2,
                    state: ReservationState::Held,
                    deadline: Some(900),
                    stored: false,
                })
            );
        }
    }
}
