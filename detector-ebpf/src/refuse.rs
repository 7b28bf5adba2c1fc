//! Attempts that the kernel refused: counted by key, told at the 1st, 2nd, 4th, 8th …

use aya_ebpf::{
    EbpfContext,
    helpers::{
        bpf_get_current_uid_gid,
        generated::{bpf_get_current_cgroup_id, bpf_get_stack, bpf_ktime_get_boot_ns},
    },
};
use detector_common::{
    ABI_VERSION, Header, KIND_REFUSAL,
    call::syscall,
    refusal::{CODE_RANGES, Key, Refusal, is_within},
};

use crate::{
    maps::{COUNTERS, REFUSALS, REFUSED, SETTIMEOFDAY_CODE},
    task,
};

/// Return addresses looked at for the system call's own.
const STACK_DEPTH: usize = 8;

/// Counts that `current` was refused with `ret` (a negative errno) where the time is set to a value, by whichever call.
#[inline(always)]
pub fn count_settime<C: EbpfContext>(ctx: &C, ret: i32) {
    let mut stack = [0_u64; STACK_DEPTH];
    unsafe { bpf_get_stack(ctx.as_ptr(), stack.as_mut_ptr().cast(), (STACK_DEPTH * 8) as u32, 0) };
    let mut call = syscall::CLOCK_SETTIME;
    if let Some(code) = SETTIMEOFDAY_CODE.get(0) {
        let mut within = 0;
        for address in stack {
            for range in 0..CODE_RANGES {
                // Read each time: there are not registers enough to keep them all, nor stack.
                let bound = |at: usize| unsafe { (&raw const code[at]).read_volatile() };
                within |= is_within(address, bound(2 * range), bound(2 * range + 1));
            }
        }
        if within != 0 {
            call = syscall::SETTIMEOFDAY;
        }
    }
    count(call, ret);
}

/// Counts that `current` was refused with `ret` (a negative errno) at `syscall` (`call::syscall`).
#[inline(always)]
pub fn count(syscall: u32, ret: i32) {
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        add_one(unsafe { &raw mut (*counters).refused });
    }
    let key = Key {
        cgroup_id: unsafe { bpf_get_current_cgroup_id() },
        uid: bpf_get_current_uid_gid() as u32,
        syscall,
        errno: ret.unsigned_abs(),
        reserved: 0,
    };
    let count = if let Some(count) = REFUSED.get_ptr_mut(key) {
        add_one(count);
        // Read apart from the addition: atomic read-and-add came with 5.12. Two CPUs at once may both tell a count, or
        // neither; the counts themselves are exact.
        unsafe { count.read_volatile() }
    } else {
        let _ = REFUSED.insert(key, 1, 0);
        1
    };
    if count & (count - 1) != 0 {
        return;
    }
    let Some(mut entry) = REFUSALS.reserve::<Refusal>(0) else { return };
    let refusal = entry.as_mut_ptr();
    unsafe {
        (*refusal).header = Header { abi: ABI_VERSION, kind: KIND_REFUSAL };
        (*refusal).boot_ns = bpf_ktime_get_boot_ns();
        (*refusal).key = key;
        (*refusal).count = count;
        task::describe(&raw mut (*refusal).task);
        task::read_cmdline(&raw mut (*refusal).cmdline);
    }
    entry.submit(0);
}

/// Adds 1 to a counter in a map that other CPUs add to as well.
///
/// `core` has no read-modify-write atomics for BPF; the instruction (`BPF_ATOMIC | BPF_ADD`, without fetch) is as old
/// as eBPF.
#[inline(always)]
pub fn add_one(counter: *mut u64) {
    #[cfg(target_arch = "bpf")]
    unsafe {
        core::arch::asm!("lock *(u64 *)({counter} + 0) += {one}", counter = in(reg) counter, one = in(reg) 1_u64);
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = counter;
}
