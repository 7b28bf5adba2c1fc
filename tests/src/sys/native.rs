//! The 64-bit system calls by number, each under its own name.

use std::io;
use std::mem;

use super::checked;
use crate::guard::InGuest;

/// `ADJ_SETOFFSET`: step by `timex.time`.
pub const ADJ_SETOFFSET: u32 = 0x0100;
/// `ADJ_NANO`: `timex.time.tv_usec` is nanoseconds.
pub const ADJ_NANO: u32 = 0x2000;

/// `struct timezone`, which libc keeps closed.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Timezone {
    /// Minutes west of Greenwich.
    pub minutes_west: i32,
    /// A kind of daylight saving; the kernel ignores it.
    pub daylight_saving: i32,
}

/// A `timex` that asks for nothing.
pub fn timex() -> libc::timex {
    // SAFETY: `timex` is plain integers; all zeroes is a valid value and what the kernel's ABI wants in its padding.
    unsafe { mem::zeroed() }
}

/// `clock_settime`, number 227. `clock` may be a PTP clock's dynamic id.
pub fn clock_settime(_: &InGuest, clock: i32, at: libc::timespec) -> io::Result<()> {
    // SAFETY: the kernel reads one timespec, which lives through the call.
    checked(unsafe { libc::syscall(libc::SYS_clock_settime, clock, &raw const at) }).map(drop)
}

/// `settimeofday`, number 164, with a time, a timezone or both.
pub fn settimeofday(_: &InGuest, time: Option<libc::timeval>, zone: Option<Timezone>) -> io::Result<()> {
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let zone = zone.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: each pointer is null or points to a value that lives through the call and is only read.
    checked(unsafe { libc::syscall(libc::SYS_settimeofday, time, zone) }).map(drop)
}

/// `adjtimex`, number 159.
pub fn adjtimex(_: &InGuest, request: &mut libc::timex) -> io::Result<i64> {
    // SAFETY: the kernel reads and writes one timex, borrowed exclusively.
    checked(unsafe { libc::syscall(libc::SYS_adjtimex, std::ptr::from_mut(request)) })
}

/// `clock_adjtime`, number 305. `clock` may be a PTP clock's dynamic id.
pub fn clock_adjtime(_: &InGuest, clock: i32, request: &mut libc::timex) -> io::Result<i64> {
    // SAFETY: the kernel reads and writes one timex, borrowed exclusively.
    checked(unsafe { libc::syscall(libc::SYS_clock_adjtime, clock, std::ptr::from_mut(request)) })
}
