//! What systemd wants to know (sd_notify(3)). Elsewhere nobody listens, and that is fine.

use std::time::Duration;

use sd_notify::NotifyState;

/// Started, and this is how.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// On the way out.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Alive.
pub(super) fn watchdog() {
    tell(&[NotifyState::Watchdog]);
}

/// How often systemd wants to hear that we are alive, if it does: half of what it waits.
pub(super) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("systemd: {error}");
    }
}
