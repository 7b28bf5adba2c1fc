//! metrics-server, and with it `kubectl top` and the horizontal pod autoscaler.
//!
//! From 0.6 on it divides cumulative CPU time by the time between two stamps of kubelet's, R = 15 s apart
//! (pkg/storage/pod.go `Store`, types.go `resourceUsage`). Forward by J: R + J. Backward by less than 2R: shorter by J. By
//! more: the new point is older than both it has, which it drops, so pods are missing for one cycle. A container that
//! seems to start after the present is missing until it does not.

use serde_json::json;

use super::{NOTICEABLE_NS, POLL_AT_MOST_NS};
use crate::{
    clock::{BootNs, span},
    impact::{Case, Finding, Kind, Remedy, Rule, Subject},
};

/// `--metric-resolution` of its manifest, ns.
const RESOLUTION_NS: u64 = 15_000_000_000;
const RULE: &str = "metrics-server pkg/storage/pod.go: Store";

pub(super) struct MetricsServer;

impl Rule for MetricsServer {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::MetricsServerSample, Kind::MetricsServerGap]
    }

    fn assess(&self, case: &Case<'_>, found: &mut Vec<Finding>) {
        // One that is being restarted is still the kubelet of this node.
        if case.node.kubelet.is_none() && case.node.kubelet_since == BootNs(0) {
            return;
        }
        found.extend(sample(case));
        let wall = case.timeline.wall(case.now);
        for container in case.node.containers.iter().filter(|container| container.runs()) {
            let started = container.started.unwrap_or(container.created);
            let Some((jump, since)) = case.timeline.fell_below(started, container.born, case.now) else {
                continue;
            };
            // Less is the gap that every jump makes.
            if started.0 - wall.0 < i128::from(2 * RESOLUTION_NS)
                && case.now.0.saturating_sub(since.0) < POLL_AT_MOST_NS
            {
                continue;
            }
            let until = case.timeline.boot_at(started);
            found.push(Finding {
                kind: Kind::MetricsServerGap,
                jump,
                subject: container.into(),
                key: container.id.clone(),
                from: since,
                until,
                remedy: Remedy::Wait,
                message: format!(
                    "metrics-server, where there is one, shows nothing of it until the wall clock passes its start, {}",
                    started.short()
                ),
                evidence: json!({ "container_id": &*container.id, "rule": RULE, "started": started }),
            });
        }
    }
}

fn sample(case: &Case<'_>) -> Option<Finding> {
    let (jump, at, delta) = case.timeline.last_move()?;
    let size = delta.magnitude();
    let until = BootNs(at.0.saturating_add(2 * RESOLUTION_NS));
    let lived = case.running_since(at) > 0;
    if size < NOTICEABLE_NS || !lived || case.is_over(at, until) {
        return None;
    }
    let what = if delta.0 > 0 {
        format!("one sample too small, by up to {} times", size.div_ceil(RESOLUTION_NS).saturating_add(1))
    } else if size < 2 * RESOLUTION_NS {
        format!("one sample too large: its window is shorter by {}", span(size))
    } else {
        "no metrics of this node's pods for one cycle".to_owned()
    };
    Some(Finding {
        kind: Kind::MetricsServerSample,
        jump,
        subject: Subject::node(),
        key: "".into(),
        from: at,
        until: Some(until),
        remedy: Remedy::None,
        message: format!("metrics-server, where there is one, has {what}"),
        evidence: json!({ "rule": RULE, "resolution_ns": RESOLUTION_NS }),
    })
}
