//! How the node stands, for whoever asks.

use super::{
    NodeSettings,
    work::{STUCK, Work},
};
use crate::{
    clock::BootNs,
    deliver::{CacheState, ContainerReport, ContainersReport, NodeReport},
    impact::{Confidence, Impact, State},
    ledger::Timeline,
    node::{Container, RuntimeState, StatsClass},
};

pub(super) fn node(work: &Work, settings: &NodeSettings) -> NodeReport {
    let facts = work.node.facts();
    let state = match work.node.state() {
        _ if !settings.enabled => "not looked at: --no-node".to_owned(),
        RuntimeState::Answers => "answers".to_owned(),
        RuntimeState::NotFound => "there is no container runtime at any of the usual sockets".to_owned(),
        RuntimeState::Trouble(trouble) => trouble.clone(),
    };
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    NodeReport {
        runtime: facts.runtime.clone(),
        runtime_ok: matches!(work.node.state(), RuntimeState::Answers),
        runtime_state: state,
        kubelet: facts.kubelet,
        kubelet_log: work.log_source().to_string(),
        containers: count(facts.containers.iter().filter(|container| container.runs()).count()),
        listed_boottime_ns: work.node.listed(),
        open: work.book.open_by_kind(),
        next_spike_boottime_ns: next_spike(work),
    }
}

fn next_spike(work: &Work) -> Option<BootNs> {
    let open = work.book.open().filter(|impact| impact.state == State::Open);
    let spikes = open
        .filter(|impact| impact.evidence.get("spike_times_at_least").is_some_and(serde_json::Value::is_u64));
    spikes.filter_map(|impact| impact.until_boot).min()
}

pub(super) fn containers(
    work: &Work,
    node: NodeReport,
    timeline: &Timeline,
    now: BootNs,
) -> ContainersReport {
    let facts = work.node.facts();
    let class = facts.runtime.as_ref().map_or(StatsClass::Unknown, |runtime| runtime.class);
    let mut containers: Vec<_> = facts
        .containers
        .iter()
        .filter(|container| container.runs())
        .map(|container| of_container(container, stuck(work, container), class, now))
        .collect();
    containers.sort_by(|a, b| {
        (b.until_boottime_ns, &a.pod.namespace, &a.pod.name, &a.name).cmp(&(
            a.until_boottime_ns,
            &b.pod.namespace,
            &b.pod.name,
            &b.name,
        ))
    });
    ContainersReport {
        now_boottime_ns: now,
        wall: timeline.wall(now),
        last_jump: timeline.last_jump(),
        node,
        containers,
    }
}

/// The impact that keeps a container's rate still; kubelet's before the runtime's.
fn stuck<'a>(work: &'a Work, container: &Container) -> Option<&'a Impact> {
    let found = STUCK.iter().filter_map(|kind| work.book.get(*kind, &container.id));
    found.into_iter().find(|impact| impact.state == State::Open)
}

fn of_container(
    container: &Container,
    stuck: Option<&Impact>,
    class: StatsClass,
    now: BootNs,
) -> ContainerReport {
    let number = |name: &str| stuck.and_then(|impact| impact.evidence.get(name)?.as_u64());
    let certain = stuck.and_then(|impact| impact.evidence.get("certain")?.as_bool()).unwrap_or(true);
    let cache = match stuck {
        Some(impact) if certain || impact.confidence == Confidence::Observed => CacheState::Stuck,
        Some(_) => CacheState::PerhapsStuck,
        None if class == StatsClass::Unknown => CacheState::Unknown,
        None => CacheState::Sound,
    };
    let until = stuck.and_then(|impact| impact.until_boot);
    ContainerReport {
        id: container.id.to_string(),
        name: container.name.clone(),
        attempt: container.attempt,
        pod: container.pod.clone(),
        cache,
        kind: stuck.map(|impact| impact.kind.clone()),
        confidence: stuck.map(|impact| impact.confidence),
        impact: stuck.map(|impact| impact.id),
        jump: stuck.map(|impact| impact.jump),
        until: stuck.and_then(|impact| impact.until),
        until_boottime_ns: until,
        remaining_ns: until.map(|until| until.0.saturating_sub(now.0)),
        nanocores: container.cpu.and_then(|cpu| cpu.nanocores),
        spike_nanocores_at_least: number("spike_nanocores_at_least"),
        spike_times_at_least: number("spike_times_at_least"),
    }
}
