//! The sale in Redis.

use super::Sources;
use crate::event::{Event, read_line};
use crate::place::Place;
use crate::seen::{Info, Module, Reservation};
use anyhow::{Context, Result, anyhow, bail};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError, Value};
use std::collections::HashMap;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reservations or events of one question.
const PAGE: usize = 10_000;

/// A connection to the server that has the sale.
pub(crate) struct Gate {
    connection: MultiplexedConnection,
    key: String,
}

/// Reads all that the module has of a sale; `None`: it knows no such sale. `is_moving` says whether
/// the sale changed meanwhile, or since `before`.
pub(crate) async fn read(gate: &mut Gate, before: Option<&Info>) -> Result<Option<Module>> {
    let Some(info) = gate.info().await? else {
        return Ok(None);
    };
    // What only reads comes first: EVENTS releases what is overdue, and that would hide it.
    let reservations = gate.reservations().await?;
    let audit = gate.audit().await?;
    let log = gate.log(&info, &reservations).await?;
    let Some(after) = gate.info().await? else {
        return Ok(None);
    };
    let places = |info: &Info| (info.head, info.stored);
    let stands = before.map(places) == Some(places(&info)) && info.head == after.head;
    Ok(Some(Module {
        info,
        reservations,
        log,
        audit,
        is_moving: !stands,
    }))
}

// === impl Gate ===

impl Gate {
    pub(crate) async fn connect(sources: &Sources, sid: &str) -> Result<Self> {
        let client = Client::open(sources.redis.as_str()).map_err(|error| {
            anyhow!("Redis: expected redis://user:password@host:port/: {error}")
        })?;
        let address = client.get_connection_info().addr().to_string();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .with_context(|| format!("cannot connect to Redis at {address}"))?;
        Ok(Self {
            connection,
            key: format!("{}{sid}", sources.key_prefix),
        })
    }

    async fn ask(&mut self, command: &Cmd) -> Result<Value, RedisError> {
        command.query_async(&mut self.connection).await
    }

    fn about(&self, name: &str) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(&self.key);
        command
    }

    /// `SECKILL.INFO`; `None`: there is no such sale.
    pub(crate) async fn info(&mut self) -> Result<Option<Info>> {
        let question = self.about("SECKILL.INFO");
        let answer = match self.ask(&question).await {
            Err(error) if error.code() == Some("NOSALE") => return Ok(None),
            answer => answer.context("SECKILL.INFO")?,
        };
        info(answer).map(Some).context("SECKILL.INFO")
    }

    async fn reservations(&mut self) -> Result<Vec<Reservation>> {
        let mut all = Vec::new();
        loop {
            let mut question = self.about("SECKILL.RESERVATIONS");
            question.arg("FROM").arg(all.len()).arg("COUNT").arg(PAGE);
            let answer = self.ask(&question).await.context("SECKILL.RESERVATIONS")?;
            let page: Vec<Vec<Value>> =
                redis::from_redis_value(answer).context("SECKILL.RESERVATIONS")?;
            let is_last = page.len() < PAGE;
            for row in page {
                all.push(reservation(row).context("SECKILL.RESERVATIONS")?);
            }
            if is_last {
                return Ok(all);
            }
        }
    }

    async fn audit(&mut self) -> Result<Result<String, String>> {
        let question = self.about("SECKILL.AUDIT");
        match self.ask(&question).await {
            Ok(reply) => Ok(Ok(redis::from_redis_value(reply).context("SECKILL.AUDIT")?)),
            Err(error) if error.code() == Some("AUDIT") => Ok(Err(error.to_string())),
            Err(error) => Err(error).context("SECKILL.AUDIT"),
        }
    }

    /// What the log still keeps. Asked only if that is something, because the question is one that
    /// writes.
    async fn log(&mut self, info: &Info, reservations: &[Reservation]) -> Result<Vec<Event>> {
        let mut all: Vec<Event> = Vec::new();
        if info.stored == info.head {
            return Ok(all);
        }
        let known: HashMap<Place, &Reservation> =
            reservations.iter().map(|one| (one.rid, one)).collect();
        loop {
            let mut question = self.about("SECKILL.EVENTS");
            let after = all.last().map_or(Place::default(), |event| event.place);
            question.arg("AFTER").arg(after.epoch).arg(after.seq);
            question.arg("COUNT").arg(PAGE).arg("FORMAT").arg("text");
            let answer = self.ask(&question).await.context("SECKILL.EVENTS")?;
            let page: Vec<String> = redis::from_redis_value(answer).context("SECKILL.EVENTS")?;
            if page.is_empty() {
                return Ok(all);
            }
            for line in page {
                let event = read_line(&line, |rid| {
                    let reservation = known.get(&rid)?;
                    Some((reservation.uid.clone(), reservation.token.clone()))
                });
                all.push(event.map_err(|error| anyhow!("SECKILL.EVENTS: {error}"))?);
            }
        }
    }
}

fn info(answer: Value) -> Result<Info> {
    let fields: HashMap<String, Value> = redis::from_redis_value(answer)?;
    let text = |name: &str| -> Result<String> {
        let value = fields.get(name).with_context(|| format!("no {name}"))?;
        match value {
            Value::Int(number) => Ok(number.to_string()),
            other => Ok(redis::from_redis_value(other.clone())?),
        }
    };
    let number = |name: &str| -> Result<i64> {
        text(name)?
            .parse()
            .with_context(|| format!("{name} is no number"))
    };
    let place = |name: &str| -> Result<Place> { text(name)?.parse().context(name.to_owned()) };
    Ok(Info {
        state: text("state")?,
        total: number("total")?,
        available: number("available")?,
        held: number("held")?,
        sold: number("sold")?,
        sold_before: number("sold_before")?,
        reservations: number("reservations")?,
        limit: number("limit")?,
        head: place("head")?,
        relayed: place("relayed")?,
        stored: place("stored")?,
        now: u64::try_from(number("now")?)?,
    })
}

/// `rid uid qty state at deadline token`
fn reservation(row: Vec<Value>) -> Result<Reservation> {
    // A reservation without a token has nothing in its place.
    let row: Result<Vec<Option<String>>, _> =
        row.into_iter().map(redis::from_redis_value).collect();
    let row: Vec<String> = row?.into_iter().map(Option::unwrap_or_default).collect();
    let [rid, uid, qty, state, at, deadline, token] = row.as_slice() else {
        bail!("a reservation of {} fields, expected 7", row.len());
    };
    let deadline: u64 = deadline.parse()?;
    Ok(Reservation {
        rid: rid.parse()?,
        uid: uid.clone(),
        qty: qty.parse()?,
        status: state.parse().map_err(|error: String| anyhow!(error))?,
        at: at.parse()?,
        deadline: (deadline > 0).then_some(deadline),
        token: (!token.is_empty()).then(|| token.clone()),
    })
}
