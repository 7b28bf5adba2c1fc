//! Service-account tokens: refused until when, replaced when.

mod refreshes;
mod refused;

pub(super) use refreshes::Refreshes;
pub(super) use refused::Refused;
pub use refused::of_token;

use crate::{
    clock::{BootNs, DeltaNs},
    impact::Case,
    ledger::Timeline,
    node::{Judge, JudgeSource},
};

/// How far the apiserver's clock is ahead of the node's, ns.
fn skew(case: &Case<'_>, judge: &Judge) -> i64 {
    judge.timeline.now().offset.since(case.timeline.now().offset).0
}

/// The last jump of the node's or of the apiserver's clock that went `towards` where they now are; 0: none that is known.
fn blamed(case: &Case<'_>, judge: &Judge, forward: bool) -> (u64, BootNs) {
    // The node's clock falls behind when it goes back, or when the apiserver's goes forward.
    let of = |timeline: &Timeline, forward: bool| {
        timeline.jumps().rfind(|(.., delta)| (delta.0 > 0) == forward && delta.magnitude() >= NOTICEABLE_NS)
    };
    let own = of(case.timeline, forward);
    // Only where it was seen to step: what stands in for it follows the node's.
    let others = of(&judge.timeline, !forward)
        .filter(|(jump, ..)| *jump == 0 && judge.source == JudgeSource::DateHeader);
    let last = [own, others].into_iter().flatten().max_by_key(|(_, at, _): &(u64, BootNs, DeltaNs)| *at);
    last.map_or((0, BootNs(0)), |(jump, at, _)| (jump, at))
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Smaller steps move no refresh that anybody would notice, ns.
const NOTICEABLE_NS: u64 = 1_000_000_000;
