//! Waits until nothing is left to do, and judges.

use crate::check::judge;
use crate::place::Place;
use crate::read::module::Gate;
use crate::read::{Sources, look, mysql};
use crate::report::Report;
use crate::setting::Setting;
use anyhow::Result;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// How often it has to be seen at rest, one look after the other.
const LOOKS: u32 = 2;

/// Waits until MySQL and Kafka have the whole log of a sale and owe the module nothing, for at most
/// `patience`; then reads everything and judges it. What does not come to rest is judged as it is.
///
/// # Errors
/// If a source cannot be read.
pub async fn check(
    sources: &Sources,
    sid: &str,
    setting: &Setting,
    patience: Duration,
) -> Result<Report> {
    await_rest(sources, sid, patience).await?;
    Ok(judge(&look(sources, sid).await?, setting))
}

async fn await_rest(sources: &Sources, sid: &str, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    let number = mysql::number(sid)?;
    let mut gate = Gate::connect(sources, sid).await?;
    let mut conn = mysql::connect(&sources.mysql).await?;
    let mut rests: (Option<Place>, u32) = (None, 0);
    while Instant::now() < deadline {
        let cursor = mysql::cursor(&mut conn, number).await?;
        let owed = mysql::refusals_owed(&mut conn, number).await?;
        let Some(info) = gate.info().await? else {
            break;
        };
        let is_sent = sources.kafka.is_none() || info.relayed == info.head;
        let is_done = cursor == Some(info.head) && info.stored == info.head && is_sent;
        let rests_now = is_done && owed == 0 && info.state != "fenced";
        rests = match (rests_now, rests) {
            (false, _) => (None, 0),
            (true, (head, looks)) if head == cursor => (head, looks + 1),
            (true, _) => (cursor, 1),
        };
        if rests.1 >= LOOKS {
            break;
        }
        sleep(PAUSE).await;
    }
    mysql::end(conn).await;
    Ok(())
}
