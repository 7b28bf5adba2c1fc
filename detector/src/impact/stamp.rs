//! The stamp that a cache is stuck at.
//!
//! A cache that divides by the time between two of its samples, and takes a sample only if it is later than the one it
//! has, stops at the latest wall time at which it took one. It goes on once the wall clock has passed that. Which samples
//! it took is known to within the interval at which it is fed.

use crate::{
    clock::{BootNs, OffsetNs, WallNs},
    ledger::Timeline,
};

/// The stamp, from two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// It is at least this, if a sample was taken for sure.
    pub certain: Option<WallNs>,
    /// It is at most this.
    pub possible: WallNs,
    /// The jump that took the wall clock back before it.
    pub jump: u64,
    /// When that was.
    pub since: BootNs,
    /// How far the wall clock is behind what it was when that sample was taken, ns: at least, if it was taken in the last
    /// interval before the latest stamp that is possible. Until it is passed, so much time goes by since then.
    pub behind_ns: u64,
}

impl Stuck {
    /// Whether the cache stands still for sure when the wall clock shows `wall`.
    pub fn is_certain(&self, wall: WallNs) -> bool {
        self.certain.is_some_and(|certain| wall <= certain)
    }
}

/// Where a cache that has been fed at least every `interval_ns` since `from` stands still at `now`; nothing if it cannot.
pub fn stuck(timeline: &Timeline, from: BootNs, interval_ns: u64, now: BootNs) -> Option<Stuck> {
    let wall = timeline.wall(now);
    let fed = || timeline.ended().filter(|ended| ended.to > from);
    let mut found: Option<Stuck> = None;
    for ended in fed() {
        let last = ended.last_wall();
        let lasted = ended.to.0.saturating_sub(ended.from.max(from).0);
        let certain = (lasted >= interval_ns).then(|| WallNs(last.0 - i128::from(interval_ns)));
        let earlier = found.as_ref();
        let certain = certain.max(earlier.and_then(|stuck| stuck.certain));
        // The jump to blame is the one that ended the time of the latest stamp.
        found = match (earlier, ended.ended_by) {
            (Some(stuck), _) if stuck.possible >= last => Some(Stuck { certain, ..*stuck }),
            (_, Some(jump)) => Some(Stuck { certain, possible: last, jump, since: ended.to, behind_ns: 0 }),
            // A gap in what is known: whoever ended it is not known, the next one that is takes the blame.
            (stuck, None) => stuck.map(|stuck| Stuck { certain, ..*stuck }),
        };
    }
    let stuck = found.filter(|stuck| wall < stuck.possible)?;
    let within = |last: WallNs| last.0 > stuck.possible.0 - i128::from(interval_ns);
    let offsets = fed().filter(|ended| within(ended.last_wall())).map(|ended| ended.offset);
    let behind = |offset: OffsetNs| {
        let behind = i128::from(offset.0) - i128::from(timeline.now().offset.0);
        u64::try_from(behind.max(0)).unwrap_or(u64::MAX)
    };
    Some(Stuck { behind_ns: offsets.map(behind).min().unwrap_or_default(), ..stuck })
}

#[cfg(test)]
mod tests {
    use super::{
        super::timeline_tests::{SECOND, boot, timeline, wall},
        *,
    };

    const POLL: u64 = 10 * SECOND.unsigned_abs();

    #[test]
    fn stuck_until_the_wall_clock_passes_the_last_sample() {
        // (jumps as (uptime, seconds), now, stuck certainly from/to)
        for (jumps, now, want) in [
            (&[(100, -60)][..], 101, Some((Some(1090), 1100, 1))),
            (&[(100, -60)], 155, Some((Some(1090), 1100, 1))),
            // The clock has caught up.
            (&[(100, -60)], 161, None),
            // Forward: never stuck.
            (&[(100, 3600)], 101, None),
            // There for a minute, and back: stuck at the other end.
            (&[(100, 3600), (160, -3600)], 161, Some((Some(4750), 4760, 2))),
            // There and back within an interval: perhaps.
            (&[(100, 3600), (105, -3600)], 106, Some((Some(1090), 4705, 2))),
            // A later forward step shortens it, or ends it.
            (&[(100, -60), (110, 30)], 111, Some((Some(1090), 1100, 1))),
            (&[(100, -60), (110, 60)], 111, None),
            // Two steps back: the first one's stamp counts.
            (&[(100, -60), (130, -60)], 131, Some((Some(1090), 1100, 1))),
        ] {
            let timeline = timeline(1000, jumps);
            let found = stuck(&timeline, boot(0), POLL, boot(now));
            let want = want.map(|(certain, possible, jump)| (certain.map(wall), wall(possible), jump));
            assert_eq!(found.map(|s| (s.certain, s.possible, s.jump)), want, "{jumps:?} at {now}");
        }
    }

    #[test]
    fn what_began_after_the_jump_is_not_stuck() {
        let timeline = timeline(1000, &[(100, -60)]);
        assert_eq!(stuck(&timeline, boot(100), POLL, boot(110)), None);
        // Begun shortly before: perhaps sampled, perhaps not.
        let young = stuck(&timeline, boot(95), POLL, boot(110)).unwrap();
        assert_eq!((young.certain, young.possible), (None, wall(1100)));
        assert!(!young.is_certain(timeline.wall(boot(110))));
    }

    #[test]
    fn how_far_behind_is_what_a_spike_sums_up() {
        for (jumps, now, behind) in [
            (&[(100, -60)][..], 101, 60),
            (&[(100, -60), (110, 30)], 111, 30),
            (&[(100, 3600), (160, -3600)], 161, 3600),
            // The latest stamp may be of before the first jump or of before the second, which was later.
            (&[(100, -60), (159, -60)], 160, 60),
            (&[(100, -60), (120, -60)], 130, 120),
        ] {
            let timeline = timeline(1000, jumps);
            let found = stuck(&timeline, boot(0), POLL, boot(now)).unwrap();
            assert_eq!(found.behind_ns, behind * SECOND.unsigned_abs(), "{jumps:?}");
        }
    }

    #[test]
    fn a_step_smaller_than_the_interval_may_leave_nothing() {
        let timeline = timeline(1000, &[(100, -4)]);
        let found = stuck(&timeline, boot(0), POLL, boot(101)).unwrap();
        assert!(!found.is_certain(timeline.wall(boot(101))), "{found:?}");
    }
}
