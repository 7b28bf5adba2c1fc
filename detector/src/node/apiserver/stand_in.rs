//! Whose clocks judge tokens: the apiservers' where they are known, else what comes nearest.

use crate::{
    clock::{BootNs, OffsetNs, WallNs},
    ledger::{Timeline, Turn},
    node::{Judge, JudgeSource},
};

/// From the issue of a token until it is written, at most, ns.
const WRITING_NS: i128 = 5_000_000_000;
/// `iat` is cut to the second, ns.
const SECOND_NS: i128 = 1_000_000_000;
/// A jump of the node's clock that is larger may have been one of the apiserver's as well, ns.
const NOTICEABLE_NS: u64 = 1_000_000_000;

/// A token that was seen to be written: its `iat` is what the apiserver's clock showed a moment before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fresh {
    /// Its `iat`.
    pub issued: WallNs,
    /// When it was written, ns since boot.
    pub written: BootNs,
}

impl Fresh {
    /// Between which the apiserver's offset over the boot clock was.
    fn offsets(self) -> (i128, i128) {
        let earliest = self.issued.0 - i128::from(self.written.0);
        (earliest, earliest + SECOND_NS + WRITING_NS)
    }

    /// Whether it was not issued by that clock as it is known.
    pub fn contradicts(self, judge: &Judge) -> bool {
        let (earliest, latest) = self.offsets();
        let (held, error) = (i128::from(judge.timeline.now().offset.0), i128::from(judge.error_ns));
        held + error < earliest || held - error > latest
    }
}

/// When the last jump was that an apiserver's clock may have made as well; 0: never.
pub fn last_noticeable(timeline: &Timeline) -> BootNs {
    let jumped = timeline.jumps().rfind(|(.., delta)| delta.magnitude() >= NOTICEABLE_NS);
    jumped.map_or(BootNs(0), |(_, at, _)| at)
}

/// What stands in for an apiserver that is not asked: this node's own; what a token told since the last jump; the node's
/// clock.
pub fn stand_in(timeline: &Timeline, own: bool, fresh: Option<Fresh>, now: BootNs) -> Judge {
    let judge = |name: &str, source, timeline, error_ns, seen| Judge {
        name: name.to_owned(),
        source,
        timeline,
        error_ns,
        seen,
    };
    if own {
        return judge("this node's apiserver", JudgeSource::OwnApiserver, timeline.clone(), 0, now);
    }
    let Some(fresh) = fresh.filter(|fresh| fresh.written > last_noticeable(timeline)) else {
        return judge("the node's clock", JudgeSource::NodeClock, timeline.clone(), 0, now);
    };
    let (earliest, latest) = fresh.offsets();
    let mut clock = timeline.clone();
    let held = timeline.now().offset;
    // Between the two, there is no reason to think that it differs from the node's.
    if !(earliest..=latest).contains(&i128::from(held.0)) {
        let middle = i64::try_from(i128::midpoint(earliest, latest)).unwrap_or(held.0);
        clock.enter(Turn { jump: 0, at: fresh.written, old: held, new: OffsetNs(middle) });
    }
    let error = u64::try_from(SECOND_NS + WRITING_NS).unwrap_or(u64::MAX);
    judge("the apiserver, by its tokens", JudgeSource::FreshToken, clock, error, fresh.written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::timeline_tests::{boot, timeline, wall};

    #[test]
    fn the_best_that_there_is() {
        let clock = timeline(1000, &[(100, 3600)]);
        let of = |own, fresh: Option<(i64, i64)>| {
            let fresh = fresh.map(|(issued, at)| Fresh { issued: wall(issued), written: boot(at) });
            let judge = stand_in(&clock, own, fresh, boot(200));
            (judge.source, judge.timeline.wall(boot(200)))
        };
        assert_eq!(of(true, None), (JudgeSource::OwnApiserver, wall(4800)));
        assert_eq!(of(false, None), (JudgeSource::NodeClock, wall(4800)));
        assert_eq!(of(false, Some((1090, 90))), (JudgeSource::NodeClock, wall(4800)), "before the jump");
        assert_eq!(of(false, Some((4748, 150))), (JudgeSource::FreshToken, wall(4800)));
        assert_eq!(of(false, Some((1148, 150))), (JudgeSource::FreshToken, wall(1201)));
    }
}
