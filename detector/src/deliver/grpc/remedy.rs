//! Remedies of the protocol and ours, both ways.

use tonic::Status;

use super::{
    convert::{Foreign, known, wall_ns},
    v1,
};
use crate::{
    clock::{BootNs, WallNs},
    deliver::Offer,
    impact::{Impact, Subject},
    ledger::Jump,
    remedy::{Action, Mode, Policy, Reason, Remediation, Stage},
};

/// What may be offered, by a request.
pub(super) fn policy(request: &v1::PlanRemediesRequest) -> Result<Policy, Status> {
    let unknown = || Status::invalid_argument("an action is unknown");
    let kinds = request.actions.iter().map(|action| Action::from_proto(*action).ok_or_else(unknown));
    let kinds = kinds.collect::<Result<std::collections::BTreeSet<_>, _>>()?;
    let any = Policy { still_for_ns: request.still_for_ns, ..Policy::by_hand() };
    Ok(if kinds.is_empty() { any } else { Policy { kinds, ..any } })
}

impl From<&Offer> for v1::PlanRemediesResponse {
    fn from(offer: &Offer) -> Self {
        Self {
            remedies: offer.remedies.iter().map(v1::Remediation::from).collect(),
            impacts: offer.impacts.iter().map(v1::Impact::from).collect(),
            jumps: offer.jumps.iter().map(v1::Jump::from).collect(),
            now_boottime_ns: offer.now.0,
            last_jump_boottime_ns: offer.last_jump.map(|at| at.0),
        }
    }
}

impl TryFrom<v1::PlanRemediesResponse> for Offer {
    type Error = Foreign;

    fn try_from(response: v1::PlanRemediesResponse) -> Result<Self, Foreign> {
        let remedies = response.remedies.into_iter().map(Remediation::try_from);
        Ok(Self {
            remedies: remedies.collect::<Result<_, _>>()?,
            impacts: response.impacts.into_iter().map(Impact::try_from).collect::<Result<_, _>>()?,
            jumps: response.jumps.into_iter().map(Jump::try_from).collect::<Result<_, _>>()?,
            now: BootNs(response.now_boottime_ns),
            last_jump: response.last_jump_boottime_ns.map(BootNs),
        })
    }
}

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
