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

/// 1 for an address of the kernel's behind `begin` and up to `end`, both the kernel's or both 0; else 0. Without a branch: the
/// verifier would follow both ways of each.
#[inline]
pub const fn is_within(address: u64, begin: u64, end: u64) -> u64 {
    (begin.wrapping_sub(address) & !end.wrapping_sub(address)) >> 63
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_within_a_function_is_a_return_address_of_it() {
        let (begin, end) = (0xffff_ffff_8100_0000, 0xffff_ffff_8100_0040);
        for address in [begin + 1, begin + 5, end] {
            assert_eq!(is_within(address, begin, end), 1, "{address:x}");
        }
        for address in [0, begin - 1, begin, end + 1, 0xffff_8880_0000_0000, u64::MAX] {
            assert_eq!(is_within(address, begin, end), 0, "{address:x}");
            assert_eq!(is_within(address, 0, 0), 0, "no function: {address:x}");
        }
    }
}
