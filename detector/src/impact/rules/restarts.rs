//! What kubelet does late, or wrong, while a container's own times lie in the future.
//!
//! Probes: pkg/kubelet/prober/worker.go waits while `time.Since(StartedAt)` is less than `initialDelaySeconds`, also if
//! those are 0. Restarts: `Backoff.IsInBackOffSince` (client-go util/flowcontrol) counts from `FinishedAt`. Names: the
//! newest container of a pod is the one with the latest `CreatedAt` (`containerStatusByCreated`), so one made after the jump is not
//! taken for the newest, and its successor asks for a name that is taken: `failed to reserve container name`.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    clock::{BootNs, WallNs},
    impact::{Case, Finding, Kind, Remedy, Rule, WORTH_A_RESTART_NS},
    node::{Container, ContainerState, Pod},
};

/// `MaxContainerBackOff` and the first back-off of pkg/kubelet/kubelet.go, ns.
const BACKOFF_NS: (u64, u64) = (10_000_000_000, 300_000_000_000);

pub(super) struct Restarts;

impl Rule for Restarts {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::ProbesSuspended, Kind::RestartDelayed, Kind::NameReservationRisk]
    }

    fn assess(&self, case: &Case<'_>, found: &mut Vec<Finding>) {
        let mut pods: BTreeMap<&str, (&Pod, WallNs, u64, BootNs)> = BTreeMap::new();
        for container in newest(&case.node.containers) {
            match container.state {
                ContainerState::Running => found.extend(probes(case, container)),
                ContainerState::Exited => found.extend(restart(case, container)),
                ContainerState::Created | ContainerState::Unknown => {}
            }
            if let Some((jump, since)) = case.timeline.fell_below(container.created, container.born, case.now)
            {
                let pod = pods.entry(&container.pod.uid).or_insert((
                    &container.pod,
                    container.created,
                    jump,
                    since,
                ));
                pod.1 = pod.1.max(container.created);
            }
        }
        found.extend(
            pods.into_values().map(|(pod, created, jump, since)| name(case, pod, created, jump, since)),
        );
    }
}

/// Of each name in each pod the one of the last attempt: that is whom kubelet deals with.
fn newest(containers: &[Container]) -> impl Iterator<Item = &Container> {
    let mut newest: BTreeMap<(&str, &str), &Container> = BTreeMap::new();
    for container in containers {
        newest
            .entry((&container.pod.uid, &container.name))
            .and_modify(|known| {
                if container.attempt > known.attempt {
                    *known = container;
                }
            })
            .or_insert(container);
    }
    newest.into_values()
}

fn probes(case: &Case<'_>, container: &Container) -> Option<Finding> {
    let started = container.started.unwrap_or(container.created);
    let (jump, from) = case.timeline.fell_below(started, container.born, case.now)?;
    let until = case.timeline.boot_at(started);
    let left = until.map_or(u64::MAX, |until| until.0.saturating_sub(case.now.0));
    // Of a new pod the containers start by the clock as it now is.
    let remedy = if left <= WORTH_A_RESTART_NS { Remedy::Wait } else { Remedy::DeletePod };
    Some(Finding {
        kind: Kind::ProbesSuspended,
        jump,
        subject: container.into(),
        key: container.id.clone(),
        from,
        until,
        remedy,
        message: format!(
            "kubelet does not probe it, if it has probes, until the wall clock passes its start, {}, and their initial \
             delay",
            started.short()
        ),
        evidence: json!({
            "container_id": &*container.id,
            "started": started,
            "rule": "pkg/kubelet/prober/worker.go: doProbe",
        }),
    })
}

fn restart(case: &Case<'_>, container: &Container) -> Option<Finding> {
    let finished = container.finished?;
    let (jump, from) = case.timeline.fell_below(finished, container.born, case.now)?;
    // kubelet has no back-off of a container that ends for the first time (`doBackOff` asks before it notes one).
    let restarts = container.attempt.checked_sub(1)?;
    let (first, most) = BACKOFF_NS;
    let backoff = first.checked_shl(restarts.min(10)).map_or(most, |backoff| backoff.min(most));
    let end = WallNs(finished.0 + i128::from(backoff));
    Some(Finding {
        kind: Kind::RestartDelayed,
        jump,
        subject: container.into(),
        key: container.id.clone(),
        from,
        until: case.timeline.boot_at(end),
        remedy: Remedy::DeletePod,
        message: format!(
            "if it is to be restarted after a failure, its back-off ends when the wall clock passes {} or so",
            end.short()
        ),
        evidence: json!({
            "container_id": &*container.id,
            "finished": finished,
            "attempt": container.attempt,
            "backoff_ns": backoff,
            "rule": "client-go util/flowcontrol/backoff.go: IsInBackOffSince",
        }),
    })
}

fn name(case: &Case<'_>, pod: &Pod, created: WallNs, jump: u64, from: BootNs) -> Finding {
    Finding {
        kind: Kind::NameReservationRisk,
        jump,
        subject: pod.into(),
        key: pod.uid.as_str().into(),
        from,
        until: case.timeline.boot_at(created),
        remedy: Remedy::DeletePod,
        message: format!(
            "a container of it that restarts before the wall clock passes {} may fail with \"failed to reserve container \
             name\"",
            created.short()
        ),
        evidence: json!({
            "created": created,
            "rule": "pkg/kubelet/kuberuntime: containerStatusByCreated",
        }),
    }
}
