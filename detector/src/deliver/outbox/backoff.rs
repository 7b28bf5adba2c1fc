//! How long to wait before what failed is tried again.

use std::time::Duration;

/// The first wait after a failure, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Twice as long after each failure.
#[derive(Debug)]
pub(in crate::deliver) struct Backoff(Duration);

impl Backoff {
    pub(in crate::deliver) fn new() -> Self {
        Self(WAITS.0)
    }

    /// How long to wait now: as long as the other side says, if it does.
    pub(in crate::deliver) fn next(&mut self, wanted: Option<Duration>) -> Duration {
        let wait = self.0;
        self.0 = wait.saturating_mul(2).min(WAITS.1);
        wanted.unwrap_or(wait).min(WAITS.1)
    }
}
