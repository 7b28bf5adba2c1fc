//! From what many sources tell, each a little, to the jumps that there were. Pure.
//!
//! A sighting says within which limits the wall clock was before a jump, after it, and how far it moved. Sightings of one
//! jump allow a common answer; a jump is what the sightings that do agree on. The weightier ones make jumps, the lighter
//! ones may only add to them.

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
/// Logs that leap at one jump do so from lines and to lines that are no farther apart, ns.
const TOGETHER_NS: i128 = 30 * SECOND_NS;
/// A clock that comes back to within this share of how far it was away has come back.
const RESIDUAL_SHARE: i128 = 20;
/// Jumps that are told, at most.
const MOST: usize = 128;
/// Where boot is not known, it is taken to be so long before all that is known, ns.
const BEFORE_ALL_NS: i128 = 3600 * SECOND_NS;

/// The moment at which the diagnosis is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// What the wall clock shows.
    pub wall: WallNs,
    /// ns since boot, if known.
    pub boot: Option<BootNs>,
}

/// A jump in the making.
struct Candidate {
    before: Span,
    after: Span,
    delta: Span,
    sightings: Vec<Sighting>,
}

impl Candidate {
    fn new(sighting: Sighting) -> Self {
        Self {
            before: sighting.before,
            after: sighting.after,
            delta: sighting.delta,
            sightings: vec![sighting],
        }
    }

    /// Whether this may be a sighting of the same jump.
    fn takes(&self, sighting: &Sighting) -> bool {
        let twice = |known: &Sighting| {
            // One log turns once at one jump.
            known.source == sighting.source
                && known.witness == Witness::Stamps
                && sighting.witness == Witness::Stamps
        };
        let meets = |a: Span, b: Span| a.widened(TOLERANCE_NS).meet(b).is_some();
        !self.sightings.iter().any(twice)
            && meets(self.before, sighting.before)
            && meets(self.after, sighting.after)
            && meets(self.delta, sighting.delta)
            && self.delta.meet(sighting.delta.widened(TOLERANCE_NS)).is_some()
    }

    fn take(&mut self, sighting: Sighting) {
        // Where they miss each other within the tolerance, the weightier one, which came first, holds.
        let tighter = Sighting {
            before: self.before.meet(sighting.before).unwrap_or(self.before),
            after: self.after.meet(sighting.after).unwrap_or(self.after),
            delta: self.delta.meet(sighting.delta).unwrap_or(self.delta),
            ..sighting.clone()
        };
        if let Some(tighter) = tighter.consistent() {
            (self.before, self.after, self.delta) = (tighter.before, tighter.after, tighter.delta);
        }
        self.sightings.push(sighting);
    }

    fn goes_back(&self) -> bool {
        self.delta.hi < 0
    }
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

/// Of leaps ahead those are the clock's that it took back later, or that several logs show, from and to the same instants:
/// by itself each is silent at times of its own. The others are silences, and so is what lies before this boot: the machine
/// was off.
fn true_leaps(
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

/// Puts the jumps into order and place, and looks for what is missing: those since an anchor must come to what the clock has
/// moved since. A silence that fits was none; without one, that something is missing is all that is known.
fn balanced(
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
    for _ in 0..=anchors.len() {
        let mut jumps: Vec<PastJump> = candidates.iter().map(jump).collect();
        let (timeline, now) = place(&mut jumps, present);
        let missing = anchors.iter().find_map(|anchor| {
            let tells =
                |jump: &PastJump| jump.sightings.iter().any(|sighting| sighting.source == anchor.source);
            let since =
                jumps.iter().filter(|jump| i128::from(jump.guess.at.0) > anchor.boot.hi || tells(jump));
            anchor.missing(since.map(|jump| i128::from(jump.guess.delta.0)).sum(), present)
        });
        let Some(missing) = missing else { return (jumps, timeline, now) };
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
    let mut jumps: Vec<PastJump> = candidates.iter().map(jump).collect();
    let (timeline, now) = place(&mut jumps, present);
    (jumps, timeline, now)
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

/// Whether the source that both come from has `second` after `first`; nothing if none has both.
fn is_later(first: &Candidate, second: &Candidate) -> Option<bool> {
    first.sightings.iter().find_map(|a| {
        let same = |b: &&Sighting| {
            b.source == a.source && b.witness == Witness::Stamps && a.witness == Witness::Stamps
        };
        let b = second.sightings.iter().find(same)?;
        Some(a.place? < b.place?)
    })
}

/// Puts jumps into the order in which they came: as the sources have it, else by where the clock was.
fn in_order(mut left: Vec<Candidate>) -> Vec<Candidate> {
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

fn jump(candidate: &Candidate) -> PastJump {
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
fn place(jumps: &mut [PastJump], present: Present) -> (Timeline, BootNs) {
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

/// Pairs each jump with the one that takes it back; what the clock came back from although nothing tells how it got there
/// is one as well.
fn excursions(jumps: &[PastJump], now: WallNs) -> Vec<PastExcursion> {
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
                closed_by: Some(jump.number),
                delta_ns: opened.guess.delta,
                lasted_ns: jump.guess.at.0.saturating_sub(opened.guess.at.0),
            }),
            None if jump.guess.delta.0 < 0 && was_ahead(jump, now) => found.push(PastExcursion {
                opened_by: None,
                closed_by: Some(jump.number),
                delta_ns: DeltaNs(jump.guess.delta.0.saturating_neg()),
                lasted_ns: 0,
            }),
            None => open.push(jump),
        }
    }
    found
}

/// A leap that was taken back was no silence: it is as sure as what took it back.
fn confirm_openings(jumps: &mut [PastJump], excursions: &[PastExcursion]) {
    for (opened, closed) in excursions.iter().filter_map(|it| it.opened_by.zip(it.closed_by)) {
        let of = |number: u64| jumps.iter().position(|jump| jump.number == number);
        let (Some(opened), Some(closed)) = (of(opened), of(closed)) else { continue };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::Certainty;

    /// 2026-06-01T08:00:00Z.
    const START: i128 = 1_780_300_800 * SECOND_NS;

    /// A log's stamps go from `from` to `to`, in seconds after the start.
    fn turn(source: &str, place: u64, from: i128, to: i128) -> Sighting {
        let (from, to) = (START + from * SECOND_NS, START + to * SECOND_NS);
        let slack = 22 * SECOND_NS;
        let sighting = Sighting {
            source: source.into(),
            witness: Witness::Stamps,
            weight: if to < from { Weight::Order } else { Weight::Leap },
            place: Some(place),
            before: Span::new(from, from + slack),
            after: Span::new(to - slack, to),
            delta: if to < from { Span::NEGATIVE } else { Span::POSITIVE },
            by: None,
            quote: String::new(),
        };
        sighting.consistent().unwrap()
    }

    fn at(wall_s: i128, boot_s: Option<u64>) -> Present {
        Present {
            wall: WallNs(START + wall_s * SECOND_NS),
            boot: boot_s.map(|boot| BootNs(boot * 1_000_000_000)),
        }
    }

    fn conclude(sightings: Vec<Sighting>, present: Present) -> Past {
        reconstruct(Evidence { sightings, ..Evidence::default() }, present)
    }

    fn seconds(past: &Past) -> Vec<i64> {
        past.jumps.iter().map(|jump| jump.guess.delta.0 / 1_000_000_000).collect()
    }

    const AHEAD: i128 = 4_752_000;

    #[test]
    fn an_excursion_in_one_log_and_in_two() {
        let log = |source| vec![turn(source, 10, 230, AHEAD + 240), turn(source, 20, AHEAD + 380, 391)];
        let past = conclude(log("a"), at(600, Some(600)));
        assert_eq!(seconds(&past), [4_752_010, -4_751_989]);
        assert!(past.jumps.iter().all(|jump| jump.certainty == Certainty::Likely), "{past:?}");
        let [excursion] = past.excursions[..] else { panic!("{past:?}") };
        assert_eq!((excursion.opened_by, excursion.closed_by), (Some(1), Some(2)));
        assert_eq!(excursion.lasted_ns / 1_000_000_000, 140);
        let past = conclude([log("a"), log("b")].concat(), at(600, Some(600)));
        assert_eq!(past.jumps.len(), 2, "{past:?}");
        assert!(past.jumps.iter().all(|jump| jump.certainty == Certainty::Certain));
    }

    #[test]
    fn jumps_are_where_the_boot_clock_had_them() {
        let log = vec![turn("a", 10, 230, AHEAD + 240), turn("a", 20, AHEAD + 380, 391)];
        let past = conclude(log, at(600, Some(600)));
        let boots: Vec<u64> = past.jumps.iter().map(|jump| jump.guess.at.0 / 1_000_000_000).collect();
        assert_eq!(boots, [251, 391]);
        assert_eq!(past.timeline.wall_of(BootNs(600_000_000_000)), at(600, None).wall);
        let ahead = past.timeline.wall_of(BootNs(300_000_000_000));
        assert!((ahead.0 - START - (AHEAD + 289) * SECOND_NS).abs() <= SECOND_NS, "{ahead}");
    }

    #[test]
    fn the_same_story_twice_is_two_stories() {
        let log = vec![
            turn("a", 10, 100, AHEAD + 110),
            turn("a", 20, AHEAD + 170, 181),
            turn("a", 30, 1000, AHEAD + 1010),
            turn("a", 40, AHEAD + 1070, 1081),
        ];
        let past = conclude(log, at(2000, Some(2000)));
        assert_eq!(past.jumps.len(), 4);
        assert_eq!(past.excursions.len(), 2, "{:?}", past.excursions);
        let signs: Vec<_> = past.jumps.iter().map(|jump| jump.guess.delta.0 > 0).collect();
        assert_eq!(signs, [true, false, true, false]);
    }

    #[test]
    fn silences_are_none() {
        for sightings in [
            vec![turn("a", 10, 100, 4000)],
            // Silent at the same time, but not from and to the same instant.
            vec![turn("a", 10, 100, 4000), turn("b", 10, 200, 4100)],
            vec![turn("a", 10, 100, 4000), turn("b", 10, 100, 9000)],
        ] {
            let past = conclude(sightings, at(10_000, Some(10_000)));
            assert_eq!(past.jumps, [], "{past:?}");
            assert_eq!(past.hints, []);
        }
        // A node that was off: the boot is within.
        let off = vec![turn("a", 10, 100, AHEAD), turn("b", 10, 101, AHEAD + 2)];
        assert_eq!(conclude(off.clone(), at(AHEAD + 500, Some(520))).jumps, []);
        // One that was not has leapt.
        let past = conclude(off, at(AHEAD + 500, Some(AHEAD.try_into().unwrap())));
        assert_eq!(past.jumps, [], "booted before, by this clock: that is no proof");
        let past = conclude(
            vec![turn("a", 10, 5000, 90_000), turn("b", 10, 5001, 90_002)],
            at(90_500, Some(90_500)),
        );
        assert_eq!(past.jumps.len(), 1, "{past:?}");
        assert_eq!(past.jumps[0].certainty, Certainty::Likely);
    }

    #[test]
    fn what_an_anchor_misses_is_found_among_silences() {
        // kubelet started 54 s after boot, at 8:01:14; now it is 245 s after boot, and July.
        let anchor = |wall: i128, boot: i128| Anchor {
            source: "kubelet's process".into(),
            wall: START + wall * SECOND_NS,
            boot: Span::new((boot - 60) * SECOND_NS, boot * SECOND_NS),
            quote: String::new(),
        };
        let present = at(AHEAD + 247, Some(245));
        let evidence = Evidence {
            sightings: vec![turn("a", 10, 230, AHEAD + 241)],
            anchors: vec![anchor(74, 74)],
            is_complete: false,
        };
        let past = reconstruct(evidence, present);
        assert_eq!(past.jumps.len(), 1, "{past:?}");
        assert_eq!(past.jumps[0].certainty, Certainty::Certain);
        assert_eq!(past.jumps[0].sources().len(), 2);
        // Without any log: it is known that, and about how far.
        let two = vec![anchor(74, 74), Anchor { source: "container c".into(), ..anchor(120, 120) }];
        let alone = Evidence { anchors: two, ..Evidence::default() };
        let past = reconstruct(alone, present);
        let [delta] = seconds(&past)[..] else { panic!("{past:?}") };
        assert!((i128::from(delta) - AHEAD).abs() <= 70, "{delta}");
        // Of a time after the jump, and where the clock came back, nothing is missing.
        for (sightings, anchor, present) in [
            (vec![], anchor(AHEAD + 242, 240), present),
            (
                vec![turn("a", 1, 100, AHEAD + 110), turn("a", 2, AHEAD + 170, 181)],
                anchor(30, 30),
                at(600, Some(600)),
            ),
            (
                vec![turn("a", 1, 100, AHEAD + 110), turn("a", 2, AHEAD + 170, 181)],
                anchor(AHEAD + 140, 140),
                at(600, Some(600)),
            ),
            (
                vec![turn("a", 1, 100, AHEAD + 110), turn("a", 2, AHEAD + 170, 181)],
                anchor(300, 300),
                at(600, Some(600)),
            ),
        ] {
            let known = sightings.len();
            let evidence = Evidence { sightings, anchors: vec![anchor.clone()], is_complete: false };
            let past = reconstruct(evidence, present);
            assert_eq!(past.jumps.len(), known, "{anchor:?}: {:?}", seconds(&past));
        }
    }

    #[test]
    fn what_led_to_where_the_clock_came_back_from_is_missing_too() {
        // A container was made at 20 s; volumes were written at 55 days; now it is 90 s.
        let anchor = Anchor {
            source: "container c".into(),
            wall: START + 20 * SECOND_NS,
            boot: Span::new(-40 * SECOND_NS, 20 * SECOND_NS),
            quote: String::new(),
        };
        let back = Sighting {
            source: "token volumes".into(),
            witness: Witness::Files,
            weight: Weight::Reached,
            place: None,
            before: Span::new(START + (AHEAD + 65) * SECOND_NS, Span::ANY.hi),
            after: Span::new(Span::ANY.lo, START + 90 * SECOND_NS),
            delta: Span::NEGATIVE,
            by: None,
            quote: String::new(),
        };
        let ahead = Sighting {
            weight: Weight::Said,
            before: Span::new(Span::ANY.lo, START + 90 * SECOND_NS),
            after: Span::new(START + (AHEAD - 3000) * SECOND_NS, START + (AHEAD + 60) * SECOND_NS),
            delta: Span::POSITIVE,
            ..back.clone()
        };
        let sightings = vec![back.consistent().unwrap(), ahead.consistent().unwrap()];
        let past =
            reconstruct(Evidence { sightings, anchors: vec![anchor], is_complete: false }, at(90, Some(90)));
        let [ahead, back] = seconds(&past)[..] else { panic!("{past:?}") };
        assert!(
            (i128::from(ahead) - AHEAD).abs() <= 120 && (i128::from(back) + AHEAD).abs() <= 120,
            "{past:?}"
        );
        assert_eq!(past.excursions.len(), 1, "{past:?}");
        assert_eq!(past.excursions[0].opened_by, Some(1));
    }

    #[test]
    fn an_anchor_measures_a_single_jump() {
        // A container was made at 3600 s, when it was 30 s after boot; the clock now shows 60 s, 62 s after boot.
        let reached = Sighting {
            source: "containers".into(),
            witness: Witness::Lives,
            weight: Weight::Reached,
            place: None,
            before: Span::new(START + 3600 * SECOND_NS, Span::ANY.hi),
            after: Span::new(Span::ANY.lo, START + 60 * SECOND_NS),
            delta: Span::NEGATIVE,
            by: None,
            quote: String::new(),
        };
        let anchor = Anchor {
            source: "container c".into(),
            wall: START + 3600 * SECOND_NS,
            boot: Span::new(-30 * SECOND_NS, 30 * SECOND_NS),
            quote: String::new(),
        };
        let sightings = vec![reached.consistent().unwrap()];
        let alone = conclude(sightings.clone(), at(60, Some(62)));
        assert_eq!((seconds(&alone), alone.jumps[0].error_ns()), (vec![-3540], None), "at least");
        let past =
            reconstruct(Evidence { sightings, anchors: vec![anchor], is_complete: false }, at(60, Some(62)));
        assert_eq!(seconds(&past), [-3572], "{past:?}");
        assert!(past.jumps[0].error_ns() <= Some(60_000_000_000), "{past:?}");
        assert_eq!(past.jumps[0].certainty, Certainty::Certain);
    }

    #[test]
    fn a_story_that_a_whole_boot_contradicts_is_a_hint() {
        let story = vec![turn("a", 10, 230, AHEAD + 240), turn("a", 20, AHEAD + 380, 391)];
        let evidence = Evidence { sightings: story, anchors: Vec::new(), is_complete: true };
        let past = reconstruct(evidence, at(600, Some(600)));
        assert_eq!(past.jumps, []);
        assert!(!past.hints.is_empty());
    }

    #[test]
    fn storms_and_absurd_instants_are_bounded() {
        let mut sightings: Vec<_> =
            (0..3000).map(|n| turn("a", n, 1000 + i128::from(n), i128::from(n))).collect();
        let mut absurd = turn("b", 1, 10, 0);
        (absurd.before, absurd.after, absurd.delta) =
            (Span::around(1 << 90, 5), Span::around(-(1 << 90), 5), Span::ANY);
        sightings.push(absurd);
        let past = conclude(sightings, at(5000, Some(5000)));
        assert!(past.jumps.len() <= MOST);
        let _ = past.timeline.wall_of(BootNs(u64::MAX));
    }
}
