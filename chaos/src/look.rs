//! How the sale stands, as one sees it past the wires.

use crate::redis_server;
use crate::stage::{SID, Stage};
use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// A server that is frozen is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// The word of INFO, or why there is none.
    pub(crate) state: String,
    pub(crate) available: i64,
    pub(crate) held: i64,
    /// Whether MySQL has all that was decided.
    pub(crate) is_stored: bool,
    /// Orders in MySQL.
    pub(crate) orders: u64,
    /// What MySQL has refused and the module has not been told.
    pub(crate) refusals_owed: u64,
    /// `head`, `stored` and `relayed`, for people.
    places: String,
}

impl Look {
    /// Looks at both. What cannot be seen stays as it was before.
    pub(crate) async fn again(before: &Self, stage: &Arc<Stage>) -> Self {
        let mut look = before.clone();
        match module(stage).await {
            Ok(info) => look.module(&info),
            Err(_) => "out of sight".clone_into(&mut look.state),
        }
        if let Ok((orders, owed)) = mysql(stage).await {
            look.orders = orders;
            look.refusals_owed = owed;
        }
        look
    }

    /// Looks at both.
    ///
    /// # Errors
    /// If one does not answer.
    pub(crate) async fn now(stage: &Arc<Stage>) -> Result<Self> {
        let mut look = Self::default();
        look.module(&module(stage).await?);
        (look.orders, look.refusals_owed) = mysql(stage).await?;
        Ok(look)
    }

    /// Whether nothing is on its way, and nobody has to decide anything.
    pub(crate) fn is_at_rest(&self) -> bool {
        let sells = matches!(self.state.as_str(), "open" | "soldout");
        sells && self.is_stored && self.held == 0 && self.refusals_owed == 0
    }

    fn module(&mut self, info: &HashMap<String, String>) {
        let text = |name: &str| info.get(name).cloned().unwrap_or_default();
        let number = |name: &str| text(name).parse().unwrap_or_default();
        self.state = text("state");
        self.available = number("available");
        self.held = number("held");
        self.is_stored = text("head") == text("stored");
        self.places = format!(
            "head {}, relayed {}, stored {}",
            text("head"),
            text("relayed"),
            text("stored")
        );
    }
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            state,
            available,
            held,
            orders,
            refusals_owed,
            places,
            ..
        } = self;
        write!(
            f,
            "{state}: {available} available, {held} held, {orders} orders, {refusals_owed} refusals \
             owed, {places}"
        )
    }
}

async fn module(stage: &Arc<Stage>) -> Result<HashMap<String, String>> {
    let stage = Arc::clone(stage);
    spawn_blocking(move || {
        let url = stage.addresses.redis.get(stage.parts.primary());
        redis_server::info(url.context("no such Redis")?, SID)
    })
    .await?
}

async fn mysql(stage: &Arc<Stage>) -> Result<(u64, u64)> {
    let opts = Opts::from_url(&stage.addresses.mysql_url)?;
    let opts = mysql_async::OptsBuilder::from_opts(opts).prefer_socket(false);
    let looked = timeout(PATIENCE, async {
        let mut mysql = Conn::new(opts).await?;
        let counts = "SELECT (SELECT COUNT(*) FROM stock_order WHERE sid = ?), \
                      (SELECT COUNT(*) FROM stock_refusal WHERE sid = ?)";
        let row = mysql.exec_first(counts, (SID, SID)).await?;
        mysql.disconnect().await?;
        row.context("COUNT has no row")
    });
    looked.await?
}
