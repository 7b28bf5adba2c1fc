//! Kernels booted with less: locked down, or without the BPF LSM.

use std::fs;

use anyhow::{Context, Result, ensure};

use super::ladder::{NoBtf, refused_for, status_of, taxing_forbidden, timerfd_remains};
use crate::daemon::Options;
use crate::stage::Stage;

/// Locked down for confidentiality, fentry works as ever, while kprobes and the tracing file system are gone.
pub(super) fn rungs(stage: &Stage) -> Result<()> {
    ensure!(super::locked_down(), "not booted with lockdown=confidentiality");
    let status = status_of(stage)?;
    ensure!(status.rung == "fentry" && status.offset_error_ns == 0, "rung should be fentry: {status:?}");
    refused_for(&status, "kprobe", "lockdown")?;
    refused_for(&status, "tracepoint", "")
}

/// Locked down, without type information and forbidden to slow system calls, it lives with timerfd.
pub(super) fn without_btf(stage: &Stage) -> Result<()> {
    let _hidden = NoBtf::hide()?;
    let daemon = stage.daemon_with(&Options::with(&["--max-syscall-tax-ns", "0"]))?;
    let status = daemon.status()?;
    refused_for(status, "fentry", "BTF")?;
    refused_for(status, "kprobe", "lockdown")?;
    taxing_forbidden(status)?;
    timerfd_remains(stage, daemon).map(drop)
}

/// The capture does not lean on the BPF LSM.
pub(super) fn lsm_without_bpf(stage: &Stage) -> Result<()> {
    let lsm = fs::read_to_string("/sys/kernel/security/lsm").context("which LSMs are there?")?;
    ensure!(!lsm.split(',').any(|name| name.trim() == "bpf"), "the BPF LSM is there: {lsm}");
    let status = status_of(stage)?;
    ensure!(status.rung == "fentry", "rung should be fentry: {status:?}");
    Ok(())
}
