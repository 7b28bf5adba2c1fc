//! How the node and its containers stand.

use serde::{Deserialize, Serialize};

use crate::{
    clock::{BootNs, DeltaNs, WallNs},
    impact::Confidence,
    node::{Kubelet, Pod, Runtime},
};

/// What is on the node, and what of it suffers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NodeReport {
    /// The container runtime, as it last answered.
    pub runtime: Option<Runtime>,
    /// Whether it answered when it was last asked.
    pub runtime_ok: bool,
    /// `answers`, or what is wrong.
    pub runtime_state: String,
    /// kubelet.
    pub kubelet: Option<Kubelet>,
    /// Where its log is read, or why it is not.
    pub kubelet_log: String,
    /// Containers that run.
    pub containers: u64,
    /// When they were listed last, ns since boot; 0: never.
    pub listed_boottime_ns: BootNs,
    /// Open impacts, by kind and confidence.
    pub open: Vec<(String, Confidence, u64)>,
    /// When the next rate that stands still moves again and shows too much, once; ns since boot.
    pub next_spike_boottime_ns: Option<BootNs>,
}

/// How the containers stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContainersReport {
    /// When that was, ns since boot.
    pub now_boottime_ns: BootNs,
    /// What the wall clock showed.
    pub wall: WallNs,
    /// The last jump: its number, when it was, and how far it went.
    pub last_jump: Option<(u64, BootNs, DeltaNs)>,
    /// The node around them.
    pub node: NodeReport,
    /// Those that run; the longest in trouble first.
    pub containers: Vec<ContainerReport>,
}

/// Whether a container's CPU rate can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheState {
    /// It can.
    Sound,
    /// It stands still.
    Stuck,
    /// It stands still if a sample was taken while the clock was ahead.
    PerhapsStuck,
    /// What the runtime does is not known.
    Unknown,
}

/// How one container stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContainerReport {
    /// The runtime's id.
    pub id: String,
    /// Name in its pod.
    pub name: String,
    /// How often it was restarted.
    pub attempt: u32,
    /// Its pod.
    pub pod: Pod,
    /// Whether its CPU rate can be trusted.
    pub cache: CacheState,
    /// What is wrong.
    pub kind: Option<String>,
    /// How sure that is.
    pub confidence: Option<Confidence>,
    /// The impact's number.
    pub impact: Option<u64>,
    /// The jump's number.
    pub jump: Option<u64>,
    /// Until when, by the wall clock.
    pub until: Option<WallNs>,
    /// Until when, ns since boot.
    pub until_boottime_ns: Option<BootNs>,
    /// How long that is.
    pub remaining_ns: Option<u64>,
    /// CPU time it uses, ns a second, by its cgroup over the boot clock.
    pub nanocores: Option<u64>,
    /// What it will be shown to use when it ends, once, at least.
    pub spike_nanocores_at_least: Option<u64>,
    /// The same as a multiple of what it really uses.
    pub spike_times_at_least: Option<u64>,
}
