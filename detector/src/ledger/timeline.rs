//! Which wall offset held when: the jumps of this boot, as the rules look at them.

use std::collections::VecDeque;

use super::Jump;
use crate::clock::{BootNs, DeltaNs, OffsetNs, WallNs};

/// Segments kept. Older ones are summed up by their latest wall time, which is all that a rule asks of them.
const MOST: usize = 1024;

/// Jumps that come within this are one to whoever samples more rarely, ns.
const AT_ONCE_NS: u64 = 2_000_000_000;

/// A time in which the wall offset was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The wall offset.
    pub offset: OffsetNs,
    /// When it began, ns since boot.
    pub from: BootNs,
    /// The jump that began it; none began the first.
    pub jump: Option<u64>,
}

/// The segments of one boot, the oldest first; there is always one.
#[derive(Clone, Debug)]
pub struct Timeline {
    segments: VecDeque<Segment>,
}

/// What a jump does to a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The jump's number.
    pub jump: u64,
    /// When it was.
    pub at: BootNs,
    /// The wall offset before it.
    pub old: OffsetNs,
    /// The wall offset after it.
    pub new: OffsetNs,
}

impl From<&Jump> for Turn {
    fn from(jump: &Jump) -> Self {
        Self { jump: jump.sequence, at: jump.at, old: jump.old, new: jump.new }
    }
}

/// A segment with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedSegment {
    /// The wall offset.
    pub offset: OffsetNs,
    /// When it began.
    pub from: BootNs,
    /// When it ended.
    pub to: BootNs,
    /// The jump that ended it.
    pub ended_by: Option<u64>,
}

impl EndedSegment {
    /// What the wall clock showed last.
    pub fn last_wall(&self) -> WallNs {
        self.offset.wall_at(self.to)
    }
}

impl Timeline {
    /// One in which `offset` has held since boot.
    pub fn new(offset: OffsetNs) -> Self {
        Self { segments: VecDeque::from([Segment { offset, from: BootNs(0), jump: None }]) }
    }

    /// Goes on with `turn`. One whose offset before it is not the one that held tells of a gap: what held in between is
    /// then taken to have begun right before it.
    pub fn enter(&mut self, turn: Turn) {
        let last = self.now();
        if last.offset != turn.old && turn.at > last.from {
            self.push(Segment { offset: turn.old, from: BootNs(turn.at.0 - 1), jump: None });
        }
        self.push(Segment { offset: turn.new, from: turn.at, jump: Some(turn.jump) });
    }

    fn push(&mut self, segment: Segment) {
        self.segments.push_back(segment);
        if self.segments.len() <= MOST {
            return;
        }
        // Of the two oldest the one that reached further stays, as if it had reached that at the end of both, and had
        // lasted as long as it did.
        let (Some(first), Some(second)) = (self.segments.pop_front(), self.segments.pop_front()) else {
            return;
        };
        let end = self.segments.front().map_or(second.from, |third| third.from);
        let reached = first.offset.wall_at(second.from);
        let further = if reached > second.offset.wall_at(end) {
            let offset = i64::try_from(reached.0 - i128::from(end.0)).unwrap_or(i64::MAX);
            let lasted = second.from.0.saturating_sub(first.from.0);
            Segment { offset: OffsetNs(offset), from: BootNs(end.0.saturating_sub(lasted)), jump: first.jump }
        } else {
            second
        };
        self.segments.push_front(further);
    }

    /// The segment that lasts.
    pub fn now(&self) -> Segment {
        // There is always one.
        self.segments.back().copied().unwrap_or(Segment { offset: OffsetNs(0), from: BootNs(0), jump: None })
    }

    /// What the wall clock shows at `now`.
    pub fn wall(&self, now: BootNs) -> WallNs {
        self.now().offset.wall_at(now)
    }

    /// What the wall clock showed at `at`: right after it, if there was a jump.
    pub fn wall_of(&self, at: BootNs) -> WallNs {
        let held = self.segments.iter().rev().find(|segment| segment.from <= at);
        let held = held.or(self.segments.front()).copied();
        held.unwrap_or_else(|| self.now()).offset.wall_at(at)
    }

    /// When the wall clock will show `wall`, if nobody steps it; nothing before boot.
    pub fn boot_at(&self, wall: WallNs) -> Option<BootNs> {
        u64::try_from(wall.0 - i128::from(self.now().offset.0)).ok().map(BootNs)
    }

    /// The segments that have ended, the oldest first.
    pub fn ended(&self) -> impl Iterator<Item = EndedSegment> + '_ {
        self.segments.iter().zip(self.segments.iter().skip(1)).map(|(segment, next)| EndedSegment {
            offset: segment.offset,
            from: segment.from,
            to: next.from,
            ended_by: next.jump,
        })
    }

    /// The jumps, the oldest first: number, moment, how far.
    pub fn jumps(&self) -> impl DoubleEndedIterator<Item = (u64, BootNs, DeltaNs)> + '_ {
        let pairs = self.segments.iter().zip(self.segments.iter().skip(1));
        pairs.filter_map(|(before, next)| Some((next.jump?, next.from, next.offset.since(before.offset))))
    }

    /// The last jump and how far it went.
    pub fn last_jump(&self) -> Option<(u64, BootNs, DeltaNs)> {
        let now = self.now();
        let before = self.segments.iter().rev().nth(1)?;
        Some((now.jump?, now.from, now.offset.since(before.offset)))
    }

    /// What the jumps of the last 2 s come to: one, to whoever samples more rarely. Number and time are those of
    /// the one that went furthest, the latest of such.
    pub fn last_move(&self) -> Option<(u64, BootNs, DeltaNs)> {
        let now = self.now();
        let earliest = now.from.0.saturating_sub(AT_ONCE_NS);
        let mut furthest: Option<(u64, BootNs, DeltaNs)> = None;
        let mut offset = now.offset;
        for (next, before) in self.segments.iter().rev().zip(self.segments.iter().rev().skip(1)) {
            if next.from.0 < earliest {
                break;
            }
            offset = before.offset;
            let delta = next.offset.since(before.offset);
            let further = furthest.is_none_or(|(.., known)| delta.magnitude() > known.magnitude());
            if let Some(jump) = next.jump.filter(|_| further) {
                furthest = Some((jump, next.from, delta));
            }
        }
        let (jump, at, _) = furthest?;
        Some((jump, at, now.offset.since(offset)))
    }

    /// The jump since which the wall clock has been before `wall`, and when that was, if it is so at `now` and was not at
    /// `from`.
    pub fn fell_below(&self, wall: WallNs, from: BootNs, now: BootNs) -> Option<(u64, BootNs)> {
        if self.wall(now) >= wall {
            return None;
        }
        let mut fell = None;
        for (ended, next) in self.ended().zip(self.segments.iter().skip(1)) {
            let (before, after) = (ended.last_wall(), next.offset.wall_at(next.from));
            if next.from > from && before >= wall && after < wall {
                fell = next.jump.map(|jump| (jump, next.from));
            }
        }
        fell
    }

    /// The jump since which the wall clock has been beyond `wall`, and when that was, if it is so at `now`, was not at
    /// `from`, and did not come about by time alone.
    pub fn rose_above(&self, wall: WallNs, from: BootNs, now: BootNs) -> Option<(u64, BootNs)> {
        if self.wall(now) <= wall {
            return None;
        }
        let mut rose = None;
        for (ended, next) in self.ended().zip(self.segments.iter().skip(1)) {
            let (before, after) = (ended.last_wall(), next.offset.wall_at(next.from));
            if after <= wall {
                // Time goes on from here: what rose before is undone.
                rose = None;
            } else if next.from > from && before <= wall {
                rose = next.jump.map(|jump| (jump, next.from));
            }
        }
        rose
    }

    /// The segment that held at `at`, and the jump that ended it.
    pub fn segment_of(&self, at: BootNs) -> (Segment, Option<u64>) {
        let after = self.segments.iter().position(|segment| segment.from > at).unwrap_or(self.segments.len());
        let held = self.segments.get(after.saturating_sub(1)).copied().unwrap_or_else(|| self.now());
        (held, self.segments.get(after.max(1)).and_then(|next| next.jump))
    }

    /// Corrects the offset of what began at `from` or later by `by`: it was known roughly, and is now known better. For
    /// timelines of clocks that are seen from afar.
    pub fn correct(&mut self, from: BootNs, by: DeltaNs) {
        for segment in self.segments.iter_mut().rev().take_while(|segment| segment.from >= from) {
            segment.offset = OffsetNs(segment.offset.0.saturating_add(by.0));
        }
    }

    /// The earliest moment from `not_before` to `now` at which the wall clock showed `wall`; the one nearest to that if it
    /// never did.
    pub fn moment_of(&self, wall: WallNs, not_before: BootNs, now: BootNs) -> BootNs {
        let ends = self.segments.iter().skip(1).map(|next| next.from).chain([now]);
        let shown = self.segments.iter().zip(ends).find_map(|(segment, end)| {
            let at = u64::try_from(wall.0 - i128::from(segment.offset.0)).ok().map(BootNs)?;
            (at >= segment.from.max(not_before) && at <= end).then_some(at)
        });
        shown.unwrap_or(not_before)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const SECOND: i64 = 1_000_000_000;

    /// Jumps, each at a second of uptime and by so many seconds, from a wall clock that showed `start` at boot.
    pub(crate) fn timeline(start: i64, jumps: &[(i64, i64)]) -> Timeline {
        let mut offset = start * SECOND;
        let mut timeline = Timeline::new(OffsetNs(offset));
        for (jump, (at, by)) in (1..).zip(jumps) {
            let old = OffsetNs(offset);
            offset += by * SECOND;
            timeline.enter(Turn { jump, at: boot(*at), old, new: OffsetNs(offset) });
        }
        timeline
    }

    pub(crate) fn boot(seconds: i64) -> BootNs {
        BootNs(u64::try_from(seconds * SECOND).unwrap())
    }

    pub(crate) fn wall(seconds: i64) -> WallNs {
        WallNs(i128::from(seconds * SECOND))
    }

    #[test]
    fn segments_end_where_jumps_are() {
        let timeline = timeline(1000, &[(100, 3600), (160, -3600)]);
        let ended: Vec<_> = timeline.ended().map(|ended| (ended.last_wall(), ended.ended_by)).collect();
        assert_eq!(ended, [(wall(1100), Some(1)), (wall(4760), Some(2))]);
        assert_eq!(timeline.wall(boot(170)), wall(1170));
        assert_eq!(timeline.boot_at(wall(4760)), Some(boot(3760)));
        assert_eq!(timeline.last_jump(), Some((2, boot(160), DeltaNs(-3600 * SECOND))));
    }

    #[test]
    fn what_a_jump_put_beyond_an_instant() {
        let back_and_by_itself = [(100, 3600), (160, -3600)];
        for (jumps, now, want) in [
            (&[][..], 5000, None),
            (&[(100, 3600)], 200, Some((1, 100))),
            (&[(100, 10)], 200, None),
            (&[(100, 10)], 5000, None),
            (&back_and_by_itself, 170, None),
            (&back_and_by_itself, 5000, None),
            (&[(100, 3600), (160, -10)], 200, Some((1, 100))),
            (&[(100, 3600), (160, -3600), (170, 7200)], 200, Some((3, 170))),
            (&[(100, 600), (4500, 600)], 5000, None),
        ] {
            let timeline = timeline(1000, jumps);
            let want = want.map(|(jump, at)| (jump, boot(at)));
            assert_eq!(timeline.rose_above(wall(3000), boot(0), boot(now)), want, "{jumps:?} {now}");
        }
        let timeline = timeline(1000, &[(100, 3600)]);
        assert_eq!(timeline.rose_above(wall(3000), boot(100), boot(200)), None, "it was before");
    }

    #[test]
    fn corrections_leave_what_was_before() {
        let mut timeline = timeline(1000, &[(100, -60), (200, 30)]);
        timeline.correct(boot(100), DeltaNs(SECOND));
        let shown: Vec<_> = [50, 150, 250].map(|at| timeline.wall_of(boot(at))).to_vec();
        assert_eq!(shown, [wall(1050), wall(1091), wall(1221)]);
        timeline.correct(boot(0), DeltaNs(i64::MAX));
        assert_eq!(timeline.now().offset, OffsetNs(i64::MAX));
    }

    #[test]
    fn jumps_at_once_are_one() {
        for (jumps, want) in [
            (&[][..], None),
            (&[(100, 3600)], Some((1, 100, 3600))),
            (&[(100, 3600), (101, -2)], Some((1, 100, 3598))),
            (&[(100, -2), (102, 3600)], Some((2, 102, 3598))),
            (&[(100, 3600), (101, -3600)], Some((2, 101, 0))),
            (&[(100, 3600), (103, -2)], Some((2, 103, -2))),
        ] {
            let timeline = timeline(1000, jumps);
            let want = want.map(|(jump, at, by)| (jump, boot(at), DeltaNs(by * SECOND)));
            assert_eq!(timeline.last_move(), want, "{jumps:?}");
        }
    }

    #[test]
    fn instants_of_the_wall_clock_are_found_again() {
        let timeline = timeline(1000, &[(100, -60)]);
        let now = boot(200);
        // Shown twice: the first time unless that is excluded.
        assert_eq!(timeline.moment_of(wall(1080), boot(0), now), boot(80));
        assert_eq!(timeline.moment_of(wall(1080), boot(90), now), boot(140));
        assert_eq!(timeline.moment_of(wall(5000), boot(7), now), boot(7), "never shown");
    }

    #[test]
    fn a_gap_in_the_chain_is_bridged() {
        let mut timeline = timeline(1000, &[]);
        let (old, new) = (OffsetNs(2000 * SECOND), OffsetNs(1500 * SECOND));
        timeline.enter(Turn { jump: 5, at: boot(50), old, new });
        let last = timeline.ended().last().unwrap();
        assert_eq!((last.last_wall(), last.ended_by), (wall(2050), Some(5)));
    }

    #[test]
    fn what_storms_sum_up_reaches_no_further_than_it_did() {
        let mut jumps = vec![(100, 5000), (101, -5000)];
        jumps.extend((102..3000).map(|at| (at, if at % 2 == 0 { -1 } else { 1 })));
        let timeline = timeline(1000, &jumps[..1100]);
        let furthest = timeline.ended().max_by_key(EndedSegment::last_wall).unwrap();
        assert_eq!((furthest.last_wall(), furthest.to.0 - furthest.from.0), (wall(6101), 1_000_000_000));
    }

    #[test]
    fn storms_keep_the_latest_wall_time() {
        let mut jumps = vec![(1, 500)];
        jumps.extend((2..3000).map(|at| (at, if at == 2 { -500 } else { 0 })));
        let timeline = timeline(1000, &jumps);
        let furthest = timeline.ended().map(|ended| ended.last_wall()).max();
        assert!(furthest >= Some(wall(3998)), "{furthest:?}");
        assert!(timeline.segments.len() <= MOST);
    }
}
