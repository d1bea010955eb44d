//! The experiment: the crowd, the kills in its middle, and the wait for the last order.

use crate::books::Accounts;
use crate::cli::RunOptions;
use crate::ledger::Ledger;
use crate::say::Say;
use crate::stage::SID;
use crate::supervise::Supervisor;
use anyhow::{Context, Result, anyhow, bail};
use seckill_load::{Outcome, Plan, Progress, text};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, interval, sleep, timeout};

/// How often the moving line moves and MySQL is asked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How often the crowd's middle is looked for.
const KILL_LOOK_EVERY: Duration = Duration::from_millis(1);

/// How long buyers ask on while parts are down and come back.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long orders may stand still before they count as stuck.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// How long a part that has just come back may take to be read.
const READ_PATIENCE: Duration = Duration::from_secs(30);

/// What happened.
pub(crate) struct Sold {
    pub(crate) outcome: Outcome,
    /// From the first connection of the crowd until the last order was in MySQL.
    pub(crate) written_after: Duration,
    pub(crate) accounts: Accounts,
}

/// How many orders MySQL has, and since when.
struct Written {
    began: Instant,
    orders: u64,
    /// From the beginning until the count was last seen to change.
    after: Duration,
}

/// One sale that is about to begin.
pub(crate) struct Experiment<'a> {
    pub(crate) options: &'a RunOptions,
    pub(crate) ledger: &'a Ledger,
    pub(crate) supervisor: &'a Arc<Supervisor>,
    pub(crate) say: &'a Say,
}

// === impl Experiment ===

impl Experiment<'_> {
    /// Sells through these proxies until buyers and books are at rest.
    pub(crate) async fn sell(&self, proxies: &[String]) -> Result<Sold> {
        self.wait_for_the_road().await?;
        let (first, more) = proxies.split_first().context("there is no proxy")?;
        let plan = Plan {
            url: first.clone(),
            more_urls: more.to_vec(),
            sid: SID.to_string(),
            buyers: self.options.buyers,
            tries: self.options.tries,
            patience: PATIENCE,
            waits_out_pauses: true,
            ..Plan::default()
        };
        let progress = Arc::new(Progress::default());
        let mut written = Written::new();
        let crowd = async {
            seckill_load::run(&plan, &progress)
                .await
                .map_err(Into::into)
        };
        let outcome = tokio::select! {
            sold = async { tokio::try_join!(crowd, self.kill(&progress)) } => sold?.0,
            never = self.show_buying(&progress, plan.tries_total(), &mut written) => match never {},
        };
        self.wait_for_orders(&outcome, &mut written).await?;
        self.say.still();
        let accounts = self.read(&outcome).await?;
        Ok(Sold {
            outcome,
            written_after: written.after,
            accounts,
        })
    }

    /// Waits until MySQL knows that the sale is open: from then on every part has found the others,
    /// and what is measured is a sale and not a start.
    async fn wait_for_the_road(&self) -> Result<()> {
        let began = Instant::now();
        loop {
            match self.ledger.lag().await {
                Ok(lag) if lag.head == lag.stored => break,
                Ok(lag) if began.elapsed() > STUCK_AFTER => {
                    bail!("the opening of the sale does not reach MySQL: {lag}");
                }
                Err(error) if began.elapsed() > STUCK_AFTER => return Err(error),
                _ => sleep(LOOK_EVERY).await,
            }
        }
        self.say
            .ready("road", "the sale's opening is in MySQL", began.into_std());
        self.say.line("");
        Ok(())
    }

    /// Kills the parts that were asked for, spread over the units that are sold.
    async fn kill(&self, progress: &Progress) -> Result<()> {
        let tries_total = u64::from(self.options.buyers) * u64::from(self.options.tries);
        let wanted = u64::from(self.options.stock.min(self.options.buyers));
        let victims = &self.options.kill.0;
        let shares = u64::try_from(victims.len())? + 1;
        for (share, &name) in (1_u64..).zip(victims) {
            loop {
                let now = progress.read();
                if now.reserved >= wanted * share / shares || now.tries >= tries_total {
                    break;
                }
                sleep(KILL_LOOK_EVERY).await;
            }
            let accepted = progress.read().reserved;
            self.say.line(format!(
                "  kill -9 {name}, with {accepted} of {wanted} units sold"
            ));
            let supervisor = Arc::clone(self.supervisor);
            tokio::task::spawn_blocking(move || supervisor.kill(name)).await??;
        }
        Ok(())
    }

    async fn show_buying(
        &self,
        progress: &Progress,
        tries_total: u64,
        written: &mut Written,
    ) -> Infallible {
        let mut ticks = interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            // While MySQL is down, its last count is as good as any.
            if let Ok(orders) = self.ledger.orders_count().await {
                written.saw(orders);
            }
            let now = progress.read();
            let words = format!(
                "{} of {} tries, {} accepted, {} orders in MySQL",
                text::count(now.tries),
                text::count(tries_total),
                text::count(now.reserved),
                text::count(written.orders),
            );
            self.say.moving(now.tries, tries_total, words);
        }
    }

    /// Waits until MySQL has every event of the module.
    async fn wait_for_orders(&self, outcome: &Outcome, written: &mut Written) -> Result<()> {
        let mut last = None;
        let mut moved = Instant::now();
        let mut ticks = interval(LOOK_EVERY);
        loop {
            ticks.tick().await;
            let seen = timeout(READ_PATIENCE, self.ledger.lag()).await;
            let seen = seen.unwrap_or_else(|_| Err(anyhow!("Redis or MySQL does not answer")));
            if let Ok(lag) = &seen {
                written.saw(lag.orders);
                if lag.head == lag.stored {
                    return Ok(());
                }
                let words = format!(
                    "all buyers answered, {} orders in MySQL",
                    text::count(lag.orders)
                );
                self.say.moving(lag.orders, outcome.reservations(), words);
                if last.as_ref() != Some(lag) {
                    last = Some(lag.clone());
                    moved = Instant::now();
                }
            }
            if moved.elapsed() > STUCK_AFTER {
                match seen {
                    Ok(lag) => bail!("orders stand still for {STUCK_AFTER:?}: {lag}"),
                    Err(error) => return Err(error.context("the orders cannot be counted")),
                }
            }
        }
    }

    /// Reads everything that the books are made of.
    async fn read(&self, outcome: &Outcome) -> Result<Accounts> {
        let began = Instant::now();
        loop {
            match self.read_once(outcome).await {
                Ok(accounts) => return Ok(accounts),
                Err(error) if began.elapsed() > READ_PATIENCE => {
                    return Err(error).context("the books cannot be read");
                }
                Err(_) => sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn read_once(&self, outcome: &Outcome) -> Result<Accounts> {
        Ok(Accounts {
            buyers: i64::from(outcome.buyers),
            given_up: outcome.given_up,
            told: outcome
                .told
                .iter()
                .map(|told| (told.uid.clone(), told.rid))
                .collect(),
            stock: self.ledger.stock().await?,
            orders: self.ledger.orders().await?,
            module: self.ledger.module().await?,
            audit: self.ledger.audit().await?,
        })
    }
}

// === impl Written ===

impl Written {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            orders: 0,
            after: Duration::ZERO,
        }
    }

    fn saw(&mut self, orders: u64) {
        if self.orders != orders {
            self.orders = orders;
            self.after = self.began.elapsed();
        }
    }
}
