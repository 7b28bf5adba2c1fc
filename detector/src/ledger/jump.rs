//! What is reported.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Evidence, Verdict};
use crate::{
    actor::Actor,
    capture::{CapturedBy, StepPath},
    clock::{BootNs, DeltaNs, OffsetNs, WallNs},
};

/// One jump of the wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// Number of the jump on this node, strictly rising over restarts and reboots.
    pub sequence: u64,
    /// The boot it happened in.
    pub boot_id: Arc<str>,
    /// When, ns since that boot.
    pub at: BootNs,
    /// How far.
    pub delta: DeltaNs,
    /// The most by which `delta` can be wrong, ns; 0 is exact.
    pub delta_error_ns: u64,
    /// The wall offset before.
    pub old: OffsetNs,
    /// The wall offset after.
    pub new: OffsetNs,
    /// By which path.
    pub path: StepPath,
    /// Captured by what.
    pub captured_by: CapturedBy,
    /// Who.
    pub actor: Actor,
    /// Whether it did good or harm.
    pub verdict: Verdict,
    /// What the verdict rests on.
    pub evidence: Vec<Evidence>,
    /// The excursion that it opens or closes.
    pub excursion: Option<u64>,
    /// The burst it belongs to: the number of the burst's first jump.
    pub burst: u64,
    /// Whether it is as large as what the operator holds worth reporting.
    pub loud: bool,
    /// When it can have happened, where nobody watched.
    pub window: Option<Window>,
}

/// When a jump that nobody watched can have happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Why nobody watched, and what the delta means.
    pub kind: WindowKind,
    /// The boot of the last thing known before it.
    pub from_boot_id: Arc<str>,
    /// When that was, ns since that boot.
    pub from_boottime_ns: BootNs,
    /// What the wall clock showed then.
    pub from_wall: WallNs,
    /// The first thing known after it, ns since the jump's own boot.
    pub to_boottime_ns: BootNs,
}

/// Why nobody watched, and what the delta means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// The daemon was down. The delta is the sum of all that happened meanwhile.
    DaemonDown,
    /// The machine booted and its wall clock is behind the last one known: it went back by at least the delta.
    RebootBehind,
    /// The machine booted and its wall clock is far ahead of the last one known: the machine was off for so long, or
    /// the clock went forward, by at most the delta.
    RebootAhead,
}

impl WindowKind {
    /// Whether the machine booted in between.
    pub fn is_reboot(self) -> bool {
        self != Self::DaemonDown
    }
}

impl Jump {
    /// What the wall clock showed at the moment of the jump, before it.
    pub fn wall_before(&self) -> WallNs {
        self.old.wall_at(self.at)
    }

    /// What it showed after.
    pub fn wall_after(&self) -> WallNs {
        self.new.wall_at(self.at)
    }
}

/// Steps that were lost between the kernel and us; the jump after them carries their sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missed {
    /// In which boot.
    pub boot_id: Arc<str>,
    /// When it was found, ns since that boot.
    pub at: BootNs,
    /// How many.
    pub missed: u64,
}
