//! What systemd is told: which process serves, and that it is about to stop. Without systemd, nobody is.

use sd_notify::NotifyState;
use seckill_daemon::systemd::tell;

/// This process serves; from here on it is the service, also if another one was before.
pub(crate) fn serves() {
    tell(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready]);
}

/// The service stops. Not for a process that was replaced: the service goes on without it.
pub(crate) fn stops() {
    tell(&[NotifyState::Stopping]);
}
