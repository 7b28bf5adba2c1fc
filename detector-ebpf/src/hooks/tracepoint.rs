//! Rung D: the tracepoints of the calls themselves, `syscalls:sys_enter_*` and `syscalls:sys_exit_*`.
//!
//! For kernels that refuse rung C. Needs tracefs, is blind to 32-bit calls (`ARCH_TRACE_IGNORE_COMPAT_SYSCALLS`), and
//! taxes every system call of the node as soon as one is attached. Each program is attached once a call:
//! `clock_settime`, `settimeofday`, `adjtimex`, `clock_adjtime`.

use aya_ebpf::{helpers::bpf_get_current_pid_tgid, macros::tracepoint, programs::TracePointContext};

use super::syscall_exit::{self, Width};
use crate::maps::IN_SYSCALL;

/// `struct syscall_trace_enter`, kernel/trace/trace.h: the number after the 8 bytes common to all, then the arguments.
const NUMBER: usize = 8;
const FIRST: usize = 16;
const SECOND: usize = 24;
/// `struct syscall_trace_exit`.
const RET: usize = 16;

/// Notes a call of two arguments that would set the clock.
#[tracepoint]
pub fn syscall_enter(ctx: TracePointContext) -> u32 {
    note(read(&ctx, NUMBER), read(&ctx, FIRST), read(&ctx, SECOND));
    0
}

/// Notes an `adjtimex`. It has one argument, and a program that reads beyond an event's last is not attached to it.
#[tracepoint]
pub fn syscall_enter_adjtimex(ctx: TracePointContext) -> u32 {
    note(read(&ctx, NUMBER), read(&ctx, FIRST), 0);
    0
}

#[inline(always)]
fn note(number: u32, first: u64, second: u64) {
    if let Some(call) = syscall_exit::clock_call(Width::Native, number, first, second) {
        // Full: the step is still measured, only without its actor.
        let _ = IN_SYSCALL.insert(bpf_get_current_pid_tgid(), call, 0);
    }
}

/// Tells it when it has returned.
#[tracepoint]
pub fn syscall_exit(ctx: TracePointContext) -> u32 {
    let key = bpf_get_current_pid_tgid();
    let Some(call) = (unsafe { IN_SYSCALL.get(key).copied() }) else { return 0 };
    let _ = IN_SYSCALL.remove(key);
    let ret: i64 = read(&ctx, RET);
    syscall_exit::returned(call, false, ret);
    0
}

/// Reads the context directly: `TracePointContext::read_at` goes through `bpf_probe_read_kernel`.
#[inline(always)]
fn read<T: Copy>(ctx: &TracePointContext, offset: usize) -> T {
    use aya_ebpf::EbpfContext as _;
    unsafe { ctx.as_ptr().cast::<u8>().add(offset).cast::<T>().read_volatile() }
}
