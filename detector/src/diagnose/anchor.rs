//! What the wall clock showed at a moment of the boot clock: both are known of a program that runs and logs, and of boot.
//!
//! The wall offset of then and of now differ by the sum of all jumps between. What the jumps that are known do not come to
//! is missing.

use serde::{Deserialize, Serialize};

use super::{Present, Scene, Sighting, Span, Weight, Witness};
use crate::{
    clock::{BootNs, DeltaNs, WallNs, span},
    node::{Container, Process},
};

const SECOND_NS: i128 = 1_000_000_000;
/// kubelet's main loop begins so long after its process at most: it looks at the machine and its runtime first, ns.
const KUBELET_NS: i128 = 120 * SECOND_NS;
/// containerd says that it starts at once, ns.
const RUNTIME_NS: i128 = 10 * SECOND_NS;
/// Less is no jump worth a conclusion from so little, ns.
const NOTICEABLE_NS: i128 = 300 * SECOND_NS;

/// A moment of which both clocks are known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// What it comes from.
    pub source: String,
    /// What the wall clock showed, ns since 1970.
    pub wall: i128,
    /// When that was, ns since boot.
    pub boot: Span,
    /// For people.
    pub quote: String,
}

impl Anchor {
    /// By how much the wall clock has jumped since, all in all; nothing if that cannot be told.
    pub(super) fn net(&self, present: Present) -> Option<Span> {
        let now = present.wall.0 - i128::from(present.boot?.0);
        let then = Span::around(self.wall, 0).minus(self.boot);
        Some(Span::around(now, 0).minus(then))
    }

    /// What this tells if jumps of together `known` are known of: that another one is missing.
    pub(super) fn missing(&self, known: i128, present: Present) -> Option<Sighting> {
        let missing = self.net(present)?.minus(Span::around(known, 0));
        if missing.widened(NOTICEABLE_NS).meet(Span::around(0, 0)).is_some() {
            return None;
        }
        let far = i64::try_from(i128::midpoint(missing.lo, missing.hi)).ok()?;
        let sighting = Sighting {
            source: self.source.clone(),
            witness: Witness::Lives,
            weight: Weight::Leap,
            place: None,
            before: Span::new(self.wall, Span::ANY.hi),
            // With others to come, it may have led anywhere.
            after: if known == 0 { Span::new(Span::ANY.lo, present.wall.0) } else { Span::ANY },
            delta: missing,
            by: None,
            quote: format!("{}; since then the clock has moved by {}", self.quote, DeltaNs(far).short()),
        };
        sighting.consistent()
    }
}

/// A container's first process starts so long after it was made, ns.
const CONTAINER_NS: i128 = 60 * SECOND_NS;
/// Containers that are looked at for this.
const MOST_CONTAINERS: usize = 200;
/// Those of which it is told.
const MOST_ANCHORS: usize = 8;

/// Those of the containers that run, which were made at what the wall clock then showed: `started` says when the boot clock
/// has their first processes. Of many the oldest, as the clock has moved most since.
pub(super) fn of_containers(
    containers: &[Container],
    started: impl Fn(&str) -> Option<BootNs>,
) -> Vec<Anchor> {
    let running = containers.iter().filter(|container| container.runs()).take(MOST_CONTAINERS);
    let mut seen: Vec<_> =
        running.filter_map(|container| Some((started(&container.id)?, container))).collect();
    seen.sort_by_key(|(started, _)| *started);
    let anchors = seen.into_iter().take(MOST_ANCHORS).map(|(started, container)| {
        let boot = i128::from(started.0);
        let name = format!("{}/{} {}", container.pod.namespace, container.pod.name, container.name);
        Anchor {
            source: format!("container {name}"),
            wall: container.created.0,
            boot: Span::new(boot - CONTAINER_NS, boot),
            quote: format!(
                "it was made at {}, and runs since {} after boot",
                container.created.short(),
                span(started.0)
            ),
        }
    });
    anchors.collect()
}

/// Those of the scene: programs that run, and say in their logs when they started.
pub(super) fn anchors(scene: &Scene) -> Vec<Anchor> {
    let kubelet = scene.facts.kubelet.map(|kubelet| kubelet.process);
    let runtime = scene.facts.runtime.as_ref().and_then(|runtime| runtime.process);
    let of = |program: &str, process: Option<Process>, late: i128| {
        let process = process?;
        // A log may be of another time, and processes of other boots have had the same number: only if the last start there is
        // is that of the process that runs.
        let (log, start) = scene
            .logs
            .iter()
            .find_map(|log| Some((log, log.starts.iter().rfind(|start| start.program == program)?)))?;
        if start.pid != Some(process.pid) {
            return None;
        }
        let wall = start.wall?;
        let boot = i128::from(process.started.0);
        Some(Anchor {
            source: format!("{program}'s process"),
            wall: wall.0,
            boot: Span::new(boot, boot + late),
            quote: format!(
                "{program}[{}] logged its start at {} ({}, line {})",
                process.pid,
                WallNs(wall.0).short(),
                log.path.display(),
                start.line
            ),
        })
    };
    [of("kubelet", kubelet, KUBELET_NS), of("containerd", runtime, RUNTIME_NS)]
        .into_iter()
        .flatten()
        .collect()
}
