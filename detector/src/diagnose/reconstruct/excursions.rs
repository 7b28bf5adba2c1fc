//! Which jump takes back which.

use super::{DeltaNs, PastExcursion, PastJump, RESIDUAL_SHARE, TOLERANCE_NS, WallNs, Weight};

/// Pairs each jump with the one that takes it back; what the clock came back from although nothing tells how it got there
/// is one as well.
pub(super) fn excursions(jumps: &[PastJump], now: WallNs) -> Vec<PastExcursion> {
    let mut open: Vec<&PastJump> = Vec::new();
    let mut found = Vec::new();
    for jump in jumps {
        let opposite = |opened: &&PastJump| {
            let (a, b) = (i128::from(opened.guess.delta.0), i128::from(jump.guess.delta.0));
            (a < 0) != (b < 0) && (a + b).abs() <= a.abs() / RESIDUAL_SHARE + TOLERANCE_NS
        };
        let opened = open.iter().rposition(opposite).map(|at| open.remove(at));
        match opened {
            Some(opened) => found.push(PastExcursion {
                opened_by: Some(opened.number),
                closed_by: jump.number,
                delta_ns: opened.guess.delta,
                lasted_ns: jump.guess.at.0.saturating_sub(opened.guess.at.0),
            }),
            None if jump.guess.delta.0 < 0 && was_ahead(jump, now) => found.push(PastExcursion {
                opened_by: None,
                closed_by: jump.number,
                delta_ns: DeltaNs(jump.guess.delta.0.saturating_neg()),
                lasted_ns: 0,
            }),
            None => open.push(jump),
        }
    }
    found
}

/// A leap that was taken back was no silence: it is as sure as what took it back.
pub(super) fn confirm_openings(jumps: &mut [PastJump], excursions: &[PastExcursion]) {
    for excursion in excursions {
        let of = |number: u64| jumps.iter().position(|jump| jump.number == number);
        let opened = excursion.opened_by.and_then(of);
        let (Some(opened), Some(closed)) = (opened, of(excursion.closed_by)) else { continue };
        let leaps = jumps[opened].sightings.iter().any(|sighting| sighting.weight == Weight::Leap);
        if leaps {
            jumps[opened].certainty = jumps[opened].certainty.max(jumps[closed].certainty);
        }
    }
}

/// Whether the clock came from what is still the future.
fn was_ahead(jump: &PastJump, now: WallNs) -> bool {
    jump.guess.before > now
}
