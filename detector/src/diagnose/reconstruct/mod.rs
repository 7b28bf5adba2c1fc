//! From what many sources tell, each a little, to the jumps that there were. Pure.
//!
//! A sighting says within which limits the wall clock was before a jump, after it, and how far it moved. Sightings of one
//! jump allow a common answer; a jump is what the sightings that do agree on. The weightier ones make jumps, the lighter
//! ones may only add to them.

mod balance;
mod candidate;
mod excursions;
mod leaps;
mod order;
mod place;
#[cfg(test)]
mod tests;

use self::{
    balance::balanced,
    candidate::Candidate,
    excursions::{confirm_openings, excursions},
    leaps::true_leaps,
};
use super::{
    Anchor, Sighting, Span, Weight, Witness,
    past::{Guess, Past, PastExcursion, PastJump, certainty},
};
use crate::{
    clock::{BootNs, DeltaNs, OffsetNs, WallNs},
    ledger::{Timeline, Turn},
};

const SECOND_NS: i128 = 1_000_000_000;
/// Logs of different programs are silent now and then: so far what they allow may miss each other, ns.
const TOLERANCE_NS: i128 = 120 * SECOND_NS;
/// A clock that comes back to within this share of how far it was away has come back.
const RESIDUAL_SHARE: i128 = 20;
/// Jumps that are told, at most.
const MOST: usize = 128;

/// The moment at which the diagnosis is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// What the wall clock shows.
    pub wall: WallNs,
    /// ns since boot, if known.
    pub boot: Option<BootNs>,
}

/// What there is to conclude from.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What sources tell of jumps.
    pub sightings: Vec<Sighting>,
    /// Moments of which both clocks are known.
    pub anchors: Vec<Anchor>,
    /// Whether every jump of this boot is among those that were measured.
    pub is_complete: bool,
}

/// What is concluded.
pub fn reconstruct(evidence: Evidence, present: Present) -> Past {
    let Evidence { mut sightings, anchors, is_complete } = evidence;
    sightings.sort_by_key(|sighting| sighting.weight);
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut light = Vec::new();
    for sighting in sightings {
        if let Some(candidate) = candidates.iter_mut().find(|candidate| candidate.takes(&sighting)) {
            candidate.take(sighting);
        } else if sighting.weight.suffices() && candidates.len() < MOST {
            candidates.push(Candidate::new(sighting));
        } else {
            light.push(sighting);
        }
    }
    let (leaps, rest): (Vec<_>, Vec<_>) =
        light.into_iter().partition(|sighting| sighting.weight == Weight::Leap);
    // What the wall clock showed at boot, if it has gone on undisturbed since.
    let booted = present.boot.map(|boot| present.wall.0 - i128::from(boot.0));
    let (ahead, silences) = true_leaps(leaps, &candidates, booted);
    candidates.extend(ahead);
    let mut hints = Vec::new();
    if is_complete {
        // Of an earlier boot, or not true: the clocks of this one are known all along.
        let measured = |candidate: &Candidate| {
            candidate.sightings.iter().any(|sighting| sighting.weight == Weight::Measured)
        };
        let (true_ones, others): (Vec<_>, Vec<_>) = candidates.into_iter().partition(measured);
        candidates = true_ones;
        hints.extend(others.into_iter().flat_map(|other| other.sightings));
    }
    for sighting in silences.into_iter().chain(rest) {
        match candidates.iter_mut().find(|candidate| candidate.takes(&sighting)) {
            Some(candidate) => candidate.take(sighting),
            None => hints.push(sighting),
        }
    }
    let (mut jumps, timeline, now) = balanced(candidates, &mut hints, &anchors, present);
    // A silence by itself says nothing, and what tells of one end of an excursion need not be told again of the other.
    let is_told = |hint: &Sighting| {
        let mut told = jumps.iter().flat_map(|jump| &jump.sightings);
        told.any(|sighting| sighting.source == hint.source && sighting.quote == hint.quote)
    };
    hints.retain(|hint| hint.weight != Weight::Leap && !is_told(hint));
    let excursions = excursions(&jumps, present.wall);
    confirm_openings(&mut jumps, &excursions);
    Past { jumps, now, excursions, timeline, hints, earlier: Vec::new(), disbelieved: Vec::new() }
}
