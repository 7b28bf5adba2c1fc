//! Whether the jumps that are known come to what the clock has moved.

use super::{
    Anchor, BootNs, PastJump, Present, Sighting, Timeline, Witness,
    candidate::Candidate,
    order::in_order,
    place::{jump, place},
};

/// Puts the jumps into order and place, and looks for what is missing: those since an anchor must come to what the clock has
/// moved since. A silence that fits was none; without one, that something is missing is all that is known.
pub(super) fn balanced(
    candidates: Vec<Candidate>,
    hints: &mut Vec<Sighting>,
    anchors: &[Anchor],
    present: Present,
) -> (Vec<PastJump>, Timeline, BootNs) {
    let mut candidates = in_order(candidates);
    // Of a single jump the sum is its size.
    if let [only] = &mut candidates[..]
        && !only.delta.is_bounded()
    {
        for sighting in anchors.iter().filter_map(|anchor| anchor.missing(0, present)) {
            if only.takes(&sighting) {
                only.take(sighting);
            }
        }
    }
    // Each turn adds what one anchor misses.
    let mut turns = anchors.len();
    loop {
        let mut jumps: Vec<PastJump> = candidates.iter().map(jump).collect();
        let (timeline, now) = place(&mut jumps, present);
        let missing = anchors.iter().filter(|_| turns > 0).find_map(|anchor| {
            let tells =
                |jump: &PastJump| jump.sightings.iter().any(|sighting| sighting.source == anchor.source);
            let since =
                jumps.iter().filter(|jump| i128::from(jump.guess.at.0) > anchor.boot.hi || tells(jump));
            anchor.missing(since.map(|jump| i128::from(jump.guess.delta.0)).sum(), present)
        });
        let Some(missing) = missing else { return (jumps, timeline, now) };
        turns -= 1;
        // Of several anchors each says until when it had not happened yet.
        let lives = |candidate: &&mut Candidate| {
            candidate.sightings.iter().any(|sighting| sighting.witness == Witness::Lives)
        };
        if let Some(known) = candidates.iter_mut().filter(|it| lives(it)).find(|known| known.takes(&missing))
        {
            known.take(missing);
            candidates = in_order(candidates);
            continue;
        }
        let mut found = Candidate::new(missing);
        let (fitting, others): (Vec<_>, Vec<_>) =
            std::mem::take(hints).into_iter().partition(|hint| found.takes(hint));
        *hints = others;
        for hint in fitting {
            if found.takes(&hint) { found.take(hint) } else { hints.push(hint) }
        }
        candidates.push(found);
        candidates = in_order(candidates);
    }
}
