//! From the interface's messages to what the rules look at. Whatever is missing or absurd is left out, never trusted.

use std::collections::HashMap;

use k8s_cri::v1;

use super::Sample;
use crate::{
    clock::{BootNs, WallNs},
    node::{Container, ContainerState, Pod},
};

/// Labels by which kubelet names a container's pod (pkg/kubelet/types/labels.go).
const LABELS: [&str; 3] = ["io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.pod.uid"];
/// Names are at most 253 characters in Kubernetes; a runtime may say anything.
const LONGEST: usize = 253;

/// A runtime's containers, each with the pod that its sandbox, or else its labels, give.
pub fn containers(
    sandboxes: v1::ListPodSandboxResponse,
    listed: v1::ListContainersResponse,
) -> Vec<Container> {
    let pods: HashMap<_, _> = sandboxes.items.into_iter().map(pod).collect();
    listed.containers.into_iter().filter_map(|found| container(found, &pods)).collect()
}

/// A sandbox's id and its pod.
fn pod(sandbox: v1::PodSandbox) -> (String, Pod) {
    let metadata = sandbox.metadata.unwrap_or_default();
    let pod =
        Pod { namespace: text(&metadata.namespace), name: text(&metadata.name), uid: text(&metadata.uid) };
    (sandbox.id, pod)
}

/// Nothing for one without an id.
fn container(found: v1::Container, pods: &HashMap<String, Pod>) -> Option<Container> {
    if found.id.is_empty() || found.id.len() > LONGEST {
        return None;
    }
    let state = state(found.state);
    let pod = pods.get(&found.pod_sandbox_id).cloned().unwrap_or_else(|| {
        let [namespace, name, uid] =
            LABELS.map(|label| found.labels.get(label).map(|value| text(value)).unwrap_or_default());
        Pod { namespace, name, uid }
    });
    let metadata = found.metadata.unwrap_or_default();
    Some(Container {
        id: found.id.into(),
        name: text(&metadata.name),
        attempt: metadata.attempt,
        pod,
        state,
        created: WallNs(found.created_at.into()),
        started: None,
        finished: None,
        born: BootNs(0),
        cpu: None,
    })
}

/// When `container` was started and ended.
pub fn times(container: &mut Container, status: &v1::ContainerStatus) {
    let set = |at: i64| (at > 0).then(|| WallNs(at.into()));
    container.state = state(status.state);
    container.started = set(status.started_at);
    container.finished = set(status.finished_at);
}

/// What a runtime says of a container's CPU; nothing for one without an id or without CPU.
pub fn sample(stats: v1::ContainerStats) -> Option<Sample> {
    let container_id = stats.attributes?.id;
    let cpu = stats.cpu?;
    (!container_id.is_empty()).then_some(Sample {
        container_id,
        timestamp: cpu.timestamp,
        usage_ns: cpu.usage_core_nano_seconds.map(|value| value.value),
        nanocores: cpu.usage_nano_cores.map(|value| value.value),
    })
}

fn state(state: i32) -> ContainerState {
    match v1::ContainerState::try_from(state) {
        Ok(v1::ContainerState::ContainerCreated) => ContainerState::Created,
        Ok(v1::ContainerState::ContainerRunning) => ContainerState::Running,
        Ok(v1::ContainerState::ContainerExited) => ContainerState::Exited,
        Ok(v1::ContainerState::ContainerUnknown) | Err(_) => ContainerState::Unknown,
    }
}

fn text(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_answers_are_left_out_or_cut() {
        assert!(container(v1::Container::default(), &HashMap::new()).is_none(), "no id");
        let found = v1::Container {
            id: "a".into(),
            state: 99,
            created_at: i64::MIN,
            metadata: Some(v1::ContainerMetadata { name: "n".repeat(10_000), attempt: u32::MAX }),
            labels: [("io.kubernetes.pod.name".to_owned(), "p".to_owned())].into(),
            ..v1::Container::default()
        };
        let found = container(found, &HashMap::new()).unwrap();
        assert_eq!((found.state, found.name.len()), (ContainerState::Unknown, LONGEST));
        assert_eq!((found.pod.name.as_str(), found.pod.uid.as_str()), ("p", ""));
        assert!(sample(v1::ContainerStats::default()).is_none());
        let mut found = found;
        times(
            &mut found,
            &v1::ContainerStatus { started_at: -5, state: 1, ..v1::ContainerStatus::default() },
        );
        assert_eq!((found.started, found.finished, found.runs()), (None, None, true));
    }

    #[test]
    fn a_pod_is_found_by_its_sandbox() {
        let sandbox = v1::PodSandbox {
            id: "s".into(),
            metadata: Some(v1::PodSandboxMetadata {
                name: "coredns".into(),
                uid: "u".into(),
                namespace: "kube-system".into(),
                attempt: 0,
            }),
            ..v1::PodSandbox::default()
        };
        let pods = HashMap::from([pod(sandbox)]);
        let found = v1::Container { id: "a".into(), pod_sandbox_id: "s".into(), ..v1::Container::default() };
        assert_eq!(container(found, &pods).unwrap().pod.namespace, "kube-system");
    }
}
