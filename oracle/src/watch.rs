//! What holds at every instant, looked at again and again while a sale runs.

use crate::place::Place;
use crate::read::module::Gate;
use crate::read::{Sources, mysql};
use crate::report::{Case, Invariant, Name, Source};
use crate::seen::{Info, Stock};
use anyhow::Result;
use mysql_async::Conn;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long a look may take: a server may be frozen, and then there is nothing to see.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks at a sale until it is told to stop.
#[derive(Debug)]
pub struct Watch {
    stop: oneshot::Sender<()>,
    looks: JoinHandle<Invariant>,
}

/// What MySQL says at one instant.
struct Sums {
    stock: Stock,
    cursor: Option<Place>,
    /// Units of live orders.
    live: i64,
}

/// Looks at one sale.
struct Watcher {
    sources: Sources,
    sid: String,
    found: Invariant,
    /// Looks at a server that did not answer.
    misses: u64,
    /// What MySQL had more than orders when it was first looked at: gone before.
    before: Option<i64>,
    last: Option<(i64, Option<Place>)>,
    conn: Option<Conn>,
    gate: Option<Gate>,
}

// === impl Watch ===

impl Watch {
    /// Begins to look at a sale, once every `every`. A server that does not answer is looked at
    /// later: being away is no violation.
    ///
    /// Has to be called within a runtime of tokio. The sale has to be there, and nobody but Seckill
    /// may sell from its stock row meanwhile.
    #[must_use]
    pub fn start(sources: &Sources, sid: &str, every: Duration) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let mut watcher = Watcher {
            sources: sources.clone(),
            sid: sid.to_owned(),
            found: Invariant::new(Name::Always, "looks"),
            misses: 0,
            before: None,
            last: None,
            conn: None,
            gate: None,
        };
        let looks = tokio::spawn(async move {
            loop {
                watcher.look().await;
                tokio::select! {
                    _ = &mut stopped => break,
                    () = sleep(every) => {}
                }
            }
            watcher.finish()
        });
        Self { stop, looks }
    }

    /// Ends it; what was seen.
    pub async fn stop(self) -> Invariant {
        // If it has ended already, there is nobody to tell.
        let _ = self.stop.send(());
        match self.looks.await {
            Ok(found) => found,
            Err(error) => {
                Invariant::new(Name::Always, "looks").not_checked(format!("it ended: {error}"))
            }
        }
    }
}

// === impl Watcher ===

impl Watcher {
    async fn look(&mut self) {
        match timeout(PATIENCE, self.sums()).await {
            Ok(Ok(sums)) => self.judge_books(sums.as_ref()),
            Ok(Err(_)) | Err(_) => {
                self.conn = None;
                self.misses += 1;
            }
        }
        match timeout(PATIENCE, self.info()).await {
            Ok(Ok(Some(info))) => self.judge_module(&info),
            Ok(Ok(None)) => self.misses += 1,
            Ok(Err(_)) | Err(_) => {
                self.gate = None;
                self.misses += 1;
            }
        }
    }

    async fn sums(&mut self) -> Result<Option<Sums>> {
        let sid = mysql::number(&self.sid)?;
        // Taken out, so that what fails or is given up in the middle is not used again.
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => mysql::connect(&self.sources.mysql).await?,
        };
        mysql::begin_snapshot(&mut conn).await?;
        let sql = format!(
            "SELECT CAST(COALESCE(SUM(qty), 0) AS SIGNED) FROM stock_order \
             WHERE sid = {sid} AND status IN ('held', 'confirmed')"
        );
        let live: Vec<(i64,)> = mysql::rows(&mut conn, &sql).await?;
        let stock = mysql::stock(&mut conn, sid).await?;
        let cursor = mysql::cursor(&mut conn, sid).await?;
        self.conn = Some(conn);
        let live = live.first().map_or(0, |(live,)| *live);
        Ok(stock.map(|stock| Sums {
            stock,
            cursor,
            live,
        }))
    }

    async fn info(&mut self) -> Result<Option<Info>> {
        let mut gate = match self.gate.take() {
            Some(gate) => gate,
            None => Gate::connect(&self.sources, &self.sid).await?,
        };
        let info = gate.info().await?;
        self.gate = Some(gate);
        Ok(info)
    }

    fn judge_books(&mut self, sums: Option<&Sums>) {
        let Some(&Sums {
            stock,
            cursor,
            live,
        }) = sums
        else {
            self.found.look(Some(Case::new("the stock row is gone")));
            return;
        };
        let Stock {
            count,
            sale,
            version,
        } = stock;
        let before = *self.before.get_or_insert(sale - live);
        let last = self.last.replace((version, cursor));
        let what = if sale < 0 || sale > count {
            Some("sale is not within 0 and count".to_owned())
        } else if sale != before + live {
            Some(format!(
                "sale is not what live orders come to, {before} gone before"
            ))
        } else if let Some((earlier, _)) = last.filter(|(earlier, _)| version < *earlier) {
            Some(format!("stock.version went back from {earlier}"))
        } else {
            last.filter(|(_, earlier)| cursor < *earlier)
                .map(|(_, earlier)| format!("the cursor went back from {}", shown(earlier)))
        };
        let case = what.map(|what| {
            let told = format!(
                "sale {sale}, count {count}, version {version}, live orders {live}, cursor {}",
                shown(cursor)
            );
            Case::new(what).says(Source::MySql, told)
        });
        self.found.look(case);
    }

    fn judge_module(&mut self, info: &Info) {
        let Info {
            total,
            available,
            held,
            sold,
            head,
            ..
        } = info;
        let is_so = *total == available + held + sold && available.min(held).min(sold) >= &0;
        let case = (!is_so).then(|| {
            let told = format!(
                "total {total}, available {available}, held {held}, sold {sold}, head {head}"
            );
            Case::new("total is not available + held + sold").says(Source::Module, told)
        });
        self.found.look(case);
    }

    fn finish(mut self) -> Invariant {
        if self.misses > 0 {
            self.found.note(format!(
                "{} looks found nobody: a server was away, or had no sale",
                self.misses
            ));
        }
        if self.found.checked == 0 {
            return self.found.not_checked("no look found anybody");
        }
        self.found
    }
}

fn shown(cursor: Option<Place>) -> String {
    cursor.map_or("none".to_owned(), |cursor| cursor.to_string())
}
