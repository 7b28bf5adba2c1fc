//! kubelet's eviction manager, as far as it asks the runtime: each ten seconds, whatever the wall clock does.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::containerd::Containerd;
use super::kubelet_cache::{KubeletCache, NoInterval, Usage};
use super::pod::Pod;
use super::sample::{Entry, Sample};
use crate::guard::InGuest;
use crate::step::Way;
use crate::sys::SECOND;
use crate::sys::clock::{boot_ns, wall_ns};

/// How often it asks.
const PERIOD_NS: i64 = 10 * SECOND;

/// One container in one answer, and what kubelet makes of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The answer.
    pub sample: Sample,
    /// The rate that its cache gives, or the error that it logs.
    pub kubelet: Result<Option<u64>, NoInterval>,
}

/// Asks for the statistics of some pods, keeps kubelet's cache with them, and records what comes.
#[derive(Debug)]
pub struct Eviction {
    pods: Vec<Pod>,
    cache: KubeletCache,
    due_ns: i64,
    record: Vec<Entry>,
    log: PathBuf,
}

impl Eviction {
    /// Begins at once. Errors go to the file `log`, as kubelet logs them.
    pub fn begin(containerd: &Containerd, pods: &[Pod], log: PathBuf) -> Result<Self> {
        fs::write(&log, "I0601 08:01:00.000000       1 server.go:1] Started kubelet\n")
            .with_context(|| log.display().to_string())?;
        let cri = &containerd.cri;
        let runtime = Entry::Runtime { version: cri.runtime_version.clone(), cri: cri.package().to_owned() };
        let cache = KubeletCache::default();
        Ok(Self { pods: pods.to_vec(), cache, due_ns: boot_ns(), record: vec![runtime], log })
    }

    /// Waits until it is time to, and asks. One answer a pod, in the order of the pods.
    pub fn poll(&mut self, containerd: &mut Containerd) -> Result<Vec<Seen>> {
        let wait = u64::try_from(self.due_ns - boot_ns()).unwrap_or(0);
        sleep(Duration::from_nanos(wait));
        let (boot_ns, wall_ns) = (boot_ns(), wall_ns());
        // From here, as kubelet does: what comes late is not made up for.
        self.due_ns = boot_ns + PERIOD_NS;
        let stats = containerd.cri.list_container_stats()?;
        let sample = |pod: &Pod| {
            let of = |id: &str| id == pod.container;
            let of_pod = stats.iter().find(|stats| stats.attributes.as_ref().is_some_and(|a| of(&a.id)));
            let cpu = of_pod.and_then(|stats| stats.cpu.as_ref());
            let cpu = cpu.with_context(|| format!("no CPU statistics of pod {}: {stats:?}", pod.name))?;
            Ok(Sample {
                boot_ns,
                wall_ns,
                pod: pod.name.to_owned(),
                container: pod.container.clone(),
                timestamp_ns: cpu.timestamp,
                usage_core_ns: cpu.usage_core_nano_seconds.as_ref().map(|usage| usage.value),
                usage_nano_cores: cpu.usage_nano_cores.as_ref().map(|usage| usage.value),
            })
        };
        let samples = self.pods.iter().map(sample).collect::<Result<Vec<_>>>()?;
        self.record.extend(samples.iter().cloned().map(Entry::Sample));
        let seen: Vec<_> = samples.into_iter().map(|sample| self.enter(sample)).collect();
        self.cache.forget_outdated(wall_ns);
        let mut log = File::options().append(true).open(&self.log)?;
        for error in seen.iter().filter_map(|seen| seen.kubelet.err()) {
            writeln!(
                log,
                "E0601 08:06:36.140694       1 cri_stats_provider.go:691] failed updating cpu usage nano core: {error}"
            )?;
        }
        Ok(seen)
    }

    fn enter(&mut self, sample: Sample) -> Seen {
        let usage = Usage {
            timestamp_ns: sample.timestamp_ns,
            core_ns: sample.usage_core_ns,
            nano_cores: sample.usage_nano_cores,
        };
        Seen { kubelet: self.cache.update(&sample.container, usage), sample }
    }

    /// Steps the wall clock.
    pub fn step(&mut self, guest: &InGuest, delta_ns: i64) -> Result<()> {
        // A poll that is about to come would make it a race which of the two is first.
        let left_ns = self.due_ns - boot_ns();
        ensure!(left_ns > SECOND, "only {left_ns} ns to the next poll");
        Way::AdjtimexNano.perform(guest, delta_ns).context("step the clock")?;
        self.record.push(Entry::Step { boot_ns: boot_ns(), delta_ns });
        Ok(())
    }

    /// What kubelet tells whoever asks it for a container's rate meanwhile.
    pub fn read(&self, container: &str) -> Option<u64> {
        self.cache.read(container)
    }

    /// All that came so far.
    pub fn record(&self) -> &[Entry] {
        &self.record
    }
}
