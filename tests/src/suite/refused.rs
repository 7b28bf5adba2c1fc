//! What the kernel refuses is no jump, but it is counted, with who tried.

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;

use super::{SILENCE, exact_daemon};
use crate::actor::{Acted, Actor};
use crate::cli::Cli;
use crate::daemon::Daemon;
use crate::referee;
use crate::role::Nonsense;
use crate::stage::{Stage, seconds};
use crate::step::Way;
use crate::sys::clock::wall_ns;

const NOBODY: u32 = 65534;

/// Attempts under one path, as they must be counted.
struct Attempts {
    path: &'static str,
    errno: &'static str,
    count: u64,
}

/// By programs without the privilege.
pub(super) fn privilege(stage: &Stage) -> Result<()> {
    let ways =
        [(Way::ClockSettime, 5), (Way::Settimeofday, 3), (Way::AdjtimexMicro, 2), (Way::ClockAdjtimeNano, 2)];
    let expected = [
        Attempts { path: "clock_settime", errno: "EPERM", count: 5 },
        Attempts { path: "settimeofday", errno: "EPERM", count: 3 },
        Attempts { path: "adjtimex", errno: "EPERM", count: 4 },
    ];
    unprivileged(stage, &ways, &expected)
}

/// By 32-bit calls without the privilege.
pub(super) fn compat(stage: &Stage) -> Result<()> {
    let ways = [
        (Way::Int80Stime, 3),
        (Way::Int80Settimeofday, 2),
        (Way::Int80ClockSettime32, 2),
        (Way::Int80ClockSettime64, 2),
        (Way::Int80Adjtimex, 1),
        (Way::Int80ClockAdjtime32, 1),
        (Way::Int80ClockAdjtime64, 2),
    ];
    let expected = [
        Attempts { path: "clock_settime", errno: "EPERM", count: 4 },
        Attempts { path: "settimeofday", errno: "EPERM", count: 5 },
        Attempts { path: "adjtimex", errno: "EPERM", count: 4 },
    ];
    unprivileged(stage, &ways, &expected)
}

/// It begins to capture before it reads the kernel's names, and cannot tell `settimeofday` from `clock_settime` until it has:
/// so once it answers.
fn daemon_with_names(stage: &Stage) -> Result<Daemon> {
    let daemon = exact_daemon(stage)?;
    Cli { timejump: stage.bench.timejump.clone(), socket: daemon.socket() }.status()?;
    Ok(daemon)
}

fn unprivileged(stage: &Stage, ways: &[(Way, u64)], expected: &[Attempts]) -> Result<()> {
    let mut daemon = daemon_with_names(stage)?;
    let mut last = Vec::new();
    for &(way, times) in ways {
        let acted = Actor::named("intruder").user(NOBODY).times(times).try_step(stage, way, seconds(100))?;
        refused_with(&acted, libc::EPERM).with_context(|| way.name())?;
        last.push((way.path(), acted));
    }
    told(&mut daemon, expected, &last)?;
    finish(daemon, expected)
}

/// By values that no privilege makes right.
pub(super) fn values(stage: &Stage) -> Result<()> {
    const TIMES: u64 = 3;
    let expected = [
        Attempts { path: "clock_settime", errno: "EINVAL", count: 3 * TIMES },
        Attempts { path: "settimeofday", errno: "EINVAL", count: TIMES },
        Attempts { path: "adjtimex", errno: "EINVAL", count: 3 * TIMES },
    ];
    let mut daemon = daemon_with_names(stage)?;
    let mut last = Vec::new();
    for &kind in Nonsense::value_variants() {
        let acted =
            Actor::named("nonsense").times(TIMES).run(stage, &["attempt", "--hold"], &[&kind.name()])?;
        refused_with(&acted, libc::EINVAL).with_context(|| kind.name())?;
        if !kind.is_refused_unseen() {
            last.push((kind.path(), acted));
        }
    }
    told(&mut daemon, &expected, &last)?;
    finish(daemon, &expected)
}

/// `stime` drops the error of the function it calls: the caller is told that all is well, and the clock stands as before.
pub(super) fn stime(stage: &Stage) -> Result<()> {
    let expected = [Attempts { path: "settimeofday", errno: "EINVAL", count: 1 }];
    let mut daemon = daemon_with_names(stage)?;
    let to_before_1970 = -wall_ns() - seconds(50);
    let acted = Actor::named("hopeful").step(stage, Way::Int80Stime, to_before_1970)?;
    ensure!(acted.delta_ns() == 0, "a time before 1970 was set");
    told(&mut daemon, &expected, &[("settimeofday", acted)])?;
    finish(daemon, &expected)
}

fn refused_with(acted: &Acted, errno: i32) -> Result<()> {
    ensure!(acted.done.errno == Some(errno), "expected error number {errno}: {:?}", acted.done);
    ensure!(acted.delta_ns() == 0, "a refused call moved the clock");
    Ok(())
}

/// Every count must be told up to the power of two below it, with one of those who tried on that path.
fn told(daemon: &mut Daemon, expected: &[Attempts], actors: &[(&str, Acted)]) -> Result<()> {
    for Attempts { path, errno, count } in expected {
        let told = daemon.wait_for_refused(path, errno, last_told(*count))?;
        ensure!(told.count == last_told(*count), "counted {} of {count}: {told:?}", told.count);
        let actor = &told.actor;
        let is_one_of = actors.iter().any(|(of, acted)| {
            of == path
                && actor.pid == Some(acted.done.pid)
                && actor.uid == Some(acted.done.uid)
                && actor.comm.as_deref() == Some(&acted.done.comm)
        });
        ensure!(is_one_of, "laid to nobody who tried: {told:?}");
    }
    Ok(())
}

fn finish(mut daemon: Daemon, expected: &[Attempts]) -> Result<()> {
    daemon.stays_quiet(SILENCE)?;
    let report = daemon.stop()?;
    report.has_jumps(0)?;
    report.ends_at(referee::wall_offset()?)?;
    let total = expected.iter().map(|of| of.count).sum::<u64>();
    ensure!(report.summary.refused == total, "{total} calls were refused, but {:?}", report.summary);
    for Attempts { path, errno, count } in expected {
        let lines = report.refused.iter().filter(|of| of.path == *path && of.errno == *errno);
        let counts: Vec<_> = lines.map(|of| of.count).collect();
        let powers: Vec<_> = std::iter::successors(Some(1), |power| Some(power * 2))
            .take_while(|power| power <= count)
            .collect();
        ensure!(counts == powers, "{path} {errno}: told at {counts:?} rather than {powers:?}");
    }
    if let Some(other) = report.refused.iter().find(|of| !expected.iter().any(|known| known.path == of.path))
    {
        bail!("nobody tried this: {other:?}");
    }
    Ok(())
}

/// The last count of which a line tells: the largest power of two up to it.
fn last_told(count: u64) -> u64 {
    1 << count.ilog2()
}
