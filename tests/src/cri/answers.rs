//! What the runtime answers: from the node to messages of the API.

use std::collections::{BTreeMap, HashMap};

use k8s_cri::v1;
use prost::Message;
use tonic::Status;

use super::{
    absurd::distort,
    manners::Absurd,
    node::{Container, Node, Pod},
    runtime::Api,
};

/// The version of the API that all runtimes give as their own since 2016.
const KUBE_API_VERSION: &str = "0.1.0";
/// The version of its own API that a docker of these years gives.
const DOCKER_API_VERSION: &str = "1.41.0";

/// A call, as it came.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) api: Api,
    pub(super) method: String,
}

/// What is asked for by id is not there.
fn not_found(node: &Node, what: &str, id: &str) -> Status {
    if node.runtime.is_docker() {
        return Status::unknown(format!("Error: No such container: {id}"));
    }
    Status::not_found(format!("an error occurred when try to find {what} {id:?}: not found"))
}

/// Answers a call. `vanished`: nothing is found by its id.
pub(super) fn answer(
    node: &mut Node,
    call: &Call,
    request: &[u8],
    absurd: &[Absurd],
    vanished: bool,
) -> Result<Vec<u8>, Status> {
    let found = |what, id: &str, node: &Node| if vanished { Err(not_found(node, what, id)) } else { Ok(()) };
    match call.method.as_str() {
        "Version" => read::<v1::VersionRequest>(request).map(|_| version(node, call.api).encode_to_vec()),
        "Status" => read(request).map(|asked| status(asked).encode_to_vec()),
        "ListPodSandbox" => {
            let asked: v1::ListPodSandboxRequest = read(request)?;
            let filter = asked.filter.unwrap_or_default();
            let items =
                node.pods().iter().map(|pod| sandbox(node, pod)).filter(|it| wanted_pod(node, &filter, it));
            let items = distort(items.collect(), absurd);
            Ok(v1::ListPodSandboxResponse { items }.encode_to_vec())
        }
        "PodSandboxStatus" => {
            let asked: v1::PodSandboxStatusRequest = read(request)?;
            let id = &asked.pod_sandbox_id;
            found("sandbox", id, node)?;
            let pod = node.pod(id).ok_or_else(|| not_found(node, "sandbox", id))?;
            let status = distort(vec![sandbox_status(pod)], absurd).pop();
            Ok(v1::PodSandboxStatusResponse { status, ..Default::default() }.encode_to_vec())
        }
        "ListContainers" => {
            let asked: v1::ListContainersRequest = read(request)?;
            let filter = asked.filter.unwrap_or_default();
            let all = node.containers().iter().map(|it| container(node, it));
            let containers = distort(all.filter(|it| wanted(node, &filter, it)).collect(), absurd);
            Ok(v1::ListContainersResponse { containers }.encode_to_vec())
        }
        "ContainerStatus" => {
            let asked: v1::ContainerStatusRequest = read(request)?;
            let id = &asked.container_id;
            found("container", id, node)?;
            let container = node.container(id).ok_or_else(|| not_found(node, "container", id))?;
            let info = if asked.verbose { info(container) } else { HashMap::new() };
            let status = distort(vec![container_status(node, container)], absurd).pop();
            Ok(v1::ContainerStatusResponse { status, info }.encode_to_vec())
        }
        "ListContainerStats" => {
            let asked: v1::ListContainerStatsRequest = read(request)?;
            let stats = distort(list_stats(node, asked.filter.unwrap_or_default()), absurd);
            Ok(v1::ListContainerStatsResponse { stats }.encode_to_vec())
        }
        "ContainerStats" => {
            let asked: v1::ContainerStatsRequest = read(request)?;
            let id = &asked.container_id;
            found("container", id, node)?;
            let container = node.container(id).ok_or_else(|| not_found(node, "container", id))?.clone();
            let stats = distort(vec![single_stats(node, &container)?], absurd).pop();
            Ok(v1::ContainerStatsResponse { stats }.encode_to_vec())
        }
        other => Err(Status::unimplemented(format!("method {other} not implemented"))),
    }
}

fn read<M: Message + Default>(request: &[u8]) -> Result<M, Status> {
    M::decode(request)
        .map_err(|error| Status::internal(format!("grpc: error unmarshalling request: {error}")))
}

fn version(node: &Node, api: Api) -> v1::VersionResponse {
    let runtime_api_version = if node.runtime.is_docker() { DOCKER_API_VERSION } else { api.name() };
    v1::VersionResponse {
        version: KUBE_API_VERSION.into(),
        runtime_name: node.runtime.name.clone(),
        runtime_version: node.runtime.version.clone(),
        runtime_api_version: runtime_api_version.into(),
    }
}

fn status(asked: v1::StatusRequest) -> v1::StatusResponse {
    let ready = |kind: &str| v1::RuntimeCondition { r#type: kind.into(), status: true, ..Default::default() };
    let info = asked.verbose.then(|| ("config".to_owned(), "{}".to_owned()));
    v1::StatusResponse {
        status: Some(v1::RuntimeStatus { conditions: vec![ready("RuntimeReady"), ready("NetworkReady")] }),
        info: info.into_iter().collect(),
        ..Default::default()
    }
}

fn owned(labels: BTreeMap<&'static str, &str>) -> HashMap<String, String> {
    labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
}

/// docker's lists know seconds only; what it says of one thing is exact.
fn listed(node: &Node, at: i64) -> i64 {
    const SECOND: i64 = crate::sys::SECOND;
    if node.runtime.is_docker() { at.div_euclid(SECOND) * SECOND } else { at }
}

fn pod_metadata(pod: &Pod) -> v1::PodSandboxMetadata {
    v1::PodSandboxMetadata {
        name: pod.name.clone(),
        uid: pod.uid.clone(),
        namespace: pod.namespace.clone(),
        attempt: pod.attempt,
    }
}

fn sandbox(node: &Node, pod: &Pod) -> v1::PodSandbox {
    v1::PodSandbox {
        id: pod.id.clone(),
        metadata: Some(pod_metadata(pod)),
        state: v1::PodSandboxState::SandboxReady.into(),
        created_at: listed(node, pod.created_at),
        labels: owned(pod.labels()),
        annotations: HashMap::from([("kubernetes.io/config.source".into(), "api".into())]),
        ..Default::default()
    }
}

fn sandbox_status(pod: &Pod) -> v1::PodSandboxStatus {
    v1::PodSandboxStatus {
        id: pod.id.clone(),
        metadata: Some(pod_metadata(pod)),
        state: v1::PodSandboxState::SandboxReady.into(),
        created_at: pod.created_at,
        labels: owned(pod.labels()),
        ..Default::default()
    }
}

fn metadata(container: &Container) -> v1::ContainerMetadata {
    v1::ContainerMetadata { name: container.name.clone(), attempt: container.attempt }
}

fn state(container: &Container) -> v1::ContainerState {
    match container.exited {
        Some(_) => v1::ContainerState::ContainerExited,
        None => v1::ContainerState::ContainerRunning,
    }
}

fn image() -> v1::ImageSpec {
    v1::ImageSpec { image: "registry.k8s.io/e2e-test-images/agnhost:2.40".into(), ..Default::default() }
}

fn annotations(container: &Container) -> HashMap<String, String> {
    HashMap::from([("io.kubernetes.container.restartCount".into(), container.attempt.to_string())])
}

fn container(node: &Node, of: &Container) -> v1::Container {
    v1::Container {
        id: of.id.clone(),
        pod_sandbox_id: of.pod.clone(),
        metadata: Some(metadata(of)),
        image: Some(image()),
        state: state(of).into(),
        created_at: listed(node, of.created_at),
        labels: owned(of.labels(node.pod(&of.pod))),
        annotations: annotations(of),
        ..Default::default()
    }
}

fn container_status(node: &Node, of: &Container) -> v1::ContainerStatus {
    let (finished_at, exit_code) = of.exited.unwrap_or_default();
    let reason = match of.exited {
        Some((_, 0)) => "Completed",
        Some(_) => "Error",
        None => "",
    };
    v1::ContainerStatus {
        id: of.id.clone(),
        metadata: Some(metadata(of)),
        state: state(of).into(),
        created_at: of.created_at,
        started_at: of.started_at,
        finished_at,
        exit_code,
        image: Some(image()),
        reason: reason.into(),
        labels: owned(of.labels(node.pod(&of.pod))),
        annotations: annotations(of),
        ..Default::default()
    }
}

fn info(container: &Container) -> HashMap<String, String> {
    let info = serde_json::json!({ "sandboxID": container.pod, "pid": 0 });
    HashMap::from([("info".into(), info.to_string())])
}

fn list_stats(node: &mut Node, filter: v1::ContainerStatsFilter) -> Vec<v1::ContainerStats> {
    let filter = v1::ContainerFilter {
        id: filter.id,
        pod_sandbox_id: filter.pod_sandbox_id,
        label_selector: filter.label_selector,
        state: None,
    };
    let asked_for = |it: &&Container| wanted(node, &filter, &container(node, it));
    let containers: Vec<_> = node.containers().iter().filter(asked_for).cloned().collect();
    let now = node.now();
    let mut all = Vec::new();
    for container in containers {
        let usage = container.usage(now.boot);
        if usage.is_none() && node.runtime.name == "cri-o" {
            continue;
        }
        let rate = usage.and_then(|used| node.stats.listed(&container.id, now, used));
        all.push(stats(node, &container, now.wall, usage, rate));
    }
    all
}

fn single_stats(node: &mut Node, container: &Container) -> Result<v1::ContainerStats, Status> {
    let now = node.now();
    let usage = container.usage(now.boot);
    let Some(used) = usage else {
        return Err(Status::unknown("unexpected metrics response: []"));
    };
    let rate = node.stats.single(&container.id, now, used);
    Ok(stats(node, container, now.wall, usage, rate))
}

fn stats(
    node: &Node,
    of: &Container,
    wall: i64,
    usage: Option<u64>,
    rate: Option<u64>,
) -> v1::ContainerStats {
    let value = |value| v1::UInt64Value { value };
    v1::ContainerStats {
        attributes: Some(v1::ContainerAttributes {
            id: of.id.clone(),
            metadata: Some(metadata(of)),
            labels: owned(of.labels(node.pod(&of.pod))),
            annotations: annotations(of),
        }),
        // What has exited has no task and so no metrics.
        cpu: usage.map(|usage| v1::CpuUsage {
            timestamp: wall,
            usage_core_nano_seconds: Some(value(usage)),
            usage_nano_cores: rate.map(value),
        }),
        memory: usage.map(|_| v1::MemoryUsage {
            timestamp: wall,
            working_set_bytes: Some(value(64 << 20)),
            usage_bytes: Some(value(80 << 20)),
            ..Default::default()
        }),
        writable_layer: Some(v1::FilesystemUsage {
            timestamp: wall,
            used_bytes: Some(value(4_096)),
            inodes_used: Some(value(1)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn selected(selector: &HashMap<String, String>, labels: &HashMap<String, String>) -> bool {
    selector.iter().all(|(name, value)| labels.get(name) == Some(value))
}

/// Whether an id is the one asked for, which may be the beginning of one.
fn is(asked: &str, full: Option<&String>, id: &str) -> bool {
    asked.is_empty() || full.map_or(asked, String::as_str) == id
}

fn wanted_pod(node: &Node, filter: &v1::PodSandboxFilter, pod: &v1::PodSandbox) -> bool {
    is(&filter.id, node.pod(&filter.id).map(|pod| &pod.id), &pod.id)
        && filter.state.is_none_or(|state| state.state == pod.state)
        && selected(&filter.label_selector, &pod.labels)
}

fn wanted(node: &Node, filter: &v1::ContainerFilter, container: &v1::Container) -> bool {
    is(&filter.id, node.container(&filter.id).map(|it| &it.id), &container.id)
        && is(
            &filter.pod_sandbox_id,
            node.pod(&filter.pod_sandbox_id).map(|it| &it.id),
            &container.pod_sandbox_id,
        )
        && filter.state.is_none_or(|state| state.state == container.state)
        && selected(&filter.label_selector, &container.labels)
}
