//! What a task is asking for, kept from the entry of the kernel function to its exit.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::map, maps::LruHashMap};
use detector_common::{
    cause,
    step::Request,
    task::{CMDLINE_LEN, Cmdline},
};

use crate::task;

/// A request on its way through the kernel.
#[repr(C)]
pub struct InFlight {
    /// What was asked.
    pub request: Request,
    /// 1 where `do_sys_settimeofday64` opened it and will close it; its inner functions leave it alone.
    pub outer: u64,
}

/// What tasks are asking for right now, by `pid_tgid`: from a function's entry to its exit. LRU, because an exit
/// that the kernel skipped (a program is not re-entered on its CPU) would leave its entry for good.
#[map]
static IN_FLIGHT: LruHashMap<u64, InFlight> = LruHashMap::with_max_entries(1024, 0);

/// A request of nothing: what a step carries that no cause program announced.
pub const NONE: Request = Request {
    cause: cause::NONE,
    modes: 0,
    sec: 0,
    nsec: 0,
    cmdline: Cmdline { len: 0, full_len: 0, bytes: [0; CMDLINE_LEN] },
};

/// Notes that `current` is about to set the clock. `modes`, `sec`, `nsec` as in [`Request`].
#[inline(always)]
pub fn open(cause: u32, modes: u32, sec: i64, nsec: i64, outer: bool) {
    let key = bpf_get_current_pid_tgid();
    let value = InFlight { request: Request { cause, modes, sec, nsec, ..NONE }, outer: u64::from(outer) };
    if IN_FLIGHT.insert(key, value, 0).is_err() {
        return;
    }
    if let Some(entry) = IN_FLIGHT.get_ptr_mut(key) {
        unsafe { task::read_cmdline(&raw mut (*entry).request.cmdline) };
    }
}

/// As [`open`] for an inner function: an entry of the outer one stays, with the time to set filled in.
#[inline(always)]
pub fn open_inner(cause: u32, sec: i64, nsec: i64) {
    match current() {
        Some(entry) if unsafe { (*entry).outer } != 0 => unsafe {
            (*entry).request.cause = cause;
            (*entry).request.sec = sec;
            (*entry).request.nsec = nsec;
        },
        _ => open(cause, 0, sec, nsec, false),
    }
}

/// The request of `current`, if one is open.
#[inline(always)]
pub fn current() -> Option<*mut InFlight> {
    IN_FLIGHT.get_ptr_mut(bpf_get_current_pid_tgid())
}

/// Whether `current` is inside `do_sys_settimeofday64`, which counts its own refusals.
#[inline(always)]
pub fn inside_outer() -> bool {
    current().is_some_and(|entry| unsafe { (*entry).outer } != 0)
}

/// The request of `current` is done with.
#[inline(always)]
pub fn close() {
    // A missing entry was evicted or never made: nothing to do.
    let _ = IN_FLIGHT.remove(bpf_get_current_pid_tgid());
}
