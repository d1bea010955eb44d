//! After the faults: everything is well again, holds lapse, and what is left is sold.

use crate::buyers::Crowd;
use crate::fault::Victim;
use crate::look::Look;
use crate::redis_server;
use crate::say::Say;
use crate::stage::{SID, Stage};
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

/// How long the system may take to come to rest: leases, a Kafka group's session, the pauses between
/// attempts, and a worker that hangs, which notices that after a minute and is then killed.
const PATIENCE: Duration = Duration::from_secs(120);

const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Beyond every hold, also one that was made while a clock was an hour fast.
const LAPSE_MS: i64 = 3 * 3_600_000;

/// Sales of the rest. A payment whose answer is lost leaves a hold behind, whose unit is for the next.
const WAVES: u32 = 8;

/// Brings the sale to its end. With `passes_time`, hours pass for Redis, so that also a hold lapses
/// that was made while its clock was fast; without it, holds are waited for.
///
/// # Errors
/// If it does not come to rest, with how it stands.
pub(crate) async fn come_to_rest(
    stage: &Arc<Stage>,
    crowd: &Crowd,
    passes_time: bool,
    say: &Say,
) -> Result<Look> {
    stage.lines.heal_all();
    for wave in 0..WAVES {
        if passes_time {
            let by_ms = LAPSE_MS * i64::from(wave + 1);
            for victim in [Victim::Primary, Victim::Replica] {
                stage.parts.part(victim)?.shift_clock(by_ms)?;
            }
        }
        let look = rest(stage).await?;
        if look.available == 0 {
            same_copies(stage).await?;
            return Ok(look);
        }
        say.event(&format!(
            "at rest; {} units are left for whoever comes",
            look.available
        ));
        let buyers = u32::try_from(look.available)?;
        crowd
            .buy_the_rest(wave, buyers, Instant::now() + PATIENCE)
            .await?;
    }
    bail!(
        "units are left that nobody gets: {}",
        Look::now(stage).await?
    )
}

/// Waits until everything that was decided is in MySQL, and nothing is held.
async fn rest(stage: &Arc<Stage>) -> Result<Look> {
    let since = Instant::now();
    let mut last = String::new();
    while since.elapsed() < PATIENCE {
        match Look::now(stage).await {
            Ok(look) if look.is_at_rest() => return Ok(look),
            Ok(look) => last = look.to_string(),
            Err(error) => last = format!("{error:#}"),
        }
        sleep(LOOK_EVERY).await;
    }
    bail!("no rest after {PATIENCE:?}: {last}")
}

/// Waits until the replica is the same sale to the last byte.
async fn same_copies(stage: &Arc<Stage>) -> Result<()> {
    let since = Instant::now();
    let mut last = String::new();
    while since.elapsed() < PATIENCE {
        let looks_at = Arc::clone(stage);
        match spawn_blocking(move || digests(&looks_at)).await? {
            Ok([one, other]) if one == other => return Ok(()),
            Ok([one, other]) => last = format!("the digests are {one} and {other}"),
            Err(error) => last = format!("{error:#}"),
        }
        sleep(LOOK_EVERY).await;
    }
    bail!("the replica is another sale than the primary: {last}")
}

fn digests(stage: &Stage) -> Result<[String; 2]> {
    let [one, other] = &stage.addresses.redis;
    let digest = |url: &str| -> Result<String> {
        let digests: Vec<String> = redis_server::ask(url, &["DEBUG", "DIGEST-VALUE", SID])?;
        digests.into_iter().next().context("no digest")
    };
    Ok([digest(one)?, digest(other)?])
}
