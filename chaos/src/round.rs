//! One round: from a seed to a verdict.

use crate::buyers::{Crowd, Doors};
use crate::disturb;
use crate::fault::Line;
use crate::interrupt::Interrupt;
use crate::judge::{self, Judge};
use crate::keep;
use crate::look::Look;
use crate::quiet;
use crate::say::Say;
use crate::schedule::{FAULTS_OVER_MS, PAIR, Schedule};
use crate::stage::{Lines, SHOP_KEY, SID, Stage};
use anyhow::{Result, ensure};
use seckill_oracle::record::Recorder;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep};

/// Buyers have left by then: somewhat after the last fault.
const SALE: Duration = Duration::from_millis(FAULTS_OVER_MS + 500);

/// How long the opening of a sale may take to get to MySQL.
const ROAD_PATIENCE: Duration = Duration::from_secs(60);

/// How a round ended.
pub(crate) enum End {
    /// All are at rest, and the oracle found nothing.
    Good(Outcome),
    /// Somebody asked to stop.
    Interrupted,
}

/// What a round came to.
pub(crate) struct Outcome {
    /// Reservations that buyers were told of.
    pub(crate) accepted: u64,
    /// Orders in MySQL.
    pub(crate) orders: u64,
}

/// Plays a round in a folder. What it leaves there: `schedule`, `timeline`, `record.jsonl`, and a
/// folder with a log for each process.
///
/// # Errors
/// If the round does not come to its end, or the oracle finds something.
pub(crate) async fn play(
    schedule: &Schedule,
    folder: &Path,
    interrupt: &mut Interrupt,
) -> Result<End> {
    std::fs::write(folder.join("schedule"), schedule.to_string())?;
    let say = Say::begin(&folder.join("timeline"))?;
    say.line(schedule.to_string().trim_end());
    let lines = Lines::open().await?;
    let stage = Arc::new(set_stage(folder, lines, schedule).await?);
    let played = tokio::select! {
        played = on_stage(schedule, folder, &stage, &say) => played.map(End::Good),
        () = interrupt.came() => {
            say.event("interrupted: all are killed");
            Ok(End::Interrupted)
        }
    };
    // Also after an error: the next round has the machine for itself.
    let ended = spawn_blocking(move || stage.parts.kill_all()).await?;
    let end = played?;
    ended.map(|()| end)
}

async fn set_stage(folder: &Path, lines: Lines, schedule: &Schedule) -> Result<Stage> {
    let (folder, sale) = (folder.to_owned(), schedule.sale);
    spawn_blocking(move || Stage::set(&folder, lines, &sale)).await?
}

async fn on_stage(
    schedule: &Schedule,
    folder: &Path,
    stage: &Arc<Stage>,
    say: &Say,
) -> Result<Outcome> {
    await_road(stage).await?;
    let record = folder.join("record.jsonl");
    let recorder = Recorder::create(&record)?;
    let judge = Judge::begin(stage, record)?;
    let proxy = |number| Ok(stage.lines.wire(Line::BuyersToProxy(number))?.address());
    let doors = Doors {
        proxies: (0..PAIR).map(proxy).collect::<Result<_>>()?,
        shop_key: SHOP_KEY.to_owned(),
        sid: SID.to_owned(),
    };
    let crowd = Crowd::new(doors, recorder, schedule.sale, schedule.seed);
    let opening = Instant::now();
    say.open(opening);
    say.event("the sale is open");

    let accepted = {
        let crowd = crowd.clone();
        move || crowd.tally().accepted()
    };
    let keeps = keep::keep_alive(Arc::clone(stage), say.clone());
    let operates = keep::operate(Arc::clone(stage), accepted, say.clone());
    let sells = async {
        let mut steps = JoinSet::new();
        for step in &schedule.steps {
            steps.spawn(disturb::carry_out(
                Arc::clone(stage),
                *step,
                opening,
                say.clone(),
            ));
        }
        let faults = async {
            while let Some(step) = steps.join_next().await {
                step??;
            }
            anyhow::Ok(())
        };
        tokio::try_join!(faults, crowd.come(opening + SALE))?;
        say.event("all faults are over");
        let passes_time = judge::moves_the_sales_clock(schedule);
        let quiet = quiet::come_to_rest(stage, &crowd, passes_time, say).await;
        match &quiet {
            Ok(look) => say.event(&format!("at rest\n{look}")),
            Err(error) => say.event(&format!("{error:#}")),
        }
        // Also where there is no rest: what the oracle sees may tell why.
        judge.verdict(schedule, stage, folder).await?;
        quiet
    };
    let look = tokio::select! {
        look = sells => look?,
        ended = keeps => match ended? {},
        ended = operates => match ended? {},
    };
    Ok(Outcome {
        accepted: crowd.tally().accepted(),
        orders: look.orders,
    })
}

/// Waits until the workers have found each other and the sale.
async fn await_road(stage: &Arc<Stage>) -> Result<()> {
    let since = Instant::now();
    loop {
        let look = Look::now(stage).await?;
        if look.is_at_rest() {
            return Ok(());
        }
        ensure!(
            since.elapsed() < ROAD_PATIENCE,
            "the opening of the sale does not reach MySQL: {look}"
        );
        sleep(Duration::from_millis(100)).await;
    }
}
