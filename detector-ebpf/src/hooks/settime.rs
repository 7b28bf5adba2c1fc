//! Rung A: the time is set to a value.
//!
//! - `int do_sys_settimeofday64(const struct timespec64 *tv, const struct timezone *tz)`, kernel/time/time.c:
//!   `clock_settime`, `settimeofday` and their 32-bit forms. Checks validity, then privilege, then sets.
//! - `int security_settime64(const struct timespec64 *ts, const struct timezone *tz)`, security/security.c: the
//!   privilege check, called by the above and by `stime`.
//! - `int do_settimeofday64(const struct timespec64 *ts)`, kernel/time/timekeeping.c: all of the above, `stime`,
//!   and kernel callers (RTC, Hyper-V, Xen, modules).

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use detector_common::cause;

use crate::{layout::member_at, refuse, request};

/// `timespec64::tv_sec`, `tv_nsec`: the structure is two 64-bit words on every architecture.
const TV_SEC: u32 = 0;
const TV_NSEC: u32 = 8;

/// Opens the request. A NULL `tv` (time zone only) reads as 0.
#[fentry(function = "do_sys_settimeofday64")]
pub fn settimeofday_enter(ctx: FEntryContext) -> i32 {
    let tv: *const u8 = ctx.arg(0);
    let (sec, nsec) = unsafe { (member_at(tv, TV_SEC), member_at(tv, TV_NSEC)) };
    request::open(cause::SETTIME, 0, sec, nsec, true);
    0
}

/// Closes the request; counts a refusal of any kind.
#[fexit(function = "do_sys_settimeofday64")]
pub fn settimeofday_exit(ctx: FExitContext) -> i32 {
    request::close();
    let ret: i32 = ctx.arg(2);
    if ret < 0 {
        refuse::count_settime(&ctx, ret);
    }
    0
}

/// Opens the request of a caller that does not come through `do_sys_settimeofday64`.
#[fentry(function = "do_settimeofday64")]
pub fn settime_enter(ctx: FEntryContext) -> i32 {
    let ts: *const u8 = ctx.arg(0);
    let (sec, nsec) = unsafe { (member_at(ts, TV_SEC), member_at(ts, TV_NSEC)) };
    request::open_inner(cause::SETTIME, sec, nsec);
    0
}

/// Closes what [`settime_enter`] opened.
#[fexit(function = "do_settimeofday64")]
pub fn settime_exit(ctx: FExitContext) -> i32 {
    if request::inside_outer() {
        return 0;
    }
    request::close();
    let ret: i32 = ctx.arg(1);
    if ret < 0 {
        refuse::count_settime(&ctx, ret);
    }
    0
}

/// Counts a `stime` without privilege, which reaches none of the other functions.
#[fexit(function = "security_settime64")]
pub fn settime_permission_exit(ctx: FExitContext) -> i32 {
    let ret: i32 = ctx.arg(2);
    if ret < 0 && !request::inside_outer() {
        refuse::count_settime(&ctx, ret);
    }
    0
}
