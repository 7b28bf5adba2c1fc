//! Tokens that an apiserver refuses with 401, and the excursion that they come from.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{blamed, plural, skew};
use crate::{
    clock::{BootNs, WallNs, span},
    impact::{
        CACHE_NS, Case, Finding, Kind, LEEWAY_NS, Refresh, Refusal, Remedy, Rule, SYNC_NS, Subject,
        WORTH_A_RESTART_NS, Why, refresh, refusal,
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
        // By the jump that ended each.
        let mut excursions: BTreeMap<u64, Excursion<'_>> = BTreeMap::new();
        for token in case.node.tokens.values() {
            for finding in of_token(case, token) {
                if finding.kind == Kind::TokenNotYetValid {
                    excursions.entry(finding.jump).or_default().add(case, token, &finding);
                }
                found.push(finding);
            }
        }
        found.extend(excursions.into_iter().map(|(jump, excursion)| excursion.finding(case, jump)));
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
    let remedy = remedy(case, left);
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
        // So much later than the clocks say it may begin, and a client may notice its end.
        "success_cache_ns": CACHE_NS,
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

/// What to do about what lasts for so long yet. Restarting kubelet spares the pods, but not those that mount through CSI
/// drivers.
fn remedy(case: &Case<'_>, left_ns: u64) -> Remedy {
    match case.node.csi_pods.len() {
        _ if left_ns <= WORTH_A_RESTART_NS => Remedy::Wait,
        0 => Remedy::RestartKubelet,
        _ => Remedy::DeletePod,
    }
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
            WallNs(token.claims.not_before.0 - LEEWAY_NS).short()
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
    /// The jump that opened it, as far as any of its tokens tells.
    opened_by: u64,
}

impl<'a> Excursion<'a> {
    fn add(&mut self, case: &Case<'_>, token: &'a Token, finding: &Finding) {
        self.opened_by = self.opened_by.max(minted(case, token).0);
        self.tokens += 1;
        self.pods.insert((&token.pod.namespace, &token.pod.name));
        self.from = Some(self.from.map_or(finding.from, |from| from.min(finding.from)));
        self.until = self.until.max(finding.until);
        self.latest = self.latest.max(Some(WallNs(token.claims.not_before.0 - LEEWAY_NS)));
    }

    fn finding(self, case: &Case<'_>, jump: u64) -> Finding {
        let opened_by = self.opened_by;
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
                    span(delta.magnitude())
                )
            }
            _ => format!("{tokens} of {pods} come from the future"),
        };
        let left = self.until.map_or(u64::MAX, |until| until.0.saturating_sub(case.now.0));
        let remedy = remedy(case, left);
        let what = match remedy {
            Remedy::RestartKubelet => "restart kubelet: it writes new ones within two minutes".to_owned(),
            Remedy::DeletePod => format!(
                "delete these pods: {} here mount through CSI drivers, which a restart of kubelet may disturb",
                plural(case.node.csi_pods.len(), "pod")
            ),
            _ => "wait".to_owned(),
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
            key: jump.to_string().into(),
            from,
            until: self.until,
            remedy,
            message,
            evidence: json!({
                "key": jump.to_string(),
                "tokens": self.tokens,
                "pods": self.pods.len(),
                "named": named,
                "opened_by": (opened_by > 0).then_some(opened_by),
                "csi_pods": case.node.csi_pods.len(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        impact::{
            Book, Ended, Impact, assess,
            timeline_tests::{boot, timeline, wall},
        },
        node::{
            JudgeSource, NodeFacts, Pod,
            tokens::{Claims, TokenKey},
        },
    };

    fn token(file: &str, written: i64, issued: i64) -> Token {
        Token {
            key: TokenKey { pod_uid: "u".into(), volume: "v".into(), file: file.into() },
            pod: Pod { namespace: "n".into(), name: "p".into(), uid: "u".into() },
            claims: Arc::new(Claims {
                issued: wall(issued),
                not_before: wall(issued),
                expires: wall(issued + 3600),
                warn_after: None,
                audiences: Vec::new(),
                issuer: None,
                namespace: None,
                pod: None,
                pod_uid: None,
                node: None,
                service_account: None,
            }),
            stamp: None,
            written: boot(written),
            known: boot(written),
            seen: true,
            refreshes: 0,
        }
    }

    #[test]
    fn of_several_excursions_each_is_told_once() {
        let timeline = timeline(1000, &[(100, 20_000), (160, -20_000), (200, 10_000), (260, -10_000)]);
        let tokens = [token("a", 130, 21_130), token("b", 230, 11_230)];
        let judge = Judge {
            name: "a".into(),
            source: JudgeSource::OwnApiserver,
            timeline: timeline.clone(),
            error_ns: 0,
            seen: boot(261),
        };
        let node = NodeFacts {
            tokens: tokens.into_iter().map(|token| (token.key.text(), token)).collect(),
            judges: vec![judge],
            ..NodeFacts::default()
        };
        let found =
            |at| assess(&Case { timeline: &timeline, node: &node, now: boot(at), assessed: boot(at) });
        let why = |_: &Impact| Ended::ClockStepped;
        let mut book = Book::new("b".into(), 0, Vec::new());
        let told = book.update(found(261), &timeline, why, boot(261));
        let excursions: Vec<_> = told.iter().filter(|impact| impact.kind == "token_excursion").collect();
        let jumps: Vec<_> =
            excursions.iter().map(|impact| (impact.jump, &impact.evidence["opened_by"])).collect();
        assert_eq!(jumps, [(2, &json!(1)), (4, &json!(3))]);
        assert_eq!(book.update(found(262), &timeline, why, boot(262)), []);
        let mut next = Book::new("b".into(), 9, told);
        assert_eq!(next.update(found(263), &timeline, why, boot(263)), [], "after a restart");
    }
}
