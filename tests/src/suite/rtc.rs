//! The kernel itself sets the clock: an RTC that is registered sets it (`rtc_hctosys`, drivers/rtc/class.c).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{SILENCE, exact_daemon};
use crate::guard::InGuest;
use crate::referee;
use crate::stage::{Stage, seconds, skip};
use crate::step::Way;

/// The driver's device is taken from it and given back.
fn rebind(_: &InGuest) -> Result<bool> {
    let device = fs::canonicalize("/sys/class/rtc/rtc0/device").context("rtc0")?;
    let driver = device.join("driver").canonicalize().context("rtc0's driver")?;
    let name = device.file_name().context("rtc0's device has a name")?.to_owned();
    let tell =
        |what: &Path| fs::write(what, name.as_encoded_bytes()).with_context(|| what.display().to_string());
    let unbind: PathBuf = driver.join("unbind");
    if !unbind.exists() {
        return Ok(false);
    }
    tell(&unbind)?;
    tell(&driver.join("bind"))?;
    Ok(true)
}

/// An RTC that comes sets the clock back to where a step took it from.
pub(super) fn registered(stage: &Stage) -> Result<()> {
    let mut daemon = exact_daemon(stage)?;
    Way::ClockSettime.perform(&stage.guest, -seconds(100_000))?;
    daemon.next_jump()?;
    let before = referee::wall_offset()?;
    if !rebind(&stage.guest)? {
        return match stage.unsupported() {
            Some(reason) => skip(reason),
            None => skip("the RTC's driver cannot be unbound"),
        };
    }
    ensure!(stage.unsupported().is_none(), "the table says that it cannot be unbound, but it was");
    let jump = daemon.next_jump()?;
    let delta = referee::wall_offset()? - before;
    ensure!(delta > seconds(99_990), "the RTC did not set the clock: {delta}");
    ensure!(jump.delta_ns == delta && jump.delta_error_ns == 0, "not exact: {jump:?}");
    ensure!(jump.path == "kernel" && jump.captured_by == "fentry", "path and captor: {jump:?}");
    ensure!(jump.actor.kind == "kernel" && jump.actor.pid.is_none(), "the kernel did it: {jump:?}");
    let function = jump.actor.function.as_deref().unwrap_or_default();
    // Compilers make rtc_hctosys part of what calls it.
    ensure!(function.contains("rtc_"), "the function should be the RTC class's: {jump:?}");
    daemon.stays_quiet(SILENCE)?;
    let report = daemon.stop()?;
    report.has_jumps(2)?;
    report.ends_at(referee::wall_offset()?)
}
