//! What the oracle says.

use crate::fault::{Fault, Victim};
use crate::schedule::{self, Schedule};
use crate::stage::{SID, Stage};
use anyhow::{Context, Result, ensure};
use seckill_oracle::{Brokers, Durability, Setting, Sources, Watch, check};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often what holds at every instant is looked at.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// How long the sale, which is at rest, may take to be so for the oracle.
const PATIENCE: Duration = Duration::from_secs(30);

/// Watches a sale from its opening on.
pub(crate) struct Judge {
    record: PathBuf,
    watch: Watch,
}

impl Judge {
    pub(crate) fn begin(stage: &Stage, record: PathBuf) -> Result<Self> {
        let watch = Watch::start(&sources(stage, None)?, SID, WATCH_EVERY);
        Ok(Self { record, watch })
    }

    /// Judges the sale at its end; the report goes into the folder.
    ///
    /// # Errors
    /// If something does not hold: the whole report.
    pub(crate) async fn verdict(
        self,
        schedule: &Schedule,
        stage: &Stage,
        folder: &Path,
    ) -> Result<()> {
        let sources = sources(stage, Some(self.record))?;
        let report = check(&sources, SID, &setting(schedule), PATIENCE).await;
        let seen = self.watch.stop().await;
        let mut report = report.context("the oracle cannot look")?;
        report.add(seen);
        fs::write(folder.join("report"), report.to_string())?;
        let names: Vec<String> = report
            .broken()
            .map(|broken| broken.name.to_string())
            .collect();
        ensure!(report.holds(), "{} broken\n{report}", names.join(", "));
        Ok(())
    }
}

fn sources(stage: &Stage, record: Option<PathBuf>) -> Result<Sources> {
    let addresses = &stage.addresses;
    let redis = addresses.redis.get(stage.parts.primary());
    Ok(Sources {
        redis: redis.context("no such Redis")?.clone(),
        key_prefix: String::new(),
        mysql: addresses.mysql_url.clone(),
        kafka: Some(Brokers::at(&addresses.kafka)),
        records: record.map(|record| vec![record]),
    })
}

fn setting(schedule: &Schedule) -> Setting {
    let durability = match schedule.sale.durability {
        schedule::Durability::Primary => Durability::Primary,
        schedule::Durability::Replica => Durability::Replica,
    };
    let mut setting = Setting {
        durability,
        ..Setting::default()
    };
    // Where the module's clock was wrong, its instants say nothing about those of buyers.
    if moves_the_sales_clock(schedule) {
        setting.skew = None;
    }
    setting
}

/// Whether the clock by which the sale runs is wrong at times.
pub(crate) fn moves_the_sales_clock(schedule: &Schedule) -> bool {
    let moves = |fault: Fault| matches!(fault, Fault::Clock(Victim::Primary | Victim::Replica, _));
    schedule.steps.iter().any(|step| moves(step.fault))
}
