//! Whether a pod may be evicted: pure, from what the apiserver says of it right before.

use k8s_openapi::api::core::v1::Pod;

use super::Reason;

/// What evictions are allowed that are not by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allowances {
    /// Pods of the classes `system-node-critical` and `system-cluster-critical`.
    pub system_critical: bool,
    /// Pods with an `emptyDir`, whose content is lost.
    pub local_data: bool,
}

/// What decides whether a pod may be evicted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a rule of its own")]
pub struct PodFacts {
    /// Its uid.
    pub uid: String,
    /// Kind of the owner that controls it.
    pub controller: Option<String>,
    /// kubelet made it known to the apiserver: a mirror of a static pod.
    pub is_mirror: bool,
    /// It is one of timejump's.
    pub is_ours: bool,
    /// Its priority class is one of the system's.
    pub is_critical: bool,
    /// It has an `emptyDir`.
    pub has_local_data: bool,
    /// It is being deleted, or has ended.
    pub is_going: bool,
    /// How long it may take to end.
    pub grace_s: u64,
}

/// kubelet's annotation of mirrors of static pods.
const MIRROR: &str = "kubernetes.io/config.mirror";
/// By which timejump's own pods are known.
const NAME_LABEL: (&str, &str) = ("app.kubernetes.io/name", "timejump");
/// Where a pod's time to end is not given (`terminationGracePeriodSeconds`).
const GRACE_S: u64 = 30;
/// Controllers that make another pod in the place of one that was evicted.
const REPLACING: [&str; 4] = ["ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet"];

impl From<&Pod> for PodFacts {
    fn from(pod: &Pod) -> Self {
        let metadata = &pod.metadata;
        let owners = metadata.owner_references.as_deref().unwrap_or_default();
        let spec = pod.spec.as_ref();
        let has = |names: Option<&std::collections::BTreeMap<String, String>>, name: &str| {
            names.is_some_and(|names| names.contains_key(name))
        };
        let labels = metadata.labels.as_ref();
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
        let class = spec.and_then(|spec| spec.priority_class_name.as_deref()).unwrap_or_default();
        let volumes = spec.and_then(|spec| spec.volumes.as_deref()).unwrap_or_default();
        let grace = spec.and_then(|spec| spec.termination_grace_period_seconds);
        Self {
            uid: metadata.uid.clone().unwrap_or_default(),
            controller: owners
                .iter()
                .find(|owner| owner.controller == Some(true))
                .map(|owner| owner.kind.clone()),
            is_mirror: has(metadata.annotations.as_ref(), MIRROR)
                || owners.iter().any(|owner| owner.kind == "Node"),
            is_ours: labels
                .is_some_and(|labels| labels.get(NAME_LABEL.0).is_some_and(|name| name == NAME_LABEL.1)),
            is_critical: class.starts_with("system-"),
            has_local_data: volumes.iter().any(|volume| volume.empty_dir.is_some()),
            is_going: metadata.deletion_timestamp.is_some() || matches!(phase, Some("Succeeded" | "Failed")),
            grace_s: grace.and_then(|grace| u64::try_from(grace).ok()).unwrap_or(GRACE_S),
        }
    }
}

/// Whether the pod of that uid, of which this is known, may be evicted; or the first reason why not.
pub fn fit_for_eviction(uid: &str, pod: &PodFacts, allowed: Allowances) -> Result<(), Reason> {
    let controller = pod.controller.as_deref();
    let refused = [
        (pod.uid != uid || pod.is_going, Reason::PodGone),
        (pod.is_ours, Reason::OwnPod),
        (pod.is_mirror, Reason::StaticPod),
        (controller.is_none(), Reason::BarePod),
        (controller == Some("Job"), Reason::JobPod),
        (!controller.is_some_and(|kind| REPLACING.contains(&kind)), Reason::OwnerUnknown),
        (pod.is_critical && !allowed.system_critical, Reason::SystemCritical),
        (pod.has_local_data && !allowed.local_data, Reason::LocalData),
    ];
    refused.into_iter().find(|(is_so, _)| *is_so).map_or(Ok(()), |(_, reason)| Err(reason))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn facts(change: fn(&mut serde_json::Value)) -> PodFacts {
        let mut pod = json!({
            "metadata": {"uid": "u", "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "r", "controller": true}]},
            "spec": {"containers": [], "volumes": [{"name": "token", "projected": {}}]},
            "status": {"phase": "Running"},
        });
        change(&mut pod);
        PodFacts::from(&serde_json::from_value::<Pod>(pod).unwrap())
    }

    /// What is changed about a pod, and what is said then: by default, and with everything allowed.
    type Row = (&'static str, fn(&mut serde_json::Value), Result<(), Reason>, Result<(), Reason>);

    #[test]
    fn each_rule_and_what_lifts_it() {
        let none = Allowances::default();
        let all = Allowances { system_critical: true, local_data: true };
        let cases: [Row; 13] = [
            ("as it is", |_| {}, Ok(()), Ok(())),
            (
                "another one",
                |pod| pod["metadata"]["uid"] = "v".into(),
                Err(Reason::PodGone),
                Err(Reason::PodGone),
            ),
            (
                "going",
                |pod| pod["metadata"]["deletionTimestamp"] = "2024-02-06T00:00:00Z".into(),
                Err(Reason::PodGone),
                Err(Reason::PodGone),
            ),
            (
                "ended",
                |pod| pod["status"]["phase"] = "Failed".into(),
                Err(Reason::PodGone),
                Err(Reason::PodGone),
            ),
            (
                "bare",
                |pod| pod["metadata"]["ownerReferences"] = json!([]),
                Err(Reason::BarePod),
                Err(Reason::BarePod),
            ),
            (
                "owned, not controlled",
                |pod| pod["metadata"]["ownerReferences"][0]["controller"] = false.into(),
                Err(Reason::BarePod),
                Err(Reason::BarePod),
            ),
            (
                "mirror",
                |pod| pod["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "h"}),
                Err(Reason::StaticPod),
                Err(Reason::StaticPod),
            ),
            (
                "of the node",
                |pod| pod["metadata"]["ownerReferences"][0]["kind"] = "Node".into(),
                Err(Reason::StaticPod),
                Err(Reason::StaticPod),
            ),
            (
                "ours",
                |pod| pod["metadata"]["labels"] = json!({"app.kubernetes.io/name": "timejump"}),
                Err(Reason::OwnPod),
                Err(Reason::OwnPod),
            ),
            (
                "a job's",
                |pod| pod["metadata"]["ownerReferences"][0]["kind"] = "Job".into(),
                Err(Reason::JobPod),
                Err(Reason::JobPod),
            ),
            (
                "a virtual machine's",
                |pod| pod["metadata"]["ownerReferences"][0]["kind"] = "VirtualMachineInstance".into(),
                Err(Reason::OwnerUnknown),
                Err(Reason::OwnerUnknown),
            ),
            (
                "critical, of a daemon set",
                |pod| {
                    pod["spec"]["priorityClassName"] = "system-node-critical".into();
                    pod["metadata"]["ownerReferences"][0]["kind"] = "DaemonSet".into();
                },
                Err(Reason::SystemCritical),
                Ok(()),
            ),
            (
                "local data",
                |pod| pod["spec"]["volumes"] = json!([{"name": "d", "emptyDir": {}}]),
                Err(Reason::LocalData),
                Ok(()),
            ),
        ];
        for (what, change, want, want_allowed) in cases {
            let pod = facts(change);
            assert_eq!(fit_for_eviction("u", &pod, none), want, "{what}");
            assert_eq!(fit_for_eviction("u", &pod, all), want_allowed, "{what}, allowed");
        }
    }

    #[test]
    fn time_to_end() {
        assert_eq!(facts(|_| {}).grace_s, 30);
        assert_eq!(facts(|pod| pod["spec"]["terminationGracePeriodSeconds"] = 7.into()).grace_s, 7);
    }
}
