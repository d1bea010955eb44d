//! The shop's database.

use crate::place::Place;
use crate::seen::{Books, Moved, Order, Refund, Status, Stock};
use anyhow::{Context, Result, anyhow};
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Opts, OptsBuilder, Row};
use std::time::Duration;
use tokio::time::timeout;

/// How long a statement may take; the largest reads all orders.
const PATIENCE: Duration = Duration::from_secs(120);

/// Reads all that MySQL has of a sale, in one snapshot.
pub(crate) async fn read(url: &str, sid: &str) -> Result<Books> {
    let mut conn = connect(url).await?;
    begin_snapshot(&mut conn).await?;
    let books = books(&mut conn, number(sid)?).await?;
    end(conn).await;
    Ok(books)
}

/// A sid as MySQL has it.
pub(crate) fn number(sid: &str) -> Result<u32> {
    sid.parse()
        .with_context(|| format!("sid {sid:?}: expected the number of a stock row, such as 1001"))
}

/// Connects.
pub(crate) async fn connect(url: &str) -> Result<Conn> {
    // What is wrong with a url must not show the password in it.
    let opts = Opts::from_url(url).map_err(|error| {
        anyhow!("MySQL: expected mysql://user:password@host:port/database: {error}")
    })?;
    let place = format!("MySQL at {}:{}", opts.ip_or_hostname(), opts.tcp_port());
    let opts = OptsBuilder::from_opts(opts).prefer_socket(false);
    let connected = timeout(PATIENCE, Conn::new(opts)).await;
    connected
        .with_context(|| format!("{place} does not answer"))?
        .with_context(|| format!("cannot connect to {place}"))
}

/// From here on, everything is read as of one instant.
pub(crate) async fn begin_snapshot(conn: &mut Conn) -> Result<()> {
    drop_result(
        conn,
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    )
    .await?;
    drop_result(
        conn,
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    )
    .await
}

/// Lets go. Nothing was written, so that it does not matter how.
pub(crate) async fn end(conn: Conn) {
    drop(timeout(Duration::from_secs(1), conn.disconnect()).await);
}

async fn drop_result(conn: &mut Conn, sql: &str) -> Result<()> {
    let done = timeout(PATIENCE, conn.query_drop(sql)).await;
    done.context("MySQL does not answer")?
        .with_context(|| format!("MySQL refuses: {sql}"))
}

/// The rows of a statement.
pub(crate) async fn rows<T: FromRow + Send + 'static>(
    conn: &mut Conn,
    sql: &str,
) -> Result<Vec<T>> {
    let read = timeout(PATIENCE, conn.query::<T, _>(sql)).await;
    read.context("MySQL does not answer")?
        .with_context(|| format!("MySQL refuses: {sql}"))
}

/// The stock row.
pub(crate) async fn stock(conn: &mut Conn, sid: u32) -> Result<Option<Stock>> {
    let sql = format!("SELECT count, sale, version FROM stock WHERE id = {sid}");
    let found: Vec<(i64, i64, i64)> = rows(conn, &sql).await?;
    Ok(found.first().map(|(count, sale, version)| Stock {
        count: *count,
        sale: *sale,
        version: *version,
    }))
}

/// The place of the last event that was applied.
pub(crate) async fn cursor(conn: &mut Conn, sid: u32) -> Result<Option<Place>> {
    let sql = format!("SELECT epoch, seq FROM stock_cursor WHERE sid = {sid}");
    let found: Vec<(u64, u64)> = rows(conn, &sql).await?;
    Ok(found.first().map(|(epoch, seq)| Place::new(*epoch, *seq)))
}

/// How many cancellations are owed to the module.
pub(crate) async fn refusals_owed(conn: &mut Conn, sid: u32) -> Result<u64> {
    let sql = format!("SELECT COUNT(*) FROM stock_refusal WHERE sid = {sid}");
    let found: Vec<(u64,)> = rows(conn, &sql).await?;
    Ok(found.first().map_or(0, |(owed,)| *owed))
}

async fn books(conn: &mut Conn, sid: u32) -> Result<Books> {
    let limits: Vec<(i64,)> = rows(
        conn,
        &format!("SELECT buyer_limit FROM stock_sale WHERE sid = {sid}"),
    )
    .await?;
    let orders: Vec<Row> = rows(
        conn,
        &format!(
            "SELECT id, epoch, seq, uid, qty, status, deadline, token, stock_version, \
             CAST(UNIX_TIMESTAMP(create_time) AS SIGNED) AS created_s \
             FROM stock_order WHERE sid = {sid} ORDER BY epoch, seq, id"
        ),
    )
    .await?;
    let history: Vec<Row> = rows(
        conn,
        &format!(
            "SELECT epoch, seq, event_epoch, event_seq, at, from_status, to_status, who, uid \
             FROM stock_order_event WHERE sid = {sid} ORDER BY event_epoch, event_seq, who DESC"
        ),
    )
    .await?;
    let refusals: Vec<(u64, u64)> = rows(
        conn,
        &format!("SELECT epoch, seq FROM stock_refusal WHERE sid = {sid} ORDER BY epoch, seq"),
    )
    .await?;
    let refunds: Vec<Row> = rows(
        conn,
        &format!(
            "SELECT epoch, seq, uid, qty, reason FROM stock_refund WHERE sid = {sid} \
             ORDER BY epoch, seq"
        ),
    )
    .await?;
    Ok(Books {
        stock: stock(conn, sid).await?,
        limit: limits.first().map(|(limit,)| *limit),
        cursor: cursor(conn, sid).await?,
        orders: orders.iter().map(order).collect::<Result<_>>()?,
        history: history.iter().map(moved).collect::<Result<_>>()?,
        refusals: refusals
            .iter()
            .map(|(epoch, seq)| Place::new(*epoch, *seq))
            .collect(),
        refunds: refunds.iter().map(refund).collect::<Result<_>>()?,
    })
}

fn order(row: &Row) -> Result<Order> {
    let epoch: Option<u64> = get(row, "epoch")?;
    let seq: Option<u64> = get(row, "seq")?;
    Ok(Order {
        id: get(row, "id")?,
        rid: epoch.zip(seq).map(|(epoch, seq)| Place::new(epoch, seq)),
        uid: get(row, "uid")?,
        qty: get(row, "qty")?,
        status: status(row, "status")?,
        deadline: get(row, "deadline")?,
        token: get(row, "token")?,
        stock_version: get(row, "stock_version")?,
        created_s: get(row, "created_s")?,
    })
}

fn moved(row: &Row) -> Result<Moved> {
    let from: Option<String> = get(row, "from_status")?;
    Ok(Moved {
        rid: place(row, "epoch", "seq")?,
        event: place(row, "event_epoch", "event_seq")?,
        at: get(row, "at")?,
        from: from
            .map(|word| word.parse().map_err(|error: String| anyhow!(error)))
            .transpose()?,
        to: status(row, "to_status")?,
        who: get(row, "who")?,
        rowless: get(row, "uid")?,
    })
}

fn refund(row: &Row) -> Result<Refund> {
    Ok(Refund {
        rid: place(row, "epoch", "seq")?,
        uid: get(row, "uid")?,
        qty: get(row, "qty")?,
        reason: get(row, "reason")?,
    })
}

fn place(row: &Row, epoch: &str, seq: &str) -> Result<Place> {
    Ok(Place::new(get(row, epoch)?, get(row, seq)?))
}

fn status(row: &Row, column: &str) -> Result<Status> {
    let word: String = get(row, column)?;
    word.parse().map_err(|error: String| anyhow!(error))
}

fn get<T: mysql_async::prelude::FromValue>(row: &Row, column: &str) -> Result<T> {
    row.get_opt(column)
        .with_context(|| format!("MySQL: a row has no column {column}"))?
        .map_err(|error| anyhow!("MySQL: column {column}: {error}"))
}
