//! Why an impact is found no more.

use serde_json::json;

use crate::{
    clock::BootNs,
    impact::{Ended, Impact},
    ledger::Timeline,
    node::{JudgeSource, NodeFacts},
};

/// Why an impact is found no more.
pub(super) fn why(impact: &Impact, facts: &NodeFacts, timeline: &Timeline, now: BootNs) -> Ended {
    let token = impact.token();
    let there = token.and_then(|key| facts.tokens.get(key));
    let issued = impact.evidence.get("issued");
    let assumed = impact.evidence.get("judge") == Some(&json!(JudgeSource::NodeClock));
    match (token, there) {
        (Some(_), None) => Ended::SubjectGone,
        (Some(_), Some(token)) if issued != Some(&json!(token.claims.issued)) => Ended::TokenRefreshed,
        _ if impact.until_boot.is_some_and(|until| until <= now) => Ended::AsForetold,
        _ if certificate_is_replaced(impact, facts) => Ended::SubjectGone,
        // It stood on the node's clock, and now the apiserver's is known.
        (Some(_), Some(_)) if assumed && facts.judges.iter().all(|judge| judge.source.is_known()) => {
            Ended::Refuted
        }
        // Of the node as a whole: unless the clock has moved since, its tokens have.
        (None, _) if timeline.last_jump().is_none_or(|(last, ..)| last <= impact.jump) => {
            Ended::TokenRefreshed
        }
        _ => Ended::ClockStepped,
    }
}

/// Whether it is about a certificate that is no more, or another one by now.
fn certificate_is_replaced(impact: &Impact, facts: &NodeFacts) -> bool {
    let Some(path) = impact.subject.certificate_path() else { return false };
    let dated = |name: &str| impact.evidence.get(name).and_then(|date| date.as_str()).unwrap_or_default();
    !facts.certificates.iter().any(|certificate| {
        certificate.path.display().to_string() == path
            && certificate.not_before.to_string() == dated("not_before")
            && certificate.not_after.to_string() == dated("not_after")
    })
}
