//! Looks at the servers and the sales once a second, for whoever asks how it stands.
//!
//! It asks on its own, and not where the work is done: a sale that stands still does nothing, and
//! that is when somebody wants to know how far behind it is.

mod behind;

use crate::figures::{Figures, Lag};
use crate::gate::{Gate, Refused, SaleInfo};
use crate::kafka::Producer;
use crate::mysql::{Session, rows};
use crate::orders::StockId;
use crate::schema::{self, Unfit};
use crate::standing::{Need, Standing};
use behind::lag;
use futures_util::stream::{self, StreamExt};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(1);

/// How long a server may take to answer and still count as being there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sales looked at a second, at most: as many as idle ones are asked for events.
const SALES_A_SECOND: usize = 1000;

/// How long a round over all sales may take.
const ROUND_PATIENCE: Duration = Duration::from_secs(30);

/// Questions to Redis at a time.
const AT_A_TIME: usize = 16;

/// Who looks.
pub(crate) struct Watch {
    pub(crate) gate: Arc<Gate>,
    /// One for the database itself, one for the stock rows.
    pub(crate) sessions: [Session; 2],
    /// The producer and its topic; there is none without a broker.
    pub(crate) topic: Option<(Producer, String)>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) standing: Arc<Standing>,
}

/// A sale as it was at the last look, and its stock row right after that.
#[derive(Clone, Debug)]
struct Earlier {
    info: SaleInfo,
    stock_sale: Option<i64>,
}

// === impl Watch ===

impl Watch {
    /// Looks, for ever.
    pub(crate) async fn run(self) {
        let [mysql, stock] = self.sessions;
        let (figures, standing) = (&*self.figures, &*self.standing);
        tokio::join!(
            watch_sales(&self.gate, stock, figures, standing),
            watch_mysql(mysql, figures, standing),
            async {
                if let Some((producer, topic)) = self.topic {
                    watch_kafka(&producer, &topic, figures, standing).await;
                }
            }
        );
    }
}

async fn watch_sales(gate: &Gate, mut session: Session, figures: &Figures, standing: &Standing) {
    let mut earlier: BTreeMap<String, Earlier> = BTreeMap::new();
    loop {
        let seen = match within(PATIENCE, gate.sales()).await {
            Ok(sids) => within(ROUND_PATIENCE, look_at(gate, sids)).await,
            Err(why) => Err(why),
        };
        let mut pause = EVERY;
        match seen {
            Ok(seen) => {
                standing.has(Need::Redis);
                let share = seen.len().saturating_mul(1000) / SALES_A_SECOND;
                pause = pause.max(Duration::from_millis(
                    u64::try_from(share).unwrap_or(u64::MAX),
                ));
                let lags = seen.iter().map(|(sid, info)| {
                    let drift = earlier.get(sid).map_or(0, |earlier| drift(earlier, info));
                    (sid.clone(), Lag { drift, ..lag(info) })
                });
                figures.sales.show(&lags.collect());
                let sold = stock_sales(&mut session, &seen).await;
                let infos = seen.into_iter().map(|(sid, info)| {
                    let stock_sale = sold.get(&sid).copied();
                    (sid, Earlier { info, stock_sale })
                });
                earlier = infos.collect();
            }
            Err(why) => standing.lacks(Need::Redis, &why),
        }
        sleep(pause).await;
    }
}

/// Each sale that answers.
async fn look_at(gate: &Gate, sids: Vec<String>) -> Result<BTreeMap<String, SaleInfo>, Refused> {
    let seen = stream::iter(sids)
        .map(|sid| async move {
            let info = gate.sale_info(&sid).await.ok()?;
            Some((sid, info))
        })
        .buffer_unordered(AT_A_TIME)
        .filter_map(std::future::ready);
    Ok(seen.collect().await)
}

/// `stock.sale` of the sales of which nothing is on its way.
async fn stock_sales(
    session: &mut Session,
    seen: &BTreeMap<String, SaleInfo>,
) -> BTreeMap<String, i64> {
    let at_rest = seen.iter().filter(|(_, info)| is_at_rest(info));
    let ids: Vec<String> = at_rest
        .filter_map(|(sid, _)| Some(sid.parse::<StockId>().ok()?.to_string()))
        .collect();
    if ids.is_empty() {
        return BTreeMap::new();
    }
    let sql = format!(
        "SELECT id, CAST(sale AS SIGNED) FROM stock WHERE id IN ({})",
        ids.join(", ")
    );
    let read = session.work(async |conn| rows::<(u32, i64)>(conn, sql).await);
    // Without an answer nothing is known of a drift; that MySQL is away is noticed elsewhere.
    let found = within(PATIENCE, read).await.unwrap_or_default();
    let sold = found.into_iter().map(|(id, sale)| (id.to_string(), sale));
    sold.collect()
}

/// What MySQL and the module disagree about, if nothing happened while both were read.
fn drift(earlier: &Earlier, now: &SaleInfo) -> i64 {
    match earlier.stock_sale {
        Some(sale) if is_at_rest(now) && earlier.info.head == now.head => {
            let taken = now.held.saturating_add(now.sold);
            sale.saturating_sub(i64::try_from(taken).unwrap_or(i64::MAX))
        }
        _ => 0,
    }
}

fn is_at_rest(info: &SaleInfo) -> bool {
    info.stored == info.head
}

async fn watch_mysql(mut session: Session, figures: &Figures, standing: &Standing) {
    loop {
        let looked = timeout(PATIENCE, async {
            schema::check(&mut session).await?;
            let owed = session
                .work(async |conn| {
                    let sql = "SELECT COUNT(*) FROM stock_refusal".to_owned();
                    rows::<(i64,)>(conn, sql).await
                })
                .await?;
            Ok::<_, Unfit>(owed.first().map_or(0, |(owed,)| *owed))
        })
        .await;
        match looked {
            Ok(Ok(owed)) => {
                standing.has(Need::Mysql);
                standing.has(Need::Schema);
                figures.refusals_owed.set(owed);
            }
            Ok(Err(Unfit::Failure(failure))) => standing.lacks(Need::Mysql, &failure),
            Ok(Err(unfit)) => {
                standing.has(Need::Mysql);
                standing.lacks(Need::Schema, &unfit);
            }
            Err(_) => standing.lacks(Need::Mysql, &no_answer(PATIENCE)),
        }
        sleep(EVERY).await;
    }
}

async fn watch_kafka(producer: &Producer, topic: &str, figures: &Figures, standing: &Standing) {
    let mut is_away = false;
    loop {
        figures.producer_queue.set(producer.queue());
        match producer.ask_for(topic, PATIENCE).await {
            Ok(()) => {
                if is_away {
                    info!("Kafka is back");
                    is_away = false;
                }
                standing.has(Need::Kafka);
            }
            Err(why) => {
                if !is_away {
                    warn!("Kafka is away: {why}");
                    is_away = true;
                }
                standing.lacks(Need::Kafka, &why);
            }
        }
        sleep(EVERY).await;
    }
}

async fn within<T, E: ToString>(
    patience: Duration,
    answer: impl Future<Output = Result<T, E>>,
) -> Result<T, String> {
    match timeout(patience, answer).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(no_answer(patience)),
    }
}

fn no_answer(patience: Duration) -> String {
    format!("no answer within {patience:?}")
}
