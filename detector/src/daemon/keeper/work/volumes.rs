//! Volumes and the tokens in them: what their changes mean is told at once.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use super::{OF_TOKEN, Work, why::why};
use crate::{
    clock::BootNs,
    daemon::{
        keeper::stock::{self, Replaced},
        waiting::now,
    },
    impact::{Case, Impact, Kind, of_token, refresh},
    ledger::Timeline,
    node::{
        NodeFacts,
        apiserver::Fresh,
        tokens::{Change, Token, Tree, TreeState},
    },
};

/// After a refresh, until what concerns the whole node is looked at: many come at once.
const REFRESHED: Duration = Duration::from_secs(1);
/// Volumes are looked at anew so often: where every change is seen, where some may not be, where there are none yet.
const RESCAN: (Duration, Duration, Duration) =
    (Duration::from_mins(10), Duration::from_secs(10), Duration::from_mins(1));

impl Work {
    pub(super) fn log_tree(&self) {
        let Some(tree) = &self.tree else { return };
        let root = tree.root().display();
        match tree.state() {
            TreeState::Watched => {
                tracing::info!("token volumes under {root}: {} are followed", tree.all().count());
            }
            TreeState::NoPods => {
                tracing::info!(
                    "there are no pods under {root} (--kubelet-root names kubelet's root directory)"
                );
            }
            TreeState::Blind(why) => tracing::warn!(
                "token volumes under {root} are not followed, but looked at every {} s: {why}",
                RESCAN.1.as_secs()
            ),
        }
    }

    pub(super) fn plan_rescan(&mut self) {
        let delay = match self.tree.as_ref().map(Tree::state) {
            Some(TreeState::Watched) => RESCAN.0,
            Some(TreeState::Blind(_)) => RESCAN.1,
            Some(TreeState::NoPods) | None => RESCAN.2,
        };
        self.rescan_at = Some(Instant::now() + delay);
    }

    pub(super) async fn rescan(&mut self) {
        let Some(tree) = &mut self.tree else { return };
        if *tree.state() == TreeState::NoPods {
            // kubelet may have come, and elsewhere.
            self.look_at = Some(Instant::now());
        }
        let before = tree.state().clone();
        let changes = tree.rescan();
        if *tree.state() != before {
            self.log_tree();
        }
        self.plan_rescan();
        self.read_certificates();
        self.changed(changes).await;
    }

    /// Volumes are not as they were: what that means for their tokens is told at once.
    pub(super) async fn changed(&mut self, changes: BTreeSet<Change>) {
        if changes.is_empty() {
            return;
        }
        self.take_in(&changes);
        if self.timeline.last_jump().is_some() || self.book.open().next().is_some() {
            for change in &changes {
                self.settle(change).await;
            }
        }
        let soon = Instant::now() + REFRESHED;
        self.assess_at = Some(self.assess_at.map_or(soon, |planned| planned.min(soon)));
    }

    pub(super) fn take_in(&mut self, changes: &BTreeSet<Change>) {
        let Some(tree) = &self.tree else { return };
        let now = now();
        let mut odd = false;
        for change in changes {
            let seen = tree.get(&change.pod_uid, &change.volume);
            let tokens = &mut self.facts.tokens;
            let replaced = stock::take_in(tokens, change, seen, &self.names, &self.timeline, now);
            for Replaced { old, new } in replaced {
                self.refreshes += 1;
                if new.seen {
                    let fresh = Fresh { issued: new.claims.issued, written: new.written };
                    // An apiserver may have stepped its clock without anybody here noticing.
                    odd |= self.facts.judges.iter().any(|judge| fresh.contradicts(judge));
                    self.fresh = Some(fresh);
                }
                // One that cannot be seen may have been restarted.
                let is_seen = new.seen && self.kubelet.is_some();
                if is_seen && mends(&old, new.written, &self.timeline, &self.facts) {
                    self.facts.kubelet_mends_since = Some(new.written);
                }
            }
        }
        if odd {
            self.servers.burst();
        }
        self.judge(now);
    }

    /// Says what is wrong with the tokens of one volume.
    async fn settle(&mut self, change: &Change) {
        let now = now();
        let prefix = stock::prefix(change);
        let facts = &self.facts;
        let case = Case { timeline: &self.timeline, node: facts, now, assessed: self.assessed };
        let tokens = stock::keys(&facts.tokens, &prefix);
        let found = tokens.iter().filter_map(|key| facts.tokens.get(key));
        let found = found.flat_map(|token| of_token(&case, token)).collect();
        let within = |kind: Kind, key: &str| OF_TOKEN.contains(&kind) && key.starts_with(&prefix);
        let timeline = &self.timeline;
        let ended = |impact: &Impact| why(impact, facts, timeline, now);
        let tell = self.book.update_within(found, within, timeline, ended, now);
        self.teller.tell_impacts(tell).await;
    }
}

/// Whether kubelet replaced a token that came from the future before it was due: upstream it does not.
fn mends(old: &Token, at: BootNs, timeline: &Timeline, facts: &NodeFacts) -> bool {
    let early = refresh(old, timeline, facts, at).is_some_and(|refresh| at < refresh.earliest);
    early && old.claims.issued > timeline.wall(at)
}

/// Completes when there is something to be taken from `tree`; never without one.
pub(super) async fn told(tree: Option<&Tree>) {
    match tree {
        Some(tree) => tree.told().await,
        None => std::future::pending().await,
    }
}
