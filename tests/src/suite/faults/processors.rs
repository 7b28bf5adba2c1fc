//! Processors that go and come.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::exact_daemon;
use super::super::hammer::Churn;
use crate::referee;
use crate::stage::{Stage, skip};

const SECOND_PROCESSOR: &str = "/sys/devices/system/cpu/cpu1/online";
const TIMES: u32 = 4;

/// A processor goes and comes again while the clock is stepped every few milliseconds: each step is told once.
pub(in crate::suite) fn hotplug(stage: &Stage) -> Result<()> {
    if fs::read_to_string(SECOND_PROCESSOR).is_err() {
        return skip(format!("there is no {SECOND_PROCESSOR}"));
    }
    let daemon = exact_daemon(stage)?;
    let churn = Churn::start(stage)?;
    for _ in 0..TIMES {
        for state in ["0", "1"] {
            fs::write(SECOND_PROCESSOR, state).context(SECOND_PROCESSOR)?;
            sleep(Duration::from_millis(300));
        }
    }
    let (pid, made) = churn.end()?;
    let after = referee::wall_offset()?;
    let report = daemon.stop()?;
    println!("{made} steps, {} told", report.jumps.len());
    ensure!(i64::try_from(report.jumps.len())? == made, "{made} steps, {} told", report.jumps.len());
    for jump in &report.jumps {
        ensure!(jump.captured_by == "fentry" && jump.actor.pid == Some(pid), "{jump:?}");
    }
    report.ends_at(after)
}
