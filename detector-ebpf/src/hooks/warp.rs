//! Rung A: the clock is warped by the time zone.
//!
//! `void timekeeping_warp_clock(void)`, kernel/time/timekeeping.c: called by `do_sys_settimeofday64` at the first
//! `settimeofday(NULL, tz)` since boot.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};
use detector_common::cause;

use crate::request;

/// Opens the request.
#[fentry(function = "timekeeping_warp_clock")]
pub fn warp_enter(_ctx: FEntryContext) -> i32 {
    request::open_inner(cause::WARP, 0, 0);
    0
}

/// Closes what [`warp_enter`] opened.
#[fexit(function = "timekeeping_warp_clock")]
pub fn warp_exit(_ctx: FExitContext) -> i32 {
    if !request::inside_outer() {
        request::close();
    }
    0
}
