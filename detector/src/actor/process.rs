//! What `/proc/PID` says of a process that is still there.

use procfs::{
    FromRead, ProcError, ProcessCGroups,
    process::{Process, Stat},
};

use crate::clock::BootNs;

/// What is read of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessFacts {
    /// Path of the executable.
    pub exe: Option<String>,
    /// Command line, arguments joined by blanks.
    pub cmdline: Option<String>,
    /// Parent's process id.
    pub ppid: Option<u32>,
    /// Parent's name.
    pub parent_comm: Option<String>,
    /// Path of the cgroup: the default hierarchy's, or on v1 the one of the first controller that knows more than `/`.
    pub cgroup: Option<String>,
}

/// Characters kept of a command line: a process may make its own megabytes long.
const CMDLINE_CHARS: usize = 512;

/// What need not be read, as it is known already: a jump waits while it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownFacts {
    /// The whole command line.
    pub cmdline: bool,
    /// The parent's id and name.
    pub parent: bool,
}

/// Reads process `pid`, which did something at `at`, but for what is `known`; nothing if it is gone, or if the id belongs to a
/// process that began later.
pub fn read_process(pid: u32, at: BootNs, known: KnownFacts) -> Option<ProcessFacts> {
    let process = Process::new(i32::try_from(pid).ok()?).ok()?;
    let stat = process.stat().ok()?;
    if started_after(&stat, at) {
        return None;
    }
    let cmdline = if known.cmdline { None } else { process.cmdline().ok() };
    let cmdline = cmdline.filter(|arguments| !arguments.is_empty());
    let parent_comm = if known.parent { None } else { parent_comm(&stat, at) };
    Some(ProcessFacts {
        exe: process.exe().ok().map(|path| path.to_string_lossy().into_owned()),
        cmdline: cmdline.map(|arguments| shortened(arguments.join(" ").trim_end())),
        ppid: u32::try_from(stat.ppid).ok(),
        parent_comm,
        cgroup: cgroup(&process).ok().flatten(),
    })
}

fn shortened(cmdline: &str) -> String {
    match cmdline.char_indices().nth(CMDLINE_CHARS) {
        Some((end, _)) => format!("{}…", &cmdline[..end]),
        None => cmdline.to_owned(),
    }
}

fn parent_comm(stat: &Stat, at: BootNs) -> Option<String> {
    let parent = Process::new(stat.ppid).ok()?.stat().ok()?;
    (!started_after(&parent, at)).then_some(parent.comm)
}

/// `starttime` is in ticks since boot, rounded down.
fn started_after(stat: &Stat, at: BootNs) -> bool {
    let ticks_per_second = procfs::ticks_per_second().max(1);
    stat.starttime.saturating_mul(1_000_000_000 / ticks_per_second) > at.0
}

fn cgroup(process: &Process) -> Result<Option<String>, ProcError> {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut process.open_relative("cgroup")?, &mut text)?;
    Ok(main_cgroup(&ProcessCGroups::from_read(text.as_bytes())?))
}

fn main_cgroup(groups: &ProcessCGroups) -> Option<String> {
    let unified = groups.0.iter().find(|group| group.hierarchy == 0).map(|group| group.pathname.as_str());
    // On a hybrid node the unified tree may know nothing of containers.
    let named = || groups.0.iter().map(|group| group.pathname.as_str()).find(|path| *path != "/");
    match unified {
        Some(path) if path != "/" => Some(path.to_owned()),
        other => named().or(other).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(text: &str) -> ProcessCGroups {
        ProcessCGroups::from_read(text.as_bytes()).unwrap()
    }

    fn read(pid: u32, at: BootNs) -> Option<ProcessFacts> {
        read_process(pid, at, KnownFacts::default())
    }

    #[test]
    fn own_process() {
        let facts = read(std::process::id(), BootNs(u64::MAX)).unwrap();
        assert!(facts.exe.unwrap().contains("timejump"));
        assert!(facts.cmdline.is_some());
        assert!(facts.parent_comm.is_some());
    }

    #[test]
    fn what_is_known_is_not_read() {
        let known = KnownFacts { cmdline: true, parent: true };
        let facts = read_process(std::process::id(), BootNs(u64::MAX), known).unwrap();
        assert!(facts.exe.is_some());
        assert_eq!((facts.cmdline, facts.parent_comm), (None, None));
    }

    #[test]
    fn a_process_that_began_later_is_another_one() {
        assert_eq!(read(std::process::id(), BootNs(0)), None);
    }

    #[test]
    fn long_command_lines_are_cut() {
        assert_eq!(shortened("date -s"), "date -s");
        assert_eq!(shortened(&"ä".repeat(CMDLINE_CHARS + 1)).chars().count(), CMDLINE_CHARS + 1);
    }

    #[test]
    fn no_such_process() {
        assert_eq!(read(u32::MAX, BootNs(0)), None);
        assert_eq!(read(0, BootNs(u64::MAX)), None);
    }

    #[test]
    fn the_hierarchy_that_knows() {
        assert_eq!(
            main_cgroup(&groups("0::/system.slice/a.service\n")).as_deref(),
            Some("/system.slice/a.service")
        );
        let hybrid = "4:memory:/kubepods/pod1/c\n1:name=systemd:/kubepods/pod1/c\n0::/\n";
        assert_eq!(main_cgroup(&groups(hybrid)).as_deref(), Some("/kubepods/pod1/c"));
        assert_eq!(main_cgroup(&groups("0::/\n")).as_deref(), Some("/"));
        assert_eq!(main_cgroup(&groups("")), None);
    }
}
