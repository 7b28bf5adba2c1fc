//! Why an impact is found no more.

use super::witnesses::SAMPLED;
use crate::{
    clock::BootNs,
    impact::{Ended, Impact, Kind},
    node::NodeFacts,
};

/// Why an impact is found no more.
pub(super) fn why(impact: &Impact, node: &NodeFacts, now: BootNs) -> Ended {
    let since = impact.from_boot.unwrap_or_default();
    let kind = Kind::of_word(&impact.kind);
    let of_kubelet = kind == Some(Kind::KubeletCpuCacheStuck);
    let of_runtime = kind.is_some_and(|kind| SAMPLED.contains(&kind));
    let gone = |id: &str| !node.containers.iter().any(|container| *container.id == *id && container.runs());
    if impact.until_boot.is_some_and(|until| until <= now) {
        Ended::AsForetold
    } else if (of_kubelet && node.kubelet_since > since) || (of_runtime && node.runtime_since > since) {
        Ended::HolderRestarted
    } else if impact.container_id().is_some_and(gone) {
        Ended::SubjectGone
    } else {
        Ended::ClockStepped
    }
}
