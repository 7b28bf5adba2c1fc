//! What is on the node, as the rules look at it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{Certificate, StatsClass, Version, tokens::Token};
use crate::{
    clock::{BootNs, WallNs},
    ledger::Timeline,
};

/// What is on the node.
#[derive(Clone, Debug, Default)]
pub struct NodeFacts {
    /// The container runtime; nothing if there is none or none answered yet.
    pub runtime: Option<Runtime>,
    /// kubelet; nothing if no such process was found.
    pub kubelet: Option<Kubelet>,
    /// Since when the runtime has been running without a break, as far as is known: what it keeps in memory is no older.
    pub runtime_since: BootNs,
    /// The same of kubelet.
    pub kubelet_since: BootNs,
    /// Whether kubelet's log says that it uses its own cache of CPU samples, whatever the runtime gives.
    pub kubelet_cache_seen: bool,
    /// When the cache of that holder was seen to take a container's samples although it was foretold to take none: it has
    /// nothing left of before.
    pub seen_sound: HashMap<(RateSource, Arc<str>), BootNs>,
    /// Containers, those that have ended as well.
    pub containers: Vec<Container>,
    /// Service-account tokens in projected volumes, by their keys in one text.
    pub tokens: BTreeMap<Arc<str>, Token>,
    /// Pods with a CSI volume mounted, by uid.
    pub csi_pods: BTreeSet<Arc<str>>,
    /// Certificates.
    pub certificates: Vec<Certificate>,
    /// Whose clocks decide whether a token is accepted: each apiserver's that is known, else what stands in for it.
    pub judges: Vec<Judge>,
    /// When kubelet was seen to replace a token sooner than it does upstream, because that came from the future.
    pub kubelet_mends_since: Option<BootNs>,
}

/// A clock by which tokens are judged: an apiserver's.
#[derive(Clone, Debug)]
pub struct Judge {
    /// The apiserver's URL, or what stands in for it.
    pub name: String,
    /// How its clock is known.
    pub source: JudgeSource,
    /// Its offsets over the boot clock. Jumps are numbered as the node's; 0: a step of its own.
    pub timeline: Timeline,
    /// The most by which they can be wrong, ns.
    pub error_ns: u64,
    /// When it was seen last, ns since boot.
    pub seen: BootNs,
}

/// How an apiserver's clock is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JudgeSource {
    /// By the `Date` header of its answers.
    DateHeader,
    /// By when a token was issued that has been seen to be written.
    FreshToken,
    /// An apiserver runs on this node: its clock is the node's.
    OwnApiserver,
    /// Not at all: the node's clock is taken for it.
    NodeClock,
}

impl JudgeSource {
    /// Whether that is known, not assumed.
    pub fn is_known(self) -> bool {
        self != Self::NodeClock
    }
}

/// A container runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Runtime {
    /// What it calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `v1` or `v1alpha2`.
    pub api: String,
    /// Its socket.
    pub endpoint: PathBuf,
    /// What it does with CPU statistics.
    pub class: StatsClass,
    /// Its process, if that can be seen from here.
    pub process: Option<Process>,
}

/// A process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started, ns since boot.
    pub started: BootNs,
}

/// kubelet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Kubelet {
    /// Its process.
    pub process: Process,
    /// Its version, if known.
    pub version: Option<Version>,
}

/// Who computes a CPU rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateSource {
    /// kubelet.
    Kubelet,
    /// The container runtime.
    Runtime,
}

/// Whether a container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContainerState {
    /// Made, not started.
    Created,
    /// It does.
    Running,
    /// It has ended.
    Exited,
    /// The runtime does not know.
    Unknown,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The runtime's id.
    pub id: Arc<str>,
    /// Name in its pod.
    pub name: String,
    /// How often it was restarted.
    pub attempt: u32,
    /// Its pod's namespace, name and uid.
    pub pod: Pod,
    /// Whether it runs.
    pub state: ContainerState,
    /// When it was made, by the wall clock as it then was.
    pub created: WallNs,
    /// When it was started; nothing if that was not asked.
    pub started: Option<WallNs>,
    /// When it ended; nothing if it has not, or if that was not asked.
    pub finished: Option<WallNs>,
    /// When it was made, ns since boot, as far as can be told.
    pub born: BootNs,
    /// What it does with the CPU.
    pub cpu: Option<Cpu>,
}

/// A pod's names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
}

/// CPU time of a container's cgroup, over the boot clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// CPU time used, ns.
    pub usage_ns: u64,
    /// When that was read.
    pub at: BootNs,
    /// The rate since the reading before, ns a second; nothing at the first.
    pub nanocores: Option<u64>,
}

impl Container {
    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.state == ContainerState::Running
    }
}
