//! Suspend to RAM: the wall clock runs on, and so does the time since boot.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::{SILENCE, exact_daemon};
use crate::referee;
use crate::stage::{Stage, seconds, skip};
use crate::sys::clock::{boot_ns, monotonic_ns};

const ALARM: &str = "/sys/class/rtc/rtc0/wakealarm";
const STATE: &str = "/sys/power/state";

pub(super) fn suspend(stage: &Stage) -> Result<()> {
    let states = fs::read_to_string(STATE).unwrap_or_default();
    if !states.split_ascii_whitespace().any(|state| state == "mem") {
        return skip(format!("{STATE} offers {states:?}, not mem"));
    }
    let mut daemon = exact_daemon(stage)?;
    let before = referee::wall_offset()?;
    let asleep_before = boot_ns() - monotonic_ns();

    fs::write(ALARM, "0").context(ALARM)?;
    fs::write(ALARM, "+4").context(ALARM)?;
    fs::write(STATE, "mem").context(STATE)?;
    let slept = boot_ns() - monotonic_ns() - asleep_before;
    ensure!(slept > seconds(1), "the machine slept for {slept} ns only");

    ensure!(referee::wall_offset_settled()? == before, "waking up moved the wall offset");
    daemon.stays_quiet(SILENCE)?;
    let report = daemon.stop()?;
    report.has_jumps(0)?;
    let summary = &report.summary;
    ensure!(summary.suspends == 1, "one suspend: {summary:?}");
    // Two clocks were read one after the other on either side of it.
    let off_by = (summary.suspended_ns - slept).abs();
    ensure!(off_by < 50_000_000, "slept for {slept} ns: {summary:?}");
    report.ends_at(before)
}
