//! From two sets of offsets to a record on the ring: the one place where steps are made, for rungs A and B.
//!
//! Everything here runs under the timekeeper's lock with interrupts off: the cell needs no atomics, the ring's order
//! is the order of the steps, and each step's old offsets are the previous one's new. No clock is read but by the
//! NMI-safe accessors, whose times are records' stamps and enter no delta.

use aya_ebpf::{
    EbpfContext,
    helpers::{
        bpf_get_smp_processor_id,
        generated::{bpf_get_stack, bpf_ktime_get_boot_ns, bpf_ktime_get_ns},
    },
};
use detector_common::{
    ABI_VERSION, Header, KIND_STEP,
    cell::{Cell, LIVE, SEEDED},
    step::{FIRST_UPDATE, Offsets, STACK_DEPTH, Step},
};

use crate::{
    maps::{CELL, EVENTS},
    request, task,
};

/// The timekeeper's offsets are now `new`: tells it if that is a change. `flags` as [`Step::flags`].
#[inline(always)]
pub fn observe<C: EbpfContext>(ctx: &C, new: Offsets, flags: u32) {
    let Some(cell) = CELL.get_ptr_mut(0) else { return };
    unsafe {
        (*cell).updates += 1;
        let first = (*cell).flags & LIVE == 0;
        let old = (*cell).offsets;
        if first {
            let seeded = (*cell).flags & SEEDED != 0;
            (*cell).flags = LIVE;
            if !seeded {
                (*cell).offsets = new;
                return;
            }
        }
        if old.real == new.real && old.boot == new.boot && old.tai == new.tai {
            return;
        }
        (*cell).offsets = new;
        (*cell).sequence += 1;
        emit(ctx, cell, old, new, if first { flags | FIRST_UPDATE } else { flags });
    }
}

#[inline(always)]
unsafe fn emit<C: EbpfContext>(ctx: &C, cell: *mut Cell, old: Offsets, new: Offsets, flags: u32) {
    let Some(mut entry) = EVENTS.reserve::<Step>(0) else {
        unsafe { (*cell).drops += 1 };
        return;
    };
    let step = entry.as_mut_ptr();
    unsafe {
        (*step).header = Header { abi: ABI_VERSION, kind: KIND_STEP };
        (*step).sequence = (*cell).sequence;
        (*step).mono_ns = bpf_ktime_get_ns();
        (*step).boot_ns = bpf_ktime_get_boot_ns();
        (*step).old = old;
        (*step).new = new;
        if let Some(in_flight) = request::current() {
            (*step).request = (*in_flight).request;
        } else {
            (*step).request = request::NONE;
            task::read_cmdline(&raw mut (*step).request.cmdline);
        }
        task::describe(&raw mut (*step).task);
        (*step).cpu = bpf_get_smp_processor_id();
        (*step).flags = flags;
        (*step).reserved = 0;
        (*step).stack = [0; STACK_DEPTH];
        let bytes = bpf_get_stack(ctx.as_ptr(), (&raw mut (*step).stack).cast(), (STACK_DEPTH * 8) as u32, 0);
        (*step).stack_len = if bytes > 0 { bytes.cast_unsigned() as u32 / 8 } else { 0 };
    }
    entry.submit(0);
}
