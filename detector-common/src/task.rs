//! The task that was `current`.

/// Bytes of a task's name, `TASK_COMM_LEN`.
pub const COMM_LEN: usize = 16;
/// Bytes kept of a command line.
pub const CMDLINE_LEN: usize = 128;

/// `task_struct` is not read: its layout is not known.
pub const READ_NOT: u32 = 0;
/// `task_struct` is read by its type (`bpf_get_current_task_btf`, from 5.11).
pub const READ_TYPED: u32 = 1;
/// `task_struct` is read by `bpf_probe_read_kernel` (5.10, where nothing is locked down).
pub const READ_PROBE: u32 = 2;

/// [`Task::flags`]: `ppid` and `parent_comm` are known.
pub const HAS_PARENT: u32 = 1;
/// [`Task::flags`]: the task has no user memory: it is a kernel thread.
pub const KERNEL_THREAD: u32 = 1 << 1;
/// [`Task::flags`]: whether the task is a kernel thread was looked at.
pub const MM_KNOWN: u32 = 1 << 2;

/// Who was `current`, taken in the kernel, so that it outlives the process.
#[repr(C)]
#[cfg_attr(feature = "user", derive(bytemuck::AnyBitPattern))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Process id (`task_struct::tgid`), initial pid namespace.
    pub tgid: u32,
    /// Thread id (`task_struct::pid`), initial pid namespace.
    pub tid: u32,
    /// Real user id, initial user namespace.
    pub uid: u32,
    /// Real group id, initial user namespace.
    pub gid: u32,
    /// Parent's process id, where [`HAS_PARENT`].
    pub ppid: u32,
    /// `HAS_PARENT`, `KERNEL_THREAD`, `MM_KNOWN`.
    pub flags: u32,
    /// Id of the task's cgroup in the default (v2) hierarchy: the inode of its directory. 1 is the root.
    pub cgroup_id: u64,
    /// Name, NUL-padded.
    pub comm: [u8; COMM_LEN],
    /// Parent's name, NUL-padded, where [`HAS_PARENT`].
    pub parent_comm: [u8; COMM_LEN],
}

/// The beginning of a command line as `/proc/PID/cmdline` shows it: arguments separated by NUL.
#[repr(C)]
#[cfg_attr(feature = "user", derive(bytemuck::AnyBitPattern))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cmdline {
    /// Bytes of `bytes` in use; 0 where it could not be read.
    pub len: u32,
    /// The whole length in the process, which may be more than is kept.
    pub full_len: u32,
    /// The first [`CMDLINE_LEN`] bytes.
    pub bytes: [u8; CMDLINE_LEN],
}

const _: () = assert!(size_of::<Task>() == 64);
const _: () = assert!(size_of::<Cmdline>() == 136);
