//! What goes on beside the faults, as on a machine that somebody looks after: what dies is started
//! again, a worker that hangs is killed as systemd would, and a sale that stays fenced is recovered as docs/recover.md says.

use crate::look::Look;
use crate::say::Say;
use crate::stage::{Kept, SID, Stage};
use anyhow::Result;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

/// How often a part is looked at.
const KEEP_EVERY: Duration = Duration::from_millis(100);

/// The pause after a start that failed: what the part needs may be down as well.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);

const LOOK_EVERY: Duration = Duration::from_millis(300);

/// A fence that falls by itself has fallen by then.
const FENCED_FOR: Duration = Duration::from_secs(3);

/// How long `recover` waits while nothing moves, in seconds.
const RECOVER_WAITS: &str = "5";

/// Starts again whatever dies and may live. Never returns.
pub(crate) async fn keep_alive(stage: Arc<Stage>, say: Say) -> Result<Infallible> {
    let parts: Vec<_> = stage.parts.all().cloned().collect();
    let keepers = parts.into_iter().map(|part| {
        let say = say.clone();
        async move {
            loop {
                let kept = Arc::clone(&part);
                match spawn_blocking(move || kept.keep()).await? {
                    Ok(Kept::Well) => sleep(KEEP_EVERY).await,
                    Ok(Kept::WasDown) => {
                        say.event(&format!("{} was down and is back", part.name()));
                    }
                    Ok(Kept::WasSilent) => say.event(&format!(
                        "{} gave no sign of life, was killed and is back",
                        part.name()
                    )),
                    Err(error) => {
                        say.event(&format!("{} does not come back: {error:#}", part.name()));
                        sleep(START_AGAIN_AFTER).await;
                    }
                }
            }
        }
    });
    let (ended, _, _) = futures_util::future::select_all(keepers.map(Box::pin)).await;
    ended
}

/// Looks at the sale, and recovers it where it stays fenced. Never returns.
pub(crate) async fn operate(
    stage: Arc<Stage>,
    accepted: impl Fn() -> u64,
    say: Say,
) -> Result<Infallible> {
    let mut look = Look::default();
    let mut fenced_since = None;
    loop {
        look = Look::again(&look, &stage).await;
        say.keep(accepted(), look.clone());
        if look.state == "fenced" {
            let since = fenced_since.get_or_insert_with(Instant::now);
            if since.elapsed() > FENCED_FOR {
                let at_work = Arc::clone(&stage);
                let words = ["recover", SID, "--wait", RECOVER_WAITS];
                let said = spawn_blocking(move || at_work.command(&words)).await?;
                let said = said.unwrap_or_else(|error| format!("{error:#}"));
                say.event(&format!(
                    "seckill-worker recover {SID}\n{}",
                    said.trim_end()
                ));
                fenced_since = None;
            }
        } else {
            fenced_since = None;
        }
        sleep(LOOK_EVERY).await;
    }
}
