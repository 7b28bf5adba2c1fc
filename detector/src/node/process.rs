//! Processes: kubelet's and the runtime's, when they started, and when they end.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    path::Path,
};

use procfs::process::Process as ProcProcess;
use rustix::{
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
        sockopt::socket_peercred,
    },
    process::{Pid, PidfdFlags, pidfd_open},
};
use tokio::io::unix::AsyncFd;

use super::Process;
use crate::{actor::workload, clock::BootNs, sys};

/// kubelet by the names of its processes: itself; microk8s's; k3s's and rke2's, which hold it.
const KUBELETS: [&str; 6] = ["kubelet", "kubelite", "k3s-server", "k3s-agent", "k3s", "rke2"];

/// The kubelet of this node, as far as its process can be seen: by its name, the likelier first, then by pid.
pub fn find_kubelet() -> Option<Process> {
    let candidates = named(&KUBELETS).filter_map(|(rank, pid)| {
        let process = ProcProcess::new(pid).ok()?;
        // Anybody may call a process so.
        process.uid().ok().filter(|uid| *uid == 0)?;
        Some((rank, pid, process))
    });
    let (.., process) = candidates.min_by_key(|(rank, pid, _)| (*rank, *pid))?;
    read(&process)
}

/// Names of processes that are an apiserver, or hold one.
const APISERVERS: [&str; 3] = ["kube-apiserver", "kubelite", "k3s-server"];

/// Whether an apiserver runs on this node, as far as its process can be seen.
pub fn apiserver_is_here() -> bool {
    named(&APISERVERS).next().is_some()
}

/// The processes with one of these names: which one it is, and the pid. A node without any of them is searched once a minute,
/// so each process costs no more than its name.
fn named<'a>(names: &'a [&str]) -> impl Iterator<Item = (usize, i32)> + use<'a> {
    let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        // 15 characters and a newline at most (TASK_COMM_LEN, include/linux/sched.h).
        let mut comm = [0; 16];
        let length = File::open(format!("/proc/{pid}/comm")).ok()?.read(&mut comm).ok()?;
        let name = comm[..length].strip_suffix(b"\n")?;
        Some((names.iter().position(|wanted| wanted.as_bytes() == name)?, pid))
    })
}

/// Whether an apiserver runs within this process.
pub fn holds_apiserver(process: Process) -> bool {
    let found = i32::try_from(process.pid).ok().and_then(|pid| ProcProcess::new(pid).ok()?.stat().ok());
    found.is_some_and(|stat| APISERVERS.contains(&&*stat.comm))
}

/// The words of a process's command line.
pub fn command_line(process: Process) -> Vec<String> {
    let pid = i32::try_from(process.pid).unwrap_or(0);
    ProcProcess::new(pid).and_then(|process| process.cmdline()).unwrap_or_default()
}

/// The value of a flag: `--flag=value` or `--flag value`.
pub fn flag<'a>(words: &'a [String], flag: &str) -> Option<&'a str> {
    words.iter().enumerate().find_map(|(at, word)| match word.strip_prefix(flag)? {
        "" => words.get(at + 1).map(String::as_str),
        rest => rest.strip_prefix('='),
    })
}

/// Who listens at a socket, by its peer credentials: they are those of whoever called `listen`. Nothing where that is
/// another pid namespace's, or systemd's own.
pub fn listener(socket: &Path) -> io::Result<Option<Process>> {
    // One whose queue is full would keep us waiting for as long as it hangs.
    let stream = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::NONBLOCK | SocketFlags::CLOEXEC,
        None,
    )?;
    connect(&stream, &SocketAddrUnix::new(socket)?)?;
    let pid = socket_peercred(&stream)?.pid.as_raw_pid();
    if pid <= 1 {
        return Ok(None);
    }
    Ok(ProcProcess::new(pid).ok().as_ref().and_then(read))
}

/// The systemd unit that runs a process, if one does; its own, not that of a container in it.
pub fn unit(process: Process) -> Option<String> {
    let paths = std::fs::read_to_string(format!("/proc/{}/cgroup", process.pid)).ok()?;
    // cgroups(7): `hierarchy:controllers:path`. Of v1 systemd's own hierarchy comes among the others.
    let paths = paths.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.map(workload).find(|found| found.pod_uid.is_none()).and_then(|found| found.unit)
}

/// When a process was started, ns since boot.
pub fn started_at(pid: u32) -> Option<BootNs> {
    let process = ProcProcess::new(i32::try_from(pid).ok()?).ok()?;
    read(&process).map(|process| process.started)
}

fn read(process: &ProcProcess) -> Option<Process> {
    let stat = process.stat().ok()?;
    let tick = rustix::param::clock_ticks_per_second().max(1);
    // proc(5): `starttime` counts from boot, suspend included.
    let started = BootNs(stat.starttime.saturating_mul(1_000_000_000 / tick));
    Some(Process { pid: u32::try_from(stat.pid).ok()?, started })
}

/// Tells when a process ends, without looking.
#[derive(Debug)]
pub struct Watched {
    /// The process.
    pub process: Process,
    descriptor: AsyncFd<OwnedFd>,
}

impl Watched {
    /// Watches `process`. Must be called within a tokio runtime. An error if it has ended already, or where the kernel
    /// (before 5.3) cannot tell.
    pub fn new(process: Process) -> io::Result<Self> {
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let descriptor = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(Self { process, descriptor: sys::readable(descriptor)? })
    }

    /// Completes when it has ended.
    pub async fn ended(&self) {
        // An error here means that the runtime ends.
        let _ = self.descriptor.readable().await;
    }
}

/// What a file descriptor of a process is open on, such as its log.
pub fn descriptor_target(process: Process, descriptor: u32) -> io::Result<std::path::PathBuf> {
    std::fs::read_link(format!("/proc/{}/fd/{descriptor}", process.pid))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::clock::{Clocks, SystemClocks};

    #[test]
    fn whoever_listens_is_known() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let _listening = UnixListener::bind(&path).unwrap();
        let found = listener(&path).unwrap().unwrap();
        assert_eq!(found.pid, std::process::id());
        assert!(found.started.0 > 0 && found.started.0 <= SystemClocks.boottime_ns());
        assert!(listener(&directory.path().join("none")).is_err());
    }

    #[test]
    fn nobody_waits_in_a_full_queue() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listening =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        rustix::net::bind(&listening, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&listening, 0).unwrap();
        let _waiting = std::os::unix::net::UnixStream::connect(&path).unwrap();
        assert_eq!(listener(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[tokio::test]
    async fn the_end_of_a_process_is_told() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process { pid: child.id(), started: BootNs(0) };
        let watched = Watched::new(process).unwrap();
        let ended = tokio::time::timeout(std::time::Duration::from_millis(50), watched.ended()).await;
        assert!(ended.is_err(), "it lives");
        child.kill().unwrap();
        child.wait().unwrap();
        watched.ended().await;
    }
}
