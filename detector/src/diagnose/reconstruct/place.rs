//! Where a jump went, as a best guess, and when that was.

use super::{
    BootNs, DeltaNs, Guess, OffsetNs, PastJump, Present, SECOND_NS, Sighting, Span, Timeline, Turn, WallNs,
    Witness, candidate::Candidate, certainty,
};

/// Where boot is not known, it is taken to be so long before all that is known, ns.
const BEFORE_ALL_NS: i128 = 3600 * SECOND_NS;

/// The jump that a candidate comes to; its number and its moment follow from the others.
pub(super) fn jump(candidate: &Candidate) -> PastJump {
    let Candidate { before, after, delta, ref sightings } = *candidate;
    let mut sightings = sightings.clone();
    sightings.sort_by_key(|sighting| sighting.weight);
    let by = sightings.iter().find_map(|sighting| sighting.by.clone());
    let guess = guess(before, after, delta, &sightings);
    PastJump { number: 0, before, after, delta, guess, certainty: certainty(&sightings), by, sightings }
}

/// A log's last line before a jump and its first after it are nearest to it: what lies between is mostly silence.
fn guess(before: Span, after: Span, delta: Span, sightings: &[Sighting]) -> Guess {
    let by_lines =
        sightings.iter().any(|sighting| matches!(sighting.witness, Witness::Stamps | Witness::KubeletCache));
    let single = |span: Span| span.is_bounded() && span.width() <= SECOND_NS / 100;
    let middle = |span: Span| i128::midpoint(span.lo, span.hi);
    let delta_ns = if single(delta) {
        middle(delta)
    } else if before.has_lo() && after.has_hi() {
        let most = after.hi - before.lo;
        most.clamp(delta.lo, delta.hi)
    } else if delta.has_hi() && delta.hi < 0 {
        delta.hi
    } else if delta.has_lo() && delta.lo > 0 {
        delta.lo
    } else {
        0
    };
    let (from, to) = if before.has_lo() {
        // What was made at that very moment was there when the clock went back, some time after.
        let from = match (by_lines, before.is_bounded(), after.has_lo()) {
            (false, true, true) => middle(before),
            (_, _, true) => before.lo,
            (_, _, false) => before.lo + SECOND_NS,
        };
        (from, from.saturating_add(delta_ns))
    } else if after.has_hi() {
        (after.hi.saturating_sub(delta_ns), after.hi)
    } else {
        (before.hi, before.hi.saturating_add(delta_ns))
    };
    Guess {
        before: WallNs(from),
        after: WallNs(to),
        delta: DeltaNs(i64::try_from(delta_ns).unwrap_or(if delta_ns < 0 { i64::MIN } else { i64::MAX })),
        at: BootNs(0),
    }
}

/// Numbers the jumps and says when each was, from the present back: what the clock shows now, and by how much it moved,
/// say what it showed before.
pub(super) fn place(jumps: &mut [PastJump], present: Present) -> (Timeline, BootNs) {
    let net: i128 = jumps.iter().map(|jump| i128::from(jump.guess.delta.0)).sum();
    let earliest = jumps.iter().map(|jump| jump.guess.before.0.min(jump.guess.after.0)).min();
    let earliest = earliest.map_or(present.wall.0, |earliest| earliest.min(present.wall.0 - net));
    let since = u64::try_from(present.wall.0 - earliest + net.max(0) + BEFORE_ALL_NS).unwrap_or(u64::MAX);
    let boot = present.boot.unwrap_or(BootNs(since));
    let clamp = |ns: i128| i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN } else { i64::MAX });
    let now = OffsetNs(clamp(present.wall.0 - i128::from(boot.0)));
    let mut offset = now;
    let mut later = boot.0;
    for (index, jump) in jumps.iter_mut().enumerate().rev() {
        jump.number = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
        let at = jump.guess.after.0 - i128::from(offset.0);
        // It cannot have been before boot, nor after the one that came next.
        let at = u64::try_from(at.max(1)).unwrap_or(u64::MAX).min(later.saturating_sub(1)).max(1);
        jump.guess.at = BootNs(at);
        later = at;
        offset = OffsetNs(offset.0.saturating_sub(jump.guess.delta.0));
    }
    let mut timeline = Timeline::new(offset);
    for jump in jumps {
        let new = OffsetNs(offset.0.saturating_add(jump.guess.delta.0));
        timeline.enter(Turn { jump: jump.number, at: jump.guess.at, old: offset, new });
        offset = new;
    }
    (timeline, boot)
}
