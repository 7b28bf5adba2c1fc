//! Which silences of logs were leaps of the clock.

use super::{RESIDUAL_SHARE, SECOND_NS, Sighting, Span, TOLERANCE_NS, candidate::Candidate, order::is_later};

/// Logs that leap at one jump do so from lines and to lines that are no farther apart, ns.
const TOGETHER_NS: i128 = 30 * SECOND_NS;

/// Of leaps ahead those are the clock's that it took back later, or that several logs show, from and to the same instants:
/// by itself each is silent at times of its own. The others are silences, and so is what lies before this boot: the machine
/// was off.
pub(super) fn true_leaps(
    leaps: Vec<Sighting>,
    candidates: &[Candidate],
    booted: Option<i128>,
) -> (Vec<Candidate>, Vec<Sighting>) {
    let mut grouped: Vec<Candidate> = Vec::new();
    for leap in leaps {
        let same = |group: &&mut Candidate| {
            let near = |a: i128, b: i128| (a - b).abs() <= TOGETHER_NS;
            let together = |known: &Sighting| {
                near(known.before.lo, leap.before.lo) && near(known.after.hi, leap.after.hi)
            };
            group.takes(&leap) && group.sightings.iter().all(together)
        };
        match grouped.iter_mut().find(same) {
            Some(group) => group.take(leap),
            None => grouped.push(Candidate::new(leap)),
        }
    }
    let (mut found, mut silences) = (Vec::new(), Vec::new());
    for group in grouped {
        let taken_back = candidates.iter().any(|back| back.goes_back() && takes_back(&group, back));
        let of_this_boot = booted.is_none_or(|booted| booted < group.before.lo);
        if taken_back || (group.sightings.len() > 1 && of_this_boot) {
            found.push(group);
        } else {
            silences.extend(group.sightings);
        }
    }
    (found, silences)
}

/// Whether `back` ends what `ahead` began: it came later, from where that led to, and to where that came from.
fn takes_back(ahead: &Candidate, back: &Candidate) -> bool {
    let far = ahead.delta.hi.abs().max(1);
    let from = back.before.hi >= ahead.after.lo;
    let sum = ahead.delta.plus(back.delta);
    let near = Span::around(0, far / RESIDUAL_SHARE + TOLERANCE_NS);
    let to = back.after.hi >= ahead.before.lo && sum.meet(near).is_some();
    from && to && is_later(ahead, back) != Some(false)
}
