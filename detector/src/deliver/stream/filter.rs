//! What a consumer wants to hear: pure.

use super::super::Message;
use crate::{
    actor::{Actor, ActorKind},
    capture::StepPath,
    clock::DeltaNs,
    ledger::Jump,
};

/// What to let through. Whatever is unset lets everything through, but for quiet jumps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Forward jumps of at least this size, ns; unset: loud ones.
    pub min_forward_ns: Option<u64>,
    /// Backward jumps of at least this size, ns; unset: loud ones.
    pub min_backward_ns: Option<u64>,
    /// One direction only.
    pub direction: Option<Direction>,
    /// Any of these paths; empty: all.
    pub paths: Vec<StepPath>,
    /// By whom.
    pub actor: ActorFilter,
    /// Jumps, impacts or both.
    pub kinds: Kinds,
}

/// Forward or backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
pub enum Direction {
    /// The wall clock went ahead.
    Forward,
    /// The wall clock went back.
    Backward,
}

impl Direction {
    /// Of a jump by `delta`.
    pub fn of(delta: DeltaNs) -> Self {
        if delta.0 < 0 { Self::Backward } else { Self::Forward }
    }
}

/// Each set field must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ActorFilter {
    /// Any of these kinds; empty: all.
    pub kinds: Vec<ActorKind>,
    /// The thread's name.
    pub comm: Option<String>,
    /// The systemd unit.
    pub unit: Option<String>,
    /// The pod's uid.
    pub pod_uid: Option<String>,
    /// The container's id, or its beginning.
    pub container_id: Option<String>,
}

/// Jumps, impacts or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kinds {
    /// Both.
    #[default]
    Both,
    /// Jumps.
    Jumps,
    /// Impacts.
    Impacts,
}

impl Filter {
    /// Every jump and impact, however small.
    pub fn everything() -> Self {
        Self { min_forward_ns: Some(0), min_backward_ns: Some(0), ..Self::default() }
    }

    /// Whether `message` is for this consumer.
    pub fn lets(&self, message: &Message) -> bool {
        match message {
            Message::Jump(jump) => self.kinds != Kinds::Impacts && self.lets_jump(jump),
            Message::Impact(_) | Message::Remedy(_) => self.kinds != Kinds::Jumps,
            Message::Missed(_) | Message::Lagged(_) | Message::Alarm(_) => true,
            Message::Status(_) | Message::Refused(_) | Message::Summary(_) => false,
        }
    }

    /// Whether `jump` is for this consumer.
    pub fn lets_jump(&self, jump: &Jump) -> bool {
        let direction = Direction::of(jump.delta);
        let least = match direction {
            Direction::Forward => self.min_forward_ns,
            Direction::Backward => self.min_backward_ns,
        };
        least.map_or(jump.loud, |least| jump.delta.magnitude() >= least)
            && self.direction.is_none_or(|wanted| wanted == direction)
            && (self.paths.is_empty() || self.paths.contains(&jump.path))
            && self.actor.lets(&jump.actor)
    }
}

impl ActorFilter {
    fn lets(&self, actor: &Actor) -> bool {
        let same = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| Some(wanted) == is)
        };
        (self.kinds.is_empty() || self.kinds.contains(&actor.kind))
            && same(&self.comm, actor.comm.as_deref())
            && same(&self.unit, actor.unit.as_deref())
            && same(&self.pod_uid, actor.pod.as_ref().map(|pod| &*pod.uid))
            && self
                .container_id
                .as_deref()
                .is_none_or(|wanted| actor.container_id.as_deref().is_some_and(|id| id.starts_with(wanted)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        actor::Pod,
        deliver::{Alarm, tests::jump},
    };

    fn by(comm: &str) -> Actor {
        Actor {
            kind: ActorKind::Process,
            comm: Some(comm.into()),
            unit: Some("chronyd.service".into()),
            container_id: Some("abcdef".into()),
            pod: Some(Pod { uid: "u".into(), ..Pod::default() }),
            ..Actor::default()
        }
    }

    #[test]
    fn each_field_by_itself() {
        let with = |change: fn(&mut Filter)| {
            let mut filter = Filter::default();
            change(&mut filter);
            filter
        };
        let forward = Jump { actor: by("chronyd"), ..jump(1, 500) };
        let backward = Jump { actor: Actor::unknown(), path: StepPath::Unattributed, ..jump(2, -500) };
        let quiet = Jump { loud: false, ..jump(3, 5) };
        for (what, filter, want) in [
            ("default", Filter::default(), [true, true, false]),
            ("everything", Filter::everything(), [true, true, true]),
            ("forward", with(|f| f.direction = Some(Direction::Forward)), [true, false, false]),
            ("backward", with(|f| f.direction = Some(Direction::Backward)), [false, true, false]),
            ("least forward", with(|f| f.min_forward_ns = Some(501)), [false, true, false]),
            ("least backward", with(|f| f.min_backward_ns = Some(500)), [true, true, false]),
            ("small ones too", with(|f| f.min_forward_ns = Some(5)), [true, true, true]),
            ("path", with(|f| f.paths = vec![StepPath::Unattributed]), [false, true, false]),
            ("kind", with(|f| f.actor.kinds = vec![ActorKind::Process]), [true, false, false]),
            ("comm", with(|f| f.actor.comm = Some("chronyd".into())), [true, false, false]),
            ("unit", with(|f| f.actor.unit = Some("x".into())), [false, false, false]),
            ("pod", with(|f| f.actor.pod_uid = Some("u".into())), [true, false, false]),
            ("container", with(|f| f.actor.container_id = Some("abc".into())), [true, false, false]),
            ("impacts", with(|f| f.kinds = Kinds::Impacts), [false, false, false]),
            ("jumps", with(|f| f.kinds = Kinds::Jumps), [true, true, false]),
        ] {
            let got = [&forward, &backward, &quiet].map(|jump| filter.lets(&Message::Jump(jump.clone())));
            assert_eq!(got, want, "{what}");
        }
    }

    #[test]
    fn trouble_is_for_everybody() {
        let alarm = Message::Alarm(Alarm { kind: "store".into(), message: String::new() });
        assert!(Filter { kinds: Kinds::Impacts, ..Filter::default() }.lets(&alarm));
    }
}
