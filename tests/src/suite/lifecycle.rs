//! Starting and ending: no step is lost or told twice at either edge.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::exact_daemon;
use super::hammer::{CHURN_BASE, Churn};
use crate::daemon::{Daemon, Options};
use crate::idle::wake_ups;
use crate::referee;
use crate::stage::{Stage, seconds};
use crate::step::Way;

/// A step as soon as the daemon says it is ready, and its end as soon as that step is made.
pub(super) fn start_stop(stage: &Stage) -> Result<()> {
    for round in 0..5 {
        let daemon = exact_daemon(stage)?;
        let before = referee::wall_offset()?;
        Way::ClockSettime.perform(&stage.guest, seconds(100 + round))?;
        let report = daemon.stop().with_context(|| format!("round {round}"))?;
        let after = referee::wall_offset()?;
        let jump = report.only_jump().with_context(|| format!("round {round}"))?;
        ensure!(jump.delta_ns == after - before && jump.delta_error_ns == 0, "not exact: {jump:?}");
        ensure!(jump.captured_by == "fentry" && jump.path == "clock_settime", "path and captor: {jump:?}");
        ensure!(jump.actor.pid == Some(std::process::id()), "this process did it: {jump:?}");
        report.ends_at(after)?;
        // Nobody watches this one.
        Way::AdjtimexNano.perform(&stage.guest, -seconds(100))?;
    }
    Ok(())
}

/// Steps every few milliseconds while the daemon starts: from its first event on none is missing.
pub(super) fn start_while_stepping(stage: &Stage) -> Result<()> {
    for round in 0..3 {
        churned_start(stage).with_context(|| format!("round {round}"))?;
    }
    Ok(())
}

fn churned_start(stage: &Stage) -> Result<()> {
    let churn = Churn::start(stage)?;
    let mut daemon = Daemon::spawn(&stage.bench, &Options::default())?;
    daemon.wait_until_ready()?;
    sleep(Duration::from_millis(500));
    let (pid, made) = churn.end()?;
    let report = daemon.stop()?;
    report.ends_at(referee::wall_offset()?)?;

    // Each step has a size of its own, so the sizes tell which ones were captured.
    let mut next = None;
    for jump in &report.jumps {
        if jump.captured_by != "fentry" {
            ensure!(next.is_none(), "told by {} among captured ones: {jump:?}", jump.captured_by);
            continue;
        }
        let number = jump.delta_ns.abs() - CHURN_BASE;
        ensure!(next.is_none_or(|next| next == number), "expected step {next:?}: {jump:?}");
        ensure!(jump.actor.pid == Some(pid), "process {pid} did it: {jump:?}");
        next = Some(number + 1);
    }
    ensure!(next == Some(made), "{made} steps were made, but the last told is the one before {next:?}");
    Ok(())
}

/// A daemon that is killed leaves nothing behind that hinders the next.
pub(super) fn kill_and_restart(stage: &Stage) -> Result<()> {
    for _ in 0..3 {
        let mut daemon = exact_daemon(stage)?;
        Way::ClockSettime.perform(&stage.guest, seconds(50))?;
        daemon.next_jump()?;
        daemon.kill()?;
    }
    let mut daemon = exact_daemon(stage)?;
    let before = referee::wall_offset()?;
    Way::ClockSettime.perform(&stage.guest, -seconds(150))?;
    let after = referee::wall_offset()?;
    let jump = daemon.next_jump()?;
    ensure!(jump.delta_ns == after - before, "should be {} ns: {jump:?}", after - before);
    let report = daemon.stop()?;
    report.has_jumps(1)?;
    report.ends_at(after)
}

/// The hook runs at every tick; the daemon does not.
pub(super) fn idle(stage: &Stage) -> Result<()> {
    const TIME: Duration = Duration::from_secs(5);
    let daemon = exact_daemon(stage)?;
    let woken = wake_ups(daemon.pid(), TIME)?;
    ensure!(woken == 0, "an idle daemon woke up {woken} times in {TIME:?}");
    daemon.stop()?.has_jumps(0)
}
