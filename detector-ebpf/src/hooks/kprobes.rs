//! Rung B, for kernels without fentry or without BTF: the same by kprobes, from registers alone.
//!
//! `void tk_set_wall_to_mono(struct timekeeper *tk, struct timespec64 wtm)`, kernel/time/timekeeping.c, static: the
//! one function that sets `offs_real`, to −`wtm`. The structure travels in two registers (x86-64, arm64), so the new
//! offset needs no memory read; the old one is the cell's, seeded by user space from `/proc/timer_list`.
//! `offs_boot` is out of sight: what changes within a resume is taken for the time slept.

use aya_ebpf::{
    helpers::bpf_probe_read_kernel,
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use detector_common::{
    call::syscall,
    cause,
    step::{IN_RESUME, NO_TAI, Offsets},
};

use super::adjtime::SETOFFSET;
use crate::{maps::CELL, refuse, request, step};

const NSEC_PER_SEC: i64 = 1_000_000_000;

/// `tk_set_wall_to_mono`: tells the new offset.
#[kprobe]
pub fn kprobe_set_wall_to_mono(ctx: ProbeContext) -> u32 {
    let (Some(sec), Some(nsec)) = (ctx.arg::<i64>(1), ctx.arg::<i64>(2)) else { return 0 };
    let Some(cell) = CELL.get_ptr_mut(0) else { return 0 };
    let real = sec.wrapping_mul(NSEC_PER_SEC).wrapping_add(nsec).wrapping_neg();
    let (last, resuming) = unsafe { ((*cell).offsets, (*cell).resuming != 0) };
    let slept = if resuming { real.wrapping_sub(last.real) } else { 0 };
    let new = Offsets { real, boot: last.boot.wrapping_add(slept), tai: last.tai, reserved: 0 };
    step::observe(&ctx, new, if resuming { NO_TAI | IN_RESUME } else { NO_TAI });
    0
}

/// `timekeeping_resume`, `timekeeping_inject_sleeptime64`: what follows is time slept.
#[kprobe]
pub fn kprobe_resume_enter(_ctx: ProbeContext) -> u32 {
    set_resuming(1);
    0
}

/// Ends what [`kprobe_resume_enter`] began.
#[kretprobe]
pub fn kprobe_resume_exit(_ctx: RetProbeContext) -> u32 {
    set_resuming(0);
    0
}

/// `do_sys_settimeofday64`.
#[kprobe]
pub fn kprobe_settimeofday_enter(_ctx: ProbeContext) -> u32 {
    request::open(cause::SETTIME, 0, 0, 0, true);
    0
}

/// `do_sys_settimeofday64`, return.
#[kretprobe]
pub fn kprobe_settimeofday_exit(ctx: RetProbeContext) -> u32 {
    close_settime(&ctx);
    0
}

/// `do_settimeofday64`.
#[kprobe]
pub fn kprobe_settime_enter(_ctx: ProbeContext) -> u32 {
    request::open_inner(cause::SETTIME, 0, 0);
    0
}

/// `do_settimeofday64`, return.
#[kretprobe]
pub fn kprobe_settime_exit(ctx: RetProbeContext) -> u32 {
    if !request::inside_outer() {
        close_settime(&ctx);
    }
    0
}

/// `security_settime64`, return: a `stime` without privilege reaches nothing else.
#[kretprobe]
pub fn kprobe_settime_permission_exit(ctx: RetProbeContext) -> u32 {
    let ret: i32 = ctx.ret();
    if ret < 0 && !request::inside_outer() {
        refuse::count_settime(&ctx, ret);
    }
    0
}

/// `do_adjtimex`. `modes` is behind a pointer: where reading kernel memory is locked down this program is refused,
/// and `ADJ_SETOFFSET` steps are told without their request.
#[kprobe]
pub fn kprobe_adjtime_enter(ctx: ProbeContext) -> u32 {
    let Some(txc) = ctx.arg::<*const u32>(0) else { return 0 };
    if let Ok(modes) = unsafe { bpf_probe_read_kernel(txc) }
        && modes & SETOFFSET != 0
    {
        request::open(cause::SETOFFSET, modes, 0, 0, false);
    }
    0
}

/// `do_adjtimex`, return: only what [`kprobe_adjtime_enter`] opened.
#[kretprobe]
pub fn kprobe_adjtime_exit(ctx: RetProbeContext) -> u32 {
    if request::current().is_some() {
        request::close();
        let ret: i32 = ctx.ret();
        if ret < 0 {
            refuse::count(syscall::ADJTIMEX, ret);
        }
    }
    0
}

/// `timekeeping_warp_clock`.
#[kprobe]
pub fn kprobe_warp_enter(_ctx: ProbeContext) -> u32 {
    request::open_inner(cause::WARP, 0, 0);
    0
}

#[inline(always)]
fn close_settime(ctx: &RetProbeContext) {
    request::close();
    let ret: i32 = ctx.ret();
    if ret < 0 {
        refuse::count_settime(ctx, ret);
    }
}

#[inline(always)]
fn set_resuming(value: u64) {
    if let Some(cell) = CELL.get_ptr_mut(0) {
        unsafe { (*cell).resuming = value };
    }
}
