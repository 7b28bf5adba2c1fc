//! Incidents as messages of the protocol, both ways.

use super::{
    convert::{Foreign, known, wall_ns},
    v1::{self, get_incident_request},
};
use crate::{
    clock::{BootNs, WallNs},
    deliver::report::{Incident, Which},
    impact::{Confidence, Impact, Remedy, State},
    ledger::{Excursion, Jump},
    store::Crowd,
};

impl From<Which> for v1::GetIncidentRequest {
    fn from(which: Which) -> Self {
        let wanted = match which {
            Which::Last => None,
            Which::Jump(sequence) => Some(get_incident_request::Wanted::Jump(sequence)),
            Which::Excursion(id) => Some(get_incident_request::Wanted::Excursion(id)),
        };
        Self { wanted }
    }
}

impl From<v1::GetIncidentRequest> for Which {
    fn from(request: v1::GetIncidentRequest) -> Self {
        match request.wanted {
            None => Self::Last,
            Some(get_incident_request::Wanted::Jump(sequence)) => Self::Jump(sequence),
            Some(get_incident_request::Wanted::Excursion(id)) => Self::Excursion(id),
        }
    }
}

impl From<&Incident> for v1::Incident {
    fn from(incident: &Incident) -> Self {
        Self {
            jumps: incident.jumps.iter().map(v1::Jump::from).collect(),
            total: incident.total,
            excursion: incident.excursion.as_ref().map(v1::Excursion::from),
            next: incident.next.as_ref().map(v1::Jump::from),
            since: incident.since,
            impacts: incident.impacts.iter().map(v1::Impact::from).collect(),
            crowds: incident.crowds.iter().map(v1::Crowd::from).collect(),
        }
    }
}

impl TryFrom<v1::Incident> for Incident {
    type Error = Foreign;

    fn try_from(incident: v1::Incident) -> Result<Self, Foreign> {
        Ok(Self {
            jumps: incident.jumps.into_iter().map(Jump::try_from).collect::<Result<_, _>>()?,
            total: incident.total,
            excursion: incident.excursion.map(Excursion::from),
            next: incident.next.map(Jump::try_from).transpose()?,
            since: incident.since,
            impacts: incident.impacts.into_iter().map(Impact::try_from).collect::<Result<_, _>>()?,
            crowds: incident.crowds.into_iter().map(Crowd::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Crowd> for v1::Crowd {
    fn from(crowd: &Crowd) -> Self {
        Self {
            kind: crowd.kind.clone(),
            state: v1::ImpactState::from(crowd.state).into(),
            confidence: v1::Confidence::from(crowd.confidence).into(),
            remedy: v1::Remedy::from(crowd.remedy).into(),
            impacts: crowd.impacts,
            pods: crowd.pods,
            endless: crowd.endless,
            until_wall_ns: crowd.until.map(wall_ns),
            until_boottime_ns: crowd.until_boot.map(|until| until.0),
        }
    }
}

impl TryFrom<v1::Crowd> for Crowd {
    type Error = Foreign;

    fn try_from(crowd: v1::Crowd) -> Result<Self, Foreign> {
        Ok(Self {
            kind: crowd.kind,
            state: known(State::from_proto(crowd.state), "impact state")?,
            confidence: known(Confidence::from_proto(crowd.confidence), "confidence")?,
            remedy: known(Remedy::from_proto(crowd.remedy), "remedy")?,
            impacts: crowd.impacts,
            pods: crowd.pods,
            endless: crowd.endless,
            until: crowd.until_wall_ns.map(|until| WallNs(until.into())),
            until_boot: crowd.until_boottime_ns.map(BootNs),
        })
    }
}
