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
    // One of which it is not known when it was written was there when it was first seen.
    let there = if token.written == BootNs(0) { token.known } else { token.written };
    let after_restart = (node.kubelet_since > there)
        .then(|| Refresh { earliest: node.kubelet_since, latest: later(node.kubelet_since, START_NS) });
    let mended = node.kubelet_mends_since.filter(|_| token.claims.issued > timeline.wall(now)).map(|seen| {
        let fell = timeline.fell_below(token.claims.issued, token.written, now);
        let since = fell.map_or(seen, |(_, at)| at);
        Refresh { earliest: since, latest: later(since, SYNC_NS) }
    });
    [by_clock, after_restart, mended].into_iter().flatten().min_by_key(|refresh| refresh.latest)
}

fn later(at: BootNs, by: u64) -> BootNs {
    BootNs(at.0.saturating_add(by))
}
