//! Where an apiserver's clock stands to this node's boot clock. Pure.
//!
//! A sighting says that the offset A − BOOTTIME lies between `date − received` and `date + 1 s − sent`: within a second
//! and the time that the answer took. Several together say it more narrowly, as each second begins at another moment.
//! The rates of two clocks differ, so a bound widens with time.

use super::Sighting;
use crate::{
    clock::{BootNs, DeltaNs, OffsetNs},
    ledger::{Timeline, Turn},
};

/// By so much two clocks may drift apart, for 1,000,000 ns: what Linux lets an NTP daemon do to one (`MAXFREQ`).
const DRIFT_PPM: u64 = 500;
/// `Date` is in whole seconds.
const SECOND_NS: i128 = 1_000_000_000;
/// A step of A may differ by so much more than the bounds say from the jump of this node that it is taken for: where
/// each clock is set by a daemon of its own, both are set right, but neither exactly.
const SLACK_NS: u64 = 1_500_000_000;
/// Jumps of the node kept between two sightings. In a storm of more, which of them A followed cannot be told anyway.
const MOST_TURNS: usize = 256;

/// An apiserver's clock, as far as its answers tell.
#[derive(Clone, Debug, Default)]
pub struct ApiserverClock {
    known: Option<Known>,
    /// The node's jumps that the last sighting does not cover, the oldest first.
    turns: Vec<Turn>,
}

#[derive(Clone, Debug)]
struct Known {
    bounds: Bounds,
    /// When the bounds were as they are: the last answer.
    at: BootNs,
    timeline: Timeline,
    /// Since when the bounds say what the offset is: the last step.
    since: BootNs,
    /// The last step, if no jump of the node explains it: one that was told late may yet.
    unexplained: Option<Unexplained>,
}

#[derive(Clone, Debug)]
struct Unexplained {
    step: Bounds,
    /// The timeline without it.
    before: Timeline,
    /// A jump of the node that explains it came after this.
    after: BootNs,
}

/// The least and the greatest value, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    low: i128,
    high: i128,
}

/// An apiserver's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// A − BOOTTIME: the middle of what it can be.
    pub offset: OffsetNs,
    /// The most by which that can be wrong, ns.
    pub error_ns: u64,
}

/// What a sighting tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// How far A was stepped since the sighting before, if it was.
    pub stepped: Option<DeltaNs>,
    /// Whether that was a step of A alone, and not a jump of this node.
    pub own: bool,
}

impl Bounds {
    fn of(sighting: &Sighting) -> Self {
        let (sent, received) = (i128::from(sighting.sent.0), i128::from(sighting.received.0));
        let date = sighting.date.0;
        let low = date.saturating_sub(received.max(sent));
        Self { low, high: date.saturating_add(SECOND_NS).saturating_sub(sent) }
    }

    fn widened(self, elapsed: u64) -> Self {
        let by = i128::from(elapsed) * i128::from(DRIFT_PPM) / 1_000_000;
        Self { low: self.low.saturating_sub(by), high: self.high.saturating_add(by) }
    }

    fn intersection(self, other: Self) -> Option<Self> {
        let both = Self { low: self.low.max(other.low), high: self.high.min(other.high) };
        (both.low <= both.high).then_some(both)
    }

    /// From `old` to this.
    fn since(self, old: Self) -> Self {
        Self { low: self.low.saturating_sub(old.high), high: self.high.saturating_sub(old.low) }
    }

    fn middle(self) -> i64 {
        let middle = self.low.saturating_add(self.high.saturating_sub(self.low) / 2);
        i64::try_from(middle).unwrap_or(if middle < 0 { i64::MIN } else { i64::MAX })
    }

    fn error_ns(self) -> u64 {
        let width = self.high.saturating_sub(self.low).max(0);
        u64::try_from(width).unwrap_or(u64::MAX).div_ceil(2)
    }

    fn holds(self, value: i128) -> bool {
        let slack = i128::from(SLACK_NS);
        value >= self.low.saturating_sub(slack) && value <= self.high.saturating_add(slack)
    }
}

/// How far jumps went together, ns.
fn sum(turns: &[Turn]) -> i128 {
    turns.iter().map(|turn| i128::from(turn.new.0) - i128::from(turn.old.0)).sum()
}

/// Those of the node's jumps that a step of A was: all of them together, or else one. None that is too short to be told
/// from what each clock does by itself.
fn explanation(step: Bounds, turns: &[Turn]) -> Option<Vec<Turn>> {
    let explains = |turns: &[Turn]| {
        let sum = sum(turns);
        sum.unsigned_abs() > u128::from(SLACK_NS) && step.holds(sum)
    };
    if explains(turns) {
        return Some(turns.to_vec());
    }
    turns.iter().rev().find(|turn| explains(&[**turn])).map(|turn| vec![*turn])
}

impl Known {
    fn new(sighting: &Sighting) -> Self {
        let bounds = Bounds::of(sighting);
        let timeline = Timeline::new(OffsetNs(bounds.middle()));
        Self { bounds, at: sighting.received, timeline, since: BootNs(0), unexplained: None }
    }

    fn at(&self, now: BootNs) -> Bounds {
        self.bounds.widened(now.0.saturating_sub(self.at.0))
    }

    /// Goes on with a jump of the node by as much as the node's clock went.
    fn follow(&mut self, turns: &[Turn]) {
        if let Some(first) = turns.first() {
            self.since = first.at.max(self.timeline.now().from);
        }
        for turn in turns {
            let last = self.timeline.now();
            let new = OffsetNs(last.offset.0.saturating_add(turn.new.since(turn.old).0));
            // One that came while an answer was on its way may be before the step that this told of.
            self.timeline.enter(Turn { jump: turn.jump, at: turn.at.max(last.from), old: last.offset, new });
        }
        self.unexplained = None;
    }

    /// What is known best of the offset since the last step goes for all of that time.
    fn settle(&mut self) {
        let by = OffsetNs(self.bounds.middle()).since(self.timeline.now().offset);
        self.timeline.correct(self.since, by);
    }
}

impl ApiserverClock {
    /// One of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a jump of this node: A may have taken part in it, being the same machine's clock or set by the same
    /// source. A jump is to be noted before the sighting that comes after it; later serves as well, until the sighting
    /// after that.
    pub fn turn(&mut self, turn: Turn) {
        let Some(known) = &mut self.known else { return };
        if turn.new.since(turn.old).magnitude() <= SLACK_NS {
            // Too short to be told from a bound that was too narrow. A may have followed or not.
            let by = i128::from(turn.new.0) - i128::from(turn.old.0);
            known.bounds.low = known.bounds.low.saturating_add(by.min(0));
            known.bounds.high = known.bounds.high.saturating_add(by.max(0));
        }
        if self.turns.len() == MOST_TURNS {
            self.turns.remove(0);
        }
        self.turns.push(turn);
        let Some(Unexplained { step, before, after }) = &known.unexplained else { return };
        if turn.at < *after || turn.at > known.at {
            return;
        }
        let covered: Vec<_> = self.turns.iter().filter(|turn| turn.at <= known.at).copied().collect();
        if let Some(turns) = explanation(*step, &covered) {
            known.timeline = before.clone();
            known.follow(&turns);
            known.settle();
            self.turns.retain(|turn| !turns.contains(turn));
        }
    }

    /// Takes in what A showed.
    pub fn see(&mut self, sighting: &Sighting) -> Seen {
        let seen = Bounds::of(sighting);
        let Some(known) = &mut self.known else {
            self.known = Some(Known::new(sighting));
            return Seen::default();
        };
        let before = known.at(sighting.received);
        let mut result = Seen::default();
        if let Some(both) = before.intersection(seen) {
            known.bounds = both;
            known.unexplained = None;
        } else {
            let step = seen.since(before);
            known.bounds = seen;
            let without = known.timeline.clone();
            result.stepped = Some(DeltaNs(step.middle()));
            let covered = self.turns.iter().filter(|turn| turn.at <= sighting.received);
            let covered: Vec<_> = covered.copied().collect();
            if let Some(turns) = explanation(step, &covered) {
                known.follow(&turns);
                self.turns.retain(|turn| !turns.contains(turn));
            } else {
                result.own = true;
                known.since = sighting.received;
                let (old, new) = (known.timeline.now().offset, OffsetNs(seen.middle()));
                known.timeline.enter(Turn { jump: 0, at: sighting.received, old, new });
                known.unexplained = Some(Unexplained { step, before: without, after: known.at });
            }
        }
        known.at = sighting.received;
        known.settle();
        // Whether A showed its clock before or after a jump that came meanwhile is not known.
        self.turns.retain(|turn| turn.at >= sighting.sent);
        result
    }

    /// What the offset is at `now`, if A was ever seen and is not stepped meanwhile.
    pub fn offset(&self, now: BootNs) -> Option<Estimate> {
        let bounds = self.known.as_ref()?.at(now);
        Some(Estimate { offset: OffsetNs(bounds.middle()), error_ns: bounds.error_ns() })
    }

    /// Which offset A had when. Steps that are jumps of this node have their numbers and times; the others have number
    /// 0 and the time at which they were first seen.
    pub fn timeline(&self) -> Option<&Timeline> {
        self.known.as_ref().map(|known| &known.timeline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::WallNs, ledger::timeline_tests::SECOND};

    const MS: i64 = 1_000_000;

    /// What is seen of an A with this offset by a question at `sent` ms whose answer takes 20 ms.
    fn sighting(offset: i64, sent: i64) -> Sighting {
        let (sent, received) = (sent * MS, (sent + 20) * MS);
        let shown = i128::from(offset) + i128::from(sent + 7 * MS);
        Sighting {
            sent: BootNs(sent.cast_unsigned()),
            received: BootNs(received.cast_unsigned()),
            date: WallNs(shown - shown.rem_euclid(SECOND_NS)),
            certificate: None,
        }
    }

    fn node(jump: u64, at: i64, by: i64) -> Turn {
        let (at, old) = (BootNs((at * MS).cast_unsigned()), OffsetNs(5_000 * SECOND));
        Turn { jump, at, old, new: OffsetNs(old.0 + by) }
    }

    fn jumps(clock: &ApiserverClock) -> Vec<(Option<u64>, BootNs)> {
        let timeline = clock.timeline().unwrap();
        let ends = timeline.ended().map(|ended| (ended.ended_by, ended.to));
        ends.collect()
    }

    const A: i64 = 1_700_000_000 * SECOND + 300 * MS;

    #[test]
    fn one_sighting_is_good_to_a_second_and_several_are_better() {
        let mut clock = ApiserverClock::new();
        assert_eq!(clock.offset(BootNs(7)), None);
        let mut last = u64::MAX;
        for (sent, most) in [(10_000, 510), (10_250, 400), (10_600, 270), (10_900, 200)] {
            assert_eq!(clock.see(&sighting(A, sent)), Seen::default());
            let Estimate { offset, error_ns } = clock.offset(BootNs((sent * MS).cast_unsigned())).unwrap();
            assert!(offset.since(OffsetNs(A)).magnitude() <= error_ns, "{sent}: {offset:?} ± {error_ns}");
            assert!(error_ns <= most * MS.cast_unsigned() && error_ns <= last, "{sent}: {error_ns}");
            last = error_ns;
        }
        assert_eq!(jumps(&clock), []);
        // An hour later: 500 ppm of it more, each side.
        let now = BootNs((10_920 * MS + 3600 * SECOND).cast_unsigned());
        assert!(clock.offset(now).unwrap().error_ns - last >= 1_799_000_000);
        let timeline = clock.timeline().unwrap();
        assert!(timeline.now().offset.since(OffsetNs(A)).magnitude() <= last);
    }

    #[test]
    fn drift_is_no_step() {
        let mut clock = ApiserverClock::new();
        let mut offset = A;
        for minute in 1..2_000 {
            // 100 ppm.
            offset += 6 * MS;
            let seen = clock.see(&sighting(offset, minute * 60_000));
            assert_eq!(seen, Seen::default(), "{minute}");
            let estimate = clock.offset(BootNs((minute * 60_000 * MS).cast_unsigned())).unwrap();
            assert!(estimate.offset.since(OffsetNs(offset)).magnitude() <= estimate.error_ns);
        }
    }

    #[test]
    fn a_step_of_its_own_has_no_jump_of_the_node() {
        let mut clock = ApiserverClock::new();
        clock.see(&sighting(A, 10_000));
        clock.turn(node(4, 15_000, 100 * SECOND));
        let seen = clock.see(&sighting(A - 3600 * SECOND, 20_000));
        assert!(seen.own);
        assert!(seen.stepped.unwrap().since_by(-3600 * SECOND) < 1_100_000_000, "{seen:?}");
        assert_eq!(jumps(&clock), [(Some(0), BootNs((20_020 * MS).cast_unsigned()))]);
        // What is learnt later of where it stands now is not where it stood before.
        let before = clock.timeline().unwrap().ended().next().unwrap().offset;
        clock.see(&sighting(A - 3600 * SECOND, 20_600));
        assert_eq!(clock.timeline().unwrap().ended().next().unwrap().offset, before);
    }

    trait SinceBy {
        fn since_by(self, by: i64) -> u64;
    }

    impl SinceBy for DeltaNs {
        fn since_by(self, by: i64) -> u64 {
            self.0.abs_diff(by)
        }
    }

    #[test]
    fn a_jump_of_the_node_that_it_took_part_in() {
        let mut clock = ApiserverClock::new();
        clock.see(&sighting(A, 10_000));
        clock.turn(node(4, 15_000, 60 * SECOND));
        clock.turn(node(5, 16_000, -3600 * SECOND));
        let seen = clock.see(&sighting(A - 3540 * SECOND, 20_000));
        assert!(!seen.own && seen.stepped.is_some());
        let at = |ms: i64| BootNs((ms * MS).cast_unsigned());
        assert_eq!(jumps(&clock), [(Some(4), at(15_000)), (Some(5), at(16_000))]);
        assert!(clock.see(&sighting(A - 3540 * SECOND, 25_000)).stepped.is_none());
    }

    #[test]
    fn one_of_several_jumps() {
        let mut clock = ApiserverClock::new();
        clock.see(&sighting(A, 10_000));
        clock.turn(node(4, 15_000, 60 * SECOND));
        clock.turn(node(5, 16_000, -3600 * SECOND));
        assert!(!clock.see(&sighting(A + 61 * SECOND, 20_000)).own, "not to the second");
        assert_eq!(jumps(&clock), [(Some(4), BootNs((15_000 * MS).cast_unsigned()))]);
    }

    #[test]
    fn a_jump_that_is_told_late() {
        let mut clock = ApiserverClock::new();
        clock.see(&sighting(A, 10_000));
        assert!(clock.see(&sighting(A - 60 * SECOND, 20_000)).own);
        clock.turn(node(4, 15_000, -60 * SECOND));
        assert_eq!(jumps(&clock), [(Some(4), BootNs((15_000 * MS).cast_unsigned()))]);
        assert!(clock.see(&sighting(A - 60 * SECOND, 21_000)).stepped.is_none());
        // One that comes after all that explains nothing.
        clock.turn(node(5, 21_500, -60 * SECOND));
        assert_eq!(jumps(&clock).len(), 1);
    }

    #[test]
    fn a_jump_while_the_answer_is_on_its_way() {
        let mut clock = ApiserverClock::new();
        clock.see(&sighting(A, 10_000));
        clock.turn(node(4, 20_015, -60 * SECOND));
        clock.turn(node(5, 20_500, 90 * SECOND));
        assert!(clock.see(&sighting(A, 20_000)).stepped.is_none(), "shown before it");
        assert!(!clock.see(&sighting(A - 60 * SECOND, 20_400)).own);
        let at = |ms: i64| BootNs((ms * MS).cast_unsigned());
        assert_eq!(jumps(&clock), [(Some(4), at(20_015))]);
        assert!(!clock.see(&sighting(A + 30 * SECOND, 21_000)).own, "noted before the answer was taken in");
        assert_eq!(jumps(&clock), [(Some(4), at(20_015)), (Some(5), at(20_500))]);
    }

    #[test]
    fn time_never_goes_back_in_its_timeline() {
        let mut clock = ApiserverClock::new();
        clock.see(&sighting(A, 10_000));
        assert!(clock.see(&sighting(A - 3600 * SECOND, 20_000)).own);
        clock.turn(node(4, 20_015, -60 * SECOND));
        assert!(!clock.see(&sighting(A - 3660 * SECOND, 21_000)).own);
        let at = BootNs((20_020 * MS).cast_unsigned());
        assert_eq!(jumps(&clock), [(Some(0), at), (Some(4), at)]);
    }

    #[test]
    fn short_jumps_of_the_node_are_no_steps_of_its_own() {
        for followed in [0, 700 * MS] {
            let mut clock = ApiserverClock::new();
            for sent in [10_000, 10_250, 10_600, 10_900] {
                clock.see(&sighting(A, sent));
            }
            clock.turn(node(4, 15_000, 700 * MS));
            for sent in [20_000, 20_250, 20_600, 20_900] {
                let seen = clock.see(&sighting(A + followed, sent));
                assert_eq!(seen, Seen::default(), "{followed} {sent}");
            }
            let Estimate { offset, error_ns } = clock.offset(BootNs(20_920_000_000)).unwrap();
            assert!(offset.since(OffsetNs(A + followed)).magnitude() <= error_ns, "{followed}");
        }
    }

    #[test]
    fn absurd_dates_harm_nobody() {
        let mut clock = ApiserverClock::new();
        let absurd = [i128::MIN, i128::MAX, -62_135_596_800 * SECOND_NS, 253_402_207_200 * SECOND_NS, 0];
        for (index, date) in (1..).zip(absurd.into_iter().cycle().take(20)) {
            let at = BootNs(index * 1_000_000_000);
            clock.see(&Sighting { sent: at, received: at, date: WallNs(date), certificate: None });
            clock.turn(Turn { jump: index, at, old: OffsetNs(i64::MIN), new: OffsetNs(i64::MAX) });
            let _ = clock.offset(BootNs(u64::MAX)).unwrap();
            let _ = clock.timeline().unwrap().wall(at);
        }
        let late = Sighting {
            sent: BootNs(u64::MAX),
            received: BootNs(0),
            date: WallNs(i128::from(A)),
            certificate: None,
        };
        clock.see(&late);
    }

    #[test]
    fn a_storm_is_bounded() {
        let mut clock = ApiserverClock::new();
        clock.see(&sighting(A, 10_000));
        for jump in 0..10_000 {
            clock.turn(node(jump, 11_000, 5 * SECOND));
        }
        assert_eq!(clock.turns.len(), MOST_TURNS);
    }
}
