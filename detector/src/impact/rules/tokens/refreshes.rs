//! Refreshes that come late, not at all, or all the time; and tokens that count as stale meanwhile.
//!
//! All of these concern the node as a whole: what one token suffers is told where it is refused.

use std::sync::Arc;

use serde_json::json;

use super::{NOTICEABLE_NS, blamed, plural, skew};
use crate::{
    clock::{BootNs, span},
    impact::{Case, Finding, Kind, Remedy, Rule, SYNC_NS, Subject, refresh},
    node::{Judge, tokens::Token},
};

/// Pods are synced every 60 s to 90 s: so often a token that is always due is asked for, ns.
const CHURN_NS: u64 = 75_000_000_000;

pub(in super::super) struct Refreshes;

impl Rule for Refreshes {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::TokenRefreshLate, Kind::TokenRefreshStalled, Kind::TokenRefreshChurn, Kind::TokenStale]
    }

    fn assess(&self, case: &Case<'_>, found: &mut Vec<Finding>) {
        // Of several apiservers one is asked for tokens at a time: which, is not known.
        let Some(judge) = case.node.judges.first() else { return };
        found.extend(late(case));
        found.extend(stalled(case));
        found.extend(churn(case, judge));
        found.extend(stale(case, judge));
    }
}

fn of_node(kind: Kind, jump: u64, from: BootNs, until: Option<BootNs>) -> Finding {
    Finding {
        kind,
        jump,
        subject: Subject::node(),
        key: Arc::from(""),
        from,
        until,
        remedy: Remedy::Wait,
        message: String::new(),
        evidence: json!({}),
    }
}

/// The clock has gone back: what was due soon is due that much later.
fn late(case: &Case<'_>) -> Option<Finding> {
    let back = case.timeline.jumps().rfind(|(.., delta)| delta.0 < 0 && delta.magnitude() >= NOTICEABLE_NS);
    let (jump, at, _) = back?;
    let mut count = 0_usize;
    let (mut first, mut last, mut longest): (Option<BootNs>, Option<BootNs>, i64) = (None, None, 0);
    for token in case.node.tokens.values().filter(|token| token.written < at && token.written.0 > 0) {
        let (then, _) = case.timeline.segment_of(token.written);
        let behind = then.offset.since(case.timeline.now().offset).0;
        let Some(refresh) = refresh(token, case.timeline, case.node, case.now) else { continue };
        let due = u64::try_from(token.claims.due().0 - i128::from(then.offset.0)).unwrap_or(0);
        let by_rights = BootNs(due.max(token.written.0).saturating_add(SYNC_NS));
        if behind < i64::try_from(SYNC_NS).unwrap_or(i64::MAX)
            || refresh.earliest <= by_rights
            || refresh.is_overdue(case.now)
        {
            continue;
        }
        count += 1;
        first = Some(first.map_or(by_rights, |first| first.min(by_rights)));
        last = last.max(Some(refresh.latest));
        longest = longest.max(behind);
    }
    let (first, last) = (first?.max(at), last?);
    let longest = span(longest.unsigned_abs());
    Some(Finding {
        message: format!(
            "kubelet replaces {} up to {longest} later than it would have",
            plural(count, "token")
        ),
        evidence: json!({
            "tokens": count,
            "rule": "pkg/kubelet/token/token_manager.go: requiresRefresh",
        }),
        ..of_node(Kind::TokenRefreshLate, jump, first, Some(last))
    })
}

/// The clock has gone forward, tokens are due, and nothing happens.
fn stalled(case: &Case<'_>) -> Option<Finding> {
    let mut since: Option<(u64, BootNs)> = None;
    let mut count = 0_usize;
    let mut expired = 0_usize;
    for token in case.node.tokens.values() {
        let Some((jump, at)) = case.timeline.rose_above(token.claims.due(), token.written, case.now) else {
            continue;
        };
        let Some(refresh) = refresh(token, case.timeline, case.node, case.now) else { continue };
        if !refresh.is_overdue(case.now) {
            continue;
        }
        count += 1;
        expired += usize::from(case.timeline.wall(case.now) > token.claims.expires);
        let latest = refresh.latest.max(at);
        since = Some(since.map_or((jump, latest), |(_, first)| (jump, first.min(latest))));
    }
    let (jump, since) = since?;
    let failing = if expired > 0 {
        "; those that have expired by its clock it cannot mount any more (FailedMount)"
    } else {
        ""
    };
    Some(Finding {
        remedy: Remedy::RestartKubelet,
        message: format!(
            "kubelet has not replaced {} although they have been due since the jump{failing}",
            plural(count, "token")
        ),
        evidence: json!({
            "tokens": count,
            "expired": expired,
            "rule": "pkg/kubelet/token/token_manager.go: GetServiceAccountToken",
        }),
        ..of_node(Kind::TokenRefreshStalled, jump, since, None)
    })
}

/// The clocks are so far apart that a token is due as soon as it is there.
fn churn(case: &Case<'_>, judge: &Judge) -> Option<Finding> {
    let ahead = -i128::from(skew(case, judge));
    let sync = i128::from(CHURN_NS);
    // One that mends what comes from the future does so again and again while the apiserver is ahead.
    let mends = case.node.kubelet_mends_since.is_some() && -ahead >= sync;
    let churns = |token: &Token| {
        let age = token.claims.due().0 - token.claims.issued.0;
        mends || (ahead >= age - sync && ahead > i128::from(NOTICEABLE_NS))
    };
    let (mut count, mut to_come) = (0_usize, 0_usize);
    let mut first: Option<BootNs> = None;
    for token in case.node.tokens.values().filter(|token| churns(token)) {
        let Some(refresh) = refresh(token, case.timeline, case.node, case.now) else { continue };
        // One that the apiserver issued before the clocks were apart is first replaced when it is due.
        if refresh.earliest.0 <= case.now.0.saturating_add(SYNC_NS) {
            count += 1;
        } else {
            to_come += 1;
            first = Some(first.map_or(refresh.earliest, |first| first.min(refresh.earliest)));
        }
    }
    if count + to_come == 0 {
        return None;
    }
    let (jump, since) = blamed(case, judge, !mends);
    let from = first.filter(|_| count == 0).map_or(since, |first| first.max(since));
    let replaced = if count > 0 { count } else { to_come };
    let per_minute =
        u64::try_from(replaced).unwrap_or(u64::MAX).saturating_mul(60_000_000_000).div_ceil(CHURN_NS);
    let apart = span(u64::try_from(ahead.abs()).unwrap_or(u64::MAX));
    let begins = if from > case.now {
        format!(" from {} on", case.timeline.wall(from).short())
    } else {
        String::new()
    };
    let side = if mends { "behind" } else { "ahead of" };
    Some(Finding {
        remedy: Remedy::None,
        message: format!(
            "kubelet replaces {} at every sync{begins}, about {per_minute} a minute, as long as the node's clock is \
             {apart} {side} the apiserver's; set the clock right",
            plural(replaced, "token")
        ),
        evidence: json!({
            "tokens": replaced,
            "to_come": to_come,
            "requests_per_minute": per_minute,
            "ahead_ns": i64::try_from(ahead).unwrap_or(i64::MAX),
            "judge": judge.source,
            "rule": "pkg/kubelet/token/token_manager.go: requiresRefresh",
        }),
        ..of_node(Kind::TokenRefreshChurn, jump, from, None)
    })
}

/// Tokens that live longer than was asked for are accepted after that, and counted.
fn stale(case: &Case<'_>, judge: &Judge) -> Option<Finding> {
    let (mut from, mut until, mut blame): (Option<BootNs>, Option<BootNs>, Option<u64>) = (None, None, None);
    let mut count = 0_usize;
    for token in case.node.tokens.values() {
        let Some(warn_after) = token.claims.warn_after else { continue };
        let Some(refresh) = refresh(token, case.timeline, case.node, case.now) else { continue };
        let rose = judge.timeline.rose_above(warn_after, token.written, case.now);
        let at = match rose {
            Some((_, at)) => at,
            // Before boot by a clock that is that far ahead.
            None => judge.timeline.boot_at(warn_after).unwrap_or(token.written).max(token.written),
        };
        let life = warn_after.0 - token.claims.due().0;
        let behind = i128::from(skew(case, judge)) > life - i128::from(SYNC_NS);
        if refresh.latest <= at || (rose.is_none() && !behind) {
            continue;
        }
        count += 1;
        from = Some(from.map_or(at, |from| from.min(at)));
        until = until.max(Some(refresh.latest).filter(|_| !refresh.is_overdue(case.now)));
        blame = blame.or(rose.map(|(jump, _)| jump));
    }
    let from = from?;
    let jump = blame.unwrap_or_else(|| blamed(case, judge, false).0);
    Some(Finding {
        remedy: Remedy::None,
        message: format!(
            "the apiserver accepts {} beyond the life that was asked for, and counts them \
             (serviceaccount_stale_tokens_total, audit annotation authentication.k8s.io/stale-token)",
            plural(count, "token")
        ),
        evidence: json!({
            "tokens": count,
            "judge": judge.source,
            "rule": "pkg/serviceaccount/claims.go: warnafter",
        }),
        ..of_node(Kind::TokenStale, jump, from, until)
    })
}
