//! Which jumps belong together as one burst.
//!
//! The rule: a jump continues a burst if it comes by the same path and from the same actor as the one before it, within
//! [`QUIET`] of it, and within [`LONGEST`] of the burst's first. Each jump stays one of its own, with its number and its
//! size; the burst is a name for them all.

use std::time::Duration;

use super::Jump;
use crate::{
    actor::{Actor, ActorKind},
    capture::StepPath,
    clock::BootNs,
};

/// A burst ends when nothing follows for so long.
pub const QUIET: Duration = Duration::from_secs(1);
/// A burst that does not end is cut after so long, so that whoever sums bursts up gets to hear of it.
pub const LONGEST: Duration = Duration::from_mins(1);

/// The burst that may still grow.
#[derive(Clone, Debug, Default)]
pub struct Bursts {
    open: Option<Open>,
}

#[derive(Clone, Debug)]
struct Open {
    first: u64,
    began: BootNs,
    last: BootNs,
    path: StepPath,
    by: By,
}

/// As much of an actor as makes it the same one. A program that runs anew for each step has another process id each
/// time, and its file is known only while it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
struct By {
    kind: ActorKind,
    comm: Option<String>,
    cgroup: Option<String>,
    function: Option<String>,
}

impl By {
    fn new(actor: &Actor) -> Self {
        let Actor { kind, comm, cgroup, function, .. } = actor.clone();
        Self { kind, comm, cgroup, function }
    }
}

impl Bursts {
    /// The number of the first jump of the burst that `jump` belongs to; its own if it begins one.
    pub fn enter(&mut self, jump: &Jump) -> u64 {
        let by = By::new(&jump.actor);
        if let Some(open) = &mut self.open
            && open.path == jump.path
            && open.by == by
            && jump.window.is_none()
            && within(open.last, jump.at, QUIET)
            && within(open.began, jump.at, LONGEST)
        {
            open.last = jump.at;
            return open.first;
        }
        let (path, at, first) = (jump.path, jump.at, jump.sequence);
        self.open = jump.window.is_none().then_some(Open { first, began: at, last: at, path, by });
        first
    }
}

fn within(from: BootNs, to: BootNs, time: Duration) -> bool {
    u128::from(to.0.saturating_sub(from.0)) <= time.as_nanos()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::jump, *};

    fn at(sequence: u64, ms: u64, comm: &str) -> Jump {
        let actor = Actor { kind: ActorKind::Process, comm: Some(comm.into()), ..Actor::default() };
        Jump { at: BootNs(ms * 1_000_000), actor, ..jump(sequence, 0, 5) }
    }

    #[test]
    fn same_actor_soon_after() {
        let mut bursts = Bursts::default();
        for (sequence, ms, comm, want) in [
            (1, 0, "date", 1),
            (2, 1_000, "date", 1),
            (3, 2_000, "date", 1),
            // A thousand and one milliseconds of silence end it.
            (4, 3_001, "date", 4),
            // Somebody else.
            (5, 3_002, "chronyd", 5),
            (6, 3_003, "date", 6),
        ] {
            assert_eq!(bursts.enter(&at(sequence, ms, comm)), want, "{sequence}");
        }
    }

    #[test]
    fn another_path_or_an_endless_one() {
        let mut bursts = Bursts::default();
        bursts.enter(&at(1, 0, "a"));
        let other = Jump { path: StepPath::Adjtimex, ..at(2, 1, "a") };
        assert_eq!(bursts.enter(&other), 2);
        let mut bursts = Bursts::default();
        let firsts: Vec<_> = (1..123).map(|n| bursts.enter(&at(n, n * 500, "a"))).collect();
        assert_eq!(firsts[120], 1);
        assert_eq!(firsts[121], 122);
    }

    #[test]
    fn what_nobody_watched_stands_alone() {
        let mut bursts = Bursts::default();
        let unseen = Jump { window: Some(super::super::tests::window()), ..at(1, 0, "a") };
        assert_eq!(bursts.enter(&unseen), 1);
        assert_eq!(bursts.enter(&at(2, 1, "a")), 2);
    }
}
