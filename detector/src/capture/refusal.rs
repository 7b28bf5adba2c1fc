//! Why a rung is refused, in words for an operator.

use std::{error::Error, fmt::Write as _, io};

use aya::{
    EbpfError,
    maps::MapError,
    programs::{ProgramError, ProgramType},
    sys::{BpfHelper, is_helper_supported},
};

/// Why a rung cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// This binary was built without the eBPF object.
    #[error("this binary was built without its eBPF object (cargo xtask build-ebpf makes it)")]
    NoObject,
    /// The object lacks something by that name: a build gone wrong.
    #[error("the eBPF object has no {0}")]
    NoProgram(String),
    /// The kernel's types are not to be had, or lack what is needed.
    #[error("{0}")]
    Btf(String),
    /// Rung B has no other way of knowing where the clock stands.
    #[error("/proc/timer_list cannot be read, and a kprobe alone does not know the offset before a step")]
    NoSeed,
    /// A kernel on which our programs would be unsafe.
    #[error("{0}")]
    Unsafe(&'static str),
    /// The kernel said no.
    #[error("{0}")]
    Kernel(String),
    /// Two ways were tried.
    #[error("{0}; and by raw_tp: {1}")]
    Both(Box<Refusal>, Box<Refusal>),
}

impl Refusal {
    /// `/sys/kernel/btf/vmlinux` could not be used.
    pub fn no_btf() -> Self {
        Self::Btf("no BTF: /sys/kernel/btf/vmlinux is missing".into())
    }

    /// Making the maps failed.
    pub fn load(error: EbpfError) -> Self {
        match error {
            EbpfError::MapError(error) => Self::map(&error),
            EbpfError::ProgramError(error) => error.into(),
            error => Self::Kernel(chain(&error)),
        }
    }

    /// A map failed.
    pub fn map(error: &MapError) -> Self {
        Self::Kernel(explain(error))
    }
}

impl From<ProgramError> for Refusal {
    fn from(error: ProgramError) -> Self {
        if let ProgramError::LoadError { io_error, verifier_log } = &error {
            let log = verifier_log.to_string();
            tracing::debug!("verifier: {log}");
            // The verifier's last words are a tally; the line before says what it minds.
            let tally = ["processed ", "verification time", "stack depth", "max_states"];
            let last = log
                .lines()
                .rev()
                .find(|line| !line.is_empty() && !tally.iter().any(|tally| line.starts_with(tally)));
            return Self::Kernel(match last {
                Some(line) => format!("the verifier refuses it: {line}"),
                None => format!("BPF_PROG_LOAD: {}", hint(io_error)),
            });
        }
        Self::Kernel(explain(&error))
    }
}

/// The error with its causes, and what an operator can make of it.
fn explain(error: &(dyn Error + 'static)) -> String {
    let mut text = chain(error);
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && let Some(meaning) = meaning(error)
        {
            let _ = write!(text, " ({meaning})");
        }
        source = error.source();
    }
    text
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            let _ = write!(text, ": {cause}");
        }
        source = error.source();
    }
    text
}

fn hint(error: &io::Error) -> String {
    match meaning(error) {
        Some(meaning) => format!("{error} ({meaning})"),
        None => error.to_string(),
    }
}

fn meaning(error: &io::Error) -> Option<&'static str> {
    let meaning = match error.raw_os_error()? {
        libc::EPERM => {
            "needs CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN before 5.8; or the host's policy forbids it"
        }
        libc::EACCES => "no permission for tracing",
        libc::ENOENT => "this kernel has no such hook",
        libc::ENOSYS => "this kernel has no bpf()",
        _ => return None,
    };
    Some(meaning)
}

/// The kernel's lockdown, where one is in force: it refuses kprobes and reading kernel memory, and empties tracefs.
pub fn lockdown() -> Option<String> {
    let levels = std::fs::read_to_string("/sys/kernel/security/lockdown").ok()?;
    let level = levels.split('[').nth(1)?.split(']').next()?;
    (level != "none").then(|| format!("lockdown={level} is in force"))
}

/// Whether programs may ask for `current` with its type (`bpf_get_current_task_btf`, 5.11).
pub fn has_task_btf_helper() -> bool {
    // Tracing programs cannot be probed; a raw tracepoint's helpers are the same.
    is_helper_supported(ProgramType::RawTracePoint, BpfHelper::BPF_FUNC_get_current_task_btf).unwrap_or(false)
}

/// Refuses kernels on which the ring's lock may sleep where steps are captured: PREEMPT_RT before 6.1, where it is a
/// `spinlock_t` (kernel/bpf/ringbuf.c).
pub fn check_realtime_kernel() -> Result<(), Refusal> {
    let realtime = std::fs::read_to_string("/sys/kernel/realtime").is_ok_and(|text| text.trim() == "1");
    let raw_lock = is_helper_supported(ProgramType::RawTracePoint, BpfHelper::BPF_FUNC_ktime_get_tai_ns);
    if realtime && !raw_lock.unwrap_or(false) {
        return Err(Refusal::Unsafe(
            "PREEMPT_RT before 6.1: the ring's lock may sleep within the timekeeper's",
        ));
    }
    Ok(())
}
