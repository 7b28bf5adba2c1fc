//! What leaves the daemon, and how it is written.

mod human;
mod json;
mod output;

pub use human::{coverage_table, human_line, rung_table};
pub use json::json_line;
pub use output::{Output, OutputFormat};

use serde::Serialize;

use crate::{
    actor::Actor,
    capture::{PathCoverage, Rung, RungReport, StepPath},
    clock::{BootNs, OffsetNs},
    ledger::{Balance, Jump},
};

/// One thing to tell.
#[derive(Clone, Debug)]
pub enum Message {
    /// Where capture stands; the first line of a stream, and again whenever it changes.
    Status(Status),
    /// A jump.
    Jump(Jump),
    /// So many steps were lost on the way; the sum of what they moved follows as a jump unless it is 0.
    Lagged(u64),
    /// Somebody tried to set the clock and was refused.
    Refused(Refused),
    /// Something is wrong with the capture itself.
    Alarm(Alarm),
    /// The account at the end.
    Summary(Summary),
}

/// Where capture stands.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Of timejump.
    pub version: &'static str,
    /// The kernel's release.
    pub kernel: String,
    /// Of this boot.
    pub boot_id: String,
    /// The rung in use.
    pub rung: Rung,
    /// The wall offset.
    pub offset_ns: OffsetNs,
    /// The most by which it can be wrong, ns.
    pub offset_error_ns: u64,
    /// Every rung, best first.
    pub rungs: Vec<RungReport>,
    /// Every path.
    pub coverage: Vec<PathCoverage>,
    /// What checks the account.
    pub witnesses: Vec<WitnessReport>,
}

/// How a witness stands.
#[derive(Clone, Debug, Serialize)]
pub struct WitnessReport {
    /// `timerfd`, `timer_list`, `bracketed_reads`.
    pub name: &'static str,
    /// What it can do, or why it cannot.
    pub state: String,
}

/// A refused attempt.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// When, ns since boot.
    #[serde(rename = "boottime_ns")]
    pub at: BootNs,
    /// By which path it was tried.
    pub path: StepPath,
    /// The error's name.
    pub errno: String,
    /// Attempts so far by this user in this cgroup, by this path with this error.
    pub count: u64,
    /// Who.
    pub actor: Actor,
}

/// Something is wrong with the capture.
#[derive(Clone, Debug, Serialize)]
pub struct Alarm {
    /// What: `hook_silent`, `foreign_record`.
    pub kind: &'static str,
    /// For people.
    pub message: String,
}

/// The account at the end.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    /// The account.
    pub balance: Balance,
    /// The wall offset by a witness, and the most by which that can be wrong, ns.
    pub offset_now: (OffsetNs, u64),
    /// Records that found the ring full.
    pub dropped: u64,
    /// Refused attempts.
    pub refused: u64,
}
