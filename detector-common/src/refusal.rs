//! Attempts to set the wall clock that the kernel refused.
//!
//! Any process can make them without end, so they are counted per [`Key`] in a map, and only the 1st, 2nd, 4th, 8th …
//! of a key is told, on a ring of its own: a flood of refusals costs no step its place.

use crate::{
    Header,
    task::{Cmdline, Task},
};

/// Places of a system call's code that the programs can be told of: native and 32-bit entries of two calls, neighbours as one.
pub const CODE_RANGES: usize = 8;

/// What refusals are counted by: nothing an unprivileged process can vary at will.
#[repr(C)]
#[cfg_attr(feature = "user", derive(bytemuck::AnyBitPattern))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// Cgroup of the task, as [`Task::cgroup_id`].
    pub cgroup_id: u64,
    /// Real user id.
    pub uid: u32,
    /// One of [`crate::call::syscall`].
    pub syscall: u32,
    /// Error, positive (`EPERM` = 1, `EINVAL` = 22).
    pub errno: u32,
    /// Padding, zero.
    pub reserved: u32,
}

/// The attempt that brought a key's count to a power of two.
#[repr(C)]
#[cfg_attr(feature = "user", derive(bytemuck::AnyBitPattern))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `abi`, [`crate::KIND_REFUSAL`].
    pub header: Header,
    /// `CLOCK_BOOTTIME`, ns.
    pub boot_ns: u64,
    /// What it is counted under.
    pub key: Key,
    /// Attempts under this key so far, this one included.
    pub count: u64,
    /// Who tried.
    pub task: Task,
    /// The task's command line.
    pub cmdline: Cmdline,
}

const _: () = assert!(size_of::<Key>() == 24);
const _: () = assert!(size_of::<Refusal>() == 8 + 8 + 24 + 8 + 64 + 136);
