//! One scenario per way into the kernel: each step told once, to the nanosecond, with who did it.

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;

use super::{SILENCE, exact_daemon};
use crate::actor::Actor;
use crate::lines::Jump;
use crate::referee;
use crate::role::Nonsense;
use crate::stage::{Stage, moved_by, seconds};
use crate::step::Way;
use crate::sys::clock::boot_ns;
use crate::sys::native;

const HOUR: i64 = seconds(3600);

/// Steps by each of `deltas` and looks at every jump.
fn steps(stage: &Stage, way: Way, deltas: &[i64]) -> Result<()> {
    let mut daemon = exact_daemon(stage)?;
    for &delta in deltas {
        let earliest = boot_ns();
        let acted = Actor::named("stepper").step(stage, way, delta)?;
        let latest = boot_ns();
        let jump = daemon.next_jump().with_context(|| format!("after a step by {delta} ns"))?;
        acted.made(&jump, way.path())?;
        ensure!(jump.captured_by == "fentry", "captured_by should be fentry: {jump:?}");
        within(&jump, earliest, latest)?;
    }
    daemon.stays_quiet(SILENCE)?;
    let report = daemon.stop()?;
    report.has_jumps(deltas.len())?;
    report.ends_at(referee::wall_offset()?)
}

/// The jump must be stamped between the two readings of the clock since boot.
fn within(jump: &Jump, earliest: i64, latest: i64) -> Result<()> {
    ensure!(
        (earliest..=latest).contains(&jump.boottime_ns),
        "boottime_ns should lie in {earliest}..={latest}: {jump:?}"
    );
    Ok(())
}

pub(super) fn clock_settime(stage: &Stage) -> Result<()> {
    // The incident: two months ahead and back.
    steps(
        stage,
        Way::ClockSettime,
        &[HOUR + 123_456_789, -HOUR, 55 * 24 * HOUR, -55 * 24 * HOUR, 250_000_000],
    )
}

pub(super) fn settimeofday(stage: &Stage) -> Result<()> {
    steps(stage, Way::Settimeofday, &[HOUR, -HOUR, -25 * HOUR, 25 * HOUR])
}

/// By exact amounts: large, small, a single unit, across zero either way.
const MICRO: &[i64] = &[HOUR, -HOUR, 1000, -1000, seconds(2) + 500_000_000, -seconds(3) + 1000];
const NANO: &[i64] = &[HOUR + 1, -HOUR - 1, 1, -1, 123_457, -123_457, -seconds(1) + 1];

pub(super) fn setoffset_adjtimex(stage: &Stage) -> Result<()> {
    steps(stage, Way::AdjtimexMicro, MICRO)?;
    steps(stage, Way::AdjtimexNano, NANO)
}

pub(super) fn setoffset_clock_adjtime(stage: &Stage) -> Result<()> {
    steps(stage, Way::ClockAdjtimeMicro, MICRO)?;
    steps(stage, Way::ClockAdjtimeNano, NANO)
}

pub(super) fn int80_stime(stage: &Stage) -> Result<()> {
    steps(stage, Way::Int80Stime, &[HOUR, -HOUR])
}

pub(super) fn int80_settimeofday(stage: &Stage) -> Result<()> {
    steps(stage, Way::Int80Settimeofday, &[HOUR, -HOUR])
}

pub(super) fn int80_clock_settime32(stage: &Stage) -> Result<()> {
    steps(stage, Way::Int80ClockSettime32, &[HOUR, -HOUR])
}

pub(super) fn int80_clock_settime64(stage: &Stage) -> Result<()> {
    // Past 2038, which only this one of the 32-bit calls can reach.
    steps(stage, Way::Int80ClockSettime64, &[HOUR, -HOUR, 30 * 365 * 24 * HOUR, -30 * 365 * 24 * HOUR])
}

pub(super) fn int80_adjtimex(stage: &Stage) -> Result<()> {
    steps(stage, Way::Int80Adjtimex, MICRO)
}

pub(super) fn int80_clock_adjtime32(stage: &Stage) -> Result<()> {
    steps(stage, Way::Int80ClockAdjtime32, NANO)
}

pub(super) fn int80_clock_adjtime64(stage: &Stage) -> Result<()> {
    steps(stage, Way::Int80ClockAdjtime64, NANO)
}

/// The first call since boot that sets a timezone moves the clock; no later one does.
pub(super) fn timezone_warp(stage: &Stage) -> Result<()> {
    let minutes = |west| native::Timezone { minutes_west: west, daylight_saving: 0 };
    let mut daemon = exact_daemon(stage)?;
    let before = referee::wall_offset()?;
    native::settimeofday(&stage.guest, None, Some(minutes(60))).context("the first timezone")?;
    let after = referee::wall_offset()?;
    moved_by(before, after, HOUR).context("was this the first timezone since boot?")?;

    let jump = daemon.next_jump()?;
    ensure!(jump.delta_ns == HOUR && jump.delta_error_ns == 0, "should be an hour exactly: {jump:?}");
    ensure!(jump.path == "timezone_warp" && jump.captured_by == "fentry", "path and captor: {jump:?}");
    ensure!(jump.actor.pid == Some(std::process::id()), "this process did it: {jump:?}");

    for west in [120, -300, 0] {
        native::settimeofday(&stage.guest, None, Some(minutes(west))).context("a later timezone")?;
        moved_by(after, referee::wall_offset()?, 0)?;
    }
    daemon.stays_quiet(SILENCE)?;
    let report = daemon.stop()?;
    report.has_jumps(1)?;
    report.ends_at(after)
}

/// Without a daemon: every way to step does what it says, by the referee. Where this fails, nothing else means anything.
pub(super) fn harness_steps(stage: &Stage) -> Result<()> {
    for &way in Way::value_variants() {
        for delta in [HOUR, -HOUR] {
            let before = (referee::wall_offset()?, boot_ns());
            let acted = Actor::named("stepper").step(stage, way, delta).with_context(|| way.name())?;
            let took = boot_ns() - before.1;
            let (path, moved) = (way.path(), acted.delta_ns());
            if way.is_relative() {
                ensure!(
                    moved == delta,
                    "{} ({path}) moved the clock by {moved} ns, not by {delta}",
                    way.name()
                );
            } else {
                // The target was computed from a clock read within the time it took, in whole seconds at worst.
                let off_by = moved - delta;
                let tolerance = took + if way == Way::Int80Stime { seconds(1) } else { 1000 };
                ensure!(off_by.abs() <= tolerance, "{} ({path}) missed by {off_by} ns", way.name());
            }
            ensure!(
                acted.done.comm == "stepper" && acted.done.ppid == std::process::id(),
                "{:?}",
                acted.done
            );
        }
    }
    for &what in Nonsense::value_variants() {
        let acted = Actor::named("nonsense").run(stage, &["attempt", "--hold"], &[&what.name()])?;
        ensure!(acted.done.errno == Some(libc::EINVAL), "{} gave {:?}", what.name(), acted.done.errno);
        ensure!(acted.delta_ns() == 0, "{} moved the clock", what.name());
    }
    Ok(())
}
