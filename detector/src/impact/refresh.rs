//! When kubelet replaces a token.
//!
//! pkg/kubelet/token/token_manager.go: `requiresRefresh` compares the node's wall clock with what the apiserver said; it
//! is asked whenever the pod is synced, which goes by the monotonic clock: every `syncFrequency` and up to a half more
//! (`wait.Jitter`). What it has is in memory: a kubelet that was restarted gets new ones.

use crate::{
    clock::{BootNs, WallNs},
    ledger::Timeline,
    node::{NodeFacts, tokens::Token},
};

/// `maxJitter` of kubelet's token manager: it may be so much sooner, ns.
const JITTER_NS: i128 = 10_000_000_000;
/// A pod is synced so often at least: 60 s to 90 s, a tick of its work queue, and what it takes to get and write a
/// token, ns.
pub const SYNC_NS: u64 = 95_000_000_000;
/// `gcPeriod`: so often what has expired is deleted, ns.
const CLEAN_UP_NS: u64 = 60_000_000_000;
/// A kubelet that starts has synced its pods by then, ns. Recorded: 20 s.
const START_NS: u64 = 120_000_000_000;

/// When a token will have been replaced, if nobody steps the clock meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// Not before.
    pub earliest: BootNs,
    /// Not after.
    pub latest: BootNs,
}

impl Refresh {
    /// It should have been by now.
    pub fn is_overdue(&self, now: BootNs) -> bool {
        now > self.latest
    }
}

/// When kubelet will replace `token`; nothing if never within the reach of its clock.
pub fn refresh(token: &Token, timeline: &Timeline, node: &NodeFacts, now: BootNs) -> Option<Refresh> {
    let since = token.written.max(timeline.now().from);
    let at = |wall: i128| -> Option<BootNs> {
        match timeline.boot_at(WallNs(wall)) {
            Some(at) => Some(at),
            // Before boot by the clock as it now goes.
            None if wall <= timeline.wall(now).0 => Some(BootNs(0)),
            None => None,
        }
    };
    let due = token.claims.due().0;
    let by_clock = at(due).map(|latest| Refresh {
        earliest: at(due - JITTER_NS).unwrap_or(latest).max(since),
        latest: later(latest.max(since), SYNC_NS),
    });
    let forgotten = forgotten(token, timeline, now);
    let by_clock = by_clock.map(|by_clock| match &forgotten {
        Some(perhaps) => Refresh { earliest: by_clock.earliest.min(perhaps.earliest), ..by_clock },
        None => by_clock,
    });
    let forgotten = forgotten.filter(|forgotten| forgotten.surely).map(|forgotten| Refresh {
        earliest: forgotten.earliest,
        latest: later(forgotten.earliest, CLEAN_UP_NS + SYNC_NS),
    });
    let after_restart = (node.kubelet_since > there(token))
        .then(|| Refresh { earliest: node.kubelet_since, latest: later(node.kubelet_since, START_NS) });
    let mended = mended(token, timeline, node, now);
    let by_clock = by_clock.map(|by_clock| match mended {
        Some((perhaps, _)) => Refresh { earliest: by_clock.earliest.min(perhaps.earliest), ..by_clock },
        None => by_clock,
    });
    let mended = mended.filter(|(_, surely)| *surely).map(|(mended, _)| mended);
    [by_clock, forgotten, after_restart, mended].into_iter().flatten().min_by_key(|refresh| refresh.latest)
}

/// When a kubelet that replaces what comes from the future will replace `token`, and whether it surely does: a sync must
/// come before the clock has caught up.
fn mended(token: &Token, timeline: &Timeline, node: &NodeFacts, now: BootNs) -> Option<(Refresh, bool)> {
    node.kubelet_mends_since?;
    let issued = token.claims.issued;
    if issued <= timeline.wall(now) {
        return None;
    }
    // It came from the future at once if the apiserver is ahead.
    let since = timeline.fell_below(issued, there(token), now).map_or(there(token), |(_, at)| at);
    let latest = later(since, SYNC_NS);
    let caught_up = timeline.boot_at(issued).unwrap_or_default();
    Some((Refresh { earliest: since, latest }, caught_up > latest))
}

/// A token that kubelet has deleted from its memory, since the clock has been past its end: the next sync gets another,
/// although the clock has gone back meanwhile.
struct Forgotten {
    /// When the clock first was past the end.
    earliest: BootNs,
    /// Whether it was for long enough.
    surely: bool,
}

/// Whether kubelet may have deleted `token` in an excursion that is over (token_manager.go: `cleanup`).
fn forgotten(token: &Token, timeline: &Timeline, now: BootNs) -> Option<Forgotten> {
    let end = WallNs(token.claims.issued.0 + i128::from(token.claims.ttl_s()) * 1_000_000_000);
    if timeline.wall(now) > end {
        // Due in any case.
        return None;
    }
    let mut found: Option<Forgotten> = None;
    let mut run: Option<(BootNs, BootNs)> = None;
    for segment in timeline.ended().filter(|segment| segment.to > there(token)) {
        let past = (end.0 - i128::from(segment.offset.0)).max(0);
        let past = u64::try_from(past).unwrap_or(u64::MAX);
        let from = segment.from.max(there(token)).max(BootNs(past));
        if from >= segment.to {
            run = None;
            continue;
        }
        let (from, to) = (run.map_or(from, |(from, _)| from), segment.to);
        run = Some((from, to));
        let surely = to.0.saturating_sub(from.0) > CLEAN_UP_NS;
        // It would have been seen by now.
        if !surely && now.0 > later(to, SYNC_NS).0 {
            continue;
        }
        let known = found.take().filter(|known| known.surely || known.earliest <= from);
        found = Some(match known {
            Some(known) if known.surely || !surely => known,
            _ => Forgotten { earliest: from, surely },
        });
    }
    found
}

/// Since when the token has been there. One of which it is not known when it was written: since it was first seen.
fn there(token: &Token) -> BootNs {
    if token.written == BootNs(0) { token.known } else { token.written }
}

fn later(at: BootNs, by: u64) -> BootNs {
    BootNs(at.0.saturating_add(by))
}
