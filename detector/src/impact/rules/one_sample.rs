//! Rates of which one is wrong, and then no more: of the whole node at once.
//!
//! Forward: the time between two samples seems longer by the jump. Backward by less than the interval: shorter. CRI-O's
//! `updateUsageNanoCores` takes its new sample for the baseline whatever the time between them, so a negative interval
//! gives one rate of about 1.8e19 on amd64 (a negative float made an unsigned integer). containerd 2.3 gives one 0.

use serde_json::json;

use super::{NOTICEABLE_NS, POLL_AT_MOST_NS, POLL_NS, kubelet_cache, runtime_rates};
use crate::{
    clock::{BootNs, DeltaNs, span},
    impact::{Case, Finding, Kind, Remedy, Rule, Subject},
    node::StatsClass,
};

pub(super) struct OneSample;

impl Rule for OneSample {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::CpuSampleDiluted, Kind::CpuSampleInflated, Kind::RuntimeCpuBlip, Kind::CpuStatsUnknown]
    }

    fn assess(&self, case: &Case<'_>, found: &mut Vec<Finding>) {
        let (Some(runtime), Some((jump, at, delta))) = (&case.node.runtime, case.timeline.last_move()) else {
            return;
        };
        let affected = case.running_since(at);
        if delta.magnitude() < NOTICEABLE_NS || affected == 0 {
            return;
        }
        let holder = runtime_rates::words(runtime);
        let Some(Effect { kind, interval_ns, rule, message }) = effect(runtime.class, delta, &holder) else {
            return;
        };
        let until = BootNs(at.0.saturating_add(interval_ns));
        if case.is_over(at, until) {
            return;
        }
        found.push(Finding {
            kind,
            jump,
            subject: Subject::node(),
            key: "".into(),
            from: at,
            until: Some(until),
            remedy: Remedy::None,
            message: format!("{message} ({affected} running)"),
            evidence: json!({ "holder": holder, "rule": rule, "containers": affected }),
        });
    }
}

struct Effect {
    kind: Kind,
    /// By when it has passed.
    interval_ns: u64,
    rule: &'static str,
    message: String,
}

fn effect(class: StatsClass, delta: DeltaNs, holder: &str) -> Option<Effect> {
    let forward = delta.0 > 0;
    let size = delta.magnitude();
    let polled = (POLL_NS, POLL_AT_MOST_NS);
    let collected = (runtime_rates::COLLECT_PERIOD_NS, runtime_rates::COLLECT_PERIOD_NS);
    let ((least_ns, interval_ns), rule) = match class {
        StatsClass::KubeletCache => (polled, kubelet_cache::RULE),
        StatsClass::Baseline => (polled, runtime_rates::BASELINE_RULE),
        StatsClass::Collector | StatsClass::CollectorByWall => {
            (collected, "containerd internal/cri/server/stats_collector.go")
        }
        StatsClass::Unchecked => (polled, "cri-o internal/lib/stats/stats_server.go: updateUsageNanoCores"),
        StatsClass::Unknown => {
            let message = format!("what {holder} does with CPU rates at a jump is not known");
            let kind = Kind::CpuStatsUnknown;
            return Some(Effect { kind, interval_ns: POLL_AT_MOST_NS, rule: "none", message });
        }
    };
    let of_all = "of each container that runs";
    let (kind, message) = if forward {
        let part = size.div_ceil(least_ns).saturating_add(1);
        let words = format!("one CPU rate {of_all} is too small, by up to {part} times");
        (Kind::CpuSampleDiluted, words)
    } else if class == StatsClass::Unchecked {
        let words = format!(
            "{holder} gives one senseless CPU rate {of_all} (about 1.8e19), where kubelet asks for it at all"
        );
        (Kind::RuntimeCpuBlip, words)
    } else if class == StatsClass::Collector {
        (Kind::RuntimeCpuBlip, format!("{holder} gives one CPU rate of 0 {of_all}"))
    } else if size < interval_ns {
        let words = format!(
            "one CPU rate {of_all} is too large, or missing: a sample fell into the {} that came twice",
            span(size)
        );
        (Kind::CpuSampleInflated, words)
    } else {
        return None;
    };
    Some(Effect { kind, interval_ns, rule, message })
}
