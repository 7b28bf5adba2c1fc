//! What is wrong on a node because of its clock, and what can still be learnt about why, without anything having run before.
//!
//! ```text
//! files, sockets ──▶ scene ──▶ sightings ──▶ past ──▶ the rules ──▶ diagnosis
//! ```
//! The scene is all that was looked at, on this node or in a copy of its files; everything after it is pure.

mod advice;
mod anchor;
mod assess;
mod bundle;
mod collect;
mod copy;
mod files;
mod from_files;
mod from_journal;
mod from_logs;
mod from_store;
mod from_wtmp;
mod live;
mod past;
mod problem;
mod reconstruct;
mod scene;
mod sighting;
mod span;
mod witnesses;

use std::path::PathBuf;

pub use advice::{Names, Step};
pub use anchor::Anchor;
pub use assess::is_problem;
pub use bundle::{Bundle, BundleError};
pub use collect::collect;
pub use from_logs::Disbelieved;
pub use live::Live;
pub use past::{Certainty, Guess, Past, PastExcursion, PastJump};
pub use problem::{ClockProblem, ClockProblemKind, LARGE_NS};
pub use reconstruct::{Evidence, Present, reconstruct};
pub use scene::{ApiserverSeen, ClockState, Scene, SourceState};
pub use sighting::{Sighting, Weight, Witness};
pub use span::Span;

use crate::{
    clock::{BootNs, WallNs},
    impact::{Impact, Kind, command},
    node::Version,
};

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The node's files: `/`, or a copy.
    pub root: PathBuf,
    /// Journals and logs besides those in the copy.
    pub journals: Vec<PathBuf>,
    /// kubelet's root directory, as the node names it.
    pub kubelet_root: Option<PathBuf>,
    /// The control plane's certificates.
    pub pki: Vec<PathBuf>,
    /// Where a daemon that ran there kept its store; nothing: it is not looked at.
    pub state_dir: Option<PathBuf>,
    /// For a copy: the moment for which to judge.
    pub now: Option<WallNs>,
    /// For this node: the runtime's socket, if it is not to be found.
    pub cri_endpoint: Option<PathBuf>,
    /// For this node: where cgroups are mounted.
    pub cgroups: PathBuf,
    /// For this node: kubelet's version, which its process does not tell.
    pub kubelet_version: Option<Version>,
    /// For this node: apiservers, by their URLs.
    pub apiservers: Vec<String>,
    /// For this node: who must have signed their certificates.
    pub apiserver_ca: Option<PathBuf>,
}

/// What is wrong, why, and what to do.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// What was looked at.
    pub scene: Scene,
    /// The moment, ns since boot; where boot is not known, since some time before all that is known.
    pub now: BootNs,
    /// What is concluded of the past.
    pub past: Past,
    /// What is wrong with the clock.
    pub clock: Vec<ClockProblem>,
    /// What suffers, or will.
    pub impacts: Vec<Impact>,
    /// What to do.
    pub steps: Vec<Step>,
}

impl Diagnosis {
    /// Whether anything is wrong now.
    pub fn has_problems(&self) -> bool {
        !self.clock.is_empty() || self.problems().next().is_some()
    }

    /// Whether a closer look at the runtime's rates would tell whether what is foretold of them is so.
    pub fn wants_samples(&self) -> bool {
        let of_runtime = [Kind::RuntimeCpuBaselineStuck, Kind::RuntimeCpuFrozen].map(Kind::word);
        self.problems().any(|impact| of_runtime.contains(&impact.kind.as_str()))
    }

    /// What suffers now.
    pub fn problems(&self) -> impl Iterator<Item = &Impact> {
        self.impacts.iter().filter(|impact| is_problem(impact, self.now))
    }
}

/// Looks at a copy of a node's files.
pub fn look_at_copy(options: &Options) -> Result<Scene, BundleError> {
    copy::look(options)
}

/// What the scene comes to. Pure.
pub fn diagnose(scene: Scene) -> Diagnosis {
    let mut sightings = scene.sightings.clone();
    let mut disbelieved = scene.disbelieved.clone();
    for log in &scene.logs {
        let (found, not) = from_logs::sightings(log, scene.present.wall);
        sightings.extend(found);
        disbelieved.extend(not);
    }
    let mut anchors = anchor::anchors(&scene);
    anchors.extend(scene.anchors.iter().cloned());
    let mut past =
        reconstruct(Evidence { sightings, anchors, is_complete: scene.journal_covers_boot }, scene.present);
    past.disbelieved = disbelieved;
    past.earlier.clone_from(&scene.earlier);
    let now = scene.present.boot.unwrap_or(past.now);
    let clock = problem::problems(&scene.clocks, &past, scene.own_apiserver, scene.present.wall);
    let impacts = assess::impacts(&scene, &past, now);
    let [kubelet, runtime] = scene.units.clone();
    let usual = scene.facts.runtime.as_ref().and_then(|runtime| command::runtime_service(&runtime.name));
    let usual_runtime = usual.unwrap_or("containerd");
    let names = Names { kubelet, runtime, usual_runtime, csi_pods: scene.facts.csi_pods.len() };
    let steps = advice::advice(&clock, &impacts, &names, now);
    Diagnosis { scene, now, past, clock, impacts, steps }
}
