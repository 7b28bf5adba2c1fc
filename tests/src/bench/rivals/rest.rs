//! What each of them takes while nothing happens.

use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::super::memory::Usage;
use super::super::say;
use super::{TIMED, Watch};
use crate::idle::{processor_time, wake_ups};
use crate::stage::Stage;

const MINUTE: Duration = Duration::from_mins(1);

/// One of them at rest.
#[derive(Debug, Serialize)]
pub struct Rest {
    /// Whose.
    pub who: String,
    /// Processor time in a minute, ns.
    pub processor_ns: i64,
    /// Context switches of all its threads in that minute.
    pub switches: u64,
    /// Memory then.
    pub usage: Usage,
}

/// Measures all.
pub fn measure(stage: &Stage) -> Result<Vec<Rest>> {
    TIMED
        .iter()
        .map(|who| {
            say(&format!("a minute of rest: {}", who.name()));
            let watch = Watch::start(stage, *who)?;
            watch.watches(stage)?;
            let pid = watch.pid();
            // What follows a start is over first.
            let unrest = wake_ups(pid, Duration::ZERO);
            let before: i64 = processor_time(pid)?.values().sum();
            let switches = if unrest.is_ok() { wake_ups(pid, MINUTE)? } else { restless(pid)? };
            let after: i64 = processor_time(pid)?.values().sum();
            let usage = Usage::of(pid)?;
            watch.stop()?;
            Ok(Rest { who: who.name(), processor_ns: after - before, switches, usage })
        })
        .collect()
}

/// Of one that never comes to rest.
fn restless(pid: u32) -> Result<u64> {
    let before = crate::idle::context_switches(pid)?;
    std::thread::sleep(MINUTE);
    Ok(crate::idle::context_switches(pid)? - before)
}
