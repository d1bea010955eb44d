//! What systemd is told: which process serves, and that it is about to stop. Without systemd, nobody is.

use sd_notify::NotifyState;
use tracing::debug;

/// This process serves; from here on it is the service, also if another one was before.
pub(crate) fn serves() {
    send(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready]);
}

/// The service stops. Not for a process that was replaced: the service goes on without it.
pub(crate) fn stops() {
    send(&[NotifyState::Stopping]);
}

fn send(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        debug!("systemd cannot be told: {error}");
    }
}
