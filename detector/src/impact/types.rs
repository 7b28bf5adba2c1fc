//! What is stored and streamed.

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    clock::{BootNs, WallNs},
    node::{Container, Pod},
};

const CERTIFICATE: &str = "certificate";

/// One victim of one jump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impact {
    /// Its number on this node; the same when it is told again.
    pub id: u64,
    /// The number of the jump that caused it.
    pub jump: u64,
    /// The boot in which it was found.
    pub boot_id: Arc<str>,
    /// What is wrong, such as `token_not_yet_valid`.
    pub kind: String,
    /// What it is wrong with.
    pub subject: Subject,
    /// From when, by the node's wall clock.
    pub from: Option<WallNs>,
    /// Until when, by the node's wall clock as it now goes; nothing if no end is in sight.
    pub until: Option<WallNs>,
    /// From when, ns since boot.
    pub from_boot: Option<BootNs>,
    /// Until when, ns since boot.
    pub until_boot: Option<BootNs>,
    /// Whether it lasts.
    pub state: State,
    /// How sure that is.
    pub confidence: Confidence,
    /// What to do.
    pub remedy: Remedy,
    /// For people.
    pub message: String,
    /// What it rests on: a JSON object.
    pub evidence: serde_json::Value,
}

impl Impact {
    /// The runtime's id of the container that it is about.
    pub fn container_id(&self) -> Option<&str> {
        self.evidence.get("container_id")?.as_str()
    }

    /// The token that it is about: pod uid, volume and file in one text.
    pub fn token(&self) -> Option<&str> {
        self.evidence.get("token")?.as_str()
    }

    /// What tells it apart where its subject does not: the node has several of its kind.
    pub fn key(&self) -> Option<&str> {
        self.evidence.get("key")?.as_str()
    }

    /// How long it lasts yet, ns; for ever if no end is in sight.
    pub fn left_ns(&self, now: BootNs) -> u64 {
        self.until_boot.map_or(u64::MAX, |until| until.0.saturating_sub(now.0))
    }
}

/// What an impact is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// `pod`, `node`, `certificate`, ….
    pub kind: String,
    /// Namespace.
    pub namespace: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Uid.
    pub uid: Option<String>,
    /// Container.
    pub container: Option<String>,
    /// Volume.
    pub volume: Option<String>,
}

impl From<&Pod> for Subject {
    fn from(pod: &Pod) -> Self {
        Self {
            kind: "pod".to_owned(),
            namespace: Some(pod.namespace.clone()),
            name: Some(pod.name.clone()),
            uid: Some(pod.uid.clone()),
            ..Self::default()
        }
    }
}

impl From<&Container> for Subject {
    fn from(container: &Container) -> Self {
        Self { container: Some(container.name.clone()), ..Self::from(&container.pod) }
    }
}

impl Subject {
    /// A certificate, by its file.
    pub fn certificate(path: &Path) -> Self {
        Self { kind: CERTIFICATE.to_owned(), name: Some(path.display().to_string()), ..Self::default() }
    }

    /// What tells it apart, if it is no container, from others of its kind.
    pub fn key(&self) -> Option<&str> {
        self.certificate_path().or(self.uid.as_deref())
    }

    /// The file of the certificate that it is.
    pub fn certificate_path(&self) -> Option<&str> {
        self.name.as_deref().filter(|_| self.kind == CERTIFICATE)
    }

    /// The node itself.
    pub fn node() -> Self {
        Self { kind: "node".to_owned(), ..Self::default() }
    }
}

/// Whether an impact lasts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It does, or it has not been found to have ended.
    #[default]
    Open,
    /// It has ended.
    Resolved,
}

/// How sure an impact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// By a rule.
    Predicted,
    /// Seen on the node.
    Observed,
    /// Predicted, but observation says no.
    Refuted,
}

/// What to do about an impact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    /// Restart kubelet.
    RestartKubelet,
    /// Delete the pod.
    DeletePod,
    /// Restart the container runtime.
    RestartRuntime,
    /// Wait until it ends.
    Wait,
    /// Nothing to do.
    None,
}
