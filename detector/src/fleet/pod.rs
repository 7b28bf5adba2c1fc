//! What a pod's object says of the daemon in it, and which pod of a node is the one to ask: pure.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use serde::Serialize;

/// One pod of the DaemonSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DaemonPod {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The node it is on.
    #[serde(skip)]
    pub node: String,
    /// `Running`, `Pending`, …; what keeps its container from running, such as `CrashLoopBackOff`.
    pub phase: String,
    /// It runs, as far as kubelet has told.
    pub running: bool,
    /// It is being deleted.
    pub ending: bool,
    /// How often its containers were restarted.
    pub restarts: u32,
    #[serde(skip)]
    created: Option<Timestamp>,
}

impl DaemonPod {
    /// Of one that has a node.
    pub(super) fn of(pod: &Pod) -> Option<Self> {
        let node = pod.spec.as_ref()?.node_name.clone().filter(|node| !node.is_empty())?;
        let status = pod.status.as_ref();
        let phase = status.and_then(|status| status.phase.clone()).unwrap_or_else(|| "Unknown".into());
        let containers = status.and_then(|status| status.container_statuses.as_ref());
        let waits = containers
            .into_iter()
            .flatten()
            .find_map(|container| container.state.as_ref()?.waiting.as_ref()?.reason.clone());
        let restarts = containers.into_iter().flatten().map(|container| container.restart_count).sum::<i32>();
        let meta = &pod.metadata;
        Some(Self {
            name: meta.name.clone()?,
            uid: meta.uid.clone().unwrap_or_default(),
            node,
            running: phase == "Running" && waits.is_none(),
            phase: waits.unwrap_or(phase),
            ending: meta.deletion_timestamp.is_some(),
            restarts: u32::try_from(restarts).unwrap_or(0),
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
        })
    }

    /// The greater, the more likely it answers.
    fn promise(&self) -> (bool, bool, Option<Timestamp>, &str) {
        (self.running, !self.ending, self.created, &self.name)
    }
}

/// The pod to ask of each node: during an update there may be two.
pub(super) fn chosen<'a>(pods: impl IntoIterator<Item = &'a DaemonPod>) -> BTreeMap<&'a str, &'a DaemonPod> {
    let mut chosen: BTreeMap<&str, &DaemonPod> = BTreeMap::new();
    for pod in pods {
        let best = chosen.entry(&pod.node).or_insert(pod);
        if pod.promise() > best.promise() {
            *best = pod;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(value: serde_json::Value) -> Option<DaemonPod> {
        DaemonPod::of(&serde_json::from_value(value).unwrap())
    }

    fn named(name: &str, running: bool, ending: bool, second: i64) -> DaemonPod {
        DaemonPod {
            name: name.into(),
            node: "n".into(),
            running,
            ending,
            created: Timestamp::from_second(second).ok(),
            ..DaemonPod::default()
        }
    }

    #[test]
    fn what_an_object_says() {
        let facts = pod(json!({
            "metadata": { "name": "timejump-x", "uid": "u" },
            "spec": { "nodeName": "node-1", "containers": [] },
            "status": { "phase": "Running", "containerStatuses": [{
                "name": "timejump", "image": "", "imageID": "", "ready": false, "restartCount": 4,
                "state": { "waiting": { "reason": "CrashLoopBackOff" } },
            }] },
        }))
        .unwrap();
        assert_eq!((&*facts.phase, facts.running, facts.restarts), ("CrashLoopBackOff", false, 4));
        // Not scheduled yet.
        let pending = json!({ "metadata": { "name": "x" }, "spec": { "containers": [] }, "status": { "phase": "Pending" } });
        assert_eq!(pod(pending), None);
        let ending = json!({
            "metadata": { "name": "x", "deletionTimestamp": "2026-01-01T00:00:00Z" },
            "spec": { "nodeName": "n", "containers": [] },
            "status": { "phase": "Running" },
        });
        let ending = pod(ending).unwrap();
        assert!(ending.ending && ending.running);
    }

    #[test]
    fn of_two_the_one_that_runs_and_stays() {
        let choose = |pods: &[DaemonPod]| chosen(pods)["n"].name.clone();
        assert_eq!(choose(&[named("old", true, true, 1), named("new", true, false, 0)]), "new");
        assert_eq!(choose(&[named("old", true, true, 1), named("new", false, false, 2)]), "old");
        assert_eq!(choose(&[named("b", true, false, 2), named("a", true, false, 1)]), "b");
        assert_eq!(choose(&[named("a", true, false, 1), named("b", true, false, 1)]), "b");
    }
}
