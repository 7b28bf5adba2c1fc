//! What leaves the daemon, and how it is written.

mod backend;
mod columns;
mod crowd;
mod diagnosis_json;
mod diagnosis_screen;
pub mod grpc;
pub mod http;
mod human;
mod json;
pub mod kube;
mod node_report;
mod offer;
mod offer_screen;
pub mod otlp;
pub mod outbox;
mod output;
mod printer;
pub mod report;
mod show;
mod stats_screen;
mod status_screen;
pub mod stream;
mod table;
mod tally;
mod token_report;
mod tokens_screen;
mod victims;

pub use crate::locked::locked;
pub use backend::{Backend, Unresponsive};
pub(crate) use columns::shortened;
pub use crowd::Crowds;
pub use diagnosis_json::diagnosis_lines;
pub use diagnosis_screen::diagnosis_screen;
pub use human::{human_line, printable, who};
pub(crate) use json::word;
pub use json::{impact_value, json_line, json_line_of, jump_value, remedy_value};
pub use node_report::{CacheState, ContainerReport, ContainersReport, NodeReport};
pub use offer::{Obstacles, Offer};
pub use offer_screen::offer_screen;
pub use output::{Output, OutputFormat};
pub use printer::Printer;
pub use show::{Shown, show_screen};
pub use stats_screen::stats_screen;
pub use status_screen::status_screen;
pub use table::{Colour, JumpTable};
pub(crate) use table::{brief, cut};
pub use tally::{Handshake, Sums, Tally};
pub use token_report::{
    CredentialsReport, JudgeReport, TokenReport, TokenState, TokensReport, TroubleReport,
};
pub use tokens_screen::tokens_screen;
pub(crate) use victims::wrapped;

use std::path::PathBuf;

use serde::Serialize;

use crate::{
    actor::Actor,
    capture::{PathCoverage, Rung, RungReport, StepPath},
    clock::{BootNs, OffsetNs},
    impact::Impact,
    ledger::{Balance, Jump, Missed},
    remedy::Remediation,
    store::Kept,
};

/// One thing to tell.
#[derive(Clone, Debug)]
pub enum Message {
    /// Where capture stands; the first line of a stream, and again whenever it changes.
    Status(Box<Status>),
    /// A jump.
    Jump(Jump),
    /// An impact, for the first time or again.
    Impact(Impact),
    /// A remedy that is carried out, or would be.
    Remedy(Remediation),
    /// Steps were lost on the way from the kernel; the sum of what they moved follows as a jump unless it is 0.
    Missed(Missed),
    /// This consumer was too slow for so many entries.
    Lagged(u64),
    /// Somebody tried to set the clock and was refused.
    Refused(Refused),
    /// Something is wrong with the capture itself.
    Alarm(Alarm),
    /// The account at the end.
    Summary(Summary),
}

impl From<Kept> for Message {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Jump(jump, _) => Self::Jump(jump),
            Kept::Impact(impact) => Self::Impact(impact),
            Kept::Remedy(remedy) => Self::Remedy(remedy),
            Kept::Missed(missed) => Self::Missed(missed),
        }
    }
}

impl Message {
    /// Whether it is kept in the store, and so has a place of its own in the stream.
    pub fn is_stored(&self) -> bool {
        matches!(self, Self::Jump(_) | Self::Impact(_) | Self::Remedy(_) | Self::Missed(_))
    }
}

/// Where capture stands.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Of timejump.
    pub version: String,
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
    /// The capabilities of the thread that captures, by their names in capabilities(7), in small letters and without `CAP_`.
    /// Nothing where a daemon of an earlier version does not say.
    pub capabilities: Option<Vec<String>>,
    /// The daemon around it; nothing where none runs.
    pub daemon: Option<DaemonReport>,
}

/// How the daemon stands.
#[derive(Clone, Debug, Serialize)]
pub struct DaemonReport {
    /// When it started, ns since boot.
    pub started_boottime_ns: BootNs,
    /// When this was told, ns since boot.
    pub now_boottime_ns: BootNs,
    /// The account.
    pub ledger: LedgerReport,
    /// What outlives it.
    pub store: StoreReport,
    /// Where it can be asked.
    pub listeners: Vec<Listener>,
    /// Who follows the stream.
    pub consumers: ConsumersReport,
    /// How far the stream has come in places outside this node.
    pub deliveries: Vec<outbox::DeliveryReport>,
    /// What is on the node, and what of it suffers.
    pub node: NodeReport,
    /// What is known of tokens, and of whose clocks judge them.
    pub credentials: CredentialsReport,
}

/// How the account stands.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LedgerReport {
    /// The wall offset when it was opened.
    pub start_offset_ns: OffsetNs,
    /// Sum of all reported deltas since.
    pub sum_of_deltas_ns: i64,
    /// Jumps reported.
    pub jumps: u64,
    /// Steps lost on the way.
    pub missed: u64,
    /// Records that found the ring full.
    pub dropped: u64,
    /// Refused attempts.
    pub refused: u64,
    /// Suspends seen.
    pub suspends: u64,
    /// Time slept in them, ns.
    pub suspended_ns: i64,
    /// Number of the last jump since the account was opened; 0 if there was none.
    pub last_sequence: u64,
    /// When that was, ns since boot.
    pub last_boottime_ns: BootNs,
}

/// How the store stands.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StoreReport {
    /// Its file; nothing if it is in memory only.
    pub path: Option<PathBuf>,
    /// `ok`, or what is wrong.
    pub state: String,
    /// Jumps in it.
    pub jumps: u64,
    /// Its size.
    pub bytes: u64,
    /// Entries that wait to be written.
    pub backlog: u64,
    /// Entries that were given up.
    pub unstored: u64,
}

/// One place where the daemon can be asked.
#[derive(Clone, Debug, Serialize)]
pub struct Listener {
    /// `unix`, `tcp`, `pod`, `http`.
    pub kind: String,
    /// Where.
    pub address: String,
    /// `listening`, or why not.
    pub state: String,
}

/// Who follows the stream.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ConsumersReport {
    /// How many now.
    pub now: u64,
    /// How many there may be.
    pub limit: u64,
    /// Entries that they were too slow for, all together.
    pub lagged: u64,
}

/// How a witness stands.
#[derive(Clone, Debug, Serialize)]
pub struct WitnessReport {
    /// `timerfd`, `timer_list`, `bracketed_reads`.
    pub name: String,
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
    /// What: `hook_silent`, `foreign_record`, `store`, `store_recovered`, `remedy_given_up`.
    pub kind: String,
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

#[cfg(test)]
pub(crate) mod tests {
    use crate::{
        actor::Actor,
        capture::{CapturedBy, StepPath},
        clock::{BootNs, DeltaNs, OffsetNs},
        ledger::{Jump, Verdict},
    };

    /// Jump number `sequence` by `delta` ns.
    pub(crate) fn jump(sequence: u64, delta: i64) -> Jump {
        Jump {
            sequence,
            boot_id: "b00t".into(),
            at: BootNs(sequence),
            delta: DeltaNs(delta),
            delta_error_ns: 0,
            old: OffsetNs(0),
            new: OffsetNs(delta),
            path: StepPath::ClockSettime,
            captured_by: CapturedBy::Fentry,
            actor: Actor::unknown(),
            verdict: Verdict::Unknown,
            evidence: Vec::new(),
            excursion: None,
            burst: sequence,
            loud: true,
            window: None,
        }
    }
}
