//! Who is `current`.

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_current_uid_gid, bpf_probe_read_kernel,
    generated::{
        bpf_get_current_cgroup_id, bpf_get_current_comm, bpf_get_current_task, bpf_get_current_task_btf,
        bpf_probe_read_user,
    },
};
use detector_common::task::{
    CMDLINE_LEN, COMM_LEN, Cmdline, HAS_PARENT, KERNEL_THREAD, MM_KNOWN, READ_NOT, READ_TYPED, Task,
};

use crate::layout::{
    MM_ARG_END, MM_ARG_START, TASK_COMM, TASK_MM, TASK_READ, TASK_REAL_PARENT, TASK_TGID, USER_READ,
    member_at,
};

/// Describes `current` into `task`, every byte of it.
///
/// # Safety
/// `task` is valid for writes and aligned to 8.
#[inline(always)]
pub unsafe fn describe(task: *mut Task) {
    let pid_tgid = bpf_get_current_pid_tgid();
    let uid_gid = bpf_get_current_uid_gid();
    let mut flags = 0;
    let mut ppid = 0;
    let mut parent_comm = [0_u64; 2];
    if TASK_READ.load() != READ_NOT {
        let parent: *const u8 = read(current(), TASK_REAL_PARENT.load());
        ppid = read::<u32>(parent, TASK_TGID.load());
        let comm = TASK_COMM.load();
        parent_comm = [read(parent, comm), read(parent, comm + 8)];
        flags = HAS_PARENT | MM_KNOWN;
        if arguments().0 == 0 {
            flags |= KERNEL_THREAD;
        }
    }
    unsafe {
        (*task).tgid = (pid_tgid >> 32) as u32;
        (*task).tid = pid_tgid as u32;
        (*task).uid = uid_gid as u32;
        (*task).gid = (uid_gid >> 32) as u32;
        (*task).ppid = ppid;
        (*task).flags = flags;
        (*task).cgroup_id = bpf_get_current_cgroup_id();
        bpf_get_current_comm((&raw mut (*task).comm).cast(), COMM_LEN as u32);
        (&raw mut (*task).parent_comm).cast::<[u64; 2]>().write(parent_comm);
    }
}

/// Reads the beginning of `current`'s command line into `cmdline`, every byte of it.
///
/// # Safety
/// `cmdline` is valid for writes.
#[inline(always)]
pub unsafe fn read_cmdline(cmdline: *mut Cmdline) {
    unsafe { cmdline.write(Cmdline { len: 0, full_len: 0, bytes: [0; CMDLINE_LEN] }) };
    if TASK_READ.load() == READ_NOT || USER_READ.load() == 0 {
        return;
    }
    let (start, end) = arguments();
    let full = end.wrapping_sub(start);
    if start == 0 || full == 0 || full > u64::from(u32::MAX) {
        return;
    }
    // Two reads with a constant and a masked length: the verifier of 5.10 follows both.
    unsafe {
        let bytes: *mut u8 = (&raw mut (*cmdline).bytes).cast();
        let (len, failed) = if full >= CMDLINE_LEN as u64 {
            (CMDLINE_LEN as u32, bpf_probe_read_user(bytes.cast(), CMDLINE_LEN as u32, start as *const _))
        } else {
            let len = (full as u32) & (CMDLINE_LEN as u32 - 1);
            (len, bpf_probe_read_user(bytes.cast(), len, start as *const _))
        };
        if failed == 0 {
            (*cmdline).len = len;
            (*cmdline).full_len = full as u32;
        }
    }
}

/// `mm->arg_start`, `mm->arg_end`; both 0 for a kernel thread, which has no `mm`.
#[inline(always)]
fn arguments() -> (u64, u64) {
    let mm: *const u8 = read(current(), TASK_MM.load());
    (read(mm, MM_ARG_START.load()), read(mm, MM_ARG_END.load()))
}

/// `current`, as the reading that was chosen wants it.
#[inline(always)]
pub fn current() -> *const u8 {
    unsafe {
        if TASK_READ.load() == READ_TYPED {
            bpf_get_current_task_btf() as *const u8
        } else {
            bpf_get_current_task() as *const u8
        }
    }
}

/// Reads a member of a task or of its memory descriptor. A null or stale pointer reads as 0.
#[inline(always)]
pub fn read<T: Copy>(base: *const u8, offset: u32) -> T {
    unsafe {
        if TASK_READ.load() == READ_TYPED {
            member_at(base, offset)
        } else {
            bpf_probe_read_kernel(base.add(offset as usize).cast::<T>()).unwrap_or(core::mem::zeroed())
        }
    }
}
