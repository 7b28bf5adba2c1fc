//! What a jump spoils: one victim of one jump or excursion.
//!
//! The shape of what is stored and streamed. No rule makes any yet.

use serde::{Deserialize, Serialize};

use crate::clock::WallNs;

/// One victim of one jump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impact {
    /// Its number on this node; the same when it is told again with another confidence.
    pub id: u64,
    /// The number of the jump that caused it.
    pub jump: u64,
    /// What is wrong, such as `token_not_yet_valid`.
    pub kind: String,
    /// What it is wrong with.
    pub subject: Subject,
    /// From when, by the node's wall clock.
    pub from: Option<WallNs>,
    /// Until when.
    pub until: Option<WallNs>,
    /// How sure that is.
    pub confidence: Confidence,
    /// What to do.
    pub remedy: Remedy,
    /// For people.
    pub message: String,
    /// What it rests on: a JSON object.
    pub evidence: serde_json::Value,
}

/// What an impact is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// `pod`, `node`, ….
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

/// How sure an impact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
