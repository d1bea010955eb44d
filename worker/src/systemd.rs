//! What systemd is told: ready, how it stands, alive, about to stop. Without systemd, nobody is.

use crate::figures::Figures;
use crate::standing::{Need, Standing};
use crate::stop::Stop;
use sd_notify::NotifyState;
use seckill_daemon::systemd;
use std::collections::BTreeMap;
use std::time::Duration;
use tracing::error;

/// How often it is looked whether there is something to tell.
const EVERY: Duration = Duration::from_millis(500);

/// Tells, until the stop, and of the stop.
pub(crate) async fn tell(figures: &Figures, standing: &Standing, stop: &Stop) {
    let watchdog = sd_notify::watchdog_enabled();
    let every = watchdog.map_or(EVERY, |limit| EVERY.min(limit / 3));
    let mut is_ready = false;
    let mut hung = false;
    let mut said = String::new();
    loop {
        let missing = standing.missing();
        let status = status(&missing, figures);
        let mut news = Vec::new();
        if !is_ready && !missing.contains_key(&Need::Starting) {
            is_ready = true;
            news.push(NotifyState::Ready);
        }
        if status != said {
            news.push(NotifyState::Status(&status));
        }
        let hanging = figures.signs.hanging(|need| missing.contains_key(&need));
        if hanging.is_empty() {
            news.extend(watchdog.map(|_| NotifyState::Watchdog));
        } else if !hung {
            error!("{hanging:?} hangs: no more signs of life for systemd");
        }
        hung = !hanging.is_empty();
        systemd::tell(&news);
        said = status;
        if !stop.pause(every).await {
            return systemd::tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
        }
    }
}

/// A short line for `systemctl status`.
fn status(missing: &BTreeMap<Need, String>, figures: &Figures) -> String {
    let missing: Vec<&str> = missing.keys().map(|need| need.word()).collect();
    if missing.is_empty() {
        let sales = figures.sales_relayed.get();
        let behind = figures.sales.behind();
        format!("relaying {sales} sales, {behind} events behind")
    } else {
        format!("not ready: {}", missing.join(", "))
    }
}
