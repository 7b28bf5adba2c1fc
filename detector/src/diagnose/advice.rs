//! What to do, in the order in which to do it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{ClockProblem, assess::is_problem};
use crate::{
    clock::{BootNs, WallNs},
    impact::{Impact, Kind, Remedy, command},
};

/// Pods that are named in commands.
const NAMED: usize = 20;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What and why, for people.
    pub what: String,
    /// Commands, as they are typed.
    pub commands: Vec<String>,
    /// What to mind.
    pub caveat: Option<String>,
}

/// What the node runs under, as far as commands depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The unit that runs kubelet.
    pub kubelet: Option<String>,
    /// The unit that runs the container runtime.
    pub runtime: Option<String>,
    /// The runtime's service where that is not known.
    pub usual_runtime: &'static str,
    /// Pods that mount through CSI drivers.
    pub csi_pods: usize,
}

/// What to do about all this.
pub fn advice(clock: &[ClockProblem], impacts: &[Impact], names: &Names, now: BootNs) -> Vec<Step> {
    let mut steps = Vec::new();
    if !clock.is_empty() {
        steps.push(Step {
            what: "First set the clock right, and see that it stays so.".to_owned(),
            commands: vec!["timedatectl".to_owned(), "chronyc tracking && chronyc makestep".to_owned()],
            caveat: Some(
                "Whatever is done before the clock is right has to be done again afterwards.".to_owned(),
            ),
        });
    }
    let due: Vec<&Impact> = impacts.iter().filter(|impact| is_problem(impact, now)).collect();
    // Nothing has happened yet, and nothing will unless it restarts.
    let is_risk = |impact: &Impact| impact.kind == Kind::NameReservationRisk.word();
    let of = |remedy: Remedy| {
        due.iter().copied().filter(move |impact| impact.remedy == remedy && !is_risk(impact))
    };
    if let Some(what) = cured(of(Remedy::RestartKubelet)) {
        steps.push(Step {
            what: format!(
                "Restart kubelet: {what}. Containers go on running; new tokens come within two minutes."
            ),
            commands: vec![command::restart(names.kubelet.as_deref(), "kubelet")],
            caveat: (names.csi_pods > 0).then(|| csi(names.csi_pods)),
        });
    }
    if let Some(what) = cured(of(Remedy::DeletePod)) {
        let (commands, more) = delete(of(Remedy::DeletePod));
        let csi = (names.csi_pods > 0).then(|| {
            "pods here mount through CSI drivers: that is safer than a restart of kubelet".to_owned()
        });
        steps.push(Step {
            what: format!("Delete the pods, so that they are made anew: {what}."),
            commands,
            caveat: more.or(csi),
        });
    }
    if let Some(what) = cured(of(Remedy::RestartRuntime)) {
        steps.push(Step {
            what: format!("Restart the container runtime: {what}. Containers go on running."),
            commands: vec![command::restart(names.runtime.as_deref(), names.usual_runtime)],
            caveat: None,
        });
    }
    // A restart of kubelet mends these as well.
    let restarts = of(Remedy::RestartKubelet).next().is_some();
    let is_late = |impact: &&Impact| impact.kind == Kind::TokenRefreshLate.word();
    let waits = || of(Remedy::Wait).filter(|impact| !(restarts && is_late(impact)));
    if let Some(what) = cured(waits()) {
        let last = waits().filter_map(|impact| impact.until).max();
        let until = last.map_or_else(String::new, |until: WallNs| format!(", until {}", until.short()));
        steps.push(Step { what: format!("Wait{until}: {what}."), commands: Vec::new(), caveat: None });
    }
    // A pod that is deleted anyway is not at risk any more.
    let deleted: BTreeSet<_> = of(Remedy::DeletePod).map(|impact| &impact.subject.uid).collect();
    let at_risk =
        || due.iter().copied().filter(|impact| is_risk(impact) && !deleted.contains(&impact.subject.uid));
    if let Some(what) = cured(at_risk()) {
        let (commands, caveat) = delete(at_risk());
        steps.push(Step {
            what: format!("Only if it does not start again, delete the pod: {what}."),
            commands,
            caveat,
        });
    }
    if !steps.is_empty() {
        steps.push(Step {
            what: "Look again, two minutes later.".to_owned(),
            commands: vec!["timejump diagnose".to_owned()],
            caveat: None,
        });
    }
    steps
}

/// Commands that delete the pods of these, and how many are left out.
fn delete<'a>(impacts: impl Iterator<Item = &'a Impact>) -> (Vec<String>, Option<String>) {
    let pods: BTreeSet<String> = impacts
        .filter_map(|impact| {
            let subject = &impact.subject;
            command::delete_pod(subject.namespace.as_deref()?, subject.name.as_deref()?)
        })
        .collect();
    let more = pods.len().saturating_sub(NAMED);
    (
        pods.into_iter().take(NAMED).collect(),
        (more > 0).then(|| format!("and {more} more pods: -o json has them all")),
    )
}

fn csi(pods: usize) -> String {
    let (mount, is) = if pods == 1 { ("pod here mounts", "it") } else { ("pods here mount", "they") };
    format!(
        "{pods} {mount} through CSI drivers, which a restart of kubelet may disturb: {is} may have to be deleted \
         and made anew, or delete only the pods that suffer instead."
    )
}

/// What this mends, by kind; nothing if there is nothing.
fn cured<'a>(impacts: impl Iterator<Item = &'a Impact>) -> Option<String> {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for impact in impacts {
        match counted.iter_mut().find(|(kind, _)| *kind == impact.kind) {
            Some((_, count)) => *count += 1,
            None => counted.push((&impact.kind, 1)),
        }
    }
    // What concerns the node as a whole sums up what its pods suffer.
    let sums_up = |kind: &str| kind == Kind::TokenExcursion.word();
    let several = counted.len() > 1;
    counted.retain(|(kind, _)| !several || !sums_up(kind));
    let words: Vec<String> = counted.iter().map(|(kind, count)| cure(kind, *count)).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

fn cure(kind: &str, count: usize) -> String {
    let many = |one: &str, several: &str| {
        if count == 1 { format!("1 {one}") } else { format!("{count} {several}") }
    };
    match Kind::of_word(kind) {
        Some(Kind::TokenNotYetValid) => many("token that is not valid yet", "tokens that are not valid yet"),
        Some(Kind::TokenExpired) => many("token that has expired", "tokens that have expired"),
        Some(Kind::TokenExcursion) => "tokens that come from the future".to_owned(),
        Some(Kind::TokenRefreshLate | Kind::TokenRefreshStalled) => "tokens that are not replaced".to_owned(),
        Some(Kind::KubeletCpuCacheStuck) => {
            many("CPU rate that stands still in kubelet", "CPU rates that stand still in kubelet")
        }
        Some(Kind::RuntimeCpuBaselineStuck | Kind::RuntimeCpuFrozen) => {
            many("CPU rate that stands still", "CPU rates that stand still")
        }
        Some(Kind::ProbesSuspended) => many("container that is not probed", "containers that are not probed"),
        Some(Kind::RestartDelayed) => many("container that restarts late", "containers that restart late"),
        Some(Kind::NameReservationRisk) => many(
            "container that may find its name taken when it restarts",
            "containers that may find their names taken when they restart",
        ),
        _ => format!("{} ({count})", kind.replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        diagnose::ClockProblemKind,
        impact::{Confidence, State, Subject},
    };

    fn impact(kind: Kind, remedy: Remedy, pod: &str) -> Impact {
        Impact {
            id: 1,
            jump: 1,
            boot_id: "b".into(),
            kind: kind.word().into(),
            subject: Subject {
                kind: "pod".into(),
                namespace: Some("n".into()),
                name: Some(pod.into()),
                uid: Some(pod.into()),
                ..Subject::default()
            },
            from: None,
            until: Some(WallNs(0)),
            from_boot: None,
            until_boot: None,
            state: State::Open,
            confidence: Confidence::Predicted,
            remedy,
            message: String::new(),
            evidence: json!({}),
        }
    }

    fn first_words(steps: &[Step]) -> Vec<&str> {
        steps.iter().map(|step| step.what.split([' ', ':', ',']).next().unwrap_or_default()).collect()
    }

    #[test]
    fn what_is_done_first() {
        let token = impact(Kind::TokenNotYetValid, Remedy::RestartKubelet, "a");
        let late = impact(Kind::TokenRefreshLate, Remedy::Wait, "a");
        let stuck = impact(Kind::RuntimeCpuBaselineStuck, Remedy::RestartRuntime, "a");
        let deleted = impact(Kind::ProbesSuspended, Remedy::DeletePod, "b");
        let risk = impact(Kind::NameReservationRisk, Remedy::DeletePod, "c");
        let clock = ClockProblem { kind: ClockProblemKind::Unconfirmed, off_ns: None, message: "m".into() };
        let none: &[ClockProblem] = &[];
        for (clock, impacts, want) in [
            (none, vec![], vec![]),
            (none, vec![late.clone()], vec!["Wait", "Look"]),
            (none, vec![late.clone(), token.clone()], vec!["Restart", "Look"]),
            (none, vec![stuck.clone(), token.clone()], vec!["Restart", "Restart", "Look"]),
            (none, vec![risk.clone(), deleted.clone()], vec!["Delete", "Only", "Look"]),
            (
                none,
                vec![impact(Kind::NameReservationRisk, Remedy::DeletePod, "b"), deleted],
                vec!["Delete", "Look"],
            ),
            (std::slice::from_ref(&clock), vec![token.clone()], vec!["First", "Restart", "Look"]),
        ] {
            let steps = advice(clock, &impacts, &Names::default(), BootNs(0));
            assert_eq!(first_words(&steps), want, "{steps:?}");
        }
    }

    #[test]
    fn commands_hold_names_and_nothing_else() {
        let pods = ["web-1", "x; reboot", "$(id)", "UPPER", ""]
            .map(|pod| impact(Kind::TokenExpired, Remedy::DeletePod, pod));
        let names = Names { csi_pods: 2, ..Names::default() };
        let steps = advice(&[], &pods, &names, BootNs(0));
        assert_eq!(steps[0].commands, ["kubectl delete pod -n n web-1"]);
        assert!(steps[0].caveat.as_ref().is_some_and(|caveat| caveat.contains("CSI")), "{steps:?}");
        let token = impact(Kind::TokenNotYetValid, Remedy::RestartKubelet, "a");
        let steps = advice(&[], &[token], &names, BootNs(0));
        assert!(
            steps[0].caveat.as_ref().is_some_and(|caveat| caveat.starts_with("2 pods here mount")),
            "{steps:?}"
        );
    }
}
