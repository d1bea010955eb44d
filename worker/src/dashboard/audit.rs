//! Who did what, and what came of it: in the table `stock_audit`, and in the log.
//!
//! A row is written before something is done, so that nothing is done that nobody finds. Where MySQL
//! does not answer it is done all the same, because that may be the very hour in which somebody has to
//! stop a sale; then only the log has it.

use super::Dashboard;
use super::answer::{answer, away};
use super::look::unix_ms;
use super::visitor::Visitor;
use crate::mysql::{Failure, Session};
use crate::shown::shown;
use axum::extract::{Path, State};
use axum::response::Response;
use mysql_async::params;
use mysql_async::prelude::Queryable;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::info;

/// How long MySQL may hold somebody up.
const PATIENCE: Duration = Duration::from_secs(3);

/// Rows that are shown.
const SHOWN_MAX: usize = 200;

/// The characters of what is written.
const CHARS_MAX: usize = 490;

/// The table.
pub(super) struct Audit(Mutex<Session>);

/// Something that is asked for.
pub(super) struct Deed {
    pub(super) visitor: Visitor,
    pub(super) what: String,
    /// `None`: all of them.
    pub(super) sale: Option<String>,
}

/// Where it is written down; `None`: only in the log.
pub(super) struct Written(Option<u64>);

/// A row, as it is shown.
#[derive(Serialize)]
struct Line {
    id: u64,
    at_ms: u64,
    who: String,
    peer: String,
    what: String,
    sale: Option<String>,
    done: Option<bool>,
    outcome: String,
}

// === impl Audit ===

impl Audit {
    pub(super) fn new(session: Session) -> Self {
        Self(Mutex::new(session))
    }

    /// Somebody is about to do something.
    pub(super) async fn begin(&self, deed: &Deed) -> Written {
        let Deed {
            visitor,
            what,
            sale,
        } = deed;
        let (who, peer, sale) = (&visitor.name, &visitor.peer, sale.as_deref());
        info!(kind = "audit", who, %peer, sale, "{what}: asked for");
        let sql = "INSERT INTO stock_audit (at, who, peer, what, sale) \
                   VALUES (:at, :who, :peer, :what, :sale)";
        let row = params! {
            "at" => unix_ms(),
            who,
            peer,
            "what" => shown(what, CHARS_MAX),
            "sale" => sale,
        };
        let write = async {
            let mut session = self.0.lock().await;
            session
                .work(async |conn| {
                    conn.exec_drop(sql, row).await?;
                    Ok(conn.last_insert_id())
                })
                .await
        };
        Written(
            timeout(PATIENCE, write)
                .await
                .ok()
                .and_then(Result::ok)
                .flatten(),
        )
    }

    /// It is done, or refused. Returns whether the table says so.
    pub(super) async fn end(
        &self,
        deed: &Deed,
        written: &Written,
        outcome: &Result<String, String>,
    ) -> bool {
        let done = outcome.is_ok();
        let (Ok(text) | Err(text)) = outcome;
        let (who, sale) = (&deed.visitor.name, deed.sale.as_deref());
        info!(kind = "audit", who, sale, done, "{}: {text}", deed.what);
        let Written(Some(id)) = written else {
            return false;
        };
        let write = async {
            let mut session = self.0.lock().await;
            session
                .work(async |conn| {
                    let sql = "UPDATE stock_audit SET done = ?, outcome = ? WHERE id = ?";
                    Ok(conn
                        .exec_drop(sql, (done, shown(text, CHARS_MAX), id))
                        .await?)
                })
                .await
        };
        matches!(timeout(PATIENCE, write).await, Ok(Ok(())))
    }

    async fn latest(&self, sale: Option<&str>) -> Result<Vec<Line>, Failure> {
        type Row = (
            u64,
            u64,
            String,
            String,
            String,
            Option<String>,
            Option<bool>,
            String,
        );
        let mut session = self.0.lock().await;
        let found: Vec<Row> = session
            .work(async |conn| {
                let which = sale.map_or("", |_| "WHERE sale = ?");
                let sql = format!(
                    "SELECT id, at, who, peer, what, sale, done, outcome FROM stock_audit \
                     {which} ORDER BY id DESC LIMIT {SHOWN_MAX}"
                );
                let sale: Vec<&str> = sale.into_iter().collect();
                Ok(conn.exec(sql, sale).await?)
            })
            .await?;
        let lines = found.into_iter();
        let lines = lines.map(|(id, at_ms, who, peer, what, sale, done, outcome)| Line {
            id,
            at_ms,
            who,
            peer,
            what,
            sale,
            done,
            outcome,
        });
        Ok(lines.collect())
    }
}

/// The latest lines.
pub(super) async fn show(State(dashboard): State<Arc<Dashboard>>, _: Visitor) -> Response {
    lines(&dashboard, None).await
}

/// The latest lines of one sale.
pub(super) async fn of_sale(
    State(dashboard): State<Arc<Dashboard>>,
    _: Visitor,
    Path(sid): Path<String>,
) -> Response {
    lines(&dashboard, Some(&sid)).await
}

async fn lines(dashboard: &Dashboard, sale: Option<&str>) -> Response {
    match timeout(PATIENCE, dashboard.audit.latest(sale)).await {
        Ok(Ok(lines)) => answer(&lines),
        Ok(Err(failure)) => away(&format!("MySQL: {failure}")),
        Err(_) => away("MySQL does not answer."),
    }
}
