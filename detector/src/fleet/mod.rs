//! All nodes of a cluster at once: a client of many daemons, each reached by a port-forward to its pod.
//!
//! Who may do that is the apiserver's business: `list` and `watch` of `pods`, `get` and `create` of `pods/portforward`.

mod access;
mod follow;
mod nodes;
mod pod;
mod tunnel;

pub use access::{FleetError, Target, cluster_client};
pub use follow::{FleetTable, News, Wanted, follow_fleet};
pub use nodes::{NodeStanding, NodeState, Survey, nodes_screen, survey};
pub use pod::DaemonPod;
