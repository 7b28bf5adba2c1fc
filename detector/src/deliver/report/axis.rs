//! The time axis: where a moment lies.
//!
//! An excursion of five seconds has victims for 55 days: no one scale shows both. So the axis is broken where nothing
//! happens for long: each part has a scale of its own, and what is left out between two parts is written there. A reboot
//! breaks it too, for no clock of ours runs through it.

/// A moment: which boot, of those that the report speaks of, and ns since then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    pub(super) boot: usize,
    pub(super) at: u64,
}

/// A part with one scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) boot: usize,
    /// The first and the last moment of interest, ns since boot.
    pub(super) first: u64,
    pub(super) last: u64,
    /// Where it begins and ends.
    pub(super) left: i64,
    pub(super) right: i64,
    /// Where its first and its last moment are.
    inner: (i64, i64),
}

/// A place where time is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Break {
    pub(super) x: i64,
    /// How much, ns; nothing where a reboot is.
    pub(super) left_out: Option<u64>,
}

/// How wide it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) left: i64,
    pub(super) right: i64,
    /// Of a break.
    pub(super) gap: i64,
    /// From a part's end to its first moment.
    pub(super) pad: i64,
    /// Parts, at most.
    pub(super) parts: usize,
}

/// The axis.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    pub(super) parts: Vec<Part>,
    pub(super) breaks: Vec<Break>,
}

/// A gap so many times as long as what is on either side of it is left out.
const LONG: u64 = 6;
/// Jumps within less than this part of a stretch get one of their own.
const CRAMPED: u64 = 8;

impl Axis {
    /// One on which all of `moments` lie; among them `jumps`, which must not be cramped.
    pub(super) fn new(moments: &[Moment], jumps: &[Moment], shape: Shape) -> Self {
        let mut all: Vec<Moment> = moments.iter().chain(jumps).copied().collect();
        all.sort_unstable();
        all.dedup();
        let mut stretches: Vec<&[Moment]> = all.chunk_by(|a, b| a.boot == b.boot).collect();
        while stretches.len() < shape.parts {
            let cuts = stretches.iter().enumerate();
            let cuts = cuts.filter_map(|(n, stretch)| cut(stretch, jumps).map(|(worth, at)| (worth, n, at)));
            let Some((_, n, at)) = cuts.max_by_key(|(worth, ..)| *worth) else { break };
            let (before, after) = stretches[n].split_at(at);
            stretches.splice(n..=n, [before, after]);
        }
        Self::laid_out(&stretches, jumps, shape)
    }

    fn laid_out(stretches: &[&[Moment]], jumps: &[Moment], shape: Shape) -> Self {
        let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let weights: Vec<i64> = stretches.iter().map(|stretch| weight(stretch, jumps)).collect();
        let sum = weights.iter().sum::<i64>().max(1);
        let gaps = shape.gap * number(stretches.len().saturating_sub(1));
        let room = (shape.right - shape.left - gaps).max(0);
        let (mut parts, mut breaks): (Vec<Part>, Vec<Break>) = (Vec::new(), Vec::new());
        let (mut left, mut weighed) = (shape.left, 0);
        for (stretch, weight) in stretches.iter().zip(&weights) {
            let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else { continue };
            if let Some(before) = parts.last() {
                let left_out = (before.boot == first.boot).then(|| first.at.saturating_sub(before.last));
                breaks.push(Break { x: left + shape.gap / 2, left_out });
                left += shape.gap;
            }
            let begun = room * weighed / sum;
            weighed += weight;
            let right = left + room * weighed / sum - begun;
            // Before the first jump the clock was at rest, which is to be seen.
            let before = if parts.is_empty() { shape.pad * 2 } else { shape.pad };
            let inner = if first == last {
                let nth = if parts.is_empty() { 3 } else { 2 };
                (left + (right - left) / nth, left + (right - left) / nth)
            } else {
                ((left + before).min(right), (right - shape.pad).max(left + before).min(right))
            };
            parts.push(Part { boot: first.boot, first: first.at, last: last.at, left, right, inner });
            left = right;
        }
        Self { parts, breaks }
    }

    /// Where `moment` is. What lies before or after everything is at that end, what is left out in its break.
    pub(super) fn x(&self, moment: Moment) -> i64 {
        let mut before: Option<&Part> = None;
        for part in &self.parts {
            if moment < (Moment { boot: part.boot, at: part.first }) {
                return before.map_or(part.left, |before| before.right.midpoint(part.left));
            }
            if moment <= (Moment { boot: part.boot, at: part.last }) {
                return part.x(moment.at);
            }
            before = Some(part);
        }
        before.map_or(0, |part| part.right)
    }
}

impl Part {
    /// Where `at`, which must lie on it, is.
    pub(super) fn x(&self, at: u64) -> i64 {
        let (from, to) = self.inner;
        let (passed, span) = (at.saturating_sub(self.first), self.last - self.first);
        if span == 0 {
            return from;
        }
        let share = i128::from(to - from) * i128::from(passed) / i128::from(span);
        from + i64::try_from(share).unwrap_or(0)
    }

    /// How wide what lies on it is.
    pub(super) fn width(&self) -> i64 {
        self.inner.1 - self.inner.0
    }
}

/// The best place to break a stretch before, and how much that is worth; nothing if it needs no break.
fn cut(stretch: &[Moment], jumps: &[Moment]) -> Option<(u64, usize)> {
    let (first, last) = (stretch.first()?, stretch.last()?);
    let places: Vec<usize> = (0..stretch.len()).filter(|n| jumps.contains(&stretch[*n])).collect();
    let length = |from: usize, to: usize| stretch[to].at - stretch[from].at;
    // What is on either side. Between two jumps only jumps count: nothing else may tear an excursion.
    let rest = |at: usize| {
        let (before, after) = places.split_at(places.partition_point(|place| *place < at));
        match (before, after) {
            ([_, ..], [_, ..]) => {
                let side = |side: &[usize]| length(side[0], side[side.len() - 1]);
                side(before).max(side(after))
            }
            _ => length(0, at - 1).max(length(at, stretch.len() - 1)),
        }
    };
    let gaps = (1..stretch.len()).map(|at| (length(at - 1, at), rest(at), at));
    let longest = gaps.filter(|(gap, rest, _)| *rest > 0 && gap / rest >= LONG).max();
    if let Some((gap, rest, at)) = longest {
        return Some((gap / rest, at));
    }
    let (from, to) = (*places.first()?, *places.last()?);
    let (within, whole) = (length(from, to), last.at - first.at);
    if within == 0 || whole / within < CRAMPED {
        return None;
    }
    let at = if to + 1 < stretch.len() { to + 1 } else { from };
    (at > 0).then_some((whole / within, at))
}

/// How much room a stretch deserves.
fn weight(stretch: &[Moment], jumps: &[Moment]) -> i64 {
    let has_jump = stretch.iter().any(|moment| jumps.contains(moment));
    match (stretch.len(), has_jump) {
        (1, false) => 3,
        (1, true) | (_, false) => 5,
        (_, true) => 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const DAY: u64 = 86_400 * SECOND;
    const SHAPE: Shape = Shape { left: 100, right: 1_000, gap: 30, pad: 20, parts: 5 };

    fn moments(at: &[u64]) -> Vec<Moment> {
        at.iter().map(|at| Moment { boot: 0, at: *at }).collect()
    }

    /// Each lies right of the one before, and within.
    fn is_in_order(axis: &Axis, moments: &[Moment]) {
        let places: Vec<_> = moments.iter().map(|moment| axis.x(*moment)).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert!(places.iter().all(|x| (SHAPE.left..=SHAPE.right).contains(x)), "{places:?}");
    }

    #[test]
    fn five_seconds_and_55_days_are_both_seen() {
        let jumps = moments(&[10 * SECOND, 15 * SECOND]);
        let now = moments(&[200 * SECOND]);
        let ends = moments(&[55 * DAY, 55 * DAY + 60 * SECOND]);
        let all = [jumps.clone(), now, ends].concat();
        let axis = Axis::new(&all, &jumps, SHAPE);
        is_in_order(&axis, &all);
        assert_eq!(axis.parts.len(), 3, "{axis:?}");
        let left_out: Vec<_> = axis.breaks.iter().map(|it| it.left_out).collect();
        assert_eq!(left_out, [Some(185 * SECOND), Some(55 * DAY - 200 * SECOND)]);
        assert!(axis.x(jumps[1]) - axis.x(jumps[0]) > 200, "{axis:?}");
        assert!(axis.x(all[4]) - axis.x(all[3]) > 100, "{axis:?}");
    }

    #[test]
    fn what_fits_is_not_broken() {
        let jumps = moments(&[10 * SECOND, 40 * SECOND]);
        let axis = Axis::new(&moments(&[90 * SECOND]), &jumps, SHAPE);
        assert_eq!((axis.parts.len(), axis.breaks.len()), (1, 0));
        let [a, b] = [axis.x(jumps[0]), axis.x(jumps[1])];
        assert!((b - a - (axis.x(Moment { boot: 0, at: 70 * SECOND }) - b)).abs() <= 1, "to scale");
    }

    #[test]
    fn nothing_tears_an_excursion_but_its_own_jumps() {
        let jumps = moments(&[0, 5 * SECOND]);
        let after = moments(&[5 * SECOND + SECOND / 4]);
        let axis = Axis::new(&after, &jumps, SHAPE);
        assert_eq!(axis.breaks, [], "{axis:?}");
        // Two bursts, two hours apart.
        let bursts = moments(&[0, SECOND, 7_200 * SECOND, 7_201 * SECOND]);
        assert_eq!(Axis::new(&[], &bursts, SHAPE).breaks.len(), 1);
    }

    #[test]
    fn jumps_are_not_cramped_among_many_ends() {
        let jumps = moments(&[0, SECOND]);
        let ends: Vec<u64> = (1..100).map(|n| n * 20 * SECOND).collect();
        let axis = Axis::new(&moments(&ends), &jumps, SHAPE);
        assert!(axis.x(jumps[1]) - axis.x(jumps[0]) > 100, "{axis:?}");
    }

    #[test]
    fn a_reboot_breaks_it() {
        let jumps = [Moment { boot: 0, at: 5 * SECOND }, Moment { boot: 1, at: SECOND }];
        let axis = Axis::new(&[], &jumps, SHAPE);
        assert_eq!(axis.breaks.iter().map(|it| it.left_out).collect::<Vec<_>>(), [None]);
        is_in_order(&axis, &jumps);
    }

    #[test]
    fn one_moment_and_extremes_are_places_too() {
        let lone = moments(&[7]);
        is_in_order(&Axis::new(&[], &lone, SHAPE), &lone);
        let extremes = moments(&[0, 1, u64::MAX - 1, u64::MAX]);
        is_in_order(&Axis::new(&extremes, &lone, SHAPE), &extremes);
        assert_eq!(Axis::new(&[], &[], SHAPE).x(lone[0]), 0);
    }

    #[test]
    fn no_more_parts_than_there_may_be() {
        let far: Vec<u64> = (0..18).map(|n| 10_u64.pow(n)).collect();
        let axis = Axis::new(&moments(&far), &[], SHAPE);
        assert_eq!(axis.parts.len(), SHAPE.parts);
        is_in_order(&axis, &moments(&far));
    }
}
