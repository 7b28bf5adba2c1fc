//! Rungs C and D: which system calls set the wall clock, and the record of one that returned.

use aya_ebpf::helpers::{bpf_probe_read_user, generated::bpf_ktime_get_boot_ns};
use detector_common::{
    ABI_VERSION, Header, KIND_CALL,
    call::{Call, syscall},
};

use super::adjtime::SETOFFSET;
use crate::{
    layout::USER_READ,
    maps::{COUNTERS, EVENTS},
    refuse, task,
};

const CLOCK_REALTIME: u32 = 0;

/// Which table a system call's number is from.
#[derive(Clone, Copy)]
pub enum Width {
    /// arch/x86/entry/syscalls/syscall_64.tbl
    Native,
    /// arch/x86/entry/syscalls/syscall_32.tbl
    Compat,
}

/// Whether `number` (32 bits of its register, as the kernel takes it), in either table, can be a call that sets the clock: the first test on every system call.
#[inline(always)]
pub fn may_set_clock(number: u32) -> bool {
    matches!(number, 159 | 164 | 227 | 305 | 25 | 79 | 124 | 264 | 343 | 404 | 405)
}

/// What `number` with its first two arguments would do to the wall clock; one of `call::syscall`, or nothing.
#[inline(always)]
pub fn clock_call(width: Width, number: u32, first: u64, second: u64) -> Option<u32> {
    let setoffset = |txc: u64| may_set_offset(txc).then_some(syscall::ADJTIMEX);
    match (width, number) {
        (Width::Native, 227) | (Width::Compat, 264 | 404) if first as u32 == CLOCK_REALTIME => {
            Some(syscall::CLOCK_SETTIME)
        }
        (Width::Native, 164) | (Width::Compat, 79) => {
            Some(if first == 0 { syscall::SETTIMEZONE } else { syscall::SETTIMEOFDAY })
        }
        (Width::Compat, 25) => Some(syscall::SETTIMEOFDAY),
        (Width::Native, 159) | (Width::Compat, 124) => setoffset(first),
        (Width::Native, 305) | (Width::Compat, 343 | 405) if first as u32 == CLOCK_REALTIME => {
            setoffset(second)
        }
        _ => None,
    }
}

/// Whether the caller's `timex` at `txc` asks for `ADJ_SETOFFSET`. Where user memory cannot be read, it may: reading the
/// clock tells.
#[inline(always)]
fn may_set_offset(txc: u64) -> bool {
    if USER_READ.load() == 0 {
        return true;
    }
    unsafe { bpf_probe_read_user(txc as *const u32) }.is_ok_and(|modes| modes & SETOFFSET != 0)
}

/// `current`'s call returned `ret`: tells it, or counts the refusal.
#[inline(always)]
pub fn returned(call: u32, compat: bool, ret: i64) {
    // adjtimex returns the clock's state, which is not negative, on success.
    if ret < 0 {
        match call {
            syscall::ADJTIMEX if USER_READ.load() == 0 => {}
            syscall::SETTIMEZONE => refuse::count(syscall::SETTIMEOFDAY, ret as i32),
            _ => refuse::count(call, ret as i32),
        }
        return;
    }
    let Some(mut entry) = EVENTS.reserve::<Call>(0) else {
        if let Some(counters) = COUNTERS.get_ptr_mut(0) {
            refuse::add_one(unsafe { &raw mut (*counters).calls_dropped });
        }
        return;
    };
    let record = entry.as_mut_ptr();
    unsafe {
        (*record).header = Header { abi: ABI_VERSION, kind: KIND_CALL };
        (*record).boot_ns = bpf_ktime_get_boot_ns();
        (*record).syscall = call;
        (*record).compat = u32::from(compat);
        task::describe(&raw mut (*record).task);
        task::read_cmdline(&raw mut (*record).cmdline);
    }
    entry.submit(0);
}
