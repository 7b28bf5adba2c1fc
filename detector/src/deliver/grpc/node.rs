//! How the node and its containers stand, to and from the protocol.

use super::{
    convert::{Foreign, from_word, known},
    v1,
};
use crate::{
    clock::{BootNs, DeltaNs, WallNs},
    deliver::{ContainerReport, ContainersReport, NodeReport, json::word},
    impact::Confidence,
    node::{Kubelet, Pod, Process, Runtime, Version},
};

impl From<Process> for v1::Process {
    fn from(process: Process) -> Self {
        Self { pid: process.pid, started_boottime_ns: process.started.0 }
    }
}

impl From<v1::Process> for Process {
    fn from(process: v1::Process) -> Self {
        Self { pid: process.pid, started: BootNs(process.started_boottime_ns) }
    }
}

impl From<&NodeReport> for v1::Node {
    fn from(node: &NodeReport) -> Self {
        let runtime = node.runtime.as_ref().map(|runtime| v1::Runtime {
            name: runtime.name.clone(),
            version: runtime.version.clone(),
            api: runtime.api.clone(),
            endpoint: runtime.endpoint.display().to_string(),
            class: word(runtime.class),
            process: runtime.process.map(Into::into),
        });
        let kubelet = node.kubelet.map(|kubelet| v1::Kubelet {
            process: Some(kubelet.process.into()),
            version: kubelet.version.map(|version| version.to_string()),
        });
        Self {
            runtime,
            runtime_ok: node.runtime_ok,
            runtime_state: node.runtime_state.clone(),
            kubelet,
            kubelet_log: node.kubelet_log.clone(),
            containers: node.containers,
            listed_boottime_ns: node.listed_boottime_ns.0,
            open: open_impacts(&node.open),
            next_spike_boottime_ns: node.next_spike_boottime_ns.map(|at| at.0),
        }
    }
}

impl TryFrom<v1::Node> for NodeReport {
    type Error = Foreign;

    fn try_from(node: v1::Node) -> Result<Self, Foreign> {
        let runtime = node.runtime.map(|runtime| {
            Ok(Runtime {
                name: runtime.name,
                version: runtime.version,
                api: runtime.api,
                endpoint: runtime.endpoint.into(),
                class: from_word(&runtime.class, "runtime class")?,
                process: runtime.process.map(Into::into),
            })
        });
        let kubelet = node.kubelet.map(|kubelet| {
            Ok(Kubelet {
                process: known(kubelet.process, "kubelet process")?.into(),
                version: kubelet.version.as_deref().and_then(Version::parse),
            })
        });
        Ok(Self {
            runtime: runtime.transpose()?,
            runtime_ok: node.runtime_ok,
            runtime_state: node.runtime_state,
            kubelet: kubelet.transpose()?,
            kubelet_log: node.kubelet_log,
            containers: node.containers,
            listed_boottime_ns: BootNs(node.listed_boottime_ns),
            open: from_open_impacts(node.open)?,
            next_spike_boottime_ns: node.next_spike_boottime_ns.map(BootNs),
        })
    }
}

pub(super) fn open_impacts(open: &[(String, Confidence, u64)]) -> Vec<v1::OpenImpacts> {
    let open = open.iter().map(|(kind, confidence, count)| v1::OpenImpacts {
        kind: kind.clone(),
        confidence: v1::Confidence::from(*confidence).into(),
        count: *count,
    });
    open.collect()
}

pub(super) fn from_open_impacts(
    open: Vec<v1::OpenImpacts>,
) -> Result<Vec<(String, Confidence, u64)>, Foreign> {
    let open = open.into_iter().map(|open| {
        let confidence = known(Confidence::from_proto(open.confidence), "confidence")?;
        Ok((open.kind, confidence, open.count))
    });
    open.collect()
}

pub(super) fn last_jump((sequence, at, delta): (u64, BootNs, DeltaNs)) -> v1::LastJump {
    v1::LastJump { sequence, boottime_ns: at.0, delta_ns: delta.0 }
}

pub(super) fn from_last_jump(last: v1::LastJump) -> (u64, BootNs, DeltaNs) {
    (last.sequence, BootNs(last.boottime_ns), DeltaNs(last.delta_ns))
}

pub(super) fn from_pod(pod: v1::Pod) -> Pod {
    Pod { namespace: pod.namespace.unwrap_or_default(), name: pod.name.unwrap_or_default(), uid: pod.uid }
}

pub(super) fn pod(pod: &Pod) -> v1::Pod {
    let Pod { namespace, name, uid } = pod.clone();
    v1::Pod { namespace: Some(namespace), name: Some(name), uid }
}

impl From<&ContainersReport> for v1::ListContainersResponse {
    fn from(report: &ContainersReport) -> Self {
        Self {
            now_boottime_ns: report.now_boottime_ns.0,
            now_wall_ns: i64::try_from(report.wall.0).unwrap_or(i64::MAX),
            last_jump: report.last_jump.map(last_jump),
            node: Some((&report.node).into()),
            containers: report.containers.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::ListContainersResponse> for ContainersReport {
    type Error = Foreign;

    fn try_from(response: v1::ListContainersResponse) -> Result<Self, Foreign> {
        Ok(Self {
            now_boottime_ns: BootNs(response.now_boottime_ns),
            wall: WallNs(response.now_wall_ns.into()),
            last_jump: response.last_jump.map(from_last_jump),
            node: known(response.node, "node")?.try_into()?,
            containers: response.containers.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&ContainerReport> for v1::Container {
    fn from(container: &ContainerReport) -> Self {
        Self {
            id: container.id.clone(),
            name: container.name.clone(),
            attempt: container.attempt,
            pod: Some(pod(&container.pod)),
            cache: word(container.cache),
            kind: container.kind.clone(),
            impact: container.impact,
            jump: container.jump,
            confidence: container.confidence.map(|confidence| v1::Confidence::from(confidence).into()),
            until_wall_ns: container.until.map(|until| i64::try_from(until.0).unwrap_or(i64::MAX)),
            until_boottime_ns: container.until_boottime_ns.map(|until| until.0),
            remaining_ns: container.remaining_ns,
            nanocores: container.nanocores,
            spike_nanocores_at_least: container.spike_nanocores_at_least,
            spike_times_at_least: container.spike_times_at_least,
        }
    }
}

impl TryFrom<v1::Container> for ContainerReport {
    type Error = Foreign;

    fn try_from(container: v1::Container) -> Result<Self, Foreign> {
        let confidence =
            container.confidence.map(|confidence| known(Confidence::from_proto(confidence), "confidence"));
        Ok(Self {
            id: container.id,
            name: container.name,
            attempt: container.attempt,
            pod: from_pod(container.pod.unwrap_or_default()),
            cache: from_word(&container.cache, "cache state")?,
            kind: container.kind,
            confidence: confidence.transpose()?,
            impact: container.impact,
            jump: container.jump,
            until: container.until_wall_ns.map(|until| WallNs(until.into())),
            until_boottime_ns: container.until_boottime_ns.map(BootNs),
            remaining_ns: container.remaining_ns,
            nanocores: container.nanocores,
            spike_nanocores_at_least: container.spike_nanocores_at_least,
            spike_times_at_least: container.spike_times_at_least,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{deliver::CacheState, node::StatsClass};

    #[test]
    fn it_survives_the_way() {
        let process = Process { pid: 7, started: BootNs(5) };
        let node = NodeReport {
            runtime: Some(Runtime {
                name: "containerd".into(),
                version: "1.7.24".into(),
                api: "v1".into(),
                endpoint: "/run/c.sock".into(),
                class: StatsClass::Baseline,
                process: Some(process),
            }),
            runtime_ok: true,
            runtime_state: "answers".into(),
            kubelet: Some(Kubelet { process, version: Some(Version(1, 28)) }),
            kubelet_log: "journal".into(),
            containers: 1,
            listed_boottime_ns: BootNs(9),
            open: vec![("runtime_cpu_baseline_stuck".into(), Confidence::Observed, 1)],
            next_spike_boottime_ns: Some(BootNs(10)),
        };
        let container = ContainerReport {
            id: "a".into(),
            name: "c".into(),
            attempt: 2,
            pod: Pod { namespace: "n".into(), name: "p".into(), uid: "u".into() },
            cache: CacheState::PerhapsStuck,
            kind: Some("k".into()),
            confidence: Some(Confidence::Predicted),
            impact: Some(3),
            jump: Some(4),
            until: Some(WallNs(5)),
            until_boottime_ns: Some(BootNs(6)),
            remaining_ns: Some(7),
            nanocores: None,
            spike_nanocores_at_least: Some(8),
            spike_times_at_least: Some(9),
        };
        let report = ContainersReport {
            now_boottime_ns: BootNs(1),
            wall: WallNs(2),
            last_jump: Some((4, BootNs(1), DeltaNs(-3))),
            node,
            containers: vec![container],
        };
        let back = ContainersReport::try_from(v1::ListContainersResponse::from(&report));
        assert_eq!(back, Ok(report));
    }
}
