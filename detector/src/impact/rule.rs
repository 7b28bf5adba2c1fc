//! What a rule is.

use std::{fmt, sync::Arc};

use serde_json::Value;

use super::{Remedy, Subject};
use crate::{clock::BootNs, ledger::Timeline, node::NodeFacts};

/// One family of rules. Pure: the same case has the same findings.
pub trait Rule: Sync {
    /// What it may find.
    fn kinds(&self) -> &'static [Kind];
    /// Adds to `found` everything that is wrong at the case's moment, and will be until some later one.
    fn assess(&self, case: &Case<'_>, found: &mut Vec<Finding>);
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Which wall offset held when.
    pub timeline: &'a Timeline,
    /// What is on the node.
    pub node: &'a NodeFacts,
    /// The moment.
    pub now: BootNs,
    /// When the rules spoke last. What came and went since is told all the same.
    pub assessed: BootNs,
}

impl Case<'_> {
    /// Whether what lasted from `from` until `until` is, at this moment, old news.
    pub fn is_over(&self, from: BootNs, until: BootNs) -> bool {
        self.now >= until && self.assessed >= from
    }

    /// How many of the containers that run were there at `at` already.
    pub fn running_since(&self, at: BootNs) -> usize {
        self.node.containers.iter().filter(|container| container.runs() && container.born < at).count()
    }
}

/// What a rule finds: an impact before it has a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What is wrong.
    pub kind: Kind,
    /// The jump that caused it.
    pub jump: u64,
    /// What it is wrong with.
    pub subject: Subject,
    /// Tells subjects of one kind apart: a container's id, a pod's uid, a certificate's path; empty for the
    /// node.
    pub key: Arc<str>,
    /// From when.
    pub from: BootNs,
    /// Until when, if nobody steps the clock meanwhile; nothing if no end is in sight.
    pub until: Option<BootNs>,
    /// What to do.
    pub remedy: Remedy,
    /// For people.
    pub message: String,
    /// What it rests on: a JSON object.
    pub evidence: Value,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal,)*) => {
        /// What can be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $kind,)* }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Its word in the stream, in the store and in metrics.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$kind => $word,)* }
            }

            /// The one of that word.
            pub fn of_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.word() == word)
            }
        }
    };
}

kinds! {
    /// kubelet's `cpuUsageCache` takes no samples: rates stand still.
    KubeletCpuCacheStuck = "kubelet_cpu_cache_stuck",
    /// The runtime's baseline takes no samples: rates are 0.
    RuntimeCpuBaselineStuck = "runtime_cpu_baseline_stuck",
    /// The runtime's latest sample is one of before the jump: rates stand still.
    RuntimeCpuFrozen = "runtime_cpu_frozen",
    /// One rate of the runtime is wrong.
    RuntimeCpuBlip = "runtime_cpu_blip",
    /// One rate is too small.
    CpuSampleDiluted = "cpu_sample_diluted",
    /// One rate is too large, or none.
    CpuSampleInflated = "cpu_sample_inflated",
    /// kubelet throws its samples away.
    KubeletCpuRecordsDropped = "kubelet_cpu_records_dropped",
    /// What becomes of CPU rates is not known.
    CpuStatsUnknown = "cpu_stats_unknown",
    /// metrics-server misses or misjudges a sample.
    MetricsServerSample = "metrics_server_sample",
    /// metrics-server shows nothing of a young container.
    MetricsServerGap = "metrics_server_gap",
    /// kubelet does not probe a container.
    ProbesSuspended = "probes_suspended",
    /// kubelet restarts a container late.
    RestartDelayed = "restart_delayed",
    /// A container that restarts may find its name taken.
    NameReservationRisk = "name_reservation_risk",
    /// The apiserver refuses a token: it comes from the future.
    TokenNotYetValid = "token_not_yet_valid",
    /// The apiserver refuses a token: it has expired.
    TokenExpired = "token_expired",
    /// What tokens that were issued during an excursion come to, on the whole node.
    TokenExcursion = "token_excursion",
    /// kubelet replaces tokens later than it should.
    TokenRefreshLate = "token_refresh_late",
    /// kubelet does not replace tokens although a jump has made it time to.
    TokenRefreshStalled = "token_refresh_stalled",
    /// kubelet replaces tokens all the time.
    TokenRefreshChurn = "token_refresh_churn",
    /// Tokens are accepted, and counted as stale.
    TokenStale = "token_stale",
    /// A certificate is not valid yet.
    CertificateNotYetValid = "certificate_not_yet_valid",
    /// A certificate has expired.
    CertificateExpired = "certificate_expired",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
