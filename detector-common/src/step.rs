//! One step of the wall offset, as rungs A (fentry) and B (kprobe) capture it.

use crate::{
    Header,
    task::{Cmdline, Task},
};

/// Return addresses kept of the kernel stack.
pub const STACK_DEPTH: usize = 16;

/// [`Step::flags`]: the timekeeper was seen for the first time since attaching; `old` is the seed from user space,
/// so the change happened between reading the seed and this update and `current` need not have made it.
pub const FIRST_UPDATE: u32 = 1;
/// [`Step::flags`]: within `timekeeping_resume` or `timekeeping_inject_sleeptime64` (rung B, which has no sight
/// of `offs_boot` and takes what resume adds for sleep).
pub const IN_RESUME: u32 = 1 << 1;
/// [`Step::flags`]: `tai` is not known (rung B).
pub const NO_TAI: u32 = 1 << 2;

/// The timekeeper's offsets from `CLOCK_MONOTONIC`, all from one critical section.
#[repr(C)]
#[cfg_attr(feature = "user", derive(bytemuck::AnyBitPattern))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offsets {
    /// `timekeeper::offs_real`, ns: `CLOCK_REALTIME` − `CLOCK_MONOTONIC`.
    pub real: i64,
    /// `timekeeper::offs_boot`, ns: `CLOCK_BOOTTIME` − `CLOCK_MONOTONIC`.
    pub boot: i64,
    /// `timekeeper::tai_offset`, s: `CLOCK_TAI` − `CLOCK_REALTIME`.
    pub tai: i32,
    /// Padding, zero.
    pub reserved: u32,
}

/// What a task asked of the kernel, noted at the function's entry and joined to the step by `pid_tgid`.
#[repr(C)]
#[cfg_attr(feature = "user", derive(bytemuck::AnyBitPattern))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// One of [`crate::cause`].
    pub cause: u32,
    /// `__kernel_timex::modes` of an `adjtimex`, else 0.
    pub modes: u32,
    /// Seconds as given: the time to set, or the offset to add.
    pub sec: i64,
    /// Nanoseconds as given (`ADJ_NANO` or a `timespec`), or microseconds × 1000.
    pub nsec: i64,
    /// The task's command line: read here because `date -s` is gone before user space can look.
    pub cmdline: Cmdline,
}

/// One change of the timekeeper's offsets.
#[repr(C)]
#[cfg_attr(feature = "user", derive(bytemuck::AnyBitPattern))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// `abi`, [`crate::KIND_STEP`].
    pub header: Header,
    /// Number of this step since the object was loaded, from 1, without gaps unless records were dropped.
    pub sequence: u64,
    /// `CLOCK_MONOTONIC` (fast accessor), ns.
    pub mono_ns: u64,
    /// `CLOCK_BOOTTIME` (fast accessor), ns.
    pub boot_ns: u64,
    /// Before the step.
    pub old: Offsets,
    /// After the step.
    pub new: Offsets,
    /// What was asked, `cause::NONE` where no cause program saw the task.
    pub request: Request,
    /// Who was `current`.
    pub task: Task,
    /// CPU on which it happened.
    pub cpu: u32,
    /// `FIRST_UPDATE`, `IN_RESUME`, `NO_TAI`.
    pub flags: u32,
    /// Entries of `stack` in use.
    pub stack_len: u32,
    /// Padding, zero.
    pub reserved: u32,
    /// Kernel return addresses, innermost first.
    pub stack: [u64; STACK_DEPTH],
}

const _: () = assert!(size_of::<Offsets>() == 24);
const _: () = assert!(size_of::<Request>() == 160);
const _: () = assert!(size_of::<Step>() == 8 + 24 + 48 + 160 + 64 + 16 + 128);
