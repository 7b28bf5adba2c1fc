//! All that was looked at: of this node, or of a copy of its files.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Anchor, Disbelieved, Present, Sighting};
use crate::{
    clock::DeltaNs,
    node::{Judge, NodeFacts, cri::Sample, logs::LogReading, tokens::Listed},
};

/// All that was looked at.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// The node's name, if it is known.
    pub host: Option<String>,
    /// Where its files are: `/`, or the directory of a copy.
    pub root: PathBuf,
    /// The moment at which it was looked at.
    pub present: Present,
    /// What tells that moment, for people.
    pub present_by: String,
    /// The boot's id, if it is known.
    pub boot_id: Option<String>,
    /// How its clocks stand.
    pub clocks: ClockState,
    /// What is on the node. When things were, since boot, follows from the past.
    pub facts: NodeFacts,
    /// Its apiservers' clocks, as far as they were asked.
    pub judges: Vec<Judge>,
    /// Whether an apiserver runs on it.
    pub own_apiserver: bool,
    /// The units that run kubelet and the container runtime, as far as is known.
    pub units: [Option<String>; 2],
    /// kubelet's root directory, as the node names it.
    pub kubelet_root: Option<PathBuf>,
    /// kubelet's directory of certificates, if it was told another than the usual one.
    pub kubelet_cert_dir: Option<PathBuf>,
    /// Token volumes.
    pub volumes: Vec<Listed>,
    /// Logs of text.
    pub logs: Vec<LogReading>,
    /// What other sources tell of jumps.
    pub sightings: Vec<Sighting>,
    /// Moments of which both clocks are known.
    pub anchors: Vec<Anchor>,
    /// Lines that are not believed.
    pub disbelieved: Vec<Disbelieved>,
    /// Jumps of earlier boots, for people.
    pub earlier: Vec<String>,
    /// Whether the journal has seen all of the present boot, so that there was no jump that it does not have.
    pub journal_covers_boot: bool,
    /// What the runtime says of CPU rates.
    pub samples: Vec<Sample>,
    /// What was looked at, and what could not be.
    pub sources: Vec<SourceState>,
}

impl Scene {
    /// Whether it is of a copy of a node's files.
    pub fn is_copy(&self) -> bool {
        self.root != Path::new("/")
    }
}

/// How the node's clocks stand to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockState {
    /// Whether the kernel holds the wall clock synchronised; nothing if that is not known.
    pub synchronised: Option<bool>,
    /// How far the RTC is ahead of the wall clock, to about a second; nothing if there is none that can be read.
    pub rtc_ahead_ns: Option<i64>,
    /// The apiservers.
    pub apiservers: Vec<ApiserverSeen>,
}

/// An apiserver's clock, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiserverSeen {
    /// Its URL.
    pub url: String,
    /// How far its clock is ahead of the node's, ns; nothing if it could not be asked.
    pub ahead_ns: Option<i64>,
    /// The most by which that can be wrong, ns.
    pub error_ns: u64,
    /// Why it could not be asked.
    pub trouble: Option<String>,
}

impl ApiserverSeen {
    /// How far its clock is ahead of the node's, if it is for sure.
    pub fn differs(&self) -> Option<DeltaNs> {
        let ahead = self.ahead_ns?;
        (ahead.unsigned_abs() > self.error_ns).then_some(DeltaNs(ahead))
    }
}

/// A source of evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceState {
    /// What it is, such as `journal`, `/var/log/messages`.
    pub name: String,
    /// Whether it could be read.
    pub seen: bool,
    /// What it had, or why it could not be read.
    pub state: String,
}

impl SourceState {
    /// One that was read.
    pub fn seen(name: impl Into<String>, state: impl Into<String>) -> Self {
        Self { name: name.into(), seen: true, state: state.into() }
    }

    /// One that could not be.
    pub fn unseen(name: impl Into<String>, why: impl Into<String>) -> Self {
        Self { name: name.into(), seen: false, state: why.into() }
    }
}
