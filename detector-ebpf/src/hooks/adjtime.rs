//! Rung A: an offset is added to the time.
//!
//! `int do_adjtimex(struct __kernel_timex *txc)`, kernel/time/timekeeping.c: `adjtimex` and `clock_adjtime` on
//! `CLOCK_REALTIME`, native and 32-bit. Only `ADJ_SETOFFSET` steps. `modes` and `time` are read at entry: at exit
//! `time` holds the clock, before the step or after it by the kernel's version.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use detector_common::{call::syscall, cause};

use crate::{layout::member_at, refuse, request};

/// `__kernel_timex`, include/uapi/linux/timex.h: part of the system call's ABI.
pub const MODES: u32 = 0;
const TIME_SEC: u32 = 72;
const TIME_USEC: u32 = 80;

/// `ADJ_SETOFFSET`.
pub const SETOFFSET: u32 = 0x0100;
const NANO: u32 = 0x2000;

/// Opens the request of an `ADJ_SETOFFSET`; everything else (reads, slews) leaves at once.
#[fentry(function = "do_adjtimex")]
pub fn adjtime_enter(ctx: FEntryContext) -> i32 {
    let txc: *const u8 = ctx.arg(0);
    let modes: u32 = unsafe { member_at(txc, MODES) };
    if modes & SETOFFSET != 0 {
        let (sec, fraction): (i64, i64) = unsafe { (member_at(txc, TIME_SEC), member_at(txc, TIME_USEC)) };
        let nsec = if modes & NANO != 0 { fraction } else { fraction.wrapping_mul(1000) };
        request::open(cause::SETOFFSET, modes, sec, nsec, false);
    }
    0
}

/// Closes the request; counts a refused `ADJ_SETOFFSET`.
#[fexit(function = "do_adjtimex")]
pub fn adjtime_exit(ctx: FExitContext) -> i32 {
    let txc: *const u8 = ctx.arg(0);
    let modes: u32 = unsafe { member_at(txc, MODES) };
    if modes & SETOFFSET != 0 {
        request::close();
        let ret: i32 = ctx.arg(1);
        if ret < 0 {
            refuse::count(syscall::ADJTIMEX, ret);
        }
    }
    0
}
