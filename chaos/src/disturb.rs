//! Carries a schedule out.

use crate::fault::{Fault, Line, Loss, Victim};
use crate::redis_server;
use crate::say::Say;
use crate::schedule::{PAIR, Step};
use crate::stage::{SID, Stage};
use crate::wire::Trouble;
use anyhow::{Context, Result};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

/// How long a part that was woken or started may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Does one thing in its time and undoes it in its time.
pub(crate) async fn carry_out(
    stage: Arc<Stage>,
    step: Step,
    opening: Instant,
    say: Say,
) -> Result<()> {
    let fault = step.fault;
    sleep_until(opening + step.at).await;
    say.event(&fault.to_string());
    let at_work = Arc::clone(&stage);
    let under_way = spawn_blocking(move || begin(&at_work, fault)).await?;
    let under_way = under_way.with_context(|| format!("{fault}"))?;
    if let Some(reason) = &under_way.note {
        say.event(&format!("{fault}: {reason}"));
    }
    if fault.is_momentary() {
        return Ok(());
    }
    sleep_until(opening + step.end()).await;
    let ended = spawn_blocking(move || end(&stage, fault, &under_way)).await?;
    ended.with_context(|| format!("the end of: {fault}"))?;
    say.event(&format!("over: {fault}"));
    Ok(())
}

/// What has to be known to end a fault.
struct UnderWay {
    /// Whom it has hit: the primary may be another one by the end.
    victim: Option<Arc<crate::stage::Watched>>,
    /// Of a promotion: the number of the old primary.
    old_primary: usize,
    /// For the timeline.
    note: Option<String>,
    is_done: bool,
}

fn begin(stage: &Stage, fault: Fault) -> Result<UnderWay> {
    let parts = &stage.parts;
    let mut under_way = UnderWay {
        victim: None,
        old_primary: parts.primary(),
        note: None,
        is_done: true,
    };
    match fault {
        Fault::Kill(victim)
        | Fault::Freeze(victim)
        | Fault::Restart(victim)
        | Fault::FullDisk(victim)
        | Fault::Clock(victim, _) => {
            let part = parts.part(victim)?;
            match fault {
                Fault::Kill(_) => part.kill()?,
                Fault::Freeze(_) => part.freeze()?,
                Fault::Restart(_) => part.restart()?,
                Fault::FullDisk(_) => {
                    part.may_stay_down();
                    part.fill_disk(true)?;
                }
                Fault::Clock(_, by_ms) => part.shift_clock(by_ms)?,
                _ => {}
            }
            under_way.victim = Some(part);
        }
        Fault::Trouble(line, trouble) => stage.lines.trouble(line, trouble)?,
        Fault::ReadOnly => parts.set_read_only(true)?,
        Fault::Promote(loss) => {
            let replica = url(stage, parts.replica())?;
            if redis_server::has_a_copy(replica, SID).unwrap_or(false) {
                lose_primary(stage, loss, replica)?;
            } else {
                under_way.is_done = false;
                under_way.note = Some("not done, the replica has no whole copy".to_owned());
            }
        }
    }
    Ok(under_way)
}

fn end(stage: &Stage, fault: Fault, under_way: &UnderWay) -> Result<()> {
    let victim = || under_way.victim.as_ref().context("nobody was hit");
    match fault {
        Fault::Kill(_) => victim()?.may_come_back(),
        Fault::Freeze(_) => victim()?.thaw()?,
        Fault::FullDisk(_) => {
            victim()?.fill_disk(false)?;
            victim()?.may_come_back();
        }
        Fault::Clock(..) => victim()?.shift_clock(0)?,
        Fault::Trouble(line, _) => stage.lines.wire(line)?.heal(),
        Fault::ReadOnly => stage.parts.set_read_only(false)?,
        Fault::Promote(loss) if under_way.is_done => {
            take_back(stage, loss, under_way.old_primary)?;
        }
        Fault::Restart(_) | Fault::Promote(_) => {}
    }
    Ok(())
}

/// Puts the replica in the place of the primary, as an operator or a sentinel does.
fn lose_primary(stage: &Stage, loss: Loss, replica: &str) -> Result<()> {
    let parts = &stage.parts;
    let old = parts.part(Victim::Primary)?;
    match loss {
        Loss::Killed => old.kill()?,
        Loss::Frozen => old.freeze()?,
        Loss::Split => {}
    }
    redis_server::promote(replica)?;
    parts.promote();
    let port = port(stage, parts.primary())?;
    stage.lines.move_to(Line::ReplicaToPrimary, port)?;
    // Half of the others do not hear of it, if the old primary lives.
    let told = if loss == Loss::Split { 1 } else { PAIR };
    (0..told).try_for_each(|number| lead_to_primary(stage, number, port))
}

/// The old primary comes back as the replica of the new one.
fn take_back(stage: &Stage, loss: Loss, old_primary: usize) -> Result<()> {
    let old = stage.parts.part(Victim::Replica)?;
    match loss {
        // Whoever keeps the parts alive leaves it to us: started as it was, it is a primary.
        Loss::Killed => old.restart()?,
        Loss::Frozen => old.thaw()?,
        Loss::Split => {
            let port = port(stage, stage.parts.primary())?;
            (1..PAIR).try_for_each(|number| lead_to_primary(stage, number, port))?;
        }
    }
    let wire = stage.lines.wire(Line::ReplicaToPrimary)?.port();
    let old_url = url(stage, old_primary)?;
    let since = std::time::Instant::now();
    while let Err(error) = redis_server::demote(old_url, wire) {
        anyhow::ensure!(since.elapsed() < PATIENCE, "{error:#}");
        thread::sleep(Duration::from_millis(100));
    }
    old.may_come_back();
    Ok(())
}

fn lead_to_primary(stage: &Stage, number: usize, port: u16) -> Result<()> {
    for line in [Line::ProxyToRedis(number), Line::WorkerToRedis(number)] {
        let wire = stage.lines.wire(line)?;
        wire.lead_to(port);
        wire.trouble(Trouble::Cut);
    }
    Ok(())
}

fn url(stage: &Stage, number: usize) -> Result<&str> {
    let url = stage.addresses.redis.get(number);
    Ok(url.context("no such Redis")?)
}

fn port(stage: &Stage, number: usize) -> Result<u16> {
    let port = stage.addresses.redis_ports.get(number);
    port.copied().context("no such Redis")
}
