//! Who did it: a task → its unit, container, pod.
//!
//! What the kernel side recorded always holds, for the process may be gone; `/proc` adds what it can.

mod cgroup;
mod cgroup_tree;
mod process;
mod resolver;

pub use cgroup::{Workload, workload};
pub use cgroup_tree::CgroupTree;
pub use process::{KnownFacts, ProcessFacts, read_process};
pub use resolver::Resolver;

use serde::{Deserialize, Serialize};

/// What kind of actor.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A process.
    Process,
    /// The kernel on its own account.
    Kernel,
    /// The hypervisor, through its guest driver.
    Hypervisor,
    /// Not known.
    #[default]
    Unknown,
}

/// The one who did it. What is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// What kind.
    pub kind: ActorKind,
    /// Process id, initial pid namespace.
    pub pid: Option<u32>,
    /// Thread id.
    pub tid: Option<u32>,
    /// Name of the thread (`comm`).
    pub comm: Option<String>,
    /// Path of the executable.
    pub exe: Option<String>,
    /// Command line, arguments joined by blanks; `…` at the end where it was longer than is kept.
    pub cmdline: Option<String>,
    /// Real user id.
    pub uid: Option<u32>,
    /// Real group id.
    pub gid: Option<u32>,
    /// Parent's process id.
    pub ppid: Option<u32>,
    /// Parent's name.
    pub parent_comm: Option<String>,
    /// Path of the cgroup.
    pub cgroup: Option<String>,
    /// systemd unit.
    pub unit: Option<String>,
    /// Container id.
    pub container_id: Option<String>,
    /// Pod.
    pub pod: Option<Pod>,
    /// Kernel function, for `kernel` and `hypervisor`.
    pub function: Option<String>,
}

/// A pod, as far as it is known; its names come from the container runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Namespace.
    pub namespace: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Uid.
    pub uid: String,
}

impl Actor {
    /// Nobody that is known.
    pub fn unknown() -> Self {
        Self::default()
    }
}
