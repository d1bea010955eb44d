//! What systemd is told. Without systemd, nobody is.

use sd_notify::NotifyState;
use tracing::debug;

/// Tells systemd, if it has started this process and wants to hear of it.
pub fn tell(news: &[NotifyState<'_>]) {
    if !news.is_empty()
        && let Err(error) = sd_notify::notify(news)
    {
        debug!("systemd cannot be told: {error}");
    }
}
