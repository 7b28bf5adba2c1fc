//! Remedies as Events: pure. On the Node what concerns kubelet, on the Pod its eviction.

use crate::{
    deliver::human::count,
    impact::Subject,
    remedy::{Action, Mode, Remediation, Stage},
};

/// What an Event of a remedy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemedyEvent {
    /// `reason`: `RemedyStarted`, ….
    pub reason: &'static str,
    /// `type`: `Normal`, `Warning`.
    pub kind: &'static str,
    /// `action`: `RestartKubelet`, `EvictPod`.
    pub action: &'static str,
    /// The Pod that it is on; nothing: the Node.
    pub pod: Option<Subject>,
    /// `note`.
    pub note: String,
}

/// The Event that tells of it; nothing for what the stream alone is told: what waits, and what is not done.
pub fn remedy_event(remedy: &Remediation) -> Option<RemedyEvent> {
    let (reason, kind) = match remedy.stage {
        Stage::Planned => ("RemedyPlanned", "Normal"),
        Stage::DryRun => ("RemedyDryRun", "Normal"),
        Stage::Started => ("RemedyStarted", "Normal"),
        Stage::Succeeded => ("RemedySucceeded", "Normal"),
        Stage::Failed => ("RemedyFailed", "Warning"),
        Stage::GivenUp => ("RemedyGivenUp", "Warning"),
        Stage::Waiting | Stage::NotTaken => return None,
    };
    let (action, pod) = match remedy.action {
        Action::RestartKubelet => ("RestartKubelet", None),
        Action::EvictPod => ("EvictPod", remedy.subject.uid.is_some().then(|| remedy.subject.clone())),
    };
    let dry = if remedy.mode == Mode::DryRun { " (dry run: nothing is done)" } else { "" };
    let note = format!(
        "{}{dry}: {}; for {} of clock jump {}",
        remedy.what(),
        remedy.message,
        count(u64::try_from(remedy.impacts.len()).unwrap_or(u64::MAX), "impact"),
        remedy.jump,
    );
    Some(RemedyEvent { reason, kind, action, pod, note })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{BootNs, WallNs};

    fn remedy(action: Action, stage: Stage) -> Remediation {
        Remediation {
            id: 1,
            boot_id: "b".into(),
            at: BootNs(0),
            wall: WallNs(0),
            action,
            subject: match action {
                Action::RestartKubelet => Subject::node(),
                Action::EvictPod => Subject {
                    kind: "pod".into(),
                    namespace: Some("default".into()),
                    name: Some("web-1".into()),
                    uid: Some("u".into()),
                    ..Subject::default()
                },
            },
            jump: 17,
            impacts: vec![4, 5],
            stage,
            reason: None,
            message: "m".into(),
            mode: Mode::Act,
            started: None,
        }
    }

    #[test]
    fn on_the_node_and_on_the_pod() {
        let event = remedy_event(&remedy(Action::RestartKubelet, Stage::Started)).unwrap();
        assert_eq!((event.reason, event.kind, event.action), ("RemedyStarted", "Normal", "RestartKubelet"));
        assert_eq!((event.pod, &*event.note), (None, "restart kubelet: m; for 2 impacts of clock jump 17"));
        let event = remedy_event(&remedy(Action::EvictPod, Stage::Failed)).unwrap();
        assert_eq!((event.reason, event.kind, event.action), ("RemedyFailed", "Warning", "EvictPod"));
        assert_eq!(event.pod.and_then(|pod| pod.uid).as_deref(), Some("u"));
        let dry = Remediation { mode: Mode::DryRun, ..remedy(Action::EvictPod, Stage::DryRun) };
        assert!(remedy_event(&dry).unwrap().note.starts_with("evict default/web-1 (dry run"));
    }

    #[test]
    fn what_waits_is_for_the_stream() {
        for stage in [Stage::Waiting, Stage::NotTaken] {
            assert_eq!(remedy_event(&remedy(Action::RestartKubelet, stage)), None);
        }
    }
}
