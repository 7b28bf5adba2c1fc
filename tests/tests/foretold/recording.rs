//! Recordings, played back: at each answer of the runtime what was known by then.

use std::collections::HashMap;

use timejump::{
    clock::{BootNs, OffsetNs, WallNs},
    ledger::{Timeline, Turn},
    node::{Cpu, cri},
};
use timejump_tests::node::sample::{Entry, Sample};

/// A recording.
pub struct Recording {
    /// The runtime's version.
    pub version: String,
    /// All answers, the oldest first.
    pub answers: Vec<Answer>,
}

/// One answer of the runtime: all containers.
pub struct Answer {
    /// When it was asked.
    pub at: BootNs,
    /// When it was asked before.
    pub before: BootNs,
    /// What the wall clock showed.
    pub wall: WallNs,
    /// The jumps up to now.
    pub timeline: Timeline,
    /// One sample a container.
    pub samples: Vec<Taken>,
}

/// A sample of one container.
pub struct Taken {
    /// As recorded.
    pub sample: Sample,
    /// When its stamp is of.
    pub at: BootNs,
    /// What the container has used: the runtime's counter is the cgroup's, and boot time is not stepped.
    pub cpu: Cpu,
}

impl Recording {
    /// Reads one.
    pub fn read(lines: &str) -> Self {
        let entries: Vec<Entry> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let mut recording = Self { version: String::new(), answers: Vec::new() };
        let mut timeline = Timeline::new(offset(&entries));
        let mut jumps = 0;
        let mut last: HashMap<String, Cpu> = HashMap::new();
        for entry in entries {
            match entry {
                Entry::Runtime { version, .. } => recording.version = version,
                Entry::Step { boot_ns, delta_ns } => {
                    jumps += 1;
                    let old = timeline.now().offset;
                    let new = OffsetNs(old.0 + delta_ns);
                    timeline.enter(Turn { jump: jumps, at: boot(boot_ns), old, new });
                }
                Entry::Sample(sample) => {
                    let answer = recording.answer(&sample, &timeline);
                    let stamp = WallNs(sample.timestamp_ns.into());
                    let at = timeline.boot_at(stamp).unwrap();
                    let before = last.get(&sample.container);
                    let cpu = used(&sample, at, before);
                    last.insert(sample.container.clone(), cpu);
                    answer.samples.push(Taken { sample, at, cpu });
                }
            }
        }
        recording
    }

    fn answer(&mut self, sample: &Sample, timeline: &Timeline) -> &mut Answer {
        let at = boot(sample.boot_ns);
        let before = self.answers.last().map_or(BootNs(0), |answer| answer.at);
        if before != at {
            let wall = WallNs(sample.wall_ns.into());
            self.answers.push(Answer { at, before, wall, timeline: timeline.clone(), samples: Vec::new() });
        }
        self.answers.last_mut().unwrap()
    }
}

impl Answer {
    /// The sample of that pod's container.
    pub fn of(&self, pod: &str) -> &Taken {
        self.samples.iter().find(|taken| taken.sample.pod == pod).unwrap()
    }
}

impl Taken {
    /// The stamp.
    pub fn stamp(&self) -> WallNs {
        WallNs(self.sample.timestamp_ns.into())
    }

    /// As the daemon would have been answered.
    pub fn cri(&self) -> cri::Sample {
        cri::Sample {
            container_id: self.sample.container.clone(),
            timestamp: self.sample.timestamp_ns,
            usage_ns: self.sample.usage_core_ns,
            nanocores: self.sample.usage_nano_cores,
        }
    }
}

/// The wall offset at the beginning.
fn offset(entries: &[Entry]) -> OffsetNs {
    let first = entries.iter().find_map(|entry| match entry {
        Entry::Sample(sample) => Some(sample.wall_ns - sample.boot_ns),
        _ => None,
    });
    OffsetNs(first.unwrap())
}

fn used(sample: &Sample, at: BootNs, before: Option<&Cpu>) -> Cpu {
    let usage_ns = sample.usage_core_ns.unwrap();
    let nanocores = before.map(|before| {
        let rate = u128::from(usage_ns - before.usage_ns) * 1_000_000_000 / u128::from(at.0 - before.at.0);
        u64::try_from(rate).unwrap()
    });
    Cpu { usage_ns, at, nanocores }
}

fn boot(ns: i64) -> BootNs {
    BootNs(ns.try_into().unwrap())
}
