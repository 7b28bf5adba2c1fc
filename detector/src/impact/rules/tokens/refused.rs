//! Tokens that an apiserver refuses with 401, and the excursion that they come from.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Value, json};

use super::{blamed, skew};
use crate::{
    clock::{BootNs, DeltaNs, WallNs, span},
    impact::{
        Case, Finding, Kind, Refresh, Refusal, Remedy, Rule, SYNC_NS, Subject, WORTH_A_RESTART_NS, Why,
        refresh, refusal,
    },
    node::{Judge, tokens::Token},
};

/// Clients read a token's file again within this (client-go transport/token_source.go), ns.
const REREAD_NS: u64 = 60_000_000_000;
/// Pods named in the evidence of an excursion.
const NAMED: usize = 100;

pub(in super::super) struct Refused;

impl Rule for Refused {
    fn kinds(&self) -> &'static [Kind] {
        &[Kind::TokenNotYetValid, Kind::TokenExpired, Kind::TokenExcursion]
    }

    fn assess(&self, case: &Case<'_>, found: &mut Vec<Finding>) {
        let mut excursions: BTreeMap<(u64, u64), Excursion<'_>> = BTreeMap::new();
        for token in case.node.tokens.values() {
            for finding in of_token(case, token) {
                if finding.kind == Kind::TokenNotYetValid {
                    let minted = minted(case, token);
                    excursions.entry((finding.jump, minted.0)).or_default().add(token, &finding);
                }
                found.push(finding);
            }
        }
        found.extend(excursions.into_iter().map(|((jump, opened_by), it)| it.finding(case, jump, opened_by)));
    }
}

/// A refusal, by whom, and when kubelet replaces the token.
struct Refusals<'a> {
    by: Vec<(&'a Judge, Refusal)>,
    refresh: Option<Refresh>,
}

/// What is wrong with one token, now or soon.
pub fn of_token(case: &Case<'_>, token: &Token) -> Vec<Finding> {
    let refresh = refresh(token, case.timeline, case.node, case.now);
    let mut found = Vec::new();
    for why in [Why::NotYetValid, Why::Expired] {
        let by = case.node.judges.iter().filter_map(|judge| {
            let refusal = refusal(token, judge, case.now).filter(|refusal| refusal.why == why)?;
            // One that kubelet replaces in time is none.
            let in_time =
                refusal.from > case.now && refresh.is_some_and(|refresh| refresh.latest <= refusal.from);
            (!in_time).then_some((judge, refusal))
        });
        let refusals = Refusals { by: by.collect(), refresh };
        found.extend(finding(case, token, why, &refusals));
    }
    found
}

fn finding(case: &Case<'_>, token: &Token, why: Why, refusals: &Refusals<'_>) -> Option<Finding> {
    let (judge, first) = refusals.by.iter().min_by_key(|(_, refusal)| refusal.from)?;
    let jump = match first.jump {
        Some(jump) => jump,
        None if why == Why::NotYetValid => minted(case, token).1,
        None => because_of(case, token, judge, refusals.refresh)?,
    };
    let overdue = refusals.refresh.is_none_or(|refresh| refresh.is_overdue(case.now));
    let replaced = refusals.refresh.filter(|_| !overdue).map(|refresh| refresh.latest);
    // Refused by one of several, it is until the last of them accepts it.
    let accepted = match why {
        Why::NotYetValid => refusals.by.iter().map(|(_, refusal)| refusal.until).max().flatten(),
        Why::Expired => None,
    };
    let until = match (accepted, replaced) {
        (Some(accepted), Some(replaced)) => Some(accepted.min(replaced)),
        (accepted, replaced) => accepted.or(replaced),
    };
    let left = until.map_or(u64::MAX, |until| until.0.saturating_sub(case.now.0.max(first.from.0)));
    let kubelet_mends = replaced.is_some_and(|replaced| accepted.is_none_or(|accepted| replaced < accepted));
    let remedy = if left <= WORTH_A_RESTART_NS { Remedy::Wait } else { cure(case) };
    let message = words(case, token, why, refusals, (until, accepted), kubelet_mends);
    let (opened_by, ended_by) = minted(case, token);
    let evidence = json!({
        "token": token.key.text(),
        "file": &*token.key.file,
        "issued": token.claims.issued,
        "not_before": token.claims.not_before,
        "expires": token.claims.expires,
        "warn_after": token.claims.warn_after,
        "audiences": token.claims.audiences,
        "written": token.stamp,
        "written_boottime_ns": (token.written.0 > 0).then_some(token.written.0),
        "minted_after_jump": (opened_by > 0).then_some(opened_by),
        "minted_before_jump": (ended_by > 0).then_some(ended_by),
        "judge": judge.source,
        "refused_by": refusals.by.iter().map(|(judge, _)| judge.name.as_str()).collect::<Vec<_>>(),
        "apiservers": case.node.judges.len(),
        "accepted_boottime_ns": accepted,
        "refresh_earliest_boottime_ns": refusals.refresh.filter(|_| !overdue).map(|refresh| refresh.earliest),
        "refresh_latest_boottime_ns": replaced,
        "reread_ns": REREAD_NS,
        "rule": "go-jose jwt: ValidateWithLeeway; pkg/kubelet/token/token_manager.go: requiresRefresh",
    });
    Some(Finding {
        kind: if why == Why::NotYetValid { Kind::TokenNotYetValid } else { Kind::TokenExpired },
        jump,
        subject: Subject { volume: Some(token.key.volume.to_string()), ..Subject::from(&token.pod) },
        key: token.key.text(),
        from: first.from,
        until,
        remedy,
        message,
        evidence,
    })
}

/// The jump because of which kubelet replaces a token too late; nothing if it is not because of one.
fn because_of(case: &Case<'_>, token: &Token, judge: &Judge, refresh: Option<Refresh>) -> Option<u64> {
    // Overdue without a jump since: kubelet is not doing its work, whatever the clocks do.
    let behind = skew(case, judge);
    let life = token.claims.expires.0 - token.claims.due().0;
    let late = i128::from(behind) > life - i128::from(SYNC_NS);
    let moved = case.timeline.jumps().any(|(_, at, delta)| at > token.written && delta.magnitude() > SYNC_NS);
    let on_time = refresh.is_some_and(|refresh| !refresh.is_overdue(case.now));
    (late || (moved && on_time)).then(|| blamed(case, judge, false).0)
}

/// The jump that began the time in which a token was written, and the one that ended it; 0: none that is known.
fn minted(case: &Case<'_>, token: &Token) -> (u64, u64) {
    if token.written == BootNs(0) {
        return (0, 0);
    }
    let (segment, ended_by) = case.timeline.segment_of(token.written);
    (segment.jump.unwrap_or(0), ended_by.unwrap_or(0))
}

/// Restarting kubelet spares the pods, but not those that mount through CSI drivers.
fn cure(case: &Case<'_>) -> Remedy {
    if case.node.csi_pods.is_empty() { Remedy::RestartKubelet } else { Remedy::DeletePod }
}

fn words(
    case: &Case<'_>,
    token: &Token,
    why: Why,
    refusals: &Refusals<'_>,
    (until, accepted): (Option<BootNs>, Option<BootNs>),
    kubelet_mends: bool,
) -> String {
    let several = case.node.judges.len();
    let who = match refusals.by.len() {
        refusing if refusing == several => "the apiserver refuses it".to_owned(),
        refusing => format!("{refusing} of {several} apiservers refuse it"),
    };
    let assumed = refusals.by.iter().all(|(judge, _)| !judge.source.is_known());
    let by =
        if assumed { "; all this if the apiserver's clock is the node's, which is not known" } else { "" };
    let begin = match why {
        Why::NotYetValid => format!("{who} (401, \"not valid yet\")"),
        Why::Expired => {
            let from = refusals.by.iter().map(|(_, refusal)| refusal.from).min().unwrap_or_default();
            let from = if from > case.now {
                let sooner = refusals.refresh.is_some_and(|refresh| refresh.earliest < from);
                let unless = if sooner { ", unless kubelet replaces it before that," } else { "" };
                format!(" from {}{unless}", case.timeline.wall(from).short())
            } else {
                String::new()
            };
            format!("{who} (401, \"expired\"){from}")
        }
    };
    let end = match (until, accepted) {
        (Some(until), _) if kubelet_mends => {
            format!("until kubelet replaces it, by {} at the latest", case.timeline.wall(until).short())
        }
        (Some(_), Some(_)) => format!(
            "until the apiserver's clock passes {}; kubelet does not replace it before that",
            WallNs(token.claims.not_before.0 - crate::impact::LEEWAY_NS).short()
        ),
        _ => "until kubelet replaces it, which is overdue".to_owned(),
    };
    format!("{begin} {end}{by}")
}

/// The tokens that were issued in one excursion.
#[derive(Default)]
struct Excursion<'a> {
    tokens: usize,
    pods: BTreeSet<(&'a str, &'a str)>,
    from: Option<BootNs>,
    until: Option<BootNs>,
    latest: Option<WallNs>,
}

impl<'a> Excursion<'a> {
    fn add(&mut self, token: &'a Token, finding: &Finding) {
        self.tokens += 1;
        self.pods.insert((&token.pod.namespace, &token.pod.name));
        self.from = Some(self.from.map_or(finding.from, |from| from.min(finding.from)));
        self.until = self.until.max(finding.until);
        self.latest = self.latest.max(Some(WallNs(token.claims.not_before.0 - crate::impact::LEEWAY_NS)));
    }

    fn finding(self, case: &Case<'_>, jump: u64, opened_by: u64) -> Finding {
        let (tokens, pods) = (plural(self.tokens, "token"), plural(self.pods.len(), "pod"));
        let from = self.from.unwrap_or_default();
        let lasted = case
            .timeline
            .jumps()
            .find(|(number, ..)| *number == opened_by && opened_by > 0)
            .map(|(_, at, delta)| (span(from.0.saturating_sub(at.0)), delta));
        let ahead = match lasted {
            Some((lasted, delta)) if delta.0 > 0 => {
                format!(
                    "while the clock was {} ahead, for {lasted}, {tokens} of {pods} were written",
                    short(delta)
                )
            }
            _ => format!("{tokens} of {pods} come from the future"),
        };
        let left = self.until.map_or(u64::MAX, |until| until.0.saturating_sub(case.now.0));
        let (remedy, what) = if left <= WORTH_A_RESTART_NS {
            (Remedy::Wait, "wait".to_owned())
        } else if case.node.csi_pods.is_empty() {
            (Remedy::RestartKubelet, "restart kubelet: it writes new ones within two minutes".to_owned())
        } else {
            let mounting = plural(case.node.csi_pods.len(), "pod");
            (
                Remedy::DeletePod,
                format!(
                    "delete these pods: {mounting} here mount through CSI drivers, which a restart of kubelet may disturb"
                ),
            )
        };
        let latest = self
            .latest
            .map_or_else(String::new, |latest| format!(", the last of them until {}", latest.short()));
        let message = format!("{ahead}; they are refused with 401{latest}; {what}");
        let named: Vec<Value> = self
            .pods
            .iter()
            .take(NAMED)
            .map(|(namespace, name)| json!(format!("{namespace}/{name}")))
            .collect();
        Finding {
            kind: Kind::TokenExcursion,
            jump,
            subject: Subject::node(),
            key: Arc::from(""),
            from,
            until: self.until,
            remedy,
            message,
            evidence: json!({
                "tokens": self.tokens,
                "pods": self.pods.len(),
                "named": named,
                "opened_by": (opened_by > 0).then_some(opened_by),
                "csi_pods": case.node.csi_pods.len(),
            }),
        }
    }
}

fn short(delta: DeltaNs) -> String {
    span(delta.magnitude())
}

fn plural(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
