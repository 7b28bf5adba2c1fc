//! From the start of a program until it is told what happens to the clock.

use anyhow::Result;
use serde::Serialize;

use super::super::figures::Spread;
use super::super::say;
use super::{TIMED, Watch};
use crate::idle::processor_time;
use crate::stage::Stage;
use crate::sys::clock::boot_ns;

const STARTS: u64 = 3;

/// One of them.
#[derive(Debug, Serialize)]
pub struct Start {
    /// Whose.
    pub who: String,
    /// timejump: until its status line, which comes once it captures. The others: until the first step they tell.
    pub ns: Spread,
    /// Processor time of all its threads until then.
    pub processor_ns: Spread,
}

/// Measures all.
pub fn measure(stage: &Stage) -> Result<Vec<Start>> {
    let mut samples = TIMED.map(|_| (Vec::new(), Vec::new()));
    for round in 1..=STARTS {
        for ((took, worked), who) in samples.iter_mut().zip(TIMED) {
            say(&format!("start {round} of {STARTS}: {}", who.name()));
            let began = boot_ns();
            let watch = Watch::start(stage, who)?;
            let ready = watch.watches(stage)?;
            worked.push(processor_time(watch.pid())?.values().sum());
            took.push(ready - began);
            watch.stop()?;
        }
    }
    TIMED
        .iter()
        .zip(samples)
        .map(|(who, (took, worked))| {
            Ok(Start { who: who.name(), ns: Spread::of(took)?, processor_ns: Spread::of(worked)? })
        })
        .collect()
}
