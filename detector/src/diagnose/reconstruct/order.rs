//! In which order jumps came.

use super::{Sighting, Witness, candidate::Candidate};

/// Whether the source that both come from has `second` after `first`; nothing if none has both.
pub(super) fn is_later(first: &Candidate, second: &Candidate) -> Option<bool> {
    first.sightings.iter().find_map(|a| {
        let same = |b: &&Sighting| {
            b.source == a.source && b.witness == Witness::Stamps && a.witness == Witness::Stamps
        };
        let b = second.sightings.iter().find(same)?;
        Some(a.place? < b.place?)
    })
}

/// Puts jumps into the order in which they came: as the sources have it, else by where the clock was.
pub(super) fn in_order(mut left: Vec<Candidate>) -> Vec<Candidate> {
    let mut ordered = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let is_first =
            |at: &usize| left.iter().all(|other| is_later(other, &left[*at]).is_none_or(|later| !later));
        let free: Vec<usize> = (0..left.len()).filter(is_first).collect();
        // Nothing comes first where sources contradict each other: then the one that seems to.
        let choice = if free.is_empty() { (0..left.len()).collect() } else { free };
        // The clock was nowhere before it was there: what began at the earliest wall time came first; of what began at
        // one, the one that went forward.
        let first = choice.into_iter().min_by_key(|at| {
            let candidate = &left[*at];
            let began = if candidate.goes_back() { candidate.after.hi } else { candidate.before.lo };
            (began, candidate.goes_back())
        });
        ordered.push(left.remove(first.unwrap_or(0)));
    }
    ordered
}
