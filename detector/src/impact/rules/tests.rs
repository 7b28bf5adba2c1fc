//! Rules against a node made up.

use std::sync::Arc;

use super::*;
use crate::{
    clock::{BootNs, WallNs},
    impact::{
        Kind, Remedy,
        timeline_tests::{boot, timeline, wall},
    },
    node::{
        Container, ContainerState, Cpu, Kubelet, NodeFacts, Pod, Process, RateSource, Runtime, StatsClass,
        Version,
    },
};

pub(crate) fn container(id: &str, born: i64, created: WallNs) -> Container {
    Container {
        id: id.into(),
        name: "c".into(),
        attempt: 0,
        pod: Pod { namespace: "default".into(), name: format!("pod-{id}"), uid: format!("uid-{id}") },
        state: ContainerState::Running,
        created,
        started: None,
        finished: None,
        born: boot(born),
        cpu: Some(Cpu { usage_ns: 0, at: boot(0), nanocores: Some(300_000_000) }),
    }
}

fn node(name: &str, version: &str, containers: Vec<Container>) -> NodeFacts {
    NodeFacts {
        runtime: Some(Runtime {
            name: name.into(),
            version: version.into(),
            api: "v1".into(),
            endpoint: "/run/x.sock".into(),
            class: StatsClass::of(name, version),
            process: None,
        }),
        containers,
        ..NodeFacts::default()
    }
}

fn kubelet(version: Option<Version>, started: i64) -> Kubelet {
    Kubelet { process: Process { pid: 7, started: boot(started) }, version }
}

fn kinds(node: &NodeFacts, jumps: &[(i64, i64)], now: i64) -> Vec<(Kind, u64, Arc<str>, Option<BootNs>)> {
    let timeline = timeline(1000, jumps);
    let found = assess(&Case { timeline: &timeline, node, now: boot(now), assessed: boot(now) });
    found.into_iter().map(|found| (found.kind, found.jump, found.key, found.until)).collect()
}

#[test]
fn an_hour_back_by_class() {
    let stuck = |kind| vec![(kind, 1, "a".into(), Some(boot(3700)))];
    for (name, version, want) in [
        ("containerd", "1.4.13", stuck(Kind::KubeletCpuCacheStuck)),
        ("docker", "20.10", stuck(Kind::KubeletCpuCacheStuck)),
        ("containerd", "1.6.20", stuck(Kind::RuntimeCpuBaselineStuck)),
        ("containerd", "2.1.4", stuck(Kind::RuntimeCpuBaselineStuck)),
        ("containerd", "2.4.0-beta.0", stuck(Kind::RuntimeCpuFrozen)),
        ("containerd", "2.3.1", vec![(Kind::RuntimeCpuBlip, 1, "".into(), Some(boot(101)))]),
        ("cri-o", "1.30.0", vec![(Kind::RuntimeCpuBlip, 1, "".into(), Some(boot(112)))]),
        ("frakti", "0.1", vec![(Kind::CpuStatsUnknown, 1, "".into(), Some(boot(112)))]),
    ] {
        let node = node(name, version, vec![container("a", 50, wall(1050))]);
        let found: Vec<_> = kinds(&node, &[(100, -3600)], 100)
            .into_iter()
            .filter(|(kind, ..)| !matches!(kind, Kind::ProbesSuspended | Kind::NameReservationRisk))
            .collect();
        assert_eq!(found, want, "{name} {version}");
    }
}

#[test]
fn the_spike_is_foretold() {
    let node = node("containerd", "1.7.24", vec![container("a", 0, wall(900))]);
    let timeline = timeline(1000, &[(100, -3600)]);
    let found = assess(&Case { timeline: &timeline, node: &node, now: boot(110), assessed: boot(110) });
    let stuck = found.iter().find(|found| found.kind == Kind::RuntimeCpuBaselineStuck).unwrap();
    // 3,600 s of 0.3 cores and one interval of at most 12 s more, within one interval.
    assert_eq!(stuck.evidence["spike_nanocores_at_least"], 90_300_000_000_u64);
    assert_eq!(stuck.evidence["spike_times_at_least"], 301);
    assert_eq!(stuck.evidence["stuck_stamp_latest"], wall(1100).to_string());
    assert_eq!(stuck.evidence["stuck_stamp_earliest"], wall(1088).to_string());
    assert_eq!(stuck.remedy, Remedy::RestartRuntime);
    assert_eq!(
        stuck.message,
        "containerd 1.7.24 shows the CPU rate 0 until the wall clock passes 1970-01-01 00:18:20Z, 1h 0m after the \
         jump; then, once, at least 90.3 cores"
    );
}

#[test]
fn an_old_kubelet_keeps_its_own_cache_beside_the_runtimes() {
    let mut node = node("containerd", "1.6.20", vec![container("a", 0, wall(900))]);
    let stuck = |node: &NodeFacts, jumps: &[(i64, i64)], now| {
        let kinds = kinds(node, jumps, now).into_iter().map(|(kind, ..)| kind);
        kinds
            .filter(|kind| matches!(kind, Kind::KubeletCpuCacheStuck | Kind::RuntimeCpuBaselineStuck))
            .collect::<Vec<_>>()
    };
    let both = [Kind::KubeletCpuCacheStuck, Kind::RuntimeCpuBaselineStuck];
    for (version, want) in
        [(Some(Version(1, 20)), &both[..]), (Some(Version(1, 23)), &both[1..]), (None, &both[1..])]
    {
        node.kubelet = Some(kubelet(version, 10));
        assert_eq!(stuck(&node, &[(100, -600)], 101), want, "{version:?}");
    }
    // Restarted after the jump: its cache is empty, the runtime's is not.
    node.kubelet = Some(kubelet(Some(Version(1, 20)), 150));
    node.kubelet_since = boot(150);
    assert_eq!(stuck(&node, &[(100, -600)], 151), &both[1..]);
}

#[test]
fn forward_dilutes_one_sample_and_may_drop_all() {
    let node = node("docker", "20.10", vec![container("a", 0, wall(900))]);
    let found: Vec<_> = kinds(&node, &[(100, 3600)], 101).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(found, [Kind::KubeletCpuRecordsDropped, Kind::CpuSampleDiluted]);
    let found: Vec<_> = kinds(&node, &[(100, 300)], 101).into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(found, [Kind::CpuSampleDiluted]);
    assert!(kinds(&node, &[(100, 3600)], 130).is_empty(), "it passes");
    let timeline = timeline(1000, &[(100, 3600)]);
    let found = assess(&Case { timeline: &timeline, node: &node, now: boot(130), assessed: boot(99) });
    assert_eq!(found.len(), 2, "and is told all the same if nobody could say it sooner");
    assert!(kinds(&node, &[(100, 0)], 101).is_empty(), "nothing happened");
}

#[test]
fn small_steps_cost_one_sample_at_most() {
    let node = node("containerd", "1.7.24", vec![container("a", 0, wall(900))]);
    for (by, want) in [
        (-4, vec![Kind::CpuSampleInflated]),
        (-11, vec![Kind::CpuSampleInflated]),
        (-12, vec![Kind::RuntimeCpuBaselineStuck]),
    ] {
        let found: Vec<_> = kinds(&node, &[(100, by)], 101).into_iter().map(|(kind, ..)| kind).collect();
        assert_eq!(found, want, "{by}");
    }
}

#[test]
fn there_and_back_within_an_interval_may_leave_nothing() {
    let node = node("containerd", "1.7.24", vec![container("a", 0, wall(900))]);
    let timeline = timeline(1000, &[(100, 3600), (104, -3600)]);
    let found = assess(&Case { timeline: &timeline, node: &node, now: boot(105), assessed: boot(105) });
    let stuck = found.iter().find(|found| found.kind == Kind::RuntimeCpuBaselineStuck).unwrap();
    assert_eq!((stuck.jump, &stuck.evidence["certain"]), (2, &serde_json::Value::Bool(false)));
    assert!(stuck.message.contains("unless no sample was taken"), "{}", stuck.message);
}

#[test]
fn what_is_sure_is_how_long_as_well() {
    let node = node("containerd", "1.7.24", vec![container("a", 0, wall(900))]);
    // It stands still in any case, as the clock is 100 s behind in the end. An hour longer only if a sample was taken ahead.
    let timeline = timeline(1000, &[(100, 3600), (104, -3700)]);
    let found = assess(&Case { timeline: &timeline, node: &node, now: boot(105), assessed: boot(105) });
    let stuck = found.iter().find(|found| found.kind == Kind::RuntimeCpuBaselineStuck).unwrap();
    assert_eq!(stuck.evidence["certain"], false);
    assert!(stuck.message.contains("unless no sample was taken"), "{}", stuck.message);
}

#[test]
fn containers_of_after_the_jump_and_ended_ones_are_left_alone() {
    let mut ended = container("b", 0, wall(300));
    ended.state = ContainerState::Exited;
    let node = node("containerd", "1.7.24", vec![container("a", 101, wall(501)), ended]);
    assert_eq!(kinds(&node, &[(100, -600)], 120), []);
}

#[test]
fn what_lies_in_the_future_is_neither_probed_nor_restarted() {
    let mut exited = container("b", 20, wall(1020));
    exited.state = ContainerState::Exited;
    exited.finished = Some(wall(1090));
    exited.attempt = 2;
    // Whoever ends for the first time is started anew at once.
    let mut first = container("c", 20, wall(1020));
    first.state = ContainerState::Exited;
    first.finished = Some(wall(1090));
    (first.pod, first.name) = (exited.pod.clone(), "d".into());
    let node = node(
        "cri-o",
        "1.30",
        vec![container("a", 50, wall(1050)), exited, first, container("old", 0, wall(300))],
    );
    let found: Vec<_> = kinds(&node, &[(100, -600)], 120)
        .into_iter()
        .map(|(kind, jump, key, until)| {
            assert_eq!(jump, 1);
            (kind, key.to_string(), until)
        })
        .collect();
    let want = [
        (Kind::ProbesSuspended, "a", 650),
        (Kind::RestartDelayed, "b", 690 + 20),
        (Kind::NameReservationRisk, "uid-a", 650),
        (Kind::NameReservationRisk, "uid-b", 620),
    ];
    assert_eq!(found, want.map(|(kind, key, until)| (kind, key.to_owned(), Some(boot(until)))));
}

#[test]
fn metrics_servers_windows() {
    let mut node = node("cri-o", "1.30", vec![container("a", 50, wall(1050))]);
    node.kubelet = Some(kubelet(None, 0));
    for (by, message) in [
        (60, "metrics-server, where there is one, has one sample too small, by up to 5 times"),
        (8, "metrics-server, where there is one, has one sample too small, by up to 2 times"),
        (-8, "metrics-server, where there is one, has one sample too large: its window is shorter by 8s"),
        (-600, "metrics-server, where there is one, has no metrics of this node's pods for one cycle"),
    ] {
        let timeline = timeline(1000, &[(100, by)]);
        let found = assess(&Case { timeline: &timeline, node: &node, now: boot(101), assessed: boot(101) });
        let sample = found.iter().find(|found| found.kind == Kind::MetricsServerSample).unwrap();
        assert_eq!(sample.message, message);
    }
    let young: Vec<_> = kinds(&node, &[(100, -600)], 140)
        .into_iter()
        .filter(|(kind, ..)| *kind == Kind::MetricsServerGap)
        .collect();
    assert_eq!(young, [(Kind::MetricsServerGap, 1, "a".into(), Some(boot(650)))]);
}

#[test]
fn without_a_runtime_there_is_nothing_to_say() {
    assert_eq!(kinds(&NodeFacts::default(), &[(100, -600)], 101), []);
}

#[test]
fn every_kind_belongs_to_one_rule() {
    for kind in Kind::ALL {
        let rules = rules().filter(|rule| rule.kinds().contains(kind)).count();
        assert_eq!(rules, 1, "{kind}");
    }
}

#[test]
fn a_cache_that_was_seen_to_go_on_has_nothing_left_of_before() {
    let mut node = node("containerd", "1.7.24", vec![container("a", 10, wall(1010))]);
    let excursion = [(100, 3600), (101, -3600)];
    let stuck = |node: &NodeFacts, jumps: &[(i64, i64)], now| {
        let found = kinds(node, jumps, now).into_iter();
        let found = found.filter(|(kind, ..)| *kind == Kind::RuntimeCpuBaselineStuck);
        found.map(|(_, jump, _, until)| (jump, until)).collect::<Vec<_>>()
    };
    assert_eq!(stuck(&node, &excursion, 115), [(2, Some(boot(3701)))], "perhaps");
    node.seen_sound.insert((RateSource::Runtime, "a".into()), boot(112));
    assert_eq!(stuck(&node, &excursion, 115), []);
    let again = [(100, 3600), (101, -3600), (140, -3600)];
    assert_eq!(stuck(&node, &again, 141), [(3, Some(boot(3740)))]);
}
