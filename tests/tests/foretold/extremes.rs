//! No clock, however it is set, makes the rules panic. Debug builds, as tests are, panic on every overflow.

use std::sync::Arc;

use timejump::{
    clock::{BootNs, OffsetNs, WallNs},
    impact::{Book, Case, Ended, assess, stuck},
    ledger::{Timeline, Turn},
    node::{Container, ContainerState, Cpu, Kubelet, NodeFacts, Process, StatsClass, Version},
};
use timejump_tests::random::Random;

use crate::facts;

const SECOND: i64 = 1_000_000_000;
/// Wall offsets and stamps: the ends of what can be written down, today, and nothing.
const WALLS: [i64; 11] = [
    i64::MIN,
    i64::MIN + 1,
    i64::MIN + 10 * SECOND,
    -3600 * SECOND,
    -1,
    0,
    1,
    1_700_000_000 * SECOND,
    i64::MAX - 10 * SECOND,
    i64::MAX - 1,
    i64::MAX,
];
/// Times since boot.
const BOOTS: [u64; 8] =
    [0, 1, 1_000_000_000, 3_600_000_000_000, 1 << 62, 1 << 63, u64::MAX - 5_000_000_000, u64::MAX];
const CLASSES: [StatsClass; 6] = [
    StatsClass::KubeletCache,
    StatsClass::Baseline,
    StatsClass::Collector,
    StatsClass::CollectorByWall,
    StatsClass::Unchecked,
    StatsClass::Unknown,
];

fn container(random: &mut Random) -> Container {
    let wall = |random: &mut Random| WallNs(random.of(&WALLS).into());
    let mut container = facts::container("c", "pod", wall(random), BootNs(random.of(&BOOTS)));
    container.state = random.of(&[ContainerState::Running, ContainerState::Running, ContainerState::Exited]);
    container.attempt = random.of(&[0, 1, 9, 64, u32::MAX]);
    container.started = random.of(&[true, false]).then(|| wall(random));
    container.finished = random.of(&[true, false]).then(|| wall(random));
    let nanocores = random.of(&[None, Some(0), Some(300_000_000), Some(u64::MAX)]);
    container.cpu = random.of(&[true, false]).then_some(Cpu { usage_ns: 0, at: BootNs(0), nanocores });
    container
}

fn node(random: &mut Random) -> NodeFacts {
    let started = BootNs(random.of(&[0, 0, 0, u64::MAX]));
    let mut node = facts::node("1.6.20", started, vec![container(random), container(random)]);
    node.containers[1].id = "d".into();
    node.runtime.as_mut().unwrap().class = random.of(&CLASSES);
    node.kubelet_cache_seen = random.of(&[true, false]);
    let started = BootNs(random.of(&[0, 0, 0, u64::MAX]));
    let version = random.of(&[None, Some(Version(1, 20)), Some(Version(u32::MAX, 0))]);
    node.kubelet = Some(Kubelet { process: Process { pid: 1, started }, version });
    node
}

/// Jumps in whatever order, each from wherever the one before left the clock, or not.
fn timeline(random: &mut Random) -> Timeline {
    let mut timeline = Timeline::new(OffsetNs(random.of(&WALLS)));
    for jump in 1..=random.next() % 5 {
        let at = BootNs(random.of(&BOOTS));
        let new = OffsetNs(random.of(&WALLS));
        let old = if random.of(&[true, false]) { timeline.now().offset } else { OffsetNs(random.of(&WALLS)) };
        timeline.enter(Turn { jump, at, old, new });
    }
    timeline
}

#[test]
fn rules_take_any_clock() {
    let mut found = 0;
    for story in 0..5_000 {
        let mut random = Random(story);
        let timeline = timeline(&mut random);
        let node = node(&mut random);
        let mut book = Book::new(Arc::from("boot"), 0, Vec::new());
        let mut assessed = BootNs(0);
        for _ in 0..3 {
            let now = BootNs(random.of(&BOOTS));
            stuck(&timeline, BootNs(random.of(&BOOTS)), random.of(&[0, 10_000_000_000, u64::MAX]), now);
            let findings = assess(&Case { timeline: &timeline, node: &node, now, assessed });
            found += findings.len();
            for impact in book.update(findings, &timeline, |_| Ended::AsForetold, now) {
                impact.until.map(WallNs::short);
            }
            assessed = now;
        }
    }
    assert!(found > 5_000, "the rules have something to say: {found}");
}

#[test]
fn from_one_end_of_time_to_the_other() {
    let centuries = 292 * 365 * 86_400 * SECOND;
    for (old, new) in [
        (i64::MAX, i64::MIN),
        (i64::MIN, i64::MAX),
        (0, i64::MIN),
        (0, i64::MAX),
        (0, centuries),
        (centuries, 0),
        (0, -centuries),
    ] {
        let mut timeline = Timeline::new(OffsetNs(old));
        let at = BootNs(100_000_000_000);
        timeline.enter(Turn { jump: 1, at, old: OffsetNs(old), new: OffsetNs(new) });
        let node = facts::node("1.6.20", BootNs(0), vec![facts::container("c", "pod", WallNs(0), BootNs(0))]);
        let now = BootNs(101_000_000_000);
        let stuck = stuck(&timeline, BootNs(0), 10_000_000_000, now);
        assert_eq!(stuck.is_some(), new < old, "{old} to {new}");
        let case = Case { timeline: &timeline, node: &node, now, assessed: now };
        assert!(!assess(&case).is_empty(), "{old} to {new}");
    }
}
