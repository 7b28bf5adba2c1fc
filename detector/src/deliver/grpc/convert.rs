//! Messages of the protocol and ours, both ways. What comes from outside may be anything: it is checked.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::v1;
use crate::{
    actor::{Actor, ActorKind, Pod},
    capture::{CapturedBy, StepPath},
    clock::{BootNs, DeltaNs, OffsetNs, WallNs},
    deliver::{
        Alarm, Message, Shown,
        json::word,
        stream::{ActorFilter, Direction, Filter, Kinds},
    },
    impact::{Confidence, Impact, Remedy, State, Subject},
    ledger::{Closed, Excursion, Jump, Missed, Verdict, Window, WindowKind},
    store::Burst,
};

/// A message from the other end lacks something, or has a value that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other end sent no known {0}: is it of another version?")]
pub struct Foreign(pub &'static str);

pub(super) fn known<T>(value: Option<T>, what: &'static str) -> Result<T, Foreign> {
    value.ok_or(Foreign(what))
}

pub(super) fn from_word<T: DeserializeOwned>(word: &str, what: &'static str) -> Result<T, Foreign> {
    serde_json::from_value(Value::String(word.to_owned())).map_err(|_| Foreign(what))
}

fn words<T: Serialize>(values: &[T]) -> Vec<String> {
    values.iter().map(word).collect()
}

pub(super) fn wall_ns(wall: WallNs) -> i64 {
    i64::try_from(wall.0).unwrap_or(if wall.0 < 0 { i64::MIN } else { i64::MAX })
}

impl From<&Jump> for v1::Jump {
    fn from(jump: &Jump) -> Self {
        Self {
            sequence: jump.sequence,
            boot_id: jump.boot_id.to_string(),
            boottime_ns: jump.at.0,
            delta_ns: jump.delta.0,
            delta_error_ns: jump.delta_error_ns,
            wall_before_ns: wall_ns(jump.wall_before()),
            wall_after_ns: wall_ns(jump.wall_after()),
            old_offset_ns: jump.old.0,
            new_offset_ns: jump.new.0,
            path: v1::StepPath::from(jump.path).into(),
            captured_by: v1::CapturedBy::from(jump.captured_by).into(),
            actor: Some((&jump.actor).into()),
            verdict: v1::Verdict::from(jump.verdict).into(),
            evidence: words(&jump.evidence),
            excursion: jump.excursion,
            burst: jump.burst,
            loud: jump.loud,
            window: jump.window.as_ref().map(|window| v1::Window {
                kind: v1::WindowKind::from(window.kind).into(),
                from_boot_id: window.from_boot_id.to_string(),
                from_boottime_ns: window.from_boottime_ns.0,
                from_wall_ns: wall_ns(window.from_wall),
                to_boottime_ns: window.to_boottime_ns.0,
            }),
        }
    }
}

impl TryFrom<v1::Jump> for Jump {
    type Error = Foreign;

    fn try_from(jump: v1::Jump) -> Result<Self, Foreign> {
        Ok(Self {
            sequence: jump.sequence,
            boot_id: jump.boot_id.into(),
            at: BootNs(jump.boottime_ns),
            delta: DeltaNs(jump.delta_ns),
            delta_error_ns: jump.delta_error_ns,
            old: OffsetNs(jump.old_offset_ns),
            new: OffsetNs(jump.new_offset_ns),
            path: known(StepPath::from_proto(jump.path), "path")?,
            captured_by: known(CapturedBy::from_proto(jump.captured_by), "captured_by")?,
            actor: jump.actor.unwrap_or_default().into(),
            verdict: known(Verdict::from_proto(jump.verdict), "verdict")?,
            // Words of a later version are left out: they explain, they do not decide.
            evidence: jump.evidence.iter().filter_map(|word| from_word(word, "evidence").ok()).collect(),
            excursion: jump.excursion,
            burst: jump.burst,
            loud: jump.loud,
            window: jump.window.map(Window::try_from).transpose()?,
        })
    }
}

impl TryFrom<v1::Window> for Window {
    type Error = Foreign;

    fn try_from(window: v1::Window) -> Result<Self, Foreign> {
        Ok(Self {
            kind: known(WindowKind::from_proto(window.kind), "window")?,
            from_boot_id: window.from_boot_id.into(),
            from_boottime_ns: BootNs(window.from_boottime_ns),
            from_wall: WallNs(window.from_wall_ns.into()),
            to_boottime_ns: BootNs(window.to_boottime_ns),
        })
    }
}

impl From<&Actor> for v1::Actor {
    fn from(actor: &Actor) -> Self {
        let Actor {
            kind,
            pid,
            tid,
            comm,
            exe,
            cmdline,
            uid,
            gid,
            ppid,
            parent_comm,
            cgroup,
            unit,
            container_id,
            pod,
            function,
        } = actor.clone();
        Self {
            kind: v1::ActorKind::from(kind).into(),
            pid,
            tid,
            comm,
            exe,
            cmdline,
            uid,
            gid,
            ppid,
            parent_comm,
            cgroup,
            unit,
            container_id,
            pod: pod.map(|Pod { namespace, name, uid }| v1::Pod { namespace, name, uid }),
            function,
        }
    }
}

impl From<v1::Actor> for Actor {
    fn from(actor: v1::Actor) -> Self {
        Self {
            kind: ActorKind::from_proto(actor.kind).unwrap_or_default(),
            pid: actor.pid,
            tid: actor.tid,
            comm: actor.comm,
            exe: actor.exe,
            cmdline: actor.cmdline,
            uid: actor.uid,
            gid: actor.gid,
            ppid: actor.ppid,
            parent_comm: actor.parent_comm,
            cgroup: actor.cgroup,
            unit: actor.unit,
            container_id: actor.container_id,
            pod: actor.pod.map(|v1::Pod { namespace, name, uid }| Pod { namespace, name, uid }),
            function: actor.function,
        }
    }
}

impl From<&Impact> for v1::Impact {
    fn from(impact: &Impact) -> Self {
        let Subject { kind, namespace, name, uid, container, volume } = impact.subject.clone();
        Self {
            id: impact.id,
            jump: impact.jump,
            kind: impact.kind.clone(),
            subject: Some(v1::Subject { kind, namespace, name, uid, container, volume }),
            from_wall_ns: impact.from.map(wall_ns),
            until_wall_ns: impact.until.map(wall_ns),
            confidence: v1::Confidence::from(impact.confidence).into(),
            remedy: v1::Remedy::from(impact.remedy).into(),
            message: impact.message.clone(),
            evidence_json: impact.evidence.to_string(),
            boot_id: impact.boot_id.to_string(),
            from_boottime_ns: impact.from_boot.map(|from| from.0),
            until_boottime_ns: impact.until_boot.map(|until| until.0),
            state: v1::ImpactState::from(impact.state).into(),
        }
    }
}

impl TryFrom<v1::Impact> for Impact {
    type Error = Foreign;

    fn try_from(impact: v1::Impact) -> Result<Self, Foreign> {
        let v1::Subject { kind, namespace, name, uid, container, volume } = known(impact.subject, "subject")?;
        Ok(Self {
            id: impact.id,
            jump: impact.jump,
            kind: impact.kind,
            subject: Subject { kind, namespace, name, uid, container, volume },
            from: impact.from_wall_ns.map(|wall| WallNs(wall.into())),
            until: impact.until_wall_ns.map(|wall| WallNs(wall.into())),
            confidence: known(Confidence::from_proto(impact.confidence), "confidence")?,
            remedy: known(Remedy::from_proto(impact.remedy), "remedy")?,
            message: impact.message,
            evidence: serde_json::from_str(&impact.evidence_json).map_err(|_| Foreign("evidence"))?,
            boot_id: impact.boot_id.into(),
            from_boot: impact.from_boottime_ns.map(BootNs),
            until_boot: impact.until_boottime_ns.map(BootNs),
            state: known(State::from_proto(impact.state), "impact state")?,
        })
    }
}

impl v1::watch_response::Entry {
    /// Nothing for what is not told over the stream.
    pub(super) fn from_message(message: &Message) -> Option<Self> {
        let lagged = |missed, at: v1::LaggedAt| Self::Lagged(v1::Lagged { missed, at: at.into() });
        Some(match message {
            Message::Jump(jump) => Self::Jump(jump.into()),
            Message::Impact(impact) => Self::Impact(impact.into()),
            Message::Remedy(remedy) => Self::Remedy(remedy.into()),
            Message::Missed(missed) => lagged(missed.missed, v1::LaggedAt::Capture),
            Message::Lagged(missed) => lagged(*missed, v1::LaggedAt::Consumer),
            Message::Alarm(alarm) => {
                Self::Alarm(v1::Alarm { kind: alarm.kind.clone(), message: alarm.message.clone() })
            }
            Message::Status(_) | Message::Refused(_) | Message::Summary(_) => return None,
        })
    }

    /// Nothing for a heartbeat.
    pub(super) fn into_message(self) -> Result<Option<Message>, Foreign> {
        Ok(Some(match self {
            Self::Jump(jump) => Message::Jump(jump.try_into()?),
            Self::Impact(impact) => Message::Impact(impact.try_into()?),
            Self::Remedy(remedy) => Message::Remedy(remedy.try_into()?),
            Self::Lagged(lagged) if lagged.at == i32::from(v1::LaggedAt::Capture) => {
                Message::Missed(Missed { boot_id: "".into(), at: BootNs(0), missed: lagged.missed })
            }
            Self::Lagged(lagged) => Message::Lagged(lagged.missed),
            Self::Alarm(alarm) => Message::Alarm(Alarm { kind: alarm.kind, message: alarm.message }),
            Self::Heartbeat(_) => return Ok(None),
        }))
    }
}

impl From<&Filter> for v1::Filter {
    fn from(filter: &Filter) -> Self {
        let actor = filter.actor.clone();
        Self {
            min_forward_ns: filter.min_forward_ns,
            min_backward_ns: filter.min_backward_ns,
            direction: filter.direction.map_or(v1::Direction::Unspecified, v1::Direction::from).into(),
            paths: filter.paths.iter().map(|path| v1::StepPath::from(*path).into()).collect(),
            actor: Some(v1::ActorFilter {
                kinds: actor.kinds.iter().map(|kind| v1::ActorKind::from(*kind).into()).collect(),
                comm: actor.comm,
                unit: actor.unit,
                pod_uid: actor.pod_uid,
                container_id: actor.container_id,
            }),
            kinds: v1::Kinds::from(filter.kinds).into(),
        }
    }
}

impl TryFrom<v1::Filter> for Filter {
    type Error = Foreign;

    fn try_from(filter: v1::Filter) -> Result<Self, Foreign> {
        let actor = filter.actor.unwrap_or_default();
        Ok(Self {
            min_forward_ns: filter.min_forward_ns,
            min_backward_ns: filter.min_backward_ns,
            direction: match filter.direction {
                0 => None,
                direction => Some(known(Direction::from_proto(direction), "direction")?),
            },
            paths: filter
                .paths
                .into_iter()
                .map(|path| known(StepPath::from_proto(path), "path"))
                .collect::<Result<_, _>>()?,
            actor: ActorFilter {
                kinds: actor
                    .kinds
                    .into_iter()
                    .map(|kind| known(ActorKind::from_proto(kind), "actor kind"))
                    .collect::<Result<_, _>>()?,
                comm: actor.comm,
                unit: actor.unit,
                pod_uid: actor.pod_uid,
                container_id: actor.container_id,
            },
            kinds: known(Kinds::from_proto(filter.kinds), "kinds")?,
        })
    }
}

impl From<&Excursion> for v1::Excursion {
    fn from(excursion: &Excursion) -> Self {
        Self {
            id: excursion.id,
            boot_id: excursion.boot_id.to_string(),
            opened_by: excursion.opened_by,
            closed_by: excursion.closed.map(|closed| closed.by),
            opened_boottime_ns: excursion.opened_at.0,
            closed_boottime_ns: excursion.closed.map(|closed| closed.at.0),
            delta_ns: excursion.delta.0,
            residual_ns: excursion.closed.map(|closed| closed.residual.0),
        }
    }
}

impl From<v1::Excursion> for Excursion {
    fn from(excursion: v1::Excursion) -> Self {
        Self {
            id: excursion.id,
            boot_id: excursion.boot_id.into(),
            opened_by: excursion.opened_by,
            opened_at: BootNs(excursion.opened_boottime_ns),
            home: OffsetNs(0),
            delta: DeltaNs(excursion.delta_ns),
            closed: excursion.closed_by.map(|by| Closed {
                by,
                at: BootNs(excursion.closed_boottime_ns.unwrap_or(0)),
                residual: DeltaNs(excursion.residual_ns.unwrap_or(0)),
            }),
        }
    }
}

impl From<&Shown> for v1::GetJumpResponse {
    fn from(shown: &Shown) -> Self {
        Self {
            jump: Some((&shown.jump).into()),
            excursion: shown.excursion.as_ref().map(v1::Excursion::from),
            other_end: shown.other_end.as_ref().map(v1::Jump::from),
            burst: shown.burst.map(|Burst { first, last, steps, delta_ns, duration_ns }| v1::Burst {
                first,
                last,
                steps,
                delta_ns,
                duration_ns,
            }),
            impacts: shown.impacts.iter().map(v1::Impact::from).collect(),
        }
    }
}

impl TryFrom<v1::GetJumpResponse> for Shown {
    type Error = Foreign;

    fn try_from(response: v1::GetJumpResponse) -> Result<Self, Foreign> {
        Ok(Self {
            jump: known(response.jump, "jump")?.try_into()?,
            excursion: response.excursion.map(Excursion::from),
            other_end: response.other_end.map(Jump::try_from).transpose()?,
            burst: response.burst.map(|v1::Burst { first, last, steps, delta_ns, duration_ns }| Burst {
                first,
                last,
                steps,
                delta_ns,
                duration_ns,
            }),
            impacts: response.impacts.into_iter().map(Impact::try_from).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{deliver::tests::jump, ledger::Evidence};

    #[test]
    fn a_jump_survives_the_way() {
        let full = Jump {
            excursion: Some(4),
            evidence: vec![Evidence::TakesBack],
            window: Some(Window {
                kind: WindowKind::RebootAhead,
                from_boot_id: "old".into(),
                from_boottime_ns: BootNs(3),
                from_wall: WallNs(-9),
                to_boottime_ns: BootNs(5),
            }),
            actor: Actor {
                kind: ActorKind::Process,
                pid: Some(0),
                pod: Some(Pod { uid: "u".into(), ..Pod::default() }),
                ..Actor::default()
            },
            ..jump(3, -7)
        };
        for jump in [full, jump(1, i64::MAX)] {
            assert_eq!(Jump::try_from(v1::Jump::from(&jump)), Ok(jump));
        }
    }

    #[test]
    fn a_filter_survives_the_way() {
        let full = Filter {
            min_forward_ns: Some(0),
            min_backward_ns: Some(7),
            direction: Some(Direction::Backward),
            paths: vec![StepPath::LeapSecond],
            actor: ActorFilter {
                kinds: vec![ActorKind::Kernel],
                comm: Some("c".into()),
                unit: Some("u".into()),
                pod_uid: Some("p".into()),
                container_id: Some("i".into()),
            },
            kinds: Kinds::Impacts,
        };
        for filter in [full, Filter::default()] {
            assert_eq!(Filter::try_from(v1::Filter::from(&filter)), Ok(filter));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let filter = v1::Filter { paths: vec![99], ..v1::Filter::default() };
        assert_eq!(Filter::try_from(filter), Err(Foreign("path")));
        assert_eq!(Jump::try_from(v1::Jump::default()), Err(Foreign("path")));
    }
}
