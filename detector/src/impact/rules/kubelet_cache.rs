//! kubelet's `cpuUsageCache`.
//!
//! `getAndUpdateContainerUsageNanoCores` (pkg/kubelet/stats/cri_stats_provider.go) divides by the time between the new
//! sample's stamp and the cached one's. If that is not positive it logs `zero or negative interval (new - cached)` and
//! keeps the cached sample; whoever reads gets its rate, frozen. `cleanupOutdatedCaches` compares the wall clock with
//! the stamp and so never finds it outdated. The cache is bypassed where the runtime gives a rate, by kubelet 1.23 and
//! later (kubernetes/kubernetes#103095). It lives in memory: a restart of kubelet empties it.

use serde_json::json;

use super::{
    POLL_AT_MOST_NS,
    cache::{self, Cache},
};
use crate::{
    clock::BootNs,
    impact::{Case, Finding, Kind, Remedy, Rule, Subject},
    node::{RateSource, StatsClass, Version},
};

/// The first kubelet that takes the runtime's rate.
const BYPASS: Version = Version(1, 23);
/// `defaultCachePeriod`, ns.
const CACHE_PERIOD_NS: u64 = 600_000_000_000;
pub(super) const RULE: &str = "pkg/kubelet/stats/cri_stats_provider.go: getAndUpdateContainerUsageNanoCores";

pub(super) struct KubeletCache;

impl Rule for KubeletCache {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::KubeletCpuCacheStuck, Kind::KubeletCpuRecordsDropped]
    }

    fn assess(&self, case: &Case<'_>, found: &mut Vec<Finding>) {
        if !is_used(case) {
            return;
        }
        let cache = Cache {
            kind: Kind::KubeletCpuCacheStuck,
            source: RateSource::Kubelet,
            holder: "kubelet",
            emptied: case.node.kubelet_since,
            interval_ns: POLL_AT_MOST_NS,
            shows: "the CPU rate of before the jump",
            spikes: true,
            restart: Remedy::RestartKubelet,
            rule: RULE,
        };
        cache::assess(&cache, case, found);
        found.extend(dropped(case));
    }
}

/// Whether rates come from this cache: the runtime gives none, or kubelet is too old to take them.
fn is_used(case: &Case<'_>) -> bool {
    let Some(runtime) = &case.node.runtime else { return false };
    let old =
        || case.node.kubelet.and_then(|kubelet| kubelet.version).is_some_and(|version| version < BYPASS);
    match runtime.class {
        StatsClass::KubeletCache => true,
        // On CRI-O kubelet asks cAdvisor (`UsingLegacyCadvisorStats`).
        StatsClass::Unchecked | StatsClass::Unknown => false,
        StatsClass::Baseline | StatsClass::Collector | StatsClass::CollectorByWall => {
            case.node.kubelet_cache_seen || old()
        }
    }
}

/// A step beyond the cache's period makes every sample look outdated.
fn dropped(case: &Case<'_>) -> Option<Finding> {
    let (jump, at, delta) = case.timeline.last_move()?;
    let until = BootNs(at.0.saturating_add(2 * POLL_AT_MOST_NS));
    let beyond = delta.0 > 0 && delta.magnitude() > CACHE_PERIOD_NS;
    let lived = case.running_since(at) > 0;
    (beyond && lived && !case.is_over(at, until)).then(|| Finding {
        kind: Kind::KubeletCpuRecordsDropped,
        jump,
        subject: Subject::node(),
        key: "".into(),
        from: at,
        until: Some(until),
        remedy: Remedy::None,
        message: "kubelet takes its CPU samples for outdated and may show no rates for up to 20 s".to_owned(),
        evidence: json!({
            "rule": "pkg/kubelet/stats/cri_stats_provider.go: cleanupOutdatedCaches",
            "cache_period_ns": CACHE_PERIOD_NS,
        }),
    })
}
