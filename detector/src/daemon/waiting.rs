//! What the loops of the threads that look for victims wait with.

use tokio::time::{Instant, sleep_until};

use crate::{
    clock::{BootNs, Clocks, SystemClocks},
    node::{Process, process::Watched},
};

pub(super) fn now() -> BootNs {
    BootNs(SystemClocks.boottime_ns())
}

pub(super) async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

pub(super) async fn ended(watched: Option<&Watched>) {
    match watched {
        Some(watched) => watched.ended().await,
        None => std::future::pending().await,
    }
}

/// Watches `process` unless that is watched already.
pub(super) fn watch(watched: &mut Option<Watched>, process: Option<Process>) {
    if watched.as_ref().map(|watched| watched.process) == process {
        return;
    }
    // Where it cannot be watched, its restart shows at the next look.
    *watched = process.and_then(|process| Watched::new(process).ok());
}
