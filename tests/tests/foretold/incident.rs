//! The recorded incident: from its two jumps and what a look at its node gives, both caches that stood still.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use timejump::{
    clock::{BootNs, WallNs},
    impact::{Confidence, Kind, POLL_AT_MOST_NS, POLL_NS, Stuck, evidence, stuck},
    ledger::Timeline,
    node::{Kubelet, NodeFacts, Process, Version, kubelet_log},
};

use crate::{
    facts::{self, Findings},
    recording::{Answer, Recording},
};

/// The lines of kubelet's log that speak of its cache.
const LINES: usize = 69;
/// The container that burns 0.3 processors; the others idle.
const BURN: &str = "burn";

/// The incident.
pub struct Incident {
    node: NodeFacts,
    kubelets: Vec<BootNs>,
    /// What the runtime answered.
    pub answers: Vec<Answer>,
    /// What kubelet's log says.
    pub lines: Vec<kubelet_log::StuckLine>,
}

#[derive(Deserialize)]
struct Look {
    runtime: Holder,
    kubelet: Starts,
    containers: Vec<Listed>,
}

#[derive(Deserialize)]
struct Holder {
    version: String,
    started_boot_ns: u64,
}

#[derive(Deserialize)]
struct Starts {
    major: u32,
    minor: u32,
    started_boot_ns: Vec<u64>,
}

#[derive(Deserialize)]
struct Listed {
    pod: String,
    uid: String,
    id: String,
    created_ns: i64,
    started_ns: i64,
}

impl Incident {
    /// Reads it.
    pub fn read() -> Self {
        let recording = Recording::read(include_str!("../../fixtures/incident/samples.jsonl"));
        let look: Look = serde_json::from_str(include_str!("../../fixtures/incident/node.json")).unwrap();
        assert_eq!(look.runtime.version, recording.version);
        let timeline = &recording.answers[0].timeline;
        let containers = look.containers.into_iter().map(|listed| {
            let created = WallNs(listed.created_ns.into());
            let born = timeline.moment_of(created, BootNs(0), recording.answers[0].at);
            let mut container = facts::container(&listed.id, &listed.pod, created, born);
            container.pod.uid = listed.uid;
            container.started = Some(WallNs(listed.started_ns.into()));
            container
        });
        let mut node =
            facts::node(&recording.version, BootNs(look.runtime.started_boot_ns), containers.collect());
        let version = Version(look.kubelet.major, look.kubelet.minor);
        node.kubelet =
            Some(Kubelet { process: Process { pid: 308, started: BootNs(0) }, version: Some(version) });
        Self {
            node,
            kubelets: look.kubelet.started_boot_ns.into_iter().map(BootNs).collect(),
            answers: recording.answers,
            lines: include_str!("../../fixtures/incident/kubelet.log")
                .lines()
                .filter_map(kubelet_log::parse)
                .collect(),
        }
    }

    /// The node at `now`: kubelet was restarted.
    fn node_at(&self, now: BootNs) -> NodeFacts {
        let mut node = self.node.clone();
        let started = self.kubelets.iter().rev().find(|started| **started <= now);
        node.kubelet.as_mut().unwrap().process.started = *started.unwrap();
        node.kubelet_since = *started.unwrap();
        node
    }

    fn at_answer(&self, answer: &Answer) -> Findings {
        facts::at_answer(&self.node_at(answer.at), answer)
    }

    /// All jumps.
    pub fn timeline(&self) -> &Timeline {
        &self.answers.last().unwrap().timeline
    }

    /// When the wall clock was stepped.
    pub fn steps(&self) -> [BootNs; 2] {
        let ended: Vec<_> = self.timeline().ended().map(|ended| ended.to).collect();
        ended.try_into().unwrap()
    }

    /// When kubelet was restarted.
    pub fn restarted(&self) -> BootNs {
        self.kubelets[1]
    }

    /// What the daemon expects kubelet's log to say at `now`.
    fn expected(&self, now: BootNs) -> Option<Stuck> {
        let started = self.node_at(now).kubelet.unwrap().process.started;
        stuck(self.timeline(), started, POLL_AT_MOST_NS, now)
    }

    /// What is foretold at a line's moment, in the order of the lines: the stamp at most, and the time that is left.
    pub fn at_lines(&self) -> impl Iterator<Item = Line> {
        self.lines.iter().map(|line| {
            let at = self.timeline().boot_at(line.new).unwrap();
            let findings = facts::at(&self.node_at(at), self.timeline(), at, at);
            let of = |id: &str| findings.of(Kind::KubeletCpuCacheStuck, id);
            let found: Vec<_> =
                self.node.containers.iter().filter_map(|container| of(&container.id)).collect();
            // A line does not say of which container it is: they are foretold the same.
            let (stamps, until) = (found[0].stamps(), found[0].until());
            assert!(found.iter().all(|found| (found.stamps(), found.until()) == (stamps, until)));
            assert_eq!(found.len(), 3);
            Line {
                at,
                earliest: stamps.0.unwrap(),
                latest: stamps.1,
                left_ns: i128::from(until.0 - at.0),
                logged_ns: line.cached.0 - line.new.0,
            }
        })
    }
}

/// One line, and what is foretold at its moment.
pub struct Line {
    /// When it was written.
    pub at: BootNs,
    /// Where the stamp is foretold to be.
    pub earliest: WallNs,
    /// The same.
    pub latest: WallNs,
    /// What time is foretold to be left.
    pub left_ns: i128,
    /// What time is left by the line.
    pub logged_ns: i128,
}

#[test]
fn nothing_is_foretold_that_was_not() {
    use Kind::{
        CpuSampleDiluted, KubeletCpuCacheStuck, KubeletCpuRecordsDropped, MetricsServerSample,
        RuntimeCpuBaselineStuck,
    };
    let incident = Incident::read();
    let [ahead, back] = incident.steps();
    let mut before = BootNs(0);
    for answer in &incident.answers {
        let at = answer.at;
        // What passes is told if it came since the rules spoke last, even if it went since.
        let told = |since: BootNs, for_s: u64| {
            at > since && (before < since || at.0 < since.0 + for_s * 1_000_000_000)
        };
        let want: BTreeSet<Kind> = [
            (CpuSampleDiluted, told(ahead, 12)),
            (KubeletCpuRecordsDropped, told(ahead, 24)),
            (MetricsServerSample, told(ahead, 30) || told(back, 30)),
            (KubeletCpuCacheStuck, at > back && at < incident.restarted()),
            (RuntimeCpuBaselineStuck, at > back),
        ]
        .into_iter()
        .filter_map(|(kind, is)| is.then_some(kind))
        .collect();
        assert_eq!(incident.at_answer(answer).kinds(), want, "at {}", at.0);
        before = at;
    }
}

#[test]
fn the_runtimes_rate_is_0_while_foretold() {
    let incident = Incident::read();
    let kind = Kind::RuntimeCpuBaselineStuck;
    let (mut stuck, mut sound) = (0, 0);
    for answer in &incident.answers {
        let findings = incident.at_answer(answer);
        let burn = answer.of(BURN);
        let rate = burn.sample.usage_nano_cores.unwrap();
        let seen = evidence::of_sample(kind, &burn.cri(), Some(burn.cpu), answer.wall);
        let seen = seen.and_then(|seen| seen.confidence);
        if let Some(found) = findings.of(kind, &burn.sample.container) {
            assert!(found.surely_holds(burn.stamp()), "at {}", answer.at.0);
            assert_eq!((rate, seen), (0, Some(Confidence::Observed)), "at {}", answer.at.0);
            stuck += 1;
        } else if burn.cpu.nanocores.is_none() {
            assert_eq!((rate, seen), (0, None), "the first is 0 whatever the clock, and says nothing");
        } else {
            // Had it been foretold, it would have been taken back.
            assert!((285_000_000..305_000_000).contains(&rate), "at {}: {rate}", answer.at.0);
            assert_eq!(seen, Some(Confidence::Refuted), "at {}", answer.at.0);
            sound += 1;
        }
        for idle in answer.samples.iter().filter(|taken| taken.sample.pod != BURN) {
            let foretold = findings.of(kind, &idle.sample.container).is_some();
            assert_eq!(foretold, answer.at > incident.steps()[1], "at {}", answer.at.0);
            // It uses nothing: its 0 is no evidence.
            assert_eq!(idle.sample.usage_nano_cores, Some(0));
            assert_eq!(evidence::of_sample(kind, &idle.cri(), Some(idle.cpu), answer.wall), None);
        }
    }
    // To the end, restart of kubelet or not.
    assert_eq!((sound, stuck), (18, 25));
}

#[test]
fn every_line_of_kubelets_log_is_as_foretold() {
    let incident = Incident::read();
    assert_eq!(incident.lines.len(), LINES);
    let [_, back] = incident.steps();
    let mut stamps = BTreeSet::new();
    for (line, at) in incident.lines.iter().zip(incident.at_lines()) {
        assert!(at.at > back && at.at < incident.restarted());
        assert!(at.earliest <= line.cached && line.cached <= at.latest, "{line:?}");
        let later = at.left_ns - at.logged_ns;
        assert!((0..=i128::from(POLL_NS)).contains(&later), "{line:?}: {later}");
        let expected = incident.expected(at.at).unwrap();
        assert!(evidence::is_of(*line, &expected, POLL_AT_MOST_NS), "{line:?}");
        stamps.insert(line.cached);
    }
    // One a container, the same all the time.
    let until = incident.timeline().boot_at(*stamps.last().unwrap());
    let seen = evidence::of_log(stamps.iter().copied(), until);
    assert_eq!((seen.confidence, seen.until), (Some(Confidence::Observed), until));
    assert_eq!(
        seen.value,
        serde_json::json!({
            "stuck_stamps": 3,
            "earliest": "2026-07-26T08:06:25.341880250Z",
            "latest": "2026-07-26T08:06:25.373125940Z",
        })
    );
}

#[test]
fn kubelets_log_is_expected_to_say_something_only_while_it_does() {
    let incident = Incident::read();
    let [_, back] = incident.steps();
    let first = incident.answers.iter().find(|answer| answer.at > back).unwrap();
    for answer in incident.answers.iter().filter(|answer| answer.at < back) {
        let started = incident.node_at(answer.at).kubelet.unwrap().process.started;
        assert_eq!(stuck(&answer.timeline, started, POLL_AT_MOST_NS, answer.at), None, "at {}", answer.at.0);
    }
    assert!(incident.expected(first.at).is_some());
    assert_eq!(incident.expected(incident.restarted()), None);
    // One line a container and poll, as often as is foretold.
    let gaps = |from: BootNs, to: BootNs| u64::abs_diff(to.0, from.0);
    let mut moments: BTreeMap<WallNs, Vec<BootNs>> = BTreeMap::new();
    for (line, at) in incident.lines.iter().zip(incident.at_lines()) {
        moments.entry(line.cached).or_default().push(at.at);
    }
    for moments in moments.values() {
        assert!(gaps(back, moments[0]) < POLL_AT_MOST_NS);
        let apart = POLL_NS..POLL_AT_MOST_NS;
        assert!(moments.windows(2).all(|pair| apart.contains(&gaps(pair[0], pair[1]))), "{moments:?}");
        assert!(gaps(moments[moments.len() - 1], incident.restarted()) < POLL_AT_MOST_NS);
    }
}
