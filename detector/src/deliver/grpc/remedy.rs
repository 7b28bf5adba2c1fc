//! Remedies of the protocol and ours, both ways.

use super::{
    convert::{Foreign, known, wall_ns},
    v1,
};
use crate::{
    clock::{BootNs, WallNs},
    impact::Subject,
    remedy::{Action, Mode, Reason, Remediation, Stage},
};

impl From<&Remediation> for v1::Remediation {
    fn from(remedy: &Remediation) -> Self {
        let Subject { kind, namespace, name, uid, container, volume } = remedy.subject.clone();
        Self {
            id: remedy.id,
            boot_id: remedy.boot_id.to_string(),
            boottime_ns: remedy.at.0,
            wall_ns: wall_ns(remedy.wall),
            action: v1::RemedyAction::from(remedy.action).into(),
            subject: Some(v1::Subject { kind, namespace, name, uid, container, volume }),
            jump: remedy.jump,
            impacts: remedy.impacts.clone(),
            state: v1::RemedyState::from(remedy.stage).into(),
            reason: remedy.reason.map(|reason| reason.word().to_owned()),
            message: remedy.message.clone(),
            mode: v1::RemedyMode::from(remedy.mode).into(),
            started_boottime_ns: remedy.started.map(|at| at.0),
        }
    }
}

impl TryFrom<v1::Remediation> for Remediation {
    type Error = Foreign;

    fn try_from(remedy: v1::Remediation) -> Result<Self, Foreign> {
        let v1::Subject { kind, namespace, name, uid, container, volume } = known(remedy.subject, "subject")?;
        Ok(Self {
            id: remedy.id,
            boot_id: remedy.boot_id.into(),
            at: BootNs(remedy.boottime_ns),
            wall: WallNs(remedy.wall_ns.into()),
            action: known(Action::from_proto(remedy.action), "action")?,
            subject: Subject { kind, namespace, name, uid, container, volume },
            jump: remedy.jump,
            impacts: remedy.impacts,
            stage: known(Stage::from_proto(remedy.state), "state of a remedy")?,
            // A word of a later version explains, it does not decide.
            reason: remedy.reason.as_deref().and_then(Reason::of_word),
            message: remedy.message,
            mode: known(Mode::from_proto(remedy.mode), "mode")?,
            started: remedy.started_boottime_ns.map(BootNs),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_survives_the_way() {
        let remedy = Remediation {
            id: 3,
            boot_id: "b".into(),
            at: BootNs(7),
            wall: WallNs(-1),
            action: Action::EvictPod,
            subject: Subject { kind: "pod".into(), uid: Some("u".into()), ..Subject::default() },
            jump: 2,
            impacts: vec![1, 9],
            stage: Stage::Failed,
            reason: Some(Reason::NotCured),
            message: "m".into(),
            mode: Mode::Act,
            started: Some(BootNs(6)),
        };
        let sent = v1::Remediation::from(&remedy);
        assert_eq!(Remediation::try_from(sent.clone()), Ok(remedy.clone()));
        let later = v1::Remediation { reason: Some("of_next_year".into()), ..sent.clone() };
        assert_eq!(Remediation::try_from(later), Ok(Remediation { reason: None, ..remedy }));
        let unknown = v1::Remediation { action: 99, ..sent };
        assert_eq!(Remediation::try_from(unknown), Err(Foreign("action")));
    }
}
