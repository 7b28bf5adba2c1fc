//! Rung A: every update of the timekeeper.
//!
//! `void update_vsyscall(struct timekeeper *tk)`, kernel/time/vsyscall.c, 5.10 to 7.2: called by
//! `timekeeping_update()` (to 6.12) or `timekeeping_update_from_shadow()` (from 6.13) for the core timekeeper, after
//! its offsets have their new values, under its lock, at most once a tick.

use aya_ebpf::{macros::fentry, programs::FEntryContext};
use detector_common::step::Offsets;

use crate::{
    layout::{TK_OFFS_BOOT, TK_OFFS_REAL, TK_TAI_OFFSET, member},
    step,
};

/// Compares the timekeeper's offsets with the last ones and tells a change.
#[fentry(function = "update_vsyscall")]
pub fn timekeeper_update(ctx: FEntryContext) -> i32 {
    let tk: *const u8 = ctx.arg(0);
    let new = unsafe {
        Offsets {
            real: member(tk, &TK_OFFS_REAL),
            boot: member(tk, &TK_OFFS_BOOT),
            tai: member(tk, &TK_TAI_OFFSET),
            reserved: 0,
        }
    };
    step::observe(&ctx, new, 0);
    0
}
