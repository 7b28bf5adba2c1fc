//! What is stored and streamed of a remedy that is carried out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    clock::{BootNs, WallNs},
    impact::Subject,
};

/// One remedy: what is to be done, was done, or is not done, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remediation {
    /// Its number on this node; the same when it is told again.
    pub id: u64,
    /// The boot in which it was told.
    pub boot_id: Arc<str>,
    /// When it was told last, ns since boot.
    pub at: BootNs,
    /// What the node's wall clock showed then.
    pub wall: WallNs,
    /// What.
    pub action: Action,
    /// The node, or the pod.
    pub subject: Subject,
    /// The last of the jumps that did the harm.
    pub jump: u64,
    /// The impacts that it is to end.
    pub impacts: Vec<u64>,
    /// How far it has come.
    pub stage: Stage,
    /// Why it is not done, or not yet, or did not succeed.
    pub reason: Option<Reason>,
    /// For people.
    pub message: String,
    /// Whether it is only said what would be done.
    pub mode: Mode,
    /// When the act itself began, ns since boot: such count for the rate limit.
    pub started: Option<BootNs>,
}

/// What tells remedies apart: the action, the pod's uid, and why it is not taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    action: Action,
    uid: Option<String>,
    not_taken: Option<Reason>,
}

impl Key {
    /// Of something that is to be done.
    pub fn of(action: Action, subject: &Subject) -> Self {
        Self { action, uid: subject.uid.clone(), not_taken: None }
    }

    /// Of what concerns the node and is not done, for that reason.
    pub fn refused(action: Action, reason: Reason) -> Self {
        Self { action, uid: None, not_taken: Some(reason) }
    }
}

impl Remediation {
    /// What tells it apart.
    pub fn key(&self) -> Key {
        match (self.stage, self.reason) {
            (Stage::NotTaken, Some(reason)) | (Stage::Waiting, Some(reason @ Reason::NotObserved))
                if self.subject.uid.is_none() =>
            {
                Key::refused(self.action, reason)
            }
            _ => Key::of(self.action, &self.subject),
        }
    }
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Restart kubelet; containers go on running.
    RestartKubelet,
    /// Evict a pod; its controller makes another.
    EvictPod,
}

/// Whether to act.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// All but the act itself.
    #[default]
    DryRun,
    /// The act as well.
    Act,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It will be done once the clock has held still for long enough.
    Planned,
    /// It would have been done now.
    DryRun,
    /// Something holds it back for now.
    Waiting,
    /// It is being done.
    Started,
    /// It was done, and what it was for has been seen to be over.
    Succeeded,
    /// It was not done, or it was and did not help.
    Failed,
    /// It failed too often.
    GivenUp,
    /// It is not done, by a rule.
    NotTaken,
}

impl Stage {
    /// Whether more is to come.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Planned | Self::Waiting | Self::Started)
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $word:literal,)*) => {
        /// Why something is not done, or not yet, or did not succeed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason { $($(#[$doc])* #[serde(rename = $word)] $reason,)* }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$reason,)*];

            /// Its word.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$reason => $word,)* }
            }

            /// The one of that word.
            pub fn of_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.word() == word)
            }
        }
    };
}

reasons! {
    /// The clock jumped a short while ago.
    ClockMoved = "clock_moved",
    /// The clock is away and may come back.
    ClockAway = "clock_away",
    /// Foretold, and not seen on the node.
    NotObserved = "not_observed",
    /// As much was done within the last hour as is allowed.
    RateLimit = "rate_limit",
    /// It failed a short while ago.
    CoolDown = "cool_down",
    /// Another node's turn.
    Lease = "lease",
    /// The apiserver cannot be asked, or refuses.
    Apiserver = "apiserver",
    /// The pod's disruption budget does not allow it now.
    DisruptionBudget = "disruption_budget",
    /// What is done could not be noted.
    Store = "store",
    /// The jump that did it put the clock right, and ended no excursion.
    Correction = "correction",
    /// It is not known which jump did it.
    CauseUnknown = "cause_unknown",
    /// It is over soon anyway.
    EndsSoon = "ends_soon",
    /// The operator does not want this kind of remedy.
    KindOff = "kind_off",
    /// Pods mount through CSI drivers, which a restart of kubelet may disturb.
    CsiMounts = "csi_mounts",
    /// Whether pods mount through CSI drivers is not known.
    CsiUnknown = "csi_unknown",
    /// No kubelet is seen.
    NoKubelet = "no_kubelet",
    /// kubelet is no service of systemd's.
    NoUnit = "no_unit",
    /// A restart of kubelet restarts an apiserver as well.
    HoldsApiserver = "holds_apiserver",
    /// Nobody would make the pod anew.
    BarePod = "bare_pod",
    /// A file on the node is what makes the pod: its eviction changes nothing.
    StaticPod = "static_pod",
    /// It is one of timejump's own.
    OwnPod = "own_pod",
    /// The pod is critical to node or cluster.
    SystemCritical = "system_critical",
    /// The pod is a job's, whose work would be lost.
    JobPod = "job_pod",
    /// What its controller makes of an eviction is not known.
    OwnerUnknown = "owner_unknown",
    /// The pod keeps data on the node, which would be lost.
    LocalData = "local_data",
    /// The pod is another one by now, or is going.
    PodGone = "pod_gone",
    /// What it was for has ended.
    NotNeeded = "not_needed",
    /// systemd cannot be asked, or refuses.
    Systemd = "systemd",
    /// It was done, and not seen to help.
    NotCured = "not_cured",
    /// The clock jumped while it was being seen whether it helped.
    ClockJumped = "clock_jumped",
    /// timejump ended while it was being done.
    Interrupted = "interrupted",
    /// It failed too often.
    GivenUp = "given_up",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_json() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.word());
            assert_eq!(Reason::of_word(reason.word()), Some(*reason));
        }
    }
}
