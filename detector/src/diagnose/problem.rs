//! What is wrong with the clock itself.

use serde::Serialize;

use super::{Certainty, ClockState, Past, PastJump};
use crate::{
    clock::{DeltaNs, WallNs, span},
    impact::LEEWAY_NS,
};

/// An RTC that is off by less is one that nobody set lately, ns.
const RTC_NS: u64 = 600_000_000_000;
/// A jump that is smaller is not worth a word if nothing else is wrong, ns.
pub const LARGE_NS: u64 = 300_000_000_000;

/// Something that is wrong with the clock now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClockProblem {
    /// What.
    pub kind: ClockProblemKind,
    /// By how much, ns, if that is known: how far whoever is to be believed is ahead of the node's clock.
    pub off_ns: Option<DeltaNs>,
    /// For people: `its clock is …`, the node's.
    pub message: String,
}

/// What can be wrong with the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockProblemKind {
    /// It is not the apiserver's.
    ApiserverDiffers,
    /// It is not the RTC's.
    RtcDiffers,
    /// It has jumped, has not come back, and nothing tells that it is right now.
    Unconfirmed,
}

/// What is wrong with the clock.
pub fn problems(clocks: &ClockState, past: &Past, own_apiserver: bool, now: WallNs) -> Vec<ClockProblem> {
    let mut found = Vec::new();
    for apiserver in &clocks.apiservers {
        let Some(ahead) = apiserver.differs().filter(|ahead| !is_accepted(*ahead)) else { continue };
        let side = if ahead.0 < 0 { "ahead of" } else { "behind" };
        found.push(ClockProblem {
            kind: ClockProblemKind::ApiserverDiffers,
            off_ns: Some(ahead),
            message: format!("its clock is {} {side} that of {}", span(ahead.magnitude()), apiserver.url),
        });
    }
    if let Some(ahead) = clocks.rtc_ahead_ns.map(DeltaNs).filter(|ahead| ahead.magnitude() > RTC_NS) {
        // The kernel copies a synchronised clock to the RTC every 11 minutes; one that is not tells nothing.
        if clocks.synchronised != Some(true) {
            let side = if ahead.0 < 0 { "ahead of" } else { "behind" };
            found.push(ClockProblem {
                kind: ClockProblemKind::RtcDiffers,
                off_ns: Some(ahead),
                message: format!(
                    "its clock is {} {side} the RTC, and is not synchronised",
                    span(ahead.magnitude())
                ),
            });
        }
    }
    if found.is_empty()
        && let Some(jump) = unconfirmed(clocks, past, own_apiserver, now)
    {
        let way = if jump.guess.delta.0 < 0 { "back" } else { "ahead" };
        found.push(ClockProblem {
            kind: ClockProblemKind::Unconfirmed,
            off_ns: None,
            message: format!(
                "its clock went {} {way} and has stayed there; nothing tells whether it is right now",
                span(jump.guess.delta.magnitude())
            ),
        });
    }
    found
}

/// Whether tokens are accepted all the same, and most else that has a date.
fn is_accepted(ahead: DeltaNs) -> bool {
    i128::from(ahead.magnitude()) <= LEEWAY_NS
}

/// The last jump after which the clock neither came back nor was confirmed by anybody.
fn unconfirmed<'a>(
    clocks: &ClockState,
    past: &'a Past,
    own_apiserver: bool,
    now: WallNs,
) -> Option<&'a PastJump> {
    // An apiserver on the same machine has the same clock.
    let apiserver_agrees = !own_apiserver
        && clocks.apiservers.iter().filter_map(|seen| seen.ahead_ns).any(|ahead| is_accepted(DeltaNs(ahead)));
    let rtc_agrees = clocks.rtc_ahead_ns.is_some_and(|ahead| DeltaNs(ahead).magnitude() <= RTC_NS);
    if clocks.synchronised == Some(true) || apiserver_agrees || rtc_agrees {
        return None;
    }
    let closed = |number: u64| {
        past.excursions
            .iter()
            .any(|excursion| excursion.closed_by == number || excursion.opened_by == Some(number))
    };
    let last = past.jumps.iter().rfind(|jump| jump.guess.delta.magnitude() >= LARGE_NS)?;
    (last.certainty > Certainty::Possible && !closed(last.number) && last.guess.after <= now).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::BootNs;
    use crate::diagnose::{ApiserverSeen, Evidence, Present, Sighting, Span, Weight, Witness, reconstruct};

    const SECOND: i128 = 1_000_000_000;

    fn apiserver(ahead_s: i64) -> ApiserverSeen {
        ApiserverSeen {
            url: "https://a:6443".into(),
            ahead_ns: Some(ahead_s * 1_000_000_000),
            error_ns: 500_000_000,
            trouble: None,
        }
    }

    /// A clock that went from 100 s to so many seconds, a minute ago.
    fn past(to_s: i128) -> (Past, WallNs) {
        let now = WallNs((to_s + 60) * SECOND);
        let sighting = Sighting {
            source: "journal".into(),
            witness: Witness::Stamps,
            weight: Weight::Measured,
            place: Some(1),
            before: Span::around(100 * SECOND, 0),
            after: Span::around(to_s * SECOND, 0),
            delta: Span::ANY,
            by: None,
            quote: String::new(),
        };
        let evidence =
            Evidence { sightings: sighting.consistent().into_iter().collect(), ..Evidence::default() };
        let boot = Some(BootNs(160_000_000_000));
        (reconstruct(evidence, Present { wall: now, boot }), now)
    }

    #[test]
    fn whose_word_counts() {
        use ClockProblemKind::{ApiserverDiffers, RtcDiffers, Unconfirmed};
        let clocks = |synchronised, rtc: Option<i64>, apiservers: Vec<ApiserverSeen>| ClockState {
            synchronised: Some(synchronised),
            rtc_ahead_ns: rtc.map(|seconds| seconds * 1_000_000_000),
            apiservers,
        };
        let (jumped, quiet) = (4_752_000, 101);
        for (to, clocks, own, want) in [
            (quiet, clocks(false, None, vec![]), false, None),
            (jumped, clocks(false, None, vec![]), false, Some(Unconfirmed)),
            (jumped, clocks(true, None, vec![]), false, None),
            (jumped, clocks(false, Some(3), vec![]), false, None),
            (jumped, clocks(false, None, vec![apiserver(2)]), false, None),
            // One on the same machine has the same clock.
            (jumped, clocks(false, None, vec![apiserver(0)]), true, Some(Unconfirmed)),
            (jumped, clocks(true, None, vec![apiserver(-4_752_000)]), false, Some(ApiserverDiffers)),
            (quiet, clocks(true, None, vec![apiserver(61)]), false, Some(ApiserverDiffers)),
            (quiet, clocks(true, None, vec![apiserver(59)]), false, None),
            (quiet, clocks(false, Some(-3600), vec![]), false, Some(RtcDiffers)),
            (quiet, clocks(true, Some(-3600), vec![]), false, None),
        ] {
            let (past, now) = past(to);
            let found = problems(&clocks, &past, own, now);
            assert_eq!(found.first().map(|problem| problem.kind), want, "{to} {clocks:?}");
        }
    }
}
