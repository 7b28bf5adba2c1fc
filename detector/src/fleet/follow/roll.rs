//! Which pods there are, and what a change of them means: pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::Event;

use super::super::pod::{DaemonPod, chosen};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// This pod is the one of its node.
    Runs(DaemonPod),
    /// A node has none that runs.
    Gone(String),
}

/// The pods, by their names.
#[derive(Debug, Default)]
pub(super) struct Roll {
    pods: BTreeMap<String, DaemonPod>,
    /// What is being listed anew.
    listing: Option<BTreeMap<String, DaemonPod>>,
    runs: BTreeMap<String, DaemonPod>,
}

impl Roll {
    /// Takes an event; nothing while pods are being listed.
    pub(super) fn take(&mut self, event: Event<Pod>) -> Option<Vec<Change>> {
        match event {
            Event::Init => {
                self.listing = Some(BTreeMap::new());
                return None;
            }
            Event::InitApply(pod) => {
                let facts = DaemonPod::of(&pod)?;
                self.listing.get_or_insert_default().insert(facts.name.clone(), facts);
                return None;
            }
            Event::InitDone => self.pods = self.listing.take().unwrap_or_default(),
            Event::Apply(pod) => {
                let facts = DaemonPod::of(&pod)?;
                self.pods.insert(facts.name.clone(), facts);
            }
            Event::Delete(pod) => {
                self.pods.remove(&pod.metadata.name?);
            }
        }
        Some(self.changes())
    }

    fn changes(&mut self) -> Vec<Change> {
        let runs: BTreeMap<String, DaemonPod> = chosen(self.pods.values())
            .into_iter()
            .filter(|(_, pod)| pod.running)
            .map(|(node, pod)| (node.to_owned(), pod.clone()))
            .collect();
        let gone: BTreeSet<&String> = self.runs.keys().filter(|node| !runs.contains_key(*node)).collect();
        let mut changes: Vec<_> = gone.into_iter().cloned().map(Change::Gone).collect();
        let is_news = |(node, pod): &(&String, &DaemonPod)| self.runs.get(*node) != Some(*pod);
        changes.extend(runs.iter().filter(is_news).map(|(_, pod)| Change::Runs(pod.clone())));
        self.runs = runs;
        changes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, node: &str, phase: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": name, "uid": format!("{name}-uid") },
            "spec": { "nodeName": node, "containers": [] },
            "status": { "phase": phase },
        }))
        .unwrap()
    }

    fn names(changes: Option<Vec<Change>>) -> Vec<String> {
        let name = |change| match change {
            Change::Runs(pod) => format!("+{} {}", pod.node, pod.name),
            Change::Gone(node) => format!("-{node}"),
        };
        changes.unwrap().into_iter().map(name).collect()
    }

    #[test]
    fn nodes_come_and_go() {
        let mut roll = Roll::default();
        assert_eq!(roll.take(Event::Init), None);
        for (name, node, phase) in [("a", "n1", "Running"), ("b", "n2", "Running"), ("c", "n3", "Pending")] {
            assert_eq!(roll.take(Event::InitApply(pod(name, node, phase))), None);
        }
        assert_eq!(names(roll.take(Event::InitDone)), ["+n1 a", "+n2 b"]);
        assert_eq!(names(roll.take(Event::Apply(pod("a", "n1", "Running")))), Vec::<String>::new());
        assert_eq!(names(roll.take(Event::Apply(pod("c", "n3", "Running")))), ["+n3 c"]);
        assert_eq!(names(roll.take(Event::Apply(pod("c", "n3", "Failed")))), ["-n3"]);
        assert_eq!(names(roll.take(Event::Delete(pod("b", "n2", "Running")))), ["-n2"]);
        // An update: the new pod comes before the old one has gone.
        assert_eq!(names(roll.take(Event::Apply(pod("d", "n1", "Running")))), ["+n1 d"]);
        assert_eq!(names(roll.take(Event::Delete(pod("a", "n1", "Running")))), Vec::<String>::new());
    }

    #[test]
    fn what_is_listed_anew_replaces_all() {
        let mut roll = Roll::default();
        roll.take(Event::Init);
        roll.take(Event::InitApply(pod("a", "n1", "Running")));
        roll.take(Event::InitDone);
        roll.take(Event::Init);
        roll.take(Event::InitApply(pod("b", "n2", "Running")));
        assert_eq!(names(roll.take(Event::InitDone)), ["-n1", "+n2 b"]);
    }
}
