//! Real containerds over a step back: from the step and the moments of the polls alone, what they answered.

use timejump::{
    clock::{BootNs, WallNs},
    impact::{Confidence, Kind, POLL_AT_MOST_NS, evidence, stuck},
    node::{NodeFacts, StatsClass, kubelet_log},
};
use timejump_tests::node::kubelet_cache::{KubeletCache, Usage};

use crate::{
    facts::{self, Stuck},
    recording::{Answer, Recording, Taken},
};

/// The pod that burns 0.3 processors.
const BURN: &str = "burn";

/// A recording of each line, waited out and cured by a restart.
pub const RECORDED: [(&str, &str); 8] = [
    ("1.4", include_str!("../../fixtures/containerd/1.4.jsonl")),
    ("1.6", include_str!("../../fixtures/containerd/1.6.jsonl")),
    ("1.7", include_str!("../../fixtures/containerd/1.7.jsonl")),
    ("2.1", include_str!("../../fixtures/containerd/2.1.jsonl")),
    ("1.4 restarted", include_str!("../../fixtures/containerd/1.4-restart.jsonl")),
    ("1.6 restarted", include_str!("../../fixtures/containerd/1.6-restart.jsonl")),
    ("1.7 restarted", include_str!("../../fixtures/containerd/1.7-restart.jsonl")),
    ("2.1 restarted", include_str!("../../fixtures/containerd/2.1-restart.jsonl")),
];

/// How a recording goes: the rule's word and what was seen, poll by poll, of the pod that burns.
pub struct Trial {
    /// Who keeps the samples.
    pub kind: Kind,
    /// When the wall clock was stepped.
    pub stepped: BootNs,
    /// The polls.
    pub polls: Vec<Poll>,
}

/// One poll.
pub struct Poll {
    /// When the sample was taken.
    pub at: BootNs,
    /// Its stamp.
    pub stamp: WallNs,
    /// What it has used so far, ns.
    pub usage_ns: u64,
    /// The rule's word.
    pub foretold: Option<Foretold>,
    /// What was shown: a rate, or nothing because there is none yet.
    pub shown: Shown,
}

/// The rule's word.
pub struct Foretold {
    /// Whether it holds for sure.
    pub surely: bool,
    /// Until when, at the latest.
    pub until: BootNs,
    /// The rate that ends it, at least.
    pub spike: Option<u64>,
}

/// What was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It is the first sample.
    First,
    /// Nothing new: the cache stands still.
    Stuck,
    /// A rate.
    Rate(u64),
}

impl Trial {
    /// Plays a recording back.
    pub fn of(name: &str, lines: &str) -> Self {
        let recording = Recording::read(lines);
        let restarted = name.ends_with("restarted");
        let class = StatsClass::of("containerd", &recording.version);
        let kind = match class {
            StatsClass::KubeletCache => Kind::KubeletCpuCacheStuck,
            _ => Kind::RuntimeCpuBaselineStuck,
        };
        let first = &recording.answers[0];
        let containers = first
            .samples
            .iter()
            .map(|taken| facts::container(&taken.sample.container, &taken.sample.pod, first.wall, first.at));
        let mut node = facts::node(&recording.version, BootNs(0), containers.collect());
        let mut cache = KubeletCache::default();
        let (mut polls, mut stepped, mut fresh) = (Vec::new(), false, true);
        for answer in &recording.answers {
            for taken in &answer.samples {
                let made = poll(&node, kind, answer, taken, &mut cache, fresh);
                if taken.sample.pod == BURN {
                    polls.push(made);
                }
            }
            fresh = false;
            let after = answer.timeline.last_jump().is_some();
            if restarted && after && !stepped {
                // Right after this answer.
                node = facts::node(&recording.version, BootNs(answer.at.0 + 1), node.containers);
                fresh = kind == Kind::RuntimeCpuBaselineStuck;
            }
            stepped = after;
        }
        let last = recording.answers.last().unwrap();
        let (_, stepped, _) = last.timeline.last_jump().unwrap();
        Self { kind, stepped, polls }
    }

    /// The first rate after the cache stood still, and the poll before it.
    pub fn spike(&self) -> Option<(&Poll, &Poll, u64)> {
        self.polls.windows(2).find_map(|pair| match (pair[0].shown, pair[1].shown) {
            (Shown::Stuck, Shown::Rate(rate)) => Some((&pair[0], &pair[1], rate)),
            _ => None,
        })
    }

    /// The last sample that the cache took before it stood still.
    pub fn kept(&self) -> &Poll {
        let stuck = self.polls.iter().position(|poll| poll.shown == Shown::Stuck).unwrap();
        &self.polls[stuck - 1]
    }
}

/// One container in one answer: what is foretold, what was shown, and what the daemon would make of it as evidence.
fn poll(
    node: &NodeFacts,
    kind: Kind,
    answer: &Answer,
    taken: &Taken,
    cache: &mut KubeletCache,
    fresh: bool,
) -> Poll {
    let sample = &taken.sample;
    let findings = facts::at_answer(node, answer);
    let found = findings.of(kind, &sample.container);
    let usage = Usage {
        timestamp_ns: sample.timestamp_ns,
        core_ns: sample.usage_core_ns,
        nano_cores: sample.usage_nano_cores,
    };
    let shown = match cache.update(&sample.container, usage) {
        _ if fresh => Shown::First,
        Err(refused) => {
            let found = found.as_ref().unwrap();
            let line = kubelet_log::parse(&refused.to_string()).unwrap();
            let (earliest, latest) = found.stamps();
            assert!(earliest <= Some(line.cached) && line.cached <= latest, "{refused}");
            let expected = stuck(&answer.timeline, BootNs(0), POLL_AT_MOST_NS, answer.at).unwrap();
            assert!(evidence::is_of(line, &expected, POLL_AT_MOST_NS), "{refused}");
            Shown::Stuck
        }
        // Of a pod that idles 0 says nothing.
        Ok(Some(0)) if sample.pod == BURN => Shown::Stuck,
        Ok(rate) => Shown::Rate(rate.unwrap()),
    };
    if let Some(found) = found.as_ref().filter(|_| kind == Kind::RuntimeCpuBaselineStuck) {
        let seen = evidence::of_sample(found.0.kind, &taken.cri(), Some(taken.cpu), answer.wall);
        let want = (sample.pod == BURN).then_some(Confidence::Observed);
        assert_eq!(seen.and_then(|seen| seen.confidence), want, "{sample:?}");
    }
    let foretold = found.map(|found| Foretold {
        surely: found.surely_holds(taken.stamp()),
        until: found.until(),
        spike: Stuck::spike(&found),
    });
    Poll { at: taken.at, stamp: taken.stamp(), usage_ns: taken.cpu.usage_ns, foretold, shown }
}

#[test]
fn rates_stand_still_while_foretold() {
    for (name, lines) in RECORDED {
        let trial = Trial::of(name, lines);
        let mut stuck = 0;
        for poll in &trial.polls {
            let at = poll.at.0;
            match (&poll.foretold, poll.shown) {
                (Some(_), Shown::Stuck) => stuck += 1,
                (Some(foretold), shown) => {
                    assert!(!foretold.surely, "{name} at {at}: {shown:?}");
                    // What is not sure is so for less than a poll.
                    assert!(foretold.until.0 - at < POLL_AT_MOST_NS, "{name} at {at}: {shown:?}");
                }
                (None, shown) => assert_ne!(shown, Shown::Stuck, "{name} at {at}"),
            }
        }
        let want = match name {
            // Only kubelet's own restart would help.
            "1.4 restarted" => 3,
            name if name.ends_with("restarted") => 1,
            _ => 5,
        };
        assert_eq!(stuck, want, "{name}");
    }
}

#[test]
fn the_spike_is_at_least_what_was_foretold() {
    for (name, lines) in RECORDED.into_iter().filter(|(name, _)| !name.ends_with("restarted")) {
        let trial = Trial::of(name, lines);
        let (last, first, spike) = trial.spike().unwrap();
        let kept = trial.kept();
        let foretold = last.foretold.as_ref().unwrap();
        assert!(first.at >= foretold.until && first.at.0 < foretold.until.0 + POLL_AT_MOST_NS, "{name}");
        let floor = foretold.spike.unwrap();
        assert!(spike >= floor, "{name}: {spike}, foretold {floor}");
        // All that was used since the sample that was kept, over the time that the stamps say went by.
        let interval = first.stamp.0 - kept.stamp.0;
        let used = i128::from(first.usage_ns - kept.usage_ns);
        let exact = used * 1_000_000_000 / interval;
        // Both reckon in floating point.
        assert!((i128::from(spike) - exact).abs() <= 1000, "{name}: {spike}, {exact}");
        // The same from the rate and the time that really went by.
        let elapsed = i128::from(first.at.0 - kept.at.0);
        let rate = used * 1_000_000_000 / elapsed;
        assert!((290_000_000..310_000_000).contains(&rate), "{name}: {rate}");
        assert_eq!(elapsed - interval, 55_000_000_000, "{name}");
        let after = trial.polls.last().unwrap();
        assert!(matches!(after.shown, Shown::Rate(290_000_000..310_000_000)), "{name}: {:?}", after.shown);
    }
}

#[test]
fn before_the_step_nothing_is_foretold() {
    for (name, lines) in RECORDED {
        let trial = Trial::of(name, lines);
        for poll in &trial.polls[..3] {
            assert!(poll.foretold.is_none(), "{name}");
        }
        assert!(trial.polls[3].foretold.is_some(), "{name}");
    }
}

#[test]
fn a_restart_of_the_runtime_is_foretold_to_cure_its_own_cache_alone() {
    for (name, lines) in RECORDED.into_iter().filter(|(name, _)| name.ends_with("restarted")) {
        let trial = Trial::of(name, lines);
        let [first, second] = &trial.polls[4..] else { panic!("{name}: two answers after the restart") };
        if trial.kind == Kind::KubeletCpuCacheStuck {
            assert_eq!([first.shown, second.shown], [Shown::Stuck; 2], "{name}");
        } else {
            assert!(first.foretold.is_none() && second.foretold.is_none(), "{name}");
            assert_eq!(first.shown, Shown::First, "{name}");
            assert!(matches!(second.shown, Shown::Rate(290_000_000..310_000_000)), "{name}");
        }
    }
}
