//! Where members lie in this kernel's structures, in bytes, written by user space from BTF before loading.
//!
//! They are frozen .rodata, so that the verifier sees constants: a dereference of a typed pointer takes nothing
//! else, and a branch on a 0 ("not known on this kernel") is gone before the code behind it is looked at.

use core::ptr;

use aya_ebpf::Global;

/// `timekeeper::offs_real`.
#[unsafe(no_mangle)]
pub static TK_OFFS_REAL: Global<u32> = Global::new(0);
/// `timekeeper::offs_boot`.
#[unsafe(no_mangle)]
pub static TK_OFFS_BOOT: Global<u32> = Global::new(0);
/// `timekeeper::tai_offset`.
#[unsafe(no_mangle)]
pub static TK_TAI_OFFSET: Global<u32> = Global::new(0);
/// Whether user memory may be read (`bpf_probe_read_user`).
#[unsafe(no_mangle)]
pub static USER_READ: Global<u32> = Global::new(1);
/// How `task_struct` is read: one of `detector_common::task::{READ_NOT, READ_TYPED, READ_PROBE}`.
#[unsafe(no_mangle)]
pub static TASK_READ: Global<u32> = Global::new(0);
/// `task_struct::real_parent`.
#[unsafe(no_mangle)]
pub static TASK_REAL_PARENT: Global<u32> = Global::new(0);
/// `task_struct::tgid`.
#[unsafe(no_mangle)]
pub static TASK_TGID: Global<u32> = Global::new(0);
/// `task_struct::comm`.
#[unsafe(no_mangle)]
pub static TASK_COMM: Global<u32> = Global::new(0);
/// `task_struct::mm`.
#[unsafe(no_mangle)]
pub static TASK_MM: Global<u32> = Global::new(0);
/// `mm_struct::arg_start`.
#[unsafe(no_mangle)]
pub static MM_ARG_START: Global<u32> = Global::new(0);
/// `mm_struct::arg_end`.
#[unsafe(no_mangle)]
pub static MM_ARG_END: Global<u32> = Global::new(0);
/// `task_struct::thread_info.status`, plus one since it may be at 0; 0 is not known.
#[unsafe(no_mangle)]
pub static TASK_STATUS_PLUS_ONE: Global<u32> = Global::new(0);

/// Reads a member of a kernel structure.
///
/// # Safety
/// `base` is a pointer whose type the verifier knows, and a `T` lies `offset` bytes in. A null or stale pointer
/// reads as 0 (the kernel's exception table), it does not fault.
#[inline(always)]
pub unsafe fn member<T: Copy>(base: *const u8, offset: &Global<u32>) -> T {
    unsafe { member_at(base, offset.load()) }
}

/// As [`member`], with the offset at hand.
///
/// # Safety
/// As [`member`].
#[inline(always)]
pub unsafe fn member_at<T: Copy>(base: *const u8, offset: u32) -> T {
    // Volatile: a plain read may be split, merged or reordered into something the verifier cannot type.
    unsafe { ptr::read_volatile(base.add(offset as usize).cast::<T>()) }
}
