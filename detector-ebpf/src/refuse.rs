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
    refusal::{Key, Refusal, STACK_DEPTH},
};

use crate::{
    maps::{COUNTERS, REFUSALS, REFUSED},
    task,
};

/// Counts that `current` was refused with `ret` (a negative errno). `cause` as in [`Key`], `syscall` as in [`Refusal`].
#[inline(always)]
pub fn count<C: EbpfContext>(ctx: &C, cause: u32, syscall: u32, ret: i32) {
    if let Some(counters) = COUNTERS.get_ptr_mut(0) {
        add_one(unsafe { &raw mut (*counters).refused });
    }
    let key = Key {
        cgroup_id: unsafe { bpf_get_current_cgroup_id() },
        uid: bpf_get_current_uid_gid() as u32,
        cause,
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
        (*refusal).syscall = u64::from(syscall);
        (*refusal).count = count;
        task::describe(&raw mut (*refusal).task);
        task::read_cmdline(&raw mut (*refusal).cmdline);
        (*refusal).stack = [0; STACK_DEPTH];
        bpf_get_stack(ctx.as_ptr(), (&raw mut (*refusal).stack).cast(), (STACK_DEPTH * 8) as u32, 0);
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
