//! `warm`: a sale in Redis out of each stock row.

use crate::cli::Warm;
use crate::config::Config;
use crate::gate::{Gate, Refused};
use crate::mysql::{Session, options, rows};
use crate::orders::StockId;
use anyhow::{Context, bail, ensure};
use std::io::Write;

/// A stock row.
struct Stock {
    name: String,
    count: i64,
    sale: i64,
}

/// What became of a sale.
#[derive(Debug, PartialEq, Eq)]
enum Warmed {
    Created,
    /// It was there before: it may have sold units that the stock row does not know yet.
    LeftAlone,
}

/// Makes the sales, and writes a line for each.
///
/// # Errors
/// If any could not be made; the lines say which and why.
pub(crate) async fn warm(config: &Config, warm: &Warm, out: &mut impl Write) -> anyhow::Result<()> {
    let mut session = Session::new(options(&config.mysql.url)?);
    let gate = Gate::for_chore(&config.redis).context("redis.url")?;
    gate.enter().await.context("redis.url")?;
    let mut failed = 0;
    for sid in &warm.sids {
        match warm_one(&mut session, &gate, sid, warm).await {
            Ok((Warmed::Created, stock)) => writeln!(
                out,
                "{sid}: created, {} of {} units available",
                stock.count - stock.sale,
                stock.count
            )?,
            Ok((Warmed::LeftAlone, _)) => {
                writeln!(out, "{sid}: exists already and is left alone")?;
            }
            Err(error) => {
                failed += 1;
                writeln!(out, "{sid}: FAILED: {error:#}")?;
            }
        }
    }
    ensure!(failed == 0, "{failed} of {} sales failed", warm.sids.len());
    Ok(())
}

async fn warm_one(
    session: &mut Session,
    gate: &Gate,
    sid: &str,
    warm: &Warm,
) -> anyhow::Result<(Warmed, Stock)> {
    let id: StockId = sid.parse()?;
    let stock = read(session, id).await?;
    match gate.info(sid).await {
        Ok(_) => return Ok((Warmed::LeftAlone, stock)),
        Err(Refused::NoSale) => {}
        Err(refused) => return Err(refused).context("SECKILL.INFO"),
    }
    // If somebody was faster, the module refuses: it never makes a sale over another.
    let created = gate.create(sid, &options_of(&stock, warm)).await;
    created.context("SECKILL.CREATE")?;
    Ok((Warmed::Created, stock))
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

/// What stands behind the sale's name in `SECKILL.CREATE`.
fn options_of(stock: &Stock, warm: &Warm) -> Vec<String> {
    let mut options = vec![
        "STOCK".to_owned(),
        stock.count.to_string(),
        "SOLD".to_owned(),
        stock.sale.to_string(),
    ];
    if !stock.name.is_empty() {
        options.extend(["NAME".to_owned(), stock.name.clone()]);
    }
    for (word, value) in [
        ("LIMIT", warm.limit),
        ("HOLD", warm.hold),
        ("START", warm.start),
        ("END", warm.end),
    ] {
        options.extend(
            value
                .into_iter()
                .flat_map(|value| [word.to_owned(), value.to_string()]),
        );
    }
    options
}
