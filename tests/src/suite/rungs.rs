//! The lower rungs of the ladder, each by force: what they find, how well, and what they say they cannot.

use anyhow::{Context, Result, bail, ensure};

use super::SILENCE;
use super::leap::{self, INSERT};
use crate::actor::Actor;
use crate::daemon::{Daemon, Options};
use crate::lines::{Jump, Status};
use crate::referee;
use crate::stage::{Stage, seconds, skip};
use crate::step::Way;

/// One of each kind of entry into the kernel.
const WAYS: [Way; 7] = [
    Way::ClockSettime,
    Way::Settimeofday,
    Way::AdjtimexMicro,
    Way::ClockAdjtimeNano,
    Way::Int80Stime,
    Way::Int80ClockSettime64,
    Way::Int80ClockAdjtime64,
];

/// What a rung must know of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knows {
    /// Path and actor.
    Actor,
    /// Neither, since timerfd alone told of it.
    SizeOnly,
}

/// A rung to test.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rung {
    /// Its name in JSON.
    pub(super) name: &'static str,
    /// The name that `--rung` takes.
    pub(super) option: &'static str,
    native: Knows,
    compat: Knows,
    /// Whether a leap second is told as what it is.
    leap: Knows,
}

const FENTRY: Rung =
    Rung { name: "fentry", option: "fentry", native: Knows::Actor, compat: Knows::Actor, leap: Knows::Actor };
pub(super) const KPROBE: Rung =
    Rung { name: "kprobe", option: "kprobe", native: Knows::Actor, compat: Knows::Actor, leap: Knows::Actor };
const RAW_TRACEPOINT: Rung = Rung {
    name: "raw_tracepoint",
    option: "raw-tracepoint",
    native: Knows::Actor,
    compat: Knows::Actor,
    leap: Knows::SizeOnly,
};
const TRACEPOINT: Rung = Rung {
    name: "tracepoint",
    option: "tracepoint",
    native: Knows::Actor,
    compat: Knows::SizeOnly,
    leap: Knows::SizeOnly,
};
pub(super) const TIMERFD: Rung = Rung {
    name: "timerfd",
    option: "timerfd",
    native: Knows::SizeOnly,
    compat: Knows::SizeOnly,
    leap: Knows::SizeOnly,
};

pub(super) fn fentry(stage: &Stage) -> Result<()> {
    forced(stage, FENTRY)
}

pub(super) fn kprobe(stage: &Stage) -> Result<()> {
    forced(stage, KPROBE)
}

pub(super) fn raw_tracepoint(stage: &Stage) -> Result<()> {
    forced(stage, RAW_TRACEPOINT)
}

pub(super) fn tracepoint(stage: &Stage) -> Result<()> {
    forced(stage, TRACEPOINT)
}

pub(super) fn timerfd(stage: &Stage) -> Result<()> {
    forced(stage, TIMERFD)
}

fn forced(stage: &Stage, rung: Rung) -> Result<()> {
    let options = Options::with(&["--rung", rung.option]);
    if let Some(reason) = stage.unsupported() {
        refuses(stage, &options, reason)?;
        return skip(reason);
    }
    let mut daemon = stage.daemon_with(&options)?;
    stands_on(daemon.status()?, rung)?;
    every_way(stage, &mut daemon, rung, &WAYS)?;
    leap_second(stage, &mut daemon, rung)?;
    daemon.stays_quiet(SILENCE)?;
    let report = daemon.stop()?;
    report.has_jumps(WAYS.len() + 2)?;
    report.ends_at(referee::wall_offset_settled()?)
}

/// The daemon must end by itself, not well, and say `reason`.
pub(super) fn refuses(stage: &Stage, options: &Options, reason: &str) -> Result<()> {
    let (status, errors) = Daemon::spawn(&stage.bench, options)?.refuses()?;
    ensure!(!status.success(), "it should have refused: {options:?}");
    ensure!(errors.contains(reason), "its refusal should say {reason:?}: {errors}");
    Ok(())
}

/// The status must say that `rung` is in use and what that means for each path.
pub(super) fn stands_on(status: &Status, rung: Rung) -> Result<()> {
    ensure!(status.rung == rung.name, "rung should be {}: {status:?}", rung.name);
    let state = &status.rung_named(rung.name)?.state;
    ensure!(state == "in_use", "its state should be in_use: {status:?}");
    for of in &status.rungs {
        ensure!(of.rung == rung.name || of.reason.is_some(), "not in use without a reason: {of:?}");
    }
    for path in ["clock_settime", "settimeofday", "adjtimex"] {
        let covered = status.coverage_of(path)?;
        ensure!(covered.actor == (rung.native == Knows::Actor), "actor of {path}: {covered:?}");
        ensure!(covered.size != "blind", "timerfd sees every path: {covered:?}");
        if rung.native != rung.compat {
            let note = covered.note.as_deref().unwrap_or_default();
            ensure!(note.contains("32"), "should note what it does not see of 32-bit calls: {covered:?}");
        }
    }
    let leap = status.coverage_of("leap_second")?;
    ensure!(leap.size != "blind", "timerfd sees leap seconds: {leap:?}");
    Ok(())
}

/// A step by each of `ways`, to and fro.
pub(super) fn every_way(stage: &Stage, daemon: &mut Daemon, rung: Rung, ways: &[Way]) -> Result<()> {
    for (way, sign) in ways.iter().zip([1, -1].into_iter().cycle()) {
        one_way(stage, daemon, rung, *way, sign * seconds(2000)).with_context(|| way.name())?;
    }
    Ok(())
}

fn one_way(stage: &Stage, daemon: &mut Daemon, rung: Rung, way: Way, delta: i64) -> Result<()> {
    let acted = Actor::named("stepper").step(stage, way, delta)?;
    let jump = daemon.next_jump()?;
    acted.sized(&jump)?;
    match if way.is_compat() { rung.compat } else { rung.native } {
        Knows::Actor => {
            ensure!(jump.captured_by == rung.name, "captured_by should be {}: {jump:?}", rung.name);
            ensure!(jump.path == way.path(), "path should be {}: {jump:?}", way.path());
            acted.acted(&jump)
        }
        Knows::SizeOnly => size_only(&jump),
    }
}

fn size_only(jump: &Jump) -> Result<()> {
    ensure!(jump.captured_by == "timerfd", "captured_by should be timerfd: {jump:?}");
    ensure!(jump.actor.kind == "unknown", "nobody can know who did it: {jump:?}");
    ensure!(jump.actor.pid.is_none(), "nobody can know who did it: {jump:?}");
    ensure!(jump.path == "unattributed", "path should be unattributed: {jump:?}");
    Ok(())
}

fn leap_second(stage: &Stage, daemon: &mut Daemon, rung: Rung) -> Result<()> {
    let (_, jump) = leap::happen(stage, daemon, INSERT, -seconds(1), 1)?;
    match (rung.leap, &*jump.path) {
        (Knows::Actor, "leap_second") => {
            ensure!(jump.captured_by == rung.name, "captured_by should be {}: {jump:?}", rung.name);
            ensure!(jump.actor.kind == "kernel", "nobody did it but the kernel: {jump:?}");
            Ok(())
        }
        // That TAI - UTC went with it may be looked up, or not.
        (Knows::SizeOnly, "leap_second" | "unattributed") => {
            ensure!(jump.captured_by == "timerfd", "captured_by should be timerfd: {jump:?}");
            Ok(())
        }
        _ => bail!("path: {jump:?}"),
    }
}
