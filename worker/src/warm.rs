//! `warm`: a sale in Redis out of each stock row.

use crate::cli::Warm;
use crate::config::Config;
use crate::gate::{Beginning, Gate, Refused};
use crate::mysql::{Session, rows};
use crate::options::{self, Given};
use crate::orders::StockId;
use anyhow::{Context, bail, ensure};
use serde::Serialize;
use std::fmt;
use std::io::Write;

/// A stock row.
struct Stock {
    name: String,
    count: i64,
    sale: i64,
}

/// What became of a sale.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub(crate) enum Warmed {
    Created {
        available: i64,
        total: i64,
    },
    /// It was there before: it may have sold units that the stock row does not know yet.
    Exists,
    Failed {
        error: String,
    },
}

#[derive(Serialize)]
struct Line<'a> {
    sid: &'a str,
    #[serde(flatten)]
    warmed: &'a Warmed,
}

/// Makes the sales, and writes a line for each.
///
/// # Errors
/// If any could not be made; the lines say which and why.
pub(crate) async fn warm(config: &Config, warm: &Warm, out: &mut impl Write) -> anyhow::Result<()> {
    let mut session = Session::new(config.mysql.opts.clone());
    let gate = Gate::for_chore(&config.redis).context("redis.url")?;
    gate.enter().await.context("redis.url")?;
    let sids = sids(&mut session, warm).await?;
    let mut failed = 0;
    for sid in &sids {
        let warmed = warm_one(&mut session, &gate, sid, warm.options).await;
        failed += usize::from(warmed.is_err());
        let warmed = warmed.unwrap_or_else(|error| Warmed::Failed {
            error: format!("{error:#}"),
        });
        if warm.json {
            let line = Line {
                sid,
                warmed: &warmed,
            };
            writeln!(out, "{}", serde_json::to_string(&line)?)?;
        } else {
            writeln!(out, "{sid}: {warmed}")?;
        }
    }
    ensure!(failed == 0, "{failed} of {} sales failed", sids.len());
    Ok(())
}

/// Which sales.
async fn sids(session: &mut Session, warm: &Warm) -> anyhow::Result<Vec<String>> {
    let ids = if let Some(within) = warm.within {
        let span_ms = within.as_millis().try_into().unwrap_or(u64::MAX);
        options::starting_within(session, span_ms).await?
    } else if warm.all {
        options::not_over(session).await?
    } else {
        return Ok(warm.sids.clone());
    };
    Ok(ids.iter().map(StockId::to_string).collect())
}

/// Makes one sale. What is given wins over `stock_sale`, and is kept there.
///
/// # Errors
/// If it cannot be made.
pub(crate) async fn warm_one(
    session: &mut Session,
    gate: &Gate,
    sid: &str,
    given: Given,
) -> anyhow::Result<Warmed> {
    let id: StockId = sid.parse()?;
    let stock = read(session, id).await?;
    match gate.sale(sid).await {
        Ok(_) => return Ok(Warmed::Exists),
        Err(Refused::NoSale) => {}
        Err(refused) => return Err(refused).context("SECKILL.INFO"),
    }
    ensure_nothing_is_held(session, id).await?;
    let row = options::read(session, id).await?;
    let beginning = Beginning {
        total: stock.count,
        sold: stock.sale,
        name: &stock.name,
        options: given.over(row.map(|row| row.options).as_ref()),
        paused: false,
    };
    // If somebody was faster, the module refuses: it never makes a sale over another.
    gate.begin(sid, beginning).await.context("SECKILL.CREATE")?;
    let sale = gate.sale(sid).await.context("SECKILL.INFO")?;
    let epoch = sale.head.epoch;
    options::open(session, id, &sale.seen.options, epoch)
        .await
        .context("the sale is made, but its options are not in stock_sale")?;
    Ok(Warmed::Created {
        available: stock.count - stock.sale,
        total: stock.count,
    })
}

async fn read(session: &mut Session, id: StockId) -> anyhow::Result<Stock> {
    let sql = format!("SELECT name, count, sale FROM stock WHERE id = {id}");
    let found: Vec<(String, i64, i64)> = session.work(async |conn| rows(conn, sql).await).await?;
    let Some((name, count, sale)) = found.into_iter().next() else {
        bail!("there is no row with id {id} in the table stock");
    };
    ensure!(
        0 <= sale && sale <= count,
        "its stock row says {sale} of {count} units are gone: expected 0 to {count}"
    );
    Ok(Stock { name, count, sale })
}

/// A new sale would know nothing of the buyers who have not paid yet.
async fn ensure_nothing_is_held(session: &mut Session, id: StockId) -> anyhow::Result<()> {
    let sql = format!(
        "SELECT rid FROM stock_order WHERE sid = {id} AND status = 'held' AND epoch IS NOT NULL LIMIT 1"
    );
    let held: Vec<(String,)> = session.work(async |conn| rows(conn, sql).await).await?;
    if let Some((rid,)) = held.first() {
        bail!(
            "MySQL has orders of it that are held, such as {rid}: `seckill-worker recover {id}` \
             makes it again with them"
        );
    }
    Ok(())
}

impl fmt::Display for Warmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created { available, total } => {
                write!(f, "created, {available} of {total} units available")
            }
            Self::Exists => f.write_str("exists already and is left alone"),
            Self::Failed { error } => write!(f, "FAILED: {error}"),
        }
    }
}
