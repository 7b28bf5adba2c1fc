//! One successful system call that sets the wall clock, as rungs C (raw tracepoint) and D (tracepoint) see it.

use crate::{
    Header,
    task::{Cmdline, Task},
};

/// The call, whatever its number and width.
pub mod syscall {
    /// `clock_settime(CLOCK_REALTIME, …)`.
    pub const CLOCK_SETTIME: u32 = 1;
    /// `settimeofday(tv, …)`, `stime`.
    pub const SETTIMEOFDAY: u32 = 2;
    /// `adjtimex` or `clock_adjtime(CLOCK_REALTIME, …)` with `ADJ_SETOFFSET`.
    pub const ADJTIMEX: u32 = 3;
    /// `settimeofday(NULL, tz)`: warps the clock at its first call since boot.
    pub const SETTIMEZONE: u32 = 4;
}

/// A system call that returned success; the step it made is measured by user space.
#[repr(C)]
#[cfg_attr(feature = "user", derive(bytemuck::AnyBitPattern))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// `abi`, [`crate::KIND_CALL`].
    pub header: Header,
    /// `CLOCK_BOOTTIME` at the call's return, ns.
    pub boot_ns: u64,
    /// One of [`syscall`].
    pub syscall: u32,
    /// 1 for a 32-bit entry (`int 0x80`, a 32-bit process).
    pub compat: u32,
    /// Who called.
    pub task: Task,
    /// The caller's command line.
    pub cmdline: Cmdline,
}

const _: () = assert!(size_of::<Call>() == 8 + 16 + 64 + 136);
