//! Which rung the daemon takes by itself, and what it says of those it does not.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::SILENCE;
use super::rungs::{self, KPROBE, TIMERFD};
use crate::daemon::{Daemon, Options};
use crate::lines::{Jump, Line, Status};
use crate::referee;
use crate::stage::Stage;
use crate::step::Way;

const RUNGS: [&str; 5] = ["fentry", "kprobe", "raw_tracepoint", "tracepoint", "timerfd"];
const NATIVE: [Way; 4] = [Way::ClockSettime, Way::Settimeofday, Way::AdjtimexMicro, Way::ClockAdjtimeNano];
/// The option that forbids what slows every system call of the node, and so what a refusal must name.
const TAX_OPTION: &str = "--max-syscall-tax-ns";

/// Hides the kernel's type information for as long as it lives.
pub(super) struct NoBtf;

impl NoBtf {
    const AT: &str = "/sys/kernel/btf";

    pub(super) fn hide() -> Result<Self> {
        mount("none", Self::AT, "tmpfs", MountFlags::empty(), None).context("hide /sys/kernel/btf")?;
        Ok(Self)
    }
}

impl Drop for NoBtf {
    fn drop(&mut self) {
        // Left in place it would fail the scenarios to come, and they would say why.
        let _ = unmount(Self::AT, UnmountFlags::DETACH);
    }
}

/// What `timejump status -o json` says.
pub(super) fn status_of(stage: &Stage) -> Result<Status> {
    let mut command = Command::new(&stage.bench.timejump);
    command.args(["status", "-o", "json"]).stdin(Stdio::null());
    let output = command.output().context("run timejump status")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {errors}", output.status);
    let text = String::from_utf8(output.stdout)?;
    match Line::parse(text.trim_end())? {
        Line::Status(status) => Ok(*status),
        other => bail!("{command:?} printed {other:?}"),
    }
}

/// The whole ladder is probed, and on these kernels all of it can be climbed.
pub(super) fn status_command(stage: &Stage) -> Result<()> {
    let before = referee::wall_offset()?;
    let status = status_of(stage)?;
    ensure!(status.offset_ns == before && status.offset_error_ns == 0, "the offset is {before}: {status:?}");
    let names: Vec<_> = status.rungs.iter().map(|rung| &*rung.rung).collect();
    ensure!(names == RUNGS, "the ladder is {RUNGS:?}: {status:?}");
    ensure!(status.rung == "fentry", "rung should be fentry: {status:?}");
    for rung in &status.rungs {
        let usable = ["in_use", "available"].contains(&&*rung.state);
        ensure!(usable, "should be usable in this guest: {rung:?}");
    }
    for path in ["clock_settime", "settimeofday", "adjtimex", "timezone_warp", "leap_second", "kernel"] {
        let covered = status.coverage_of(path)?;
        ensure!(covered.size == "exact", "fentry is exact for every path: {covered:?}");
    }
    for witness in ["timerfd", "timer_list", "bracketed_reads"] {
        ensure!(status.witnesses.iter().any(|of| of.name == witness), "no witness {witness}: {status:?}");
    }
    Ok(())
}

/// Without the kernel's type information kprobes are next, and as exact.
pub(super) fn no_btf(stage: &Stage) -> Result<()> {
    let _hidden = NoBtf::hide()?;
    let mut daemon = stage.daemon()?;
    let status = daemon.status()?;
    refused_for(status, "fentry", "BTF")?;
    rungs::stands_on(status, KPROBE)?;
    rungs::every_way(stage, &mut daemon, KPROBE, &NATIVE)?;
    daemon.stays_quiet(SILENCE)?;
    let report = daemon.stop()?;
    report.has_jumps(NATIVE.len())?;
    ensure!(report.jumps.iter().all(|jump| jump.delta_error_ns == 0), "not exact: {:?}", report.jumps);
    report.ends_at(referee::wall_offset()?)
}

/// The rung must be refused for a reason that has `word` in it.
pub(super) fn refused_for(status: &Status, rung: &str, word: &str) -> Result<()> {
    let rung = status.rung_named(rung)?;
    ensure!(rung.state == "refused", "should be refused: {rung:?}");
    let reason = rung.reason.as_deref().unwrap_or_default();
    ensure!(reason.contains(word), "the reason should name {word}: {rung:?}");
    Ok(())
}

/// An operator who forbids what slows system calls gets none of it, and is told so.
pub(super) fn no_tax_allowed(stage: &Stage) -> Result<()> {
    let daemon = stage.daemon_with(&Options::with(&[TAX_OPTION, "0"]))?;
    let status = daemon.status()?;
    ensure!(status.rung == "fentry", "fentry costs no system call anything: {status:?}");
    taxing_forbidden(status)?;
    daemon.stop()?.has_jumps(0)?;
    for rung in ["raw-tracepoint", "tracepoint"] {
        rungs::refuses(stage, &Options::with(&["--rung", rung, TAX_OPTION, "0"]), TAX_OPTION)?;
    }
    Ok(())
}

/// Both rungs that slow system calls must be forbidden by the option's name.
pub(super) fn taxing_forbidden(status: &Status) -> Result<()> {
    for name in ["raw_tracepoint", "tracepoint"] {
        let rung = status.rung_named(name)?;
        ensure!(rung.state == "forbidden", "should be forbidden: {rung:?}");
        let reason = rung.reason.as_deref().unwrap_or_default();
        ensure!(reason.contains(TAX_OPTION), "the reason should name {TAX_OPTION}: {rung:?}");
    }
    Ok(())
}

/// As a user without any privilege timerfd is what is left, and its error is stated.
pub(super) fn unprivileged(stage: &Stage) -> Result<()> {
    let report = on_timerfd(stage, &Options { uid: Some(65534), ..Options::default() })?;
    for jump in &report {
        ensure!(jump.delta_error_ns > 0, "read by bracketing, so not exact: {jump:?}");
        ensure!(jump.delta_error_ns < 100_000_000, "a useless error: {jump:?}");
    }
    Ok(())
}

/// As root without a capability, as in a container with all of them dropped.
pub(super) fn no_capabilities(stage: &Stage) -> Result<()> {
    let wrapper =
        [&stage.me.to_string_lossy(), "exec", "--no-capabilities", "--"].map(ToOwned::to_owned).to_vec();
    on_timerfd(stage, &Options { wrapper, ..Options::default() }).map(drop)
}

fn on_timerfd(stage: &Stage, options: &Options) -> Result<Vec<Jump>> {
    timerfd_remains(stage, stage.daemon_with(options)?)
}

/// A daemon that can stand on timerfd only must say so and find every step.
pub(super) fn timerfd_remains(stage: &Stage, mut daemon: Daemon) -> Result<Vec<Jump>> {
    rungs::stands_on(daemon.status()?, TIMERFD)?;
    rungs::every_way(stage, &mut daemon, TIMERFD, &NATIVE)?;
    daemon.stays_quiet(SILENCE)?;
    let report = daemon.stop()?;
    report.has_jumps(NATIVE.len())?;
    report.ends_at(referee::wall_offset()?)?;
    Ok(report.jumps)
}
