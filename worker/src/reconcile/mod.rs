//! `reconcile`: compares module, Kafka and MySQL sale by sale, and mends what can be mended.
//!
//! | file | idea |
//! | --- | --- |
//! | `suspects.rs` | a first look at all reservations and orders |
//! | `closely.rs` | a close look at those that seem to differ, as of one place in the log |
//! | `judge.rs` | what a reservation and its order have to do with each other: pure |
//! | `figures.rs` | the stock row, and the places in the log |
//! | `read.rs` | what is read of MySQL |
//! | `plan.rs` | what differs, and what would mend it |
//! | `apply.rs` | does it |
//! | `report.rs` | what is printed |
//!
//! It may run while a sale sells: what is only on its way is no difference.

mod apply;
mod closely;
mod figures;
mod judge;
mod plan;
mod read;
mod report;
mod suspects;

use crate::books::read_figures;
use crate::cli::Reconcile;
use crate::config::{Broker, Config};
use crate::dead::{self, Waiting};
use crate::gate::{Gate, Refused};
use crate::kafka::TopicLook;
use crate::mysql::{Failure, Session};
use crate::orders::StockId;
use anyhow::Context;
use figures::Places;
use judge::Names;
use plan::{Difference, Plan};
use rdkafka::error::KafkaError;
use report::Report;
use seckill_protocol::EventId;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use suspects::Reservations;
use tokio::time::{Instant, sleep};
use tracing::error;

/// The ways to the servers.
struct Servers {
    gate: Gate,
    session: Session,
    /// `None`: there is no broker.
    topic: Option<Arc<TopicLook>>,
}

/// Why a sale could not be looked at.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("Redis: {0}")]
    Redis(#[from] Refused),
    #[error("MySQL: {0}")]
    MySql(#[from] Failure),
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    #[error("{0} does not answer")]
    Away(&'static str),
}

/// A sale as it was found.
struct Found {
    plan: Plan,
    /// How it is called, if it can have orders.
    names: Option<Names>,
    /// Its first epoch.
    began_ms: u64,
    /// Where its log stood, until it is known whether it moves.
    places: Option<Places>,
}

/// How long a worker that runs may leave something as it is: it looks for what was left behind every
/// five seconds.
const SETTLED: Duration = Duration::from_secs(7);

/// How often it is looked whether it settles.
const SETTLE_PAUSE: Duration = Duration::from_millis(200);

/// Compares, and with `--apply` mends. The code of the exit is 0 if nothing differs any more, 1 if
/// something does, and 2 if a sale could not be looked at.
pub(crate) async fn reconcile(config: &Config, chore: &Reconcile, out: &mut impl Write) -> i32 {
    match compare(config, chore, out).await {
        Ok(code) => code,
        Err(failed) => {
            error!("{failed:#}");
            report::COULD_NOT_LOOK
        }
    }
}

/// The same, for who wants to hear why nothing could be looked at.
///
/// # Errors
/// If a server does not answer that everything needs.
pub(crate) async fn compare(
    config: &Config,
    chore: &Reconcile,
    out: &mut impl Write,
) -> anyhow::Result<i32> {
    let gate = Gate::for_chore(&config.redis).context("redis.url")?;
    gate.enter().await.context("redis.url")?;
    let topic = match config.broker {
        Broker::Kafka => Some(Arc::new(TopicLook::new(&config.kafka)?)),
        Broker::None => None,
    };
    let mut servers = Servers {
        gate,
        session: Session::new(config.mysql.opts.clone()),
        topic,
    };
    let sids = match chore.sids.is_empty() {
        true => servers.gate.sales().await?,
        false => chore.sids.clone(),
    };
    let letters = match config.broker {
        Broker::Kafka => dead::waiting(config).await?,
        Broker::None => BTreeMap::new(),
    };
    let mut report = Report::new(chore.json, chore.apply);
    let mut sales = Vec::new();
    for sid in sids {
        let mut found = servers.examine(&sid).await;
        if let (Ok(found), Some(letters)) = (&mut found, letters.get(sid.as_bytes())) {
            found.plan.differences.push(dead_letters(letters));
        }
        sales.push((sid, found));
    }
    servers.settle(&mut sales).await;
    for (sid, found) in sales {
        let done = match found {
            Ok(found) if chore.apply => servers.apply(found).await,
            Ok(found) => Ok(found.plan),
            Err(trouble) => Err(trouble),
        };
        match done {
            Ok(plan) => report.sale(out, &sid, &plan)?,
            Err(trouble) => report.trouble(out, &sid, &trouble.to_string())?,
        }
    }
    report.end(out)?;
    Ok(report.exit_code())
}

/// What of the topic was no message, or is not to be had in MySQL, somebody has to look at.
fn dead_letters(letters: &[Waiting]) -> Difference {
    let first = letters.first();
    let reason = first.map(|first| format!("; the first, {}: {}", first.place, first.reason));
    let what = format!(
        "dead letters of it: {}{}",
        letters.len(),
        reason.unwrap_or_default()
    );
    let commands = [
        "seckill-worker dead list",
        "if what was wrong is mended: seckill-worker dead replay <letter>",
        "else: seckill-worker dead drop <letter>",
    ];
    Difference::person(what, commands.map(str::to_owned))
}

// === impl Servers ===

impl Servers {
    async fn apply(&mut self, found: Found) -> Result<Plan, Trouble> {
        if let Some(names) = &found.names {
            apply::apply(self, names, found.began_ms, &found.plan).await?;
        }
        Ok(found.plan)
    }

    /// Waits, for all sales at once, until their logs have moved or stood still for so long that no
    /// worker will move them.
    async fn settle(&mut self, sales: &mut [(String, Result<Found, Trouble>)]) {
        let began = Instant::now();
        loop {
            let last = began.elapsed() > SETTLED;
            let mut waits = false;
            for (_, found) in sales.iter_mut() {
                let looked = match found {
                    Ok(found) => self.settle_one(found, last).await,
                    Err(_) => continue,
                };
                match looked {
                    Ok(settled) => waits |= !settled,
                    Err(trouble) => *found = Err(trouble),
                }
            }
            if !waits {
                return;
            }
            sleep(SETTLE_PAUSE).await;
        }
    }

    /// Returns whether there is nothing to wait for.
    async fn settle_one(&mut self, found: &mut Found, last: bool) -> Result<bool, Trouble> {
        let (Some(names), Some(first)) = (&found.names, &found.places) else {
            return Ok(true);
        };
        let now = Places::read(self, names.id).await?;
        if !now.is_settled() && !now.moved_since(first) {
            if !last {
                return Ok(false);
            }
            figures::judge_places(self, names, &now, &mut found.plan).await?;
        }
        found.places = None;
        Ok(true)
    }

    async fn examine(&mut self, sid: &str) -> Result<Found, Trouble> {
        let only = |difference| Found {
            plan: Plan {
                differences: vec![difference],
                on_their_way: 0,
            },
            names: None,
            began_ms: 0,
            places: None,
        };
        let Ok(id) = sid.parse::<StockId>() else {
            let what = "its name is no stock.id: it gets no orders";
            return Ok(only(Difference::person(what, Vec::new())));
        };
        let info = match self.gate.sale_info(sid).await {
            Ok(info) => info,
            Err(Refused::NoSale) => {
                let what = "there is no such sale in Redis";
                let recover = format!("if it was lost: seckill-worker recover {sid}");
                return Ok(only(Difference::person(what, [recover])));
            }
            Err(refused) => return Err(refused.into()),
        };
        let figures = read_figures(&mut self.session, [id]).await?.remove(&id);
        let Some(figures) = figures else {
            let what = "there is no stock row of this id: it gets no orders";
            return Ok(only(Difference::person(what, Vec::new())));
        };
        let cursor = figures.cursor.unwrap_or(EventId::ZERO);
        let head = self.gate.sale_info(sid).await?.head;
        if cursor > head {
            let what = format!(
                "MySQL has the log up to {cursor}, the module only up to {head}: the module lost \
                 what is between"
            );
            let recover = format!("seckill-worker recover {sid}");
            return Ok(only(Difference::person(what, [recover])));
        }
        let names = Names {
            id,
            key: self.gate.key(sid),
        };
        let mut plan = Plan::default();
        let reservations = Reservations::read(&self.gate, sid).await?;
        let began_ms = reservations.began(head);
        let place = cursor.max(info.stored).min(info.head);
        let head = self.gate.sale_info(sid).await?.head;
        let suspects = reservations
            .suspects(&mut self.session, id, place, head)
            .await?;
        closely::look(self, &names, sid, &suspects, &mut plan).await?;
        figures::sale(self, &names, began_ms, &mut plan).await?;
        figures::count(self, &names, &mut plan).await?;
        let places = Places::read(self, names.id).await?;
        Ok(Found {
            plan,
            names: Some(names),
            began_ms,
            places: Some(places),
        })
    }

    /// Whether nothing of what follows `place` in a sale's log lies on the topic any more.
    async fn topic_lacks(&self, id: StockId, place: EventId) -> Result<bool, Trouble> {
        let Some(topic) = self.topic.clone() else {
            return Ok(false);
        };
        let looked = tokio::task::spawn_blocking(move || topic.has_after(&id.to_string(), place));
        let found = looked.await.map_err(|_| Trouble::Away("Kafka"))?;
        Ok(!found?)
    }
}
