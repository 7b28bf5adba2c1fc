//! Leap seconds: a jump that no program makes, while whoever is interrupted by the tick looks like the one.

use anyhow::{Context, Result, ensure};

use super::exact_daemon;
use crate::daemon::Daemon;
use crate::lines::Jump;
use crate::referee;
use crate::stage::{ADJ_STATUS, Stage, seconds};
use crate::step::Way;
use crate::sys::clock::wall_ns;
use crate::sys::native;
use std::time::Duration;

/// `STA_INS`: insert a leap second at the end of the UTC day.
pub(super) const INSERT: i32 = 0x10;
/// `STA_DEL`: leave out the day's last second.
const DELETE: i32 = 0x20;
/// `ADJ_TAI`: set TAI − UTC.
pub(super) const ADJ_TAI: u32 = 0x80;
const DAY: i64 = seconds(86_400);
/// Long enough for the tick after the leap and the TAI change that goes with it.
const AFTERWARDS: Duration = Duration::from_millis(1500);

pub(super) fn insert(stage: &Stage) -> Result<()> {
    alone(stage, INSERT, -seconds(1), 1)
}

pub(super) fn delete(stage: &Stage) -> Result<()> {
    alone(stage, DELETE, seconds(1), -1)
}

fn alone(stage: &Stage, flag: i32, delta: i64, tai: i32) -> Result<()> {
    let mut daemon = exact_daemon(stage)?;
    let (set, leap) = happen(stage, &mut daemon, flag, delta, tai)?;
    ensure!(set.path == "clock_settime" && set.captured_by == "fentry", "the way there: {set:?}");
    ensure!(leap.path == "leap_second" && leap.captured_by == "fentry", "path and captor: {leap:?}");
    ensure!(leap.delta_ns == delta && leap.delta_error_ns == 0, "should be {delta} exactly: {leap:?}");
    ensure!(leap.actor.kind == "kernel", "nobody did it but the kernel: {leap:?}");
    let report = daemon.stop()?;
    report.has_jumps(2)?;
    report.ends_at(referee::wall_offset_settled()?)
}

/// Sets the clock shortly before midnight, asks for a leap second, and returns the two jumps that come of it. Whatever
/// told them, their size must be the referee's and the second may be laid to no process.
pub(super) fn happen(
    stage: &Stage,
    daemon: &mut Daemon,
    flag: i32,
    delta: i64,
    tai: i32,
) -> Result<(Jump, Jump)> {
    let now = wall_ns();
    let near_midnight = now - now.rem_euclid(DAY) + DAY - seconds(3);
    let before = referee::wall_offset_settled()?;
    Way::ClockSettime.set(&stage.guest, near_midnight)?;
    let between = referee::wall_offset_settled()?;
    set_status(stage, flag).context("ask for the leap second")?;
    let tai_before = tai_offset(stage)?;

    let set = daemon.next_jump().context("the step to before midnight")?;
    sized(&set, between - before)?;
    let leap = daemon.next_jump().context("the leap second")?;
    daemon.stays_quiet(AFTERWARDS).context("after the leap second")?;
    let after = referee::wall_offset_settled()?;
    ensure!(after - between == delta, "the kernel moved the clock by {} ns", after - between);
    sized(&leap, delta)?;
    ensure!(leap.actor.kind != "process", "a leap second is laid to a process: {leap:?}");

    let tai_after = tai_offset(stage)?;
    ensure!(tai_after - tai_before == tai, "TAI - UTC went from {tai_before} to {tai_after}");
    set_status(stage, 0).context("take the leap second's flag back")?;
    set_tai(stage, tai_before)?;
    Ok((set, leap))
}

fn sized(jump: &Jump, delta: i64) -> Result<()> {
    let off_by = (jump.delta_ns - delta).abs();
    ensure!(off_by <= jump.delta_error_ns, "the clock moved by {delta} ns, not as {jump:?}");
    Ok(())
}

fn set_status(stage: &Stage, status: i32) -> Result<()> {
    let mut request = native::timex();
    request.modes = ADJ_STATUS;
    request.status = status;
    native::adjtimex(&stage.guest, &mut request)?;
    Ok(())
}

/// Sets TAI − UTC.
pub(super) fn set_tai(stage: &Stage, seconds: i32) -> Result<()> {
    let mut request = native::timex();
    request.modes = ADJ_TAI;
    request.constant = seconds.into();
    native::adjtimex(&stage.guest, &mut request)?;
    Ok(())
}

/// TAI − UTC in seconds.
pub(super) fn tai_offset(stage: &Stage) -> Result<i32> {
    let mut request = native::timex();
    native::adjtimex(&stage.guest, &mut request)?;
    Ok(request.tai)
}
