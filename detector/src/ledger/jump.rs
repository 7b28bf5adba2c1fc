//! What is reported.

use serde::Serialize;

use crate::{
    actor::Actor,
    capture::{CapturedBy, StepPath},
    clock::{BootNs, DeltaNs, OffsetNs, WallNs},
};

/// One jump of the wall clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// Number of the jump in this account, from 1.
    pub sequence: u64,
    /// When, ns since boot.
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
    /// The excursion that it opens or closes.
    pub excursion: Option<u64>,
}

/// Whether a jump did good or harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It brought the clock nearer to the truth.
    Correction,
    /// It took the clock away from the truth.
    Disruption,
    /// No evidence.
    Unknown,
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
