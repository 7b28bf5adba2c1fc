//! Entries of one boot → where the difference of both clocks changes (pure), in memory that grows with the changes only.
//!
//! Of each file what is kept is the plateaus: the first and the last entry of each stretch over which the difference
//! stays the same. Plateaus of several files, ordered by monotonic time, give the changes between neighbours.

use super::{Change, Moment};
use crate::clock::DeltaNs;

/// A change of no more than this is none, ns: journald may be kept waiting between its two readings.
const LEAST: i128 = 500_000_000;
/// What is told as the error of a change, ns: twice a quarter of a millisecond between the readings.
const ERROR_NS: u64 = 500_000;
/// So near to a change speaks of a sleep who speaks of this one, ns.
const NEAR_NS: u64 = 2_000_000_000;
/// Plateaus kept of a boot, once those that touch are joined.
const MOST_PLATEAUS: usize = 16_384;
/// Sleeps kept of a boot.
const MOST_SLEEPS: usize = 65_536;

/// A stretch of entries over which the difference of both clocks stays the same.
#[derive(Clone, Copy)]
struct Plateau {
    first: Moment,
    last: Moment,
}

/// One boot, as its entries come in, from one source after the other.
pub(super) struct BootFold {
    pub(super) entries: u64,
    pub(super) first: Moment,
    pub(super) last: Moment,
    plateaus: Vec<Plateau>,
    /// The source whose entries extend the last plateau.
    open: Option<usize>,
    /// At how many plateaus they are joined next.
    join_at: usize,
    lost: bool,
    sleeps: Vec<u64>,
}

impl BootFold {
    pub(super) fn new(moment: Moment) -> Self {
        Self {
            entries: 0,
            first: moment,
            last: moment,
            plateaus: Vec::new(),
            open: None,
            join_at: 256,
            lost: false,
            sleeps: Vec::new(),
        }
    }

    /// The next entry of `source`. If there seems to be a change right before it: the entry before.
    pub(super) fn see(&mut self, moment: Moment, source: usize) -> Option<Moment> {
        self.entries += 1;
        // journald begins another file when the clock goes back.
        let ends_before = self.entries > 1 && self.last.monotonic_ns <= moment.monotonic_ns;
        let mut before = Some(self.last).filter(|last| ends_before && differs(*last, moment));
        if moment.monotonic_ns < self.first.monotonic_ns {
            self.first = moment;
        }
        if moment.monotonic_ns >= self.last.monotonic_ns {
            self.last = moment;
        }
        if let Some(plateau) = self.plateaus.last_mut().filter(|_| self.open == Some(source)) {
            if !differs(plateau.last, moment) {
                if moment.monotonic_ns >= plateau.last.monotonic_ns {
                    plateau.last = moment;
                } else if moment.monotonic_ns < plateau.first.monotonic_ns {
                    plateau.first = moment;
                }
                return None;
            }
            before = Some(plateau.last);
        }
        if self.plateaus.len() >= self.join_at {
            self.plateaus = join(&self.plateaus);
            self.join_at = self.plateaus.len().saturating_mul(2).max(256);
        }
        if self.plateaus.len() >= MOST_PLATEAUS * 2 {
            self.lost = true;
            return None;
        }
        self.plateaus.push(Plateau { first: moment, last: moment });
        self.open = Some(source);
        before
    }

    /// The kernel or systemd speaks of sleep.
    pub(super) fn slept(&mut self, moment: Moment) {
        if self.sleeps.len() < MOST_SLEEPS {
            self.sleeps.push(moment.monotonic_ns);
        }
    }

    /// Whether there were more changes than are kept.
    pub(super) fn lost(&self) -> bool {
        self.lost
    }

    /// All changes, by monotonic time.
    pub(super) fn changes(mut self) -> Vec<Change> {
        self.sleeps.sort_unstable();
        let plateaus = join(&self.plateaus);
        plateaus.windows(2).map(|pair| change(pair[0].last, pair[1].first, &self.sleeps)).collect()
    }
}

fn change(before: Moment, after: Moment, sleeps: &[u64]) -> Change {
    let delta = i64::try_from(offset(after) - offset(before));
    let delta = DeltaNs(delta.unwrap_or(if offset(after) > offset(before) { i64::MAX } else { i64::MIN }));
    let from = sleeps.partition_point(|at| *at < before.monotonic_ns.saturating_sub(NEAR_NS));
    let near = sleeps.get(from).is_some_and(|at| *at <= after.monotonic_ns.saturating_add(NEAR_NS));
    // The monotonic clock stands still in sleep, so the wall clock seems to jump forward.
    Change { before, after, delta, error_ns: ERROR_NS, suspended: near && delta.0 > 0 }
}

fn offset(moment: Moment) -> i128 {
    moment.wall.0 - i128::from(moment.monotonic_ns)
}

fn differs(one: Moment, other: Moment) -> bool {
    (offset(one) - offset(other)).abs() > LEAST
}

/// The plateaus that the first and last entries of these make when all are ordered by monotonic time.
fn join(plateaus: &[Plateau]) -> Vec<Plateau> {
    let mut knots: Vec<Moment> = plateaus.iter().flat_map(|plateau| [plateau.first, plateau.last]).collect();
    // Stable: what is simultaneous stays as it came.
    knots.sort_by_key(|moment| moment.monotonic_ns);
    let mut joined: Vec<Plateau> = Vec::new();
    for knot in knots {
        match joined.last_mut() {
            Some(plateau) if !differs(plateau.last, knot) => plateau.last = knot,
            _ => joined.push(Plateau { first: knot, last: knot }),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WallNs;

    const SECOND: i128 = 1_000_000_000;

    /// At `seconds` since boot with the wall clock ahead by `ahead` ms.
    fn at(seconds: u64, ahead: i128) -> Moment {
        let wall = WallNs((1_700_000_000 + i128::from(seconds)) * SECOND + ahead * 1_000_000);
        Moment { wall, monotonic_ns: seconds * 1_000_000_000 }
    }

    /// Changes as (before, after, ms), of sources that are lists of (second, ms ahead).
    fn changes(sources: &[&[(u64, i128)]], sleeps: &[u64]) -> Vec<(u64, u64, i64, bool)> {
        let mut fold = BootFold::new(at(sources[0][0].0, sources[0][0].1));
        for (source, entries) in sources.iter().enumerate() {
            for (seconds, ahead) in *entries {
                fold.see(at(*seconds, *ahead), source);
            }
        }
        for at in sleeps {
            fold.slept(Moment { wall: WallNs(0), monotonic_ns: at * 1_000_000_000 });
        }
        let seconds = |moment: Moment| moment.monotonic_ns / 1_000_000_000;
        let told = |change: Change| {
            (seconds(change.before), seconds(change.after), change.delta.0 / 1_000_000, change.suspended)
        };
        fold.changes().into_iter().map(told).collect()
    }

    #[test]
    fn a_change_lies_between_neighbours() {
        for (entries, sleeps, expected) in [
            (&[(1, 0), (2, 0), (3, 0)][..], &[][..], vec![]),
            (&[(1, 0), (2, 5000), (3, 5000)], &[], vec![(1, 2, 5000, false)]),
            (&[(1, 0), (2, -5000), (2, -5000), (9, 0)], &[], vec![(1, 2, -5000, false), (2, 9, 5000, false)]),
            // Half a second is none, a little more is one.
            (&[(1, 0), (2, 500)], &[], vec![]),
            (&[(1, 0), (2, 501)], &[], vec![(1, 2, 501, false)]),
            // A sleep looks like a jump forward, never like one back.
            (&[(1, 0), (20, 5000)], &[9], vec![(1, 20, 5000, true)]),
            (&[(1, 0), (20, 5000)], &[22], vec![(1, 20, 5000, true)]),
            (&[(5, 0), (20, 5000)], &[1, 24], vec![(5, 20, 5000, false)]),
            (&[(1, 0), (20, -5000)], &[9], vec![(1, 20, -5000, false)]),
        ] {
            assert_eq!(changes(&[entries], sleeps), expected, "{entries:?}");
        }
    }

    #[test]
    fn several_files_narrow_it_down() {
        let system = &[(0, 0), (100, 0), (103, 9000), (200, 9000), (400, 9000)][..];
        let user = &[(50, 0), (99, 0), (101, 9000), (150, 9000)][..];
        let later = &[(500, 9000), (600, 0), (700, 0)][..];
        let expected = vec![(100, 101, 9000, false), (500, 600, -9000, false)];
        for sources in [[system, user, later], [later, user, system], [user, later, system]] {
            assert_eq!(changes(&sources, &[]), expected);
        }
    }

    #[test]
    fn disorder_makes_no_changes() {
        assert_eq!(
            changes(&[&[(1, 0), (3, 5000), (2, 0), (4, 5000), (0, 0)]], &[]),
            vec![(2, 3, 5000, false)]
        );
    }

    #[test]
    fn a_clock_that_never_rests_takes_bounded_memory() {
        let mut fold = BootFold::new(at(0, 0));
        for seconds in 0..200_000 {
            fold.see(at(seconds, i128::from(seconds % 2) * 1000), 0);
        }
        assert!(fold.lost() && fold.plateaus.len() <= MOST_PLATEAUS * 2);
        assert!(fold.changes().len() > MOST_PLATEAUS / 2);
    }

    #[test]
    fn what_does_not_fit_saturates() {
        let far = Moment { wall: WallNs(i128::from(i64::MAX) * 4), monotonic_ns: 5 };
        assert_eq!(change(at(0, 0), far, &[]).delta, DeltaNs(i64::MAX));
        assert_eq!(change(far, at(0, 0), &[]).delta, DeltaNs(i64::MIN));
    }
}
