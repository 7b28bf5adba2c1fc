//! How the tokens on the node stand.

use serde::{Deserialize, Serialize};

use crate::{
    clock::{BootNs, DeltaNs, WallNs},
    impact::Confidence,
    node::{JudgeSource, Pod},
};

/// What is known of tokens as a whole, and of whose clocks judge them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CredentialsReport {
    /// kubelet's root directory; empty: none that has pods, and nobody says that there is one.
    pub kubelet_root: String,
    /// `watched`, or what is wrong.
    pub volumes_state: String,
    /// Whether every change of a volume is seen.
    pub watched: bool,
    /// inotify watches in use.
    pub watches: u64,
    /// Tokens that can be read.
    pub tokens: u64,
    /// Of those, how many an apiserver refuses now.
    pub refused: u64,
    /// How many stand how; a state that none is in may be left out.
    pub states: Vec<(TokenState, u64)>,
    /// Tokens that were seen to be replaced, since the daemon started.
    pub refreshes: u64,
    /// Pods with a CSI volume mounted.
    pub csi_pods: u64,
    /// Certificates that can be read.
    pub certificates: u64,
    /// What cannot be told.
    pub troubles: Vec<TroubleReport>,
    /// Whose clocks judge.
    pub judges: Vec<JudgeReport>,
    /// Open impacts, by kind and confidence.
    pub open: Vec<(String, Confidence, u64)>,
}

/// A volume or a file of which something cannot be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TroubleReport {
    /// The volume, with its pod's name where that is known, else its uid; or a certificate's file.
    pub of: String,
    /// What is wrong.
    pub trouble: String,
}

/// A clock by which tokens are judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JudgeReport {
    /// The apiserver's URL, or what stands in for it.
    pub name: String,
    /// How its clock is known.
    pub source: JudgeSource,
    /// What it shows.
    pub wall: WallNs,
    /// How far it is ahead of the node's, ns.
    pub ahead_ns: DeltaNs,
    /// The most by which that can be wrong, ns.
    pub error_ns: u64,
    /// When it was seen last, ns since boot.
    pub seen_boottime_ns: BootNs,
    /// `answers`, or what is wrong.
    pub state: String,
}

impl JudgeReport {
    /// Whether it is an apiserver that is asked, not what stands in for one.
    pub fn is_asked(&self) -> bool {
        self.name.contains("://")
    }
}

/// How the tokens stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokensReport {
    /// When that was, ns since boot.
    pub now_boottime_ns: BootNs,
    /// What the node's wall clock showed.
    pub wall: WallNs,
    /// The last jump: its number, when it was, and how far it went.
    pub last_jump: Option<(u64, BootNs, DeltaNs)>,
    /// What is around them.
    pub credentials: CredentialsReport,
    /// The worst first.
    pub tokens: Vec<TokenReport>,
}

/// Whether an apiserver accepts a token; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It does.
    Accepted,
    /// It does, beyond the life that was asked for.
    Stale,
    /// It does, but kubelet should have replaced it by now.
    Overdue,
    /// It does, but will refuse it before kubelet replaces it.
    ExpiresFirst,
    /// It refuses it: its time is over.
    Expired,
    /// It refuses it: its time has not come.
    NotYetValid,
}

impl TokenState {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Stale, Self::Overdue, Self::ExpiresFirst, Self::Expired, Self::NotYetValid];

    /// Whether it is refused.
    pub fn is_refused(self) -> bool {
        self >= Self::Expired
    }
}

/// How one token stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenReport {
    /// Its pod.
    pub pod: Pod,
    /// Its volume.
    pub volume: String,
    /// Its file in the volume.
    pub file: String,
    /// Its service account.
    pub service_account: Option<String>,
    /// Who is to accept it.
    pub audiences: Vec<String>,
    /// Whether an apiserver accepts it.
    pub state: TokenState,
    /// Which refuse it.
    pub refused_by: Vec<String>,
    /// `iat`, by the apiserver's clock.
    pub issued: WallNs,
    /// `nbf`.
    pub not_before: WallNs,
    /// `exp`.
    pub expires: WallNs,
    /// `kubernetes.io.warnafter`.
    pub warn_after: Option<WallNs>,
    /// When it was written, by the node's wall clock as it then was.
    pub written: Option<WallNs>,
    /// When it was written, ns since boot, if that is known.
    pub written_boottime_ns: Option<BootNs>,
    /// The jump that began the time in which it was written.
    pub minted_after_jump: Option<u64>,
    /// The jump that ended it.
    pub minted_before_jump: Option<u64>,
    /// When kubelet replaces it, by the node's wall clock: not before.
    pub refresh_earliest: Option<WallNs>,
    /// Not after.
    pub refresh_latest: Option<WallNs>,
    /// The same, ns since boot.
    pub refresh_latest_boottime_ns: Option<BootNs>,
    /// How often it was seen to be replaced.
    pub refreshes: u64,
    /// Until when it is refused, by the node's wall clock.
    pub until: Option<WallNs>,
    /// The same, ns since boot.
    pub until_boottime_ns: Option<BootNs>,
    /// The impact's number.
    pub impact: Option<u64>,
    /// The jump's number.
    pub jump: Option<u64>,
}
