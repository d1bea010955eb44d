//! Looks at the servers and the sales once a second, for whoever asks how it stands.
//!
//! It asks on its own, and not where the work is done: a sale that stands still does nothing, and
//! that is when somebody wants to know how far behind it is.

mod behind;

use crate::books::{drift, read_figures};
use crate::figures::{Figures, Lag};
use crate::gate::{Gate, Refused};
use crate::kafka::Probe;
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
    /// There is none without a broker.
    pub(crate) probe: Option<Probe>,
    pub(crate) figures: Arc<Figures>,
    pub(crate) standing: Arc<Standing>,
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
                if let Some(probe) = self.probe {
                    watch_kafka(&probe, standing).await;
                }
            }
        );
    }
}

async fn watch_sales(gate: &Gate, mut session: Session, figures: &Figures, standing: &Standing) {
    loop {
        let seen = match within(PATIENCE, gate.sales()).await {
            Ok(sids) => within(ROUND_PATIENCE, look_at(gate, &mut session, sids)).await,
            Err(why) => Err(why),
        };
        let mut pause = EVERY;
        match seen {
            Ok(lags) => {
                standing.has(Need::Redis);
                let share = lags.len().saturating_mul(1000) / SALES_A_SECOND;
                pause = pause.max(Duration::from_millis(
                    u64::try_from(share).unwrap_or(u64::MAX),
                ));
                figures.sales.show(&lags);
            }
            Err(why) => standing.lacks(Need::Redis, &why),
        }
        sleep(pause).await;
    }
}

/// Each sale that answers.
async fn look_at(
    gate: &Gate,
    session: &mut Session,
    sids: Vec<String>,
) -> Result<BTreeMap<String, Lag>, Refused> {
    let ids = sids.iter().filter_map(|sid| sid.parse::<StockId>().ok());
    // Without an answer nothing is known of a drift; that MySQL is away is noticed elsewhere.
    let books = within(PATIENCE, read_figures(session, ids))
        .await
        .unwrap_or_default();
    let books = &books;
    let seen = stream::iter(sids)
        .map(|sid| async move {
            let info = gate.sale_info(&sid).await.ok()?;
            let book = sid.parse().ok().and_then(|id: StockId| books.get(&id));
            let drift = book.and_then(|book| drift(book, &info)).unwrap_or_default();
            Some((
                sid,
                Lag {
                    drift,
                    ..lag(&info)
                },
            ))
        })
        .buffer_unordered(AT_A_TIME)
        .filter_map(std::future::ready);
    Ok(seen.collect().await)
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

async fn watch_kafka(probe: &Probe, standing: &Standing) {
    let mut is_away = false;
    loop {
        match probe.ask(PATIENCE).await {
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
