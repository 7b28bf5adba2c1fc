//! CPU time of containers, from their cgroups: the truth that runtimes' rates are compared with.
//!
//! `cpu.stat` (v2: `usage_usec`) or `cpuacct.usage` (v1, ns). Reading them moves nobody's baseline.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Container, Cpu, process::started_at};
use crate::{
    actor::workload,
    clock::{BootNs, Clocks},
};

/// Directories looked at before a walk is given up: far more than a node has cgroups.
const MAX_DIRECTORIES: usize = 100_000;
/// Processes of a container that are looked at.
const MOST_PROCESSES: usize = 64;
/// Readings closer together make no rate: kubelet's own are 10 s apart, ns.
const TOO_SOON_NS: u64 = 5_000_000_000;

/// Reads CPU time.
#[derive(Debug)]
pub struct CpuTimes {
    root: PathBuf,
    /// Where each container's cgroup is, and what it said last.
    known: HashMap<Arc<str>, Known>,
}

#[derive(Debug)]
struct Known {
    directory: PathBuf,
    last: Option<Cpu>,
}

impl CpuTimes {
    /// From the cgroups mounted at `mount`: v2, or `cpuacct` of v1.
    pub fn new(mount: &Path) -> Self {
        let v1 =
            ["cpuacct", "cpu,cpuacct"].map(|name| mount.join(name)).into_iter().find(|path| path.is_dir());
        Self { root: v1.unwrap_or_else(|| mount.to_owned()), known: HashMap::new() }
    }

    /// Notes for each of `containers` that runs what it has used. A rate needs a reading of some seconds before.
    pub fn read(&mut self, containers: &mut [Container], clocks: &impl Clocks) {
        let runs = |container: &&mut Container| container.runs();
        if containers.iter().any(|container| container.runs() && !self.known.contains_key(&container.id)) {
            self.find();
        }
        let mut known = HashMap::new();
        for container in containers.iter_mut().filter(runs) {
            let Some((id, mut cgroup)) = self.known.remove_entry(&container.id) else { continue };
            if let Some(usage_ns) = usage(&cgroup.directory) {
                let at = BootNs(clocks.boottime_ns());
                container.cpu = Some(next(&mut cgroup.last, usage_ns, at));
            }
            known.insert(id, cgroup);
        }
        // Whoever is gone is forgotten.
        self.known = known;
    }

    /// When the first of a container's processes that still run was started; nothing where they cannot be seen from here.
    pub fn started(&self, id: &str) -> Option<BootNs> {
        let known = self.known.get(id)?;
        let pids = fs::read_to_string(known.directory.join("cgroup.procs")).ok()?;
        let pids = pids.lines().filter_map(|pid| pid.parse::<u32>().ok()).filter(|pid| *pid > 0);
        pids.take(MOST_PROCESSES).filter_map(started_at).min()
    }

    /// Walks the tree for containers that are not known yet.
    fn find(&mut self) {
        let mut waiting = vec![self.root.clone()];
        let mut looked_at = 0;
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                looked_at += 1;
                if looked_at > MAX_DIRECTORIES {
                    return;
                }
                let name = entry.file_name();
                match name.to_str().and_then(|name| workload(name).container_id) {
                    // Cgroups below a container's are its own affair.
                    Some(id) => {
                        let directory = entry.path();
                        self.known.entry(id.into()).or_insert(Known { directory, last: None });
                    }
                    None => waiting.push(entry.path()),
                }
            }
        }
    }
}

/// The rate since `last`, and the next `last`: readings too close to it do not replace it.
fn next(last: &mut Option<Cpu>, usage_ns: u64, at: BootNs) -> Cpu {
    let rate = last.and_then(|last| {
        let passed = at.0.saturating_sub(last.at.0);
        let used = usage_ns.checked_sub(last.usage_ns)?;
        let rate = u128::from(used) * 1_000_000_000 / u128::from(passed.max(1));
        (passed >= TOO_SOON_NS).then(|| u64::try_from(rate).unwrap_or(u64::MAX))
    });
    match (*last, rate) {
        (Some(last), None) if usage_ns >= last.usage_ns => Cpu { usage_ns, at, nanocores: last.nanocores },
        _ => {
            let cpu = Cpu { usage_ns, at, nanocores: rate };
            *last = Some(cpu);
            cpu
        }
    }
}

fn usage(directory: &Path) -> Option<u64> {
    if let Ok(stat) = fs::read_to_string(directory.join("cpu.stat"))
        && let Some(usec) = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))
    {
        return usec.trim().parse::<u64>().ok()?.checked_mul(1000);
    }
    fs::read_to_string(directory.join("cpuacct.usage")).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::WallNs,
        node::{ContainerState, Pod},
    };

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    struct At(u64);

    impl Clocks for At {
        fn realtime_ns(&self) -> i64 {
            0
        }
        fn boottime_ns(&self) -> u64 {
            self.0
        }
        fn tai_ns(&self) -> i64 {
            0
        }
    }

    fn container(id: &str, state: ContainerState) -> Container {
        Container {
            id: id.into(),
            name: "c".into(),
            attempt: 0,
            pod: Pod::default(),
            state,
            created: WallNs(0),
            started: None,
            finished: None,
            born: BootNs(0),
            cpu: None,
        }
    }

    fn read(times: &mut CpuTimes, second: u64) -> Option<Cpu> {
        let mut containers =
            [container(ID, ContainerState::Running), container("gone", ContainerState::Exited)];
        times.read(&mut containers, &At(second * 1_000_000_000));
        assert_eq!(containers[1].cpu, None);
        containers[0].cpu
    }

    #[test]
    fn rates_of_both_hierarchies() {
        for (below, file, scale) in [
            (format!("kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"), "cpu.stat", 1000),
            (format!("cpuacct/kubepods/pod1/{ID}"), "cpuacct.usage", 1),
        ] {
            let root = tempfile::tempdir().unwrap();
            let directory = root.path().join(below);
            fs::create_dir_all(&directory).unwrap();
            let write = |ns: u64| {
                let text = if scale == 1 {
                    format!("{ns}\n")
                } else {
                    format!("usage_usec {}\nuser_usec 1\n", ns / scale)
                };
                fs::write(directory.join(file), text).unwrap();
            };
            write(1_000_000);
            let mut times = CpuTimes::new(root.path());
            assert_eq!(read(&mut times, 100).unwrap().nanocores, None, "{file}");
            write(3_001_000_000);
            assert_eq!(read(&mut times, 110).unwrap().nanocores, Some(300_000_000), "{file}");
            assert_eq!(read(&mut times, 110).unwrap().nanocores, Some(300_000_000), "too soon: as before");
            write(5);
            assert_eq!(read(&mut times, 120).unwrap().nanocores, None, "it went back: begun anew");
            fs::write(directory.join(file), "nonsense").unwrap();
            assert_eq!(read(&mut times, 130), None);
        }
    }

    #[test]
    fn a_node_without_cgroups_has_no_rates() {
        assert_eq!(read(&mut CpuTimes::new(Path::new("/nonexistent")), 1), None);
    }
}
