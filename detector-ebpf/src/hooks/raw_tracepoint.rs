//! Rung C: every system call's return, for kernels that refuse function hooks but not tracepoints.
//!
//! `TRACE_EVENT_FN(sys_exit, TP_PROTO(struct pt_regs *regs, long ret))`, include/trace/events/syscalls.h. The
//! registers still hold the arguments, so one program at the exit sees number, arguments and result. Unlike the
//! per-call tracepoints it sees 32-bit calls; it taxes every system call of the node, which is why it is a fallback.

use aya_ebpf::{
    helpers::bpf_probe_read_kernel,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};

use detector_common::task::READ_NOT;

use super::syscall_exit::{self, Width};
use crate::{
    layout::{TASK_READ, TASK_STATUS_PLUS_ONE, member_at},
    task,
};

/// `struct pt_regs` of x86-64, arch/x86/include/asm/ptrace.h: saved by hand-written entry code, unchanged since 2007.
mod regs {
    pub(super) const BX: u32 = 40;
    pub(super) const CX: u32 = 88;
    pub(super) const SI: u32 = 104;
    pub(super) const DI: u32 = 112;
    pub(super) const ORIG_AX: u32 = 120;
    pub(super) const CS: u32 = 136;
}

/// `TS_COMPAT`, arch/x86/include/asm/thread_info.h: set from entry to exit of a 32-bit system call. The only sign of
/// `int 0x80` from a 64-bit process.
const TS_COMPAT: u32 = 0x0002;
/// `__USER32_CS`.
const USER32_CS: u64 = 0x23;

/// The exit of a system call, with BTF: registers are dereferenced, nothing is locked down.
#[btf_tracepoint(function = "sys_exit")]
pub fn syscall_exit_btf(ctx: BtfTracePointContext) -> i32 {
    let regs: *const u8 = ctx.arg(0);
    let number: u32 = unsafe { member_at(regs, regs::ORIG_AX) };
    if !syscall_exit::may_set_clock(number) {
        return 0;
    }
    let compat = is_compat(unsafe { member_at(regs, regs::CS) });
    let (width, first, second) = unsafe {
        if compat {
            (
                Width::Compat,
                u64::from(member_at::<u32>(regs, regs::BX)),
                u64::from(member_at::<u32>(regs, regs::CX)),
            )
        } else {
            (Width::Native, member_at(regs, regs::DI), member_at(regs, regs::SI))
        }
    };
    returned(width, number, first, second, ctx.arg(1));
    0
}

/// The same without BTF, by `bpf_probe_read_kernel`.
#[raw_tracepoint(tracepoint = "sys_exit")]
pub fn syscall_exit_raw(ctx: RawTracePointContext) -> i32 {
    let regs: *const u8 = ctx.arg(0);
    let read = |offset: u32| -> u64 {
        unsafe { bpf_probe_read_kernel(regs.add(offset as usize).cast::<u64>()) }.unwrap_or(0)
    };
    let number = read(regs::ORIG_AX) as u32;
    if !syscall_exit::may_set_clock(number) {
        return 0;
    }
    let compat = is_compat(read(regs::CS));
    let (width, first, second) = if compat {
        (Width::Compat, u64::from(read(regs::BX) as u32), u64::from(read(regs::CX) as u32))
    } else {
        (Width::Native, read(regs::DI), read(regs::SI))
    };
    returned(width, number, first, second, ctx.arg(1));
    0
}

/// Whether `current` is in a 32-bit system call; `cs` is its code segment, which tells of 32-bit processes only.
#[inline(always)]
fn is_compat(cs: u64) -> bool {
    match TASK_STATUS_PLUS_ONE.load() {
        status if status != 0 && TASK_READ.load() != READ_NOT => {
            task::read::<u32>(task::current(), status - 1) & TS_COMPAT != 0
        }
        _ => cs == USER32_CS,
    }
}

#[inline(always)]
fn returned(width: Width, number: u32, first: u64, second: u64, ret: i64) {
    if let Some(call) = syscall_exit::clock_call(width, number, first, second) {
        syscall_exit::returned(call, matches!(width, Width::Compat), ret);
    }
}
