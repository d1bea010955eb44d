//! One look at the three servers. A server that does not answer is away, and the others are shown.

use super::topics::Topics;
use crate::books::{Figures, read_figures};
use crate::gate::{Gate, Refused, SaleInfo};
use crate::kafka::TopicFigures;
use crate::mysql::{Session, rows};
use crate::orders::StockId;
use futures_util::stream::{self, StreamExt};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::timeout;

/// How long a server may take for its part of a look.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many sales are asked for at a time; they share one connection.
const AT_A_TIME: usize = 64;

/// Sales that are shown where Redis, which knows them, is away.
const SALES_MAX: usize = 1000;

/// The ways to the servers.
pub(crate) struct Eyes {
    pub(crate) gate: Gate,
    pub(crate) session: Session,
    /// `None`: there is no broker.
    pub(crate) topics: Option<Topics>,
    /// The sales to look at; none: all.
    pub(crate) sids: Vec<String>,
    /// Whether the orders are counted.
    pub(crate) count_orders: bool,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) redis: Result<(), String>,
    pub(crate) mysql: Result<(), String>,
    pub(crate) kafka: Option<Result<TopicFigures, String>>,
    pub(crate) sales: BTreeMap<Name, Seen>,
}

/// A sale's name; numbers in their order, and before all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(Result<u32, ()>, pub(crate) String);

/// What was seen of a sale.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) module: InModule,
    /// `None`: there is no stock row, or MySQL is away.
    pub(crate) figures: Option<Figures>,
    /// Orders and their units by status, where they were counted.
    pub(crate) orders: Option<Counts>,
}

/// Orders and their units by status.
pub(crate) type Counts = BTreeMap<String, (u64, u64)>;

/// A sale in the module.
#[derive(Clone, Debug)]
pub(crate) enum InModule {
    Sale(Box<SaleInfo>),
    /// There is none of this name.
    Nothing,
    /// The module did not say.
    Unknown(String),
}

// === impl Name ===

impl Name {
    pub(crate) fn new(sid: &str) -> Self {
        let id = sid.parse::<StockId>().map(|id| id.0);
        Self(id.map_err(drop), sid.to_owned())
    }

    /// The stock row of the sale, if its name is the number of one.
    pub(crate) fn stock_id(&self) -> Option<StockId> {
        self.0.ok().map(StockId)
    }
}

// === impl Look ===

impl Look {
    /// One sale.
    pub(crate) fn sale(&self, sid: &str) -> Option<&Seen> {
        self.sales.get(&Name::new(sid))
    }
}

// === impl Eyes ===

impl Eyes {
    /// Looks at everything.
    pub(crate) async fn look(&mut self) -> Look {
        let topics = self.topics.clone();
        let kafka = async {
            let topics = topics?;
            let answer = timeout(PATIENCE, topics.figures()).await;
            Some(answer.unwrap_or_else(|_| Err(no_answer())))
        };
        let (kafka, (redis, mysql, sales)) = tokio::join!(kafka, self.look_at_sales());
        Look {
            redis,
            mysql,
            kafka,
            sales,
        }
    }

    /// MySQL is read before the module, sale by sale: see [`crate::books::drift`].
    async fn look_at_sales(
        &mut self,
    ) -> (Result<(), String>, Result<(), String>, BTreeMap<Name, Seen>) {
        let mut redis = Ok(());
        let mut mysql = Ok(());
        let mut sids = self.known_sales().await.unwrap_or_else(|reason| {
            redis = Err(reason);
            Vec::new()
        });
        if redis.is_err() {
            // Of several servers some may be there.
            let in_reach = timeout(PATIENCE, self.gate.sales_in_reach()).await;
            sids = in_reach.ok().and_then(Result::ok).unwrap_or_default();
        }
        let in_reach = !sids.is_empty();
        if !in_reach && redis.is_err() {
            sids = self.stored_sales().await.unwrap_or_default();
        }
        let mut sales: BTreeMap<Name, Seen> = sids
            .iter()
            .map(|sid| (Name::new(sid), Seen::nothing()))
            .collect();
        if let Err(reason) = self.look_into_mysql(&mut sales).await {
            mysql = Err(reason);
        }
        if in_reach {
            redis = redis.and(self.look_into_module(&mut sales).await);
        }
        (redis, mysql, sales)
    }

    async fn known_sales(&self) -> Result<Vec<String>, String> {
        if !self.sids.is_empty() {
            return Ok(self.sids.clone());
        }
        let sales = timeout(PATIENCE, self.gate.sales()).await;
        let sales = sales.map_err(|_| no_answer())?;
        sales.map_err(|refused| refused.to_string())
    }

    /// Those that MySQL knows, the latest.
    async fn stored_sales(&mut self) -> Result<Vec<String>, String> {
        let sql = format!("SELECT sid FROM stock_cursor ORDER BY sid DESC LIMIT {SALES_MAX}");
        let read = self.session.work(async |conn| rows(conn, sql).await);
        let sids: Vec<u32> = in_time(read).await?;
        Ok(sids.iter().map(u32::to_string).collect())
    }

    async fn look_into_mysql(&mut self, sales: &mut BTreeMap<Name, Seen>) -> Result<(), String> {
        let ids: Vec<StockId> = sales.keys().filter_map(Name::stock_id).collect();
        let mut figures = in_time(read_figures(&mut self.session, ids.clone())).await?;
        let mut orders = BTreeMap::new();
        if self.count_orders {
            let read = count_orders(&mut self.session, &ids);
            // As long as it takes: whoever asks for it knows that every order is read.
            orders = read.await.map_err(|failure| failure.to_string())?;
        }
        for (name, seen) in sales {
            if let Some(id) = name.stock_id() {
                seen.figures = figures.remove(&id);
                seen.orders = self
                    .count_orders
                    .then(|| orders.remove(&id).unwrap_or_default());
            }
        }
        Ok(())
    }

    async fn look_into_module(&self, sales: &mut BTreeMap<Name, Seen>) -> Result<(), String> {
        let asked = stream::iter(sales.iter_mut()).for_each_concurrent(
            AT_A_TIME,
            async |(Name(_, sid), seen)| {
                seen.module = match self.gate.sale_info(sid).await {
                    Ok(info) => InModule::Sale(Box::new(info)),
                    Err(Refused::NoSale) => InModule::Nothing,
                    Err(refused) => InModule::Unknown(refused.to_string()),
                };
            },
        );
        timeout(PATIENCE, asked).await.map_err(|_| no_answer())
    }
}

// === impl Seen ===

impl Seen {
    fn nothing() -> Self {
        Self {
            module: InModule::Unknown("Redis is away".to_owned()),
            figures: None,
            orders: None,
        }
    }

    /// The sale in the module, if it was seen there.
    pub(crate) fn info(&self) -> Option<&SaleInfo> {
        match &self.module {
            InModule::Sale(info) => Some(info),
            InModule::Nothing | InModule::Unknown(_) => None,
        }
    }
}

/// Counts the orders of sales, and their units, by status. Reads every one of them.
///
/// # Errors
/// If MySQL is away.
pub(crate) async fn count_orders(
    session: &mut Session,
    sids: &[StockId],
) -> Result<BTreeMap<StockId, Counts>, crate::mysql::Failure> {
    let mut counted: BTreeMap<StockId, Counts> = BTreeMap::new();
    for sid in sids {
        let sql = format!(
            "SELECT status, COUNT(*), CAST(SUM(qty) AS UNSIGNED) FROM stock_order \
             WHERE sid = {sid} GROUP BY status"
        );
        let found: Vec<(String, u64, u64)> =
            session.work(async |conn| rows(conn, sql).await).await?;
        let counts = found.into_iter().map(|(word, n, units)| (word, (n, units)));
        counted.insert(*sid, counts.collect());
    }
    Ok(counted)
}

async fn in_time<T>(
    work: impl Future<Output = Result<T, crate::mysql::Failure>>,
) -> Result<T, String> {
    let done = timeout(PATIENCE, work).await.map_err(|_| no_answer())?;
    done.map_err(|failure| failure.to_string())
}

fn no_answer() -> String {
    format!("no answer for {} s", PATIENCE.as_secs())
}
