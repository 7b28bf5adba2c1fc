//! Since when the thread is at work: while it waits for a disk that hangs, it cannot say so.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::{BootNs, Clocks as _, SystemClocks};

/// Set by the thread, looked at by the capture.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    /// Runs `work`, and lets others know that it does.
    pub(super) fn during(&self, work: impl FnOnce()) {
        self.0.store(SystemClocks.boottime_ns(), Ordering::Relaxed);
        work();
        self.0.store(0, Ordering::Relaxed);
    }

    /// When the work that goes on now began.
    pub(super) fn working_since(&self) -> Option<BootNs> {
        Some(BootNs(self.0.load(Ordering::Relaxed))).filter(|since| since.0 > 0)
    }
}
