//! Which system calls a thread may not make.
//!
//! A list of what is forbidden, not of what is allowed: that would be of glibc's, SQLite's and tokio's making, and break with any of
//! them on a node that nobody watches. What is forbidden is what turns a daemon that misbehaves into somebody else's tool. A call
//! that is refused fails with `EPERM`, which is told like any refusal of the kernel; nothing is killed.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

use super::Duty;

/// Another program, another process's memory, other namespaces and mounts, the kernel's modules, the machine, the clock, keys,
/// other users, and what has a history of holes.
const NEVER: &[libc::c_long] = &[
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_capset,
    libc::SYS_personality,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
];
/// What opens files by name.
const OPENING: &[libc::c_long] = &[libc::SYS_openat, libc::SYS_openat2];
/// The capture's alone.
const HOOKS: &[libc::c_long] = &[libc::SYS_bpf, libc::SYS_perf_event_open];
/// Local sockets, TCP over IPv4 and IPv6, and netlink, by which names are resolved.
const FAMILIES: &[i32] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
pub(super) enum FilterError {
    /// This machine's processor is one that nobody wrote it for.
    #[error("not for this processor")]
    Processor,
    /// It cannot be made.
    #[error(transparent)]
    Made(#[from] BackendError),
    /// The kernel does not take it: one that is built without `CONFIG_SECCOMP_FILTER`.
    #[error(transparent)]
    Applied(#[from] seccompiler::Error),
}

/// What is forbidden to a thread.
pub(super) struct Filter {
    calls: Vec<libc::c_long>,
    /// To make memory executable: names are resolved by libraries, where glibc finds any.
    code: bool,
}

impl Filter {
    pub(super) fn of(duty: Duty) -> Self {
        let mut calls = NEVER.to_vec();
        if duty != Duty::Capture {
            calls.extend(HOOKS);
        }
        if duty != Duty::NodeAndJournal {
            calls.push(libc::SYS_execve);
        }
        Self { calls, code: duty == Duty::Tell }
    }

    /// No file by its name; nothing else.
    pub(super) fn against_opening() -> Self {
        Self { calls: OPENING.to_vec(), code: false }
    }

    /// For this thread and those that it starts from now on.
    pub(super) fn apply(&self) -> Result<(), FilterError> {
        Ok(apply_filter(&self.program()?)?)
    }

    fn program(&self) -> Result<BpfProgram, FilterError> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|_unknown| FilterError::Processor)?;
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
            self.calls.iter().map(|call| (*call, Vec::new())).collect();
        rules.insert(libc::SYS_socket, vec![foreign_family()?]);
        if self.code {
            for call in [libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_pkey_mprotect] {
                rules.insert(call, vec![executable()?]);
            }
        }
        let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)?;
        Ok(filter.try_into()?)
    }
}

/// `socket(2)` with a family that is none of ours.
fn foreign_family() -> Result<SeccompRule, BackendError> {
    let families = FAMILIES.iter().map(|family| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()))
    });
    SeccompRule::new(families.collect::<Result<_, _>>()?)
}

/// `PROT_EXEC` in the third argument, where all three calls have it.
fn executable() -> Result<SeccompRule, BackendError> {
    let bit = u64::from(libc::PROT_EXEC.unsigned_abs());
    let condition = SeccompCondition::new(2, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(bit), bit)?;
    SeccompRule::new(vec![condition])
}

#[cfg(test)]
mod tests {
    use std::{fs, io, process::Command, thread};

    use rustix::net::{AddressFamily, SocketType, socket};

    use super::*;

    /// What a thread of that duty finds.
    fn within<T: Send + 'static>(duty: Duty, look: impl FnOnce() -> T + Send + 'static) -> T {
        let thread = thread::spawn(move || {
            rustix::thread::set_no_new_privs(true).unwrap();
            Filter::of(duty).apply().unwrap();
            look()
        });
        thread.join().unwrap()
    }

    fn starts() -> io::Result<()> {
        Command::new("/proc/self/exe").arg("--list").output().map(drop)
    }

    #[test]
    fn one_duty_alone_starts_programs() {
        for duty in [Duty::Capture, Duty::Tell, Duty::Node] {
            let refused = within(duty, starts).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied, "{duty:?}");
        }
        within(Duty::NodeAndJournal, starts).unwrap();
        starts().unwrap();
    }

    #[test]
    fn sockets_are_of_the_families_that_it_speaks() {
        let open = |family| socket(family, SocketType::STREAM, None).map(drop);
        for duty in [Duty::Capture, Duty::Tell, Duty::Node, Duty::NodeAndJournal] {
            for family in [AddressFamily::UNIX, AddressFamily::INET] {
                within(duty, move || open(family)).unwrap();
            }
            let refused = within(duty, move || open(AddressFamily::PACKET)).unwrap_err();
            assert_eq!(refused, rustix::io::Errno::PERM, "{duty:?}");
        }
    }

    #[test]
    fn what_is_its_daily_work_goes_on() {
        for duty in [Duty::Capture, Duty::Tell, Duty::Node, Duty::NodeAndJournal] {
            let read = within(duty, || {
                let at_work = thread::spawn(|| fs::read_to_string("/proc/self/stat"));
                at_work.join().unwrap()
            });
            assert!(!read.unwrap().is_empty(), "{duty:?}");
        }
    }

    #[test]
    fn a_barred_thread_opens_nothing() {
        let opens = || fs::read("/proc/self/stat").map(drop);
        let refused = super::super::without_opening(opens).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        opens().unwrap();
        assert_eq!(super::super::without_opening(|| 7), 7);
    }

    #[test]
    fn memory_that_is_told_from_is_no_code() {
        let allocate = || Vec::<u8>::with_capacity(32 << 20).capacity();
        assert!(within(Duty::Tell, allocate) >= 32 << 20);
        assert!(Filter::of(Duty::Tell).code && !Filter::of(Duty::Node).code);
    }
}
