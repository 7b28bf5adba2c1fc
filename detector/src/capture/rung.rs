//! The probe ladder's rungs and what was found on each.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A way of capturing, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// A: fentry on `update_vsyscall`, exact for every path.
    Fentry,
    /// B: kprobe on `tk_set_wall_to_mono`, exact for every path.
    Kprobe,
    /// C: raw tracepoint at every system call's exit; the size is measured from user space.
    RawTracepoint,
    /// D: tracepoints of the clock-setting system calls; the size is measured from user space.
    Tracepoint,
    /// E: a timer that the kernel cancels when the clock is set; no eBPF, no privilege.
    Timerfd,
}

impl Rung {
    /// All of them, best first.
    pub const ALL: [Self; 5] =
        [Self::Fentry, Self::Kprobe, Self::RawTracepoint, Self::Tracepoint, Self::Timerfd];

    /// The letter by which people speak of it.
    pub fn letter(self) -> char {
        match self {
            Self::Fentry => 'A',
            Self::Kprobe => 'B',
            Self::RawTracepoint => 'C',
            Self::Tracepoint => 'D',
            Self::Timerfd => 'E',
        }
    }

    /// What it adds to every system call of the node, ns: measured on a 6.18 host (docs/coverage.md). Function hooks
    /// add nothing; any tracepoint on system calls sends every one of them down the slow path.
    pub fn syscall_tax_ns(self) -> u64 {
        match self {
            Self::Fentry | Self::Kprobe | Self::Timerfd => 0,
            Self::RawTracepoint => 80,
            Self::Tracepoint => 66,
        }
    }

    /// Whether the kernel side measures each step itself.
    pub fn measures_in_kernel(self) -> bool {
        matches!(self, Self::Fentry | Self::Kprobe)
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::RawTracepoint => "raw_tracepoint",
            Self::Tracepoint => "tracepoint",
            Self::Timerfd => "timerfd",
        })
    }
}

/// How a rung stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RungState {
    /// Attached, and captured by.
    InUse,
    /// Tried and found to work; a better one is in use.
    Available,
    /// Tried; the kernel, its configuration or our privileges say no.
    Refused,
    /// The operator's limit on overhead, or an explicit choice of another rung, rules it out.
    Forbidden,
    /// It was in use and missed a jump.
    Silent,
    /// Not tried: a better one works.
    NotTried,
}

impl fmt::Display for RungState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::InUse => "in use",
            Self::Available => "available",
            Self::Refused => "refused",
            Self::Forbidden => "forbidden",
            Self::Silent => "silent",
            Self::NotTried => "not tried",
        })
    }
}

/// What was found on one rung.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RungReport {
    /// The rung.
    pub rung: Rung,
    /// How it stands.
    pub state: RungState,
    /// Why, where it is not in use; what it lacks, where it is.
    pub reason: Option<String>,
}
