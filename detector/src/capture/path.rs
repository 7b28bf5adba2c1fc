//! The ways by which a step comes about.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The path of a jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum StepPath {
    /// `clock_settime(CLOCK_REALTIME)`, 64 and 32 bits.
    ClockSettime,
    /// `settimeofday(tv)` and `stime`, 64 and 32 bits.
    Settimeofday,
    /// `adjtimex` and `clock_adjtime` with `ADJ_SETOFFSET`, 64 and 32 bits.
    Adjtimex,
    /// The first `settimeofday(NULL, tz)` since boot.
    TimezoneWarp,
    /// A leap second, inserted or deleted by the kernel.
    LeapSecond,
    /// Kernel code that sets the clock on nobody's behalf: RTC, hypervisor, modules.
    Kernel,
    /// Seen by its effect alone.
    Unattributed,
}

impl StepPath {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ClockSettime,
        Self::Settimeofday,
        Self::Adjtimex,
        Self::TimezoneWarp,
        Self::LeapSecond,
        Self::Kernel,
        Self::Unattributed,
    ];

    /// All that a hook can name.
    pub fn named() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|path| *path != Self::Unattributed)
    }
}

impl fmt::Display for StepPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ClockSettime => "clock_settime",
            Self::Settimeofday => "settimeofday",
            Self::Adjtimex => "adjtimex",
            Self::TimezoneWarp => "timezone_warp",
            Self::LeapSecond => "leap_second",
            Self::Kernel => "kernel",
            Self::Unattributed => "unattributed",
        })
    }
}

/// What a jump was captured by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapturedBy {
    /// Rung A.
    Fentry,
    /// Rung B.
    Kprobe,
    /// Rung C.
    RawTracepoint,
    /// Rung D.
    Tracepoint,
    /// Rung E, or another rung's jump whose maker no hook saw.
    Timerfd,
    /// The balance: found missing, from the chain of offsets or by a witness.
    Reconcile,
}

impl From<super::Rung> for CapturedBy {
    fn from(rung: super::Rung) -> Self {
        match rung {
            super::Rung::Fentry => Self::Fentry,
            super::Rung::Kprobe => Self::Kprobe,
            super::Rung::RawTracepoint => Self::RawTracepoint,
            super::Rung::Tracepoint => Self::Tracepoint,
            super::Rung::Timerfd => Self::Timerfd,
        }
    }
}

impl fmt::Display for CapturedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::RawTracepoint => "raw_tracepoint",
            Self::Tracepoint => "tracepoint",
            Self::Timerfd => "timerfd",
            Self::Reconcile => "reconcile",
        })
    }
}
