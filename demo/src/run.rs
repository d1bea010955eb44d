//! One sale on private servers, from the first start to the last stop.

use crate::cli::RunOptions;
use crate::experiment::Experiment;
use crate::ledger::Ledger;
use crate::name::Name;
use crate::say::Say;
use crate::stage::{SID, Stage, with_kafka};
use crate::supervise::Supervisor;
use crate::table;
use anyhow::{Context, Result, anyhow, bail, ensure};
use seckill_testbed::Place;
use std::path::Path;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

/// Runs the experiment. The folder with data and logs goes if all is well, and stays otherwise.
pub(crate) async fn run(options: RunOptions) -> Result<()> {
    let say = Say::default();
    let with_kafka = with_kafka(options.broker, &say)?;
    ensure!(
        with_kafka || !options.kill.0.contains(&Name::Kafka),
        "kafka is to be killed and is not part of this run"
    );
    let folder = tempfile::Builder::new()
        .prefix("seckill-demo-")
        .tempdir()?
        .keep();
    let mut terminated = signal(SignalKind::terminate())?;
    let ended = tokio::select! {
        ended = sale(&options, with_kafka, &folder, &say) => ended,
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
        _ = terminated.recv() => Err(anyhow!("terminated")),
    };
    say.still();
    if let Err(error) = ended {
        bail!("{error:#}; data and logs are in {}", folder.display());
    }
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())
}

/// From the first start to the last stop; damage in the books is an error.
async fn sale(options: &RunOptions, with_kafka: bool, folder: &Path, say: &Say) -> Result<()> {
    let stage = set_stage(folder, with_kafka, options, say).await?;
    let addresses = stage.addresses;
    let broker = addresses.broker();
    let ledger = Ledger::new(SID, &addresses.redis, &addresses.mysql_url)?;
    let supervisor = Arc::new(Supervisor::watch(stage.parts, stage.redis_away, say));

    let experiment = Experiment {
        options,
        ledger: &ledger,
        supervisor: &supervisor,
        say,
    };
    let sold = experiment.sell(&addresses.proxies).await?;
    let books = sold.accounts.close();
    say.line(table::of(&sold, &books, broker).to_string());
    for damage in &books.damage {
        say.line(format!("  damage: {damage}"));
    }

    ledger.close().await?;
    if let Some(supervisor) = Arc::into_inner(supervisor) {
        spawn_blocking(move || supervisor.stop()).await??;
    }
    say.line(table::result_line(&books, broker));
    ensure!(books.damage.is_empty(), "the books do not close");
    Ok(())
}

async fn set_stage(
    folder: &Path,
    with_kafka: bool,
    options: &RunOptions,
    say: &Say,
) -> Result<Stage> {
    let (place, say) = (Place::at(folder)?, say.clone());
    let (with_cluster, stock) = (options.cluster, options.stock);
    spawn_blocking(move || Stage::set(&place, with_kafka, with_cluster, false, stock, &say)).await?
}
