//! Joins what the kernel side recorded with what `/proc` and the cgroup tree still say.

use std::{os::unix::fs::MetadataExt, path::Path};

use detector_common::task::{CMDLINE_LEN, Cmdline, HAS_PARENT, Task};

use super::{Actor, ActorKind, CgroupTree, KnownFacts, Pod, ProcessFacts, read_process, workload};
use crate::clock::BootNs;

/// How long what was read of a process may serve again, ns: a process stepping in a loop is read once.
const FRESH_NS: u64 = 1_000_000_000;

/// Names actors.
#[derive(Debug)]
pub struct Resolver {
    cgroups: CgroupTree,
    /// Whether `/proc` is of the pid namespace that the kernel side's ids are of.
    sees_all_pids: bool,
    last: Option<(Identity, BootNs, Option<ProcessFacts>)>,
}

/// What a process cannot change without becoming another one, or being read again; and what was not read of it.
type Identity = (u32, u32, u64, [u8; 16], KnownFacts);

impl Resolver {
    /// Resolves by `/proc` and the cgroup tree at `cgroup_mount`.
    pub fn new(cgroup_mount: &Path) -> Self {
        Self { cgroups: CgroupTree::new(cgroup_mount), sees_all_pids: in_initial_pid_namespace(), last: None }
    }

    /// The process `task`, which did something at `at`. `cmdline`: as the kernel side read it, perhaps nothing.
    pub fn process(&mut self, task: &Task, cmdline: &Cmdline, at: BootNs) -> Actor {
        let has_parent = task.flags & HAS_PARENT != 0;
        let recorded_whole = recorded(cmdline).filter(|_| is_whole(cmdline));
        let known = KnownFacts { cmdline: recorded_whole.is_some(), parent: has_parent };
        let facts = self.facts(task, at, known);
        let by_id = || self.cgroups.path(task.cgroup_id).filter(|path| path != "/");
        let facts = facts.unwrap_or_default();
        let cgroup = facts.cgroup.clone().filter(|path| is_from_the_root(path)).or_else(by_id);
        let workload = workload(cgroup.as_deref().or(facts.cgroup.as_deref()).unwrap_or_default());
        Actor {
            kind: ActorKind::Process,
            pid: Some(task.tgid),
            tid: Some(task.tid),
            comm: Some(text(&task.comm)),
            exe: facts.exe,
            cmdline: recorded_whole.or(facts.cmdline).or_else(|| recorded(cmdline)),
            uid: Some(task.uid),
            gid: Some(task.gid),
            ppid: if has_parent { Some(task.ppid) } else { facts.ppid },
            parent_comm: if has_parent { Some(text(&task.parent_comm)) } else { facts.parent_comm },
            cgroup: cgroup.or_else(|| (task.cgroup_id == 1).then(|| "/".to_owned())),
            unit: workload.unit,
            container_id: workload.container_id,
            pod: workload.pod_uid.map(|uid| Pod { uid, ..Pod::default() }),
            function: None,
        }
    }

    fn facts(&mut self, task: &Task, at: BootNs, known: KnownFacts) -> Option<ProcessFacts> {
        let identity = (task.tgid, task.uid, task.cgroup_id, task.comm, known);
        match &self.last {
            Some((whose, read, facts)) if *whose == identity && at.0.abs_diff(read.0) < FRESH_NS => {
                facts.clone()
            }
            _ => {
                let facts = if self.sees_all_pids { read_process(task.tgid, at, known) } else { None };
                self.last = Some((identity, at, facts.clone()));
                facts
            }
        }
    }
}

/// `PROC_PID_INIT_INO`, include/linux/proc_ns.h. In another namespace (a container without hostPID) an id of the kernel
/// side's would be some other process's.
fn in_initial_pid_namespace() -> bool {
    std::fs::metadata("/proc/self/ns/pid").is_ok_and(|namespace| namespace.ino() == 0xEFFF_FFFC)
}

/// Whether a path in `/proc/PID/cgroup` says where the cgroup is. In a container it may lead there from the container's own
/// cgroup (cgroup_namespaces(7)): `/../../system.slice/chronyd.service`.
fn is_from_the_root(path: &str) -> bool {
    path != "/" && path != "/.." && !path.starts_with("/../")
}

/// Whether all of a command line was kept.
fn is_whole(cmdline: &Cmdline) -> bool {
    cmdline.len == cmdline.full_len
}

/// A NUL-padded name.
fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The command line as the kernel side read it.
fn recorded(cmdline: &Cmdline) -> Option<String> {
    let len = (cmdline.len as usize).min(CMDLINE_LEN);
    let bytes = &cmdline.bytes[..len];
    let end = bytes.iter().rposition(|&byte| byte != 0)? + 1;
    let arguments: Vec<_> = bytes[..end].split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
    let mut line = arguments.join(" ");
    if cmdline.full_len as usize > len {
        line.push('…');
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;

    fn cmdline(bytes: &[u8], full_len: u32) -> Cmdline {
        let mut kept = [0; CMDLINE_LEN];
        kept[..bytes.len()].copy_from_slice(bytes);
        Cmdline { len: u32::try_from(bytes.len()).unwrap(), full_len, bytes: kept }
    }

    #[test]
    fn recorded_command_lines() {
        assert_eq!(recorded(&cmdline(b"date\0-s\0@1\0", 11)).as_deref(), Some("date -s @1"));
        assert_eq!(recorded(&cmdline(b"date\0-s", 400)).as_deref(), Some("date -s…"));
        assert_eq!(recorded(&cmdline(b"a\xff", 2)).as_deref(), Some("a\u{fffd}"));
        assert_eq!(recorded(&cmdline(b"\0\0", 2)), None);
        assert_eq!(recorded(&cmdline(b"", 0)), None);
        let lying = Cmdline { len: u32::MAX, full_len: 0, bytes: [b'x'; CMDLINE_LEN] };
        assert_eq!(recorded(&lying).map(|line| line.len()), Some(CMDLINE_LEN));
    }

    #[test]
    fn paths_within_a_cgroup_namespace_are_not_taken_for_whole_ones() {
        for path in ["/", "/..", "/../../../..", "/../../pod1/ctr", "/../system.slice/chronyd.service"] {
            assert!(!is_from_the_root(path), "{path}");
        }
        for path in ["/system.slice/chronyd.service", "/..hidden", "/init.scope"] {
            assert!(is_from_the_root(path), "{path}");
        }
    }

    #[test]
    fn a_process_that_is_gone_keeps_what_was_recorded() {
        let mut task = Task::zeroed();
        task.tgid = u32::MAX;
        task.tid = 7;
        task.uid = 1000;
        task.comm[..4].copy_from_slice(b"date");
        task.parent_comm[..4].copy_from_slice(b"bash");
        task.ppid = 5;
        task.flags = HAS_PARENT;
        let mut resolver = Resolver::new(Path::new("/nonexistent"));
        let actor = resolver.process(&task, &cmdline(b"date\0-s\0@1\0", 11), BootNs(1));
        assert_eq!(actor.comm.as_deref(), Some("date"));
        assert_eq!(actor.cmdline.as_deref(), Some("date -s @1"));
        assert_eq!((actor.uid, actor.ppid), (Some(1000), Some(5)));
        assert_eq!(actor.parent_comm.as_deref(), Some("bash"));
        assert_eq!((actor.exe, actor.cgroup), (None, None));
    }

    #[test]
    fn a_process_that_is_there_is_read() {
        let mut task = Task::zeroed();
        task.tgid = std::process::id();
        let mut resolver = Resolver::new(Path::new("/sys/fs/cgroup"));
        resolver.sees_all_pids = true;
        let actor = resolver.process(&task, &Cmdline::zeroed(), BootNs(u64::MAX));
        assert!(actor.exe.is_some());
        assert!(actor.cmdline.is_some());
        assert!(actor.ppid.is_some());
    }
}
