//! Rates that the runtime computes itself.
//!
//! containerd 1.6 to 2.2: `getUsageNanoCores` answers 0 if the time since its baseline's stamp is not positive, and keeps
//! the baseline. 2.3 (`stats_collector.go`): samples each second, ordered by Go's monotonic reading, so one answer is 0.
//! From 2.4 on the samples are ordered by their wall time alone: new ones sort before those of before the jump and are
//! trimmed, so that the last one before the jump stays the latest. All this is in memory: a restart of the runtime
//! empties it.

use super::{
    POLL_AT_MOST_NS,
    cache::{self, Cache},
};
use crate::{
    impact::{Case, Finding, Kind, Remedy, Rule},
    node::{RateSource, Runtime, StatsClass},
};

pub(super) const BASELINE_RULE: &str = "containerd container_stats_list.go: getUsageNanoCores";
/// `stats_collect_period`, ns.
pub(super) const COLLECT_PERIOD_NS: u64 = 1_000_000_000;

pub(super) struct RuntimeRates;

impl Rule for RuntimeRates {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::RuntimeCpuBaselineStuck, Kind::RuntimeCpuFrozen]
    }

    fn assess(&self, case: &Case<'_>, found: &mut Vec<Finding>) {
        let Some(runtime) = &case.node.runtime else { return };
        let holder = words(runtime);
        let emptied = case.node.runtime_since;
        let cache = match runtime.class {
            StatsClass::Baseline => Cache {
                kind: Kind::RuntimeCpuBaselineStuck,
                source: RateSource::Runtime,
                holder: &holder,
                emptied,
                interval_ns: POLL_AT_MOST_NS,
                shows: "the CPU rate 0",
                spikes: true,
                restart: Remedy::RestartRuntime,
                rule: BASELINE_RULE,
            },
            StatsClass::CollectorByWall => Cache {
                kind: Kind::RuntimeCpuFrozen,
                source: RateSource::Runtime,
                holder: &holder,
                emptied,
                interval_ns: COLLECT_PERIOD_NS,
                shows: "the CPU rate of before the jump",
                spikes: false,
                restart: Remedy::RestartRuntime,
                rule: "containerd internal/cri/store/stats/timed_store.go",
            },
            StatsClass::KubeletCache
            | StatsClass::Collector
            | StatsClass::Unchecked
            | StatsClass::Unknown => {
                return;
            }
        };
        cache::assess(&cache, case, found);
    }
}

/// `containerd 1.7.24`.
pub(super) fn words(runtime: &Runtime) -> String {
    format!("{} {}", runtime.name, runtime.version.trim_start_matches('v'))
}
