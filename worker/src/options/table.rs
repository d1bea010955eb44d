//! The table `stock_sale`.

use super::Options;
use crate::mysql::{Failure, Session, rows};
use crate::orders::StockId;
use mysql_async::prelude::Queryable;

/// What the table has of a sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) options: Options,
    /// It was closed for good.
    pub(crate) closed: bool,
    /// The epoch in which it was created; 0: nobody has said.
    pub(crate) opened: u64,
    /// `recover` has paused it, and resumes it at its end.
    pub(crate) recovering: bool,
}

/// The columns of the options, in the order in which they are read and written.
const OPTIONS: &str = "buyer_limit, start, end, hold, rate, burst, user_rate, user_burst";

/// What the table has of a sale.
pub(crate) async fn read(session: &mut Session, sid: StockId) -> Result<Option<Row>, Failure> {
    type Columns = (u64, u64, u64, u64, u64, u64, u64, u64, bool, u64, bool);
    let sql =
        format!("SELECT {OPTIONS}, closed, opened, recovering FROM stock_sale WHERE sid = {sid}");
    let found: Vec<Columns> = session.work(async |conn| rows(conn, sql).await).await?;
    let row = |columns: Columns| {
        let (limit, start, end, hold, rate, burst, user_rate, user_burst, ..) = columns;
        let (.., closed, opened, recovering) = columns;
        Row {
            options: Options {
                limit,
                start,
                end,
                hold,
                rate,
                burst,
                user_rate,
                user_burst,
            },
            closed,
            opened,
            recovering,
        }
    };
    Ok(found.into_iter().next().map(row))
}

/// A sale was created in this epoch with these options.
pub(crate) async fn open(
    session: &mut Session,
    sid: StockId,
    options: &Options,
    epoch: u64,
) -> Result<(), Failure> {
    let values = values(options);
    let sql = format!(
        "INSERT INTO stock_sale (sid, {OPTIONS}, opened) VALUES ({sid}, {values}, {epoch}) \
         ON DUPLICATE KEY UPDATE {}, opened = {epoch}, closed = FALSE, recovering = FALSE",
        assignments()
    );
    session
        .work(async |conn| Ok(conn.query_drop(sql).await?))
        .await
}

/// The options of a sale are these now. `opened` is told by a sale that was just created, and is not
/// believed of one that `recover` creates again. What is closed stays so.
pub(super) fn follow(sid: StockId, options: &Options, closed: bool, opened: Option<u64>) -> String {
    let values = values(options);
    let (told, opened) = (opened.is_some(), opened.unwrap_or(0));
    format!(
        "INSERT INTO stock_sale (sid, {OPTIONS}, closed, opened) \
         VALUES ({sid}, {values}, {closed}, {opened}) \
         ON DUPLICATE KEY UPDATE {}, closed = closed OR {closed}, \
         opened = IF({told} AND NOT recovering, {opened}, opened)",
        assignments()
    )
}

/// Says whether `recover` has paused the sale, which has these options.
pub(crate) async fn set_recovering(
    session: &mut Session,
    sid: StockId,
    options: &Options,
    recovering: bool,
) -> Result<(), Failure> {
    let values = values(options);
    let sql = format!(
        "INSERT INTO stock_sale (sid, {OPTIONS}, recovering) VALUES ({sid}, {values}, {recovering}) \
         ON DUPLICATE KEY UPDATE {}, recovering = {recovering}",
        assignments()
    );
    session
        .work(async |conn| Ok(conn.query_drop(sql).await?))
        .await
}

/// The sales that have a row and a start from now until so many milliseconds later.
pub(crate) async fn starting_within(
    session: &mut Session,
    span_ms: u64,
) -> Result<Vec<StockId>, Failure> {
    // The database's clock, because the shop wrote the start with it or with one like it.
    let now = "FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000)";
    let sql = format!(
        "SELECT sid FROM stock_sale WHERE start >= {now} AND start <= {now} + {span_ms} \
         AND NOT closed ORDER BY start, sid"
    );
    let found: Vec<(u32,)> = session.work(async |conn| rows(conn, sql).await).await?;
    Ok(found.into_iter().map(|(sid,)| StockId(sid)).collect())
}

/// The stock rows whose sale is neither closed nor ended.
pub(crate) async fn not_over(session: &mut Session) -> Result<Vec<StockId>, Failure> {
    let sql = "SELECT s.id FROM stock s LEFT JOIN stock_sale o ON o.sid = s.id \
         WHERE o.sid IS NULL OR NOT o.closed \
         AND (o.end = 0 OR o.end > UNIX_TIMESTAMP(NOW(3)) * 1000) ORDER BY s.id";
    let found: Vec<(u32,)> = session
        .work(async |conn| rows(conn, sql.to_owned()).await)
        .await?;
    Ok(found.into_iter().map(|(sid,)| StockId(sid)).collect())
}

fn values(options: &Options) -> String {
    let Options {
        limit,
        start,
        end,
        hold,
        rate,
        burst,
        user_rate,
        user_burst,
    } = options;
    format!("{limit}, {start}, {end}, {hold}, {rate}, {burst}, {user_rate}, {user_burst}")
}

fn assignments() -> String {
    let assignments: Vec<String> = OPTIONS
        .split(", ")
        .map(|column| format!("{column} = VALUES({column})"))
        .collect();
    assignments.join(", ")
}
