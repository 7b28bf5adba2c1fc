//! What each of them takes while nothing happens.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::super::memory::Usage;
use super::super::say;
use super::{TIMED, Watch};
use crate::idle::{context_switches, processor_time, wake_ups};
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
            // What follows a start is over first; of one that never rests, for long enough.
            let _ = wake_ups(pid, Duration::ZERO);
            let look = || anyhow::Ok((context_switches(pid)?, processor_time(pid)?.values().sum::<i64>()));
            let before = look()?;
            sleep(MINUTE);
            let after = look()?;
            let usage = Usage::of(pid)?;
            watch.stop()?;
            Ok(Rest {
                who: who.name(),
                processor_ns: after.1 - before.1,
                switches: after.0 - before.0,
                usage,
            })
        })
        .collect()
}
