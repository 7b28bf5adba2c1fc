//! The watcher watched: a hook that goes silent is noticed by a witness, said, and replaced.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::SILENCE;
use super::rungs::{self, KPROBE};
use crate::actor::Actor;
use crate::daemon::Options;
use crate::referee;
use crate::report::Expect;
use crate::stage::{Stage, seconds};
use crate::step::Way;

/// Turns all kprobes of the kernel off and on.
const KPROBES: &str = "/sys/kernel/debug/kprobes/enabled";

/// Turns them on again, whatever happens.
struct KprobesOff;

impl KprobesOff {
    fn begin() -> Result<Self> {
        fs::write(KPROBES, "0").context(KPROBES)?;
        Ok(Self)
    }
}

impl Drop for KprobesOff {
    fn drop(&mut self) {
        // What it would hinder fails by itself.
        let _ = fs::write(KPROBES, "1");
    }
}

/// A step behind the back of a hook that was turned off: an alarm, the step by its exact size and by nobody, and
/// another rung for the next one.
pub(super) fn hook_silent(stage: &Stage) -> Result<()> {
    let expect = Expect { may_fall_silent: true, ..Expect::default() };
    let mut daemon = stage.daemon_with(&Options { expect, ..Options::with(&["--rung", KPROBE.option]) })?;
    rungs::stands_on(daemon.status()?, KPROBE)?;
    let seen = Actor::named("seen").step(stage, Way::ClockSettime, seconds(300))?;
    seen.sized(&daemon.next_jump()?)?;

    let off = KprobesOff::begin()?;
    let unseen = Actor::named("unseen").step(stage, Way::ClockAdjtimeNano, -seconds(200))?;
    let jump = daemon.next_jump()?;
    ensure!(jump.delta_ns == unseen.delta_ns() && jump.delta_error_ns == 0, "not exact: {jump:?}");
    ensure!(jump.path == "unattributed" && jump.captured_by == "reconcile", "path and captor: {jump:?}");
    ensure!(jump.actor.kind == "unknown", "nobody saw who did it: {jump:?}");
    daemon.wait_for_rung("fentry")?;

    let again = Actor::named("again").step(stage, Way::ClockAdjtimeNano, -seconds(100))?;
    let jump = daemon.next_jump()?;
    again.made(&jump, "adjtimex")?;
    drop(off);
    daemon.stays_quiet(SILENCE)?;
    let report = daemon.stop()?;
    report.has_jumps(3)?;
    ensure!(report.alarms == ["hook_silent"], "one alarm, but: {:?}", report.alarms);
    report.ends_at(referee::wall_offset()?)
}
