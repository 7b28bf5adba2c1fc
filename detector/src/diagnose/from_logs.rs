//! What logs tell of jumps.

use super::{Sighting, Span, Weight, Witness};
use crate::{
    clock::{DeltaNs, WallNs, span},
    impact::POLL_AT_MOST_NS,
    node::logs::{Claim, LogReading, Said, StuckSeen, Turning},
};

const SECOND_NS: i128 = 1_000_000_000;
/// Who did it speaks at once, ns.
const AT_ONCE_NS: i128 = 5 * SECOND_NS;
/// Who merely notices does so when it wakes up the next time, ns.
const NOTICED_NS: i128 = 300 * SECOND_NS;
/// A step that is larger leaves its mark on the stamps around the line that tells of it, ns.
const VISIBLE_NS: i128 = 60 * SECOND_NS;
/// So many lines before the line that tells of a step its mark may be: what was written before comes late.
const NEAR: u64 = 200;

/// A line that is not believed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disbelieved {
    /// What it comes from.
    pub source: String,
    /// The line.
    pub quote: String,
    /// Why.
    pub why: String,
}

/// The sightings of one log, and what it says that cannot be true.
pub fn sightings(log: &LogReading, now: WallNs) -> (Vec<Sighting>, Vec<Disbelieved>) {
    let source = log.path.display().to_string();
    let mut found: Vec<_> = log.turnings.iter().map(|turning| of_turning(&source, turning)).collect();
    let mut disbelieved = Vec::new();
    for claim in &log.claims {
        match contradiction(log, claim) {
            Some(why) => {
                let quote = claim.text.clone();
                disbelieved.push(Disbelieved { source: source.clone(), quote, why });
            }
            None => found.extend(of_claim(&source, claim)),
        }
    }
    found.extend(of_stuck(&source, log, now));
    (found.into_iter().filter_map(Sighting::consistent).collect(), disbelieved)
}

fn of_turning(source: &str, turning: &Turning) -> Sighting {
    let (from, to) = (turning.from.0, turning.to.0);
    let back = to < from;
    let way = if back { "back" } else { "ahead" };
    let far = span(u64::try_from((to - from).unsigned_abs()).unwrap_or(u64::MAX));
    Sighting {
        source: source.to_owned(),
        witness: Witness::Stamps,
        weight: match (turning.lone, back) {
            (true, _) => Weight::Lone,
            (false, true) => Weight::Order,
            (false, false) => Weight::Leap,
        },
        place: Some(turning.line),
        before: Span::new(from, from + turning.slack_ns),
        after: Span::new(to - turning.slack_ns, to),
        delta: if back { Span::NEGATIVE } else { Span::POSITIVE },
        by: None,
        quote: format!(
            "line {}: from {} {way} to {}, {far}",
            turning.line,
            turning.from.short(),
            turning.to.short()
        ),
    }
}

fn of_claim(source: &str, claim: &Claim) -> Option<Sighting> {
    let quote = format!("line {}: {}", claim.line, claim.text);
    let told = of_words(source, claim.said, claim.wall?, claim.by.clone(), quote);
    let place = Some(claim.line);
    // The kernel stamps an audit record when the system call begins; all others are written afterwards.
    let wall = claim.wall?.0;
    Some(if claim.text.starts_with("type=") {
        Sighting { place, before: Span::new(wall, wall + AT_ONCE_NS), after: Span::ANY, ..told }
    } else {
        Sighting { place, ..told }
    })
}

/// What words come to that were written when the wall clock showed `wall`, by `by` if he is the one who did it.
pub(super) fn of_words(
    source: &str,
    said: Said,
    wall: WallNs,
    by: Option<String>,
    quote: String,
) -> Sighting {
    let (weight, delta) = match said {
        Said::Stepped(DeltaNs(ns)) => (Weight::Told, Span::around(ns.into(), 1_000_000)),
        Said::Back => (Weight::Said, Span::NEGATIVE),
        Said::Forward => (Weight::Said, Span::POSITIVE),
        Said::Changed | Said::Set => (Weight::Said, Span::ANY),
    };
    let did = matches!(said, Said::Stepped(_) | Said::Set);
    let late = if did { AT_ONCE_NS } else { NOTICED_NS };
    Sighting {
        source: source.to_owned(),
        witness: Witness::Words,
        weight,
        place: None,
        before: Span::ANY,
        after: Span::new(wall.0 - late, wall.0 + SECOND_NS),
        delta,
        by: by.filter(|_| did),
        quote,
    }
}

/// Why a line that tells of a step cannot be true: the stamps around it know nothing of it.
fn contradiction(log: &LogReading, claim: &Claim) -> Option<String> {
    let Said::Stepped(DeltaNs(ns)) = claim.said else { return None };
    let told = i128::from(ns);
    if told.abs() < VISIBLE_NS || claim.text.starts_with("type=") {
        return None;
    }
    // A log that begins with this line was not there before.
    let first = log.span?.0;
    let has_before = log.stamped >= 3 && claim.line > 3 && claim.wall.is_some_and(|wall| wall != first);
    let near = |turning: &&Turning| {
        turning.line <= claim.line.saturating_add(3) && turning.line.saturating_add(NEAR) >= claim.line
    };
    let fits = |turning: &Turning| {
        let delta = turning.to.0 - turning.from.0;
        Span::new(delta - turning.slack_ns, delta).widened(VISIBLE_NS).meet(Span::around(told, 0)).is_some()
    };
    let marked = log.turnings.iter().filter(near).any(fits);
    (has_before && !marked).then(|| {
        format!(
            "the stamps of the lines around it go on as if nothing had happened, not by {}",
            DeltaNs(ns).short()
        )
    })
}

/// kubelet's cache holds a stamp that was taken right before the clock went back.
fn of_stuck(source: &str, log: &LogReading, now: WallNs) -> Vec<Sighting> {
    let Some(latest) = log.stuck.iter().max_by_key(|seen| seen.first.cached) else { return Vec::new() };
    // Of several jumps back each leaves stamps of its own; those of one lie within one poll.
    let mut heads: Vec<&StuckSeen> = vec![latest];
    for seen in &log.stuck {
        let apart = |head: &&StuckSeen| {
            (head.first.cached.0 - seen.first.cached.0).abs() > i128::from(POLL_AT_MOST_NS)
        };
        if heads.iter().all(apart) {
            heads.push(seen);
        }
    }
    let sighting = |head: &StuckSeen| {
        let group = log
            .stuck
            .iter()
            .filter(|seen| (head.first.cached.0 - seen.first.cached.0).abs() <= i128::from(POLL_AT_MOST_NS));
        let earliest = group.min_by_key(|seen| seen.line)?;
        let (new, cached) = (earliest.first.new.0, head.first.cached.0);
        let after = Span::new(Span::ANY.lo, new);
        let left = head.last.cached.0 - head.last.new.0;
        let passed = if now.0 > head.first.cached.0 { ", passed since" } else { "" };
        Some(Sighting {
            source: source.to_owned(),
            witness: Witness::KubeletCache,
            weight: Weight::Order,
            place: Some(earliest.line),
            before: Span::new(cached, cached + i128::from(POLL_AT_MOST_NS)),
            after,
            delta: Span::NEGATIVE,
            by: None,
            quote: format!(
                "line {}: kubelet has a sample of {}, {} ahead of its clock{passed}",
                head.last_line,
                head.first.cached.short(),
                span(u64::try_from(left.max(0)).unwrap_or(u64::MAX)),
            ),
        })
    };
    heads.into_iter().filter_map(sighting).collect()
}
