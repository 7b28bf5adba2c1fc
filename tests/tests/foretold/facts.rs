//! What is on a recorded node, as the rules look at it, and what they say of it.

use std::collections::BTreeSet;

use serde_json::Value;
use timejump::{
    clock::{BootNs, WallNs},
    impact::{Case, Finding, Kind, assess},
    ledger::Timeline,
    node::{Container, ContainerState, NodeFacts, Pod, Process, Runtime, StatsClass},
};

use crate::recording::Answer;

/// A container that runs.
pub fn container(id: &str, pod: &str, created: WallNs, born: BootNs) -> Container {
    Container {
        id: id.into(),
        name: "c".into(),
        attempt: 0,
        pod: Pod { namespace: "default".into(), name: pod.into(), uid: format!("uid-of-{pod}") },
        state: ContainerState::Running,
        created,
        started: None,
        finished: None,
        born,
        cpu: None,
    }
}

/// A node with containerd and no kubelet.
pub fn node(version: &str, started: BootNs, containers: Vec<Container>) -> NodeFacts {
    let runtime = Runtime {
        name: "containerd".into(),
        version: version.into(),
        api: "v1".into(),
        endpoint: "/run/containerd/containerd.sock".into(),
        class: StatsClass::of("containerd", version),
        process: Some(Process { pid: 300, started }),
    };
    NodeFacts { runtime: Some(runtime), runtime_since: started, containers, ..NodeFacts::default() }
}

/// What the rules say at an answer, with the CPU use that is known then.
pub fn at_answer(node: &NodeFacts, answer: &Answer) -> Findings {
    let mut node = node.clone();
    for container in &mut node.containers {
        let taken = answer.samples.iter().find(|taken| *taken.sample.container == *container.id);
        container.cpu = taken.map(|taken| taken.cpu);
    }
    at(&node, &answer.timeline, answer.before, answer.at)
}

/// What the rules say at `now`.
pub fn at(node: &NodeFacts, timeline: &Timeline, assessed: BootNs, now: BootNs) -> Findings {
    Findings(assess(&Case { timeline, node, now, assessed }))
}

/// What the rules found.
pub struct Findings(Vec<Finding>);

impl Findings {
    /// What kinds there are.
    pub fn kinds(&self) -> BTreeSet<Kind> {
        self.0.iter().map(|finding| finding.kind).collect()
    }

    /// That of one kind and container.
    pub fn of(&self, kind: Kind, id: &str) -> Option<Stuck<'_>> {
        self.0.iter().find(|finding| finding.kind == kind && *finding.key == *id).map(Stuck)
    }
}

/// A finding of a cache that stands still.
pub struct Stuck<'a>(pub &'a Finding);

impl Stuck<'_> {
    /// When it is foretold to end, at the latest.
    pub fn until(&self) -> BootNs {
        self.0.until.unwrap()
    }

    /// Where the stamp is foretold to be; without a lower bound if there is none.
    pub fn stamps(&self) -> (Option<WallNs>, WallNs) {
        (self.stamp("stuck_stamp_earliest"), self.stamp("stuck_stamp_latest").unwrap())
    }

    /// Whether the cache stands still for sure for a sample with this stamp.
    pub fn surely_holds(&self, stamp: WallNs) -> bool {
        self.stamps().0.is_some_and(|earliest| stamp <= earliest)
    }

    /// The rate that ends it, at least.
    pub fn spike(&self) -> Option<u64> {
        self.0.evidence["spike_nanocores_at_least"].as_u64()
    }

    fn stamp(&self, name: &str) -> Option<WallNs> {
        let Value::String(text) = &self.0.evidence[name] else { return None };
        Some(WallNs(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()))
    }
}
