//! Since when the store is being written to: whoever waits for a disk that hangs cannot say so.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::clock::{BootNs, Clocks as _, SystemClocks};

/// Set by the thread that writes, looked at by the capture.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    /// Runs `write`, and lets others know that it does.
    pub(super) fn during<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.store(SystemClocks.boottime_ns(), Ordering::Relaxed);
        let written = write();
        self.0.store(0, Ordering::Relaxed);
        written
    }

    /// When the write that goes on now began.
    pub(super) fn writing_since(&self) -> Option<BootNs> {
        Some(BootNs(self.0.load(Ordering::Relaxed))).filter(|since| since.0 > 0)
    }
}
