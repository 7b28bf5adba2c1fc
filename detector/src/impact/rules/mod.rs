//! The rules, one family a file. Each says where the behaviour it foretells is written.

mod cache;
mod certificates;
mod kubelet_cache;
mod metrics_server;
mod one_sample;
mod restarts;
mod runtime_rates;
mod tokens;

pub use tokens::of_token;

use super::{Case, Finding, Rule};

/// How often kubelet's eviction manager asks for statistics: `evictionMonitoringPeriod` in pkg/kubelet/kubelet.go, ns.
pub const POLL_NS: u64 = 10_000_000_000;
/// So far apart two of its questions are at most: what it takes to ask comes on top of the pause. Recorded on a small node:
/// 10.4 s to 11.1 s. What is foretold as certain, or as at least so much, rests on it, ns.
pub const POLL_AT_MOST_NS: u64 = 12_000_000_000;
/// So long before its end a spike is announced, ns.
pub const ANNOUNCE_NS: u64 = 30_000_000_000;
/// A spike that is smaller is no news: that of an idle container.
pub const WORTH_A_WORD_NANOCORES: u64 = 50_000_000;
/// Waiting for no longer than this costs less than a restart, ns.
pub const WORTH_A_RESTART_NS: u64 = 600_000_000_000;
/// Smaller steps change a rate by less than a tenth, ns.
const NOTICEABLE_NS: u64 = POLL_NS / 10;

/// Those about containers and what they use.
pub const CONTAINER_RULES: [&dyn Rule; 5] = [
    &kubelet_cache::KubeletCache,
    &runtime_rates::RuntimeRates,
    &one_sample::OneSample,
    &metrics_server::MetricsServer,
    &restarts::Restarts,
];

/// Those about what proves who somebody is: tokens and certificates.
pub const CREDENTIAL_RULES: [&dyn Rule; 3] =
    [&tokens::Refused, &tokens::Refreshes, &certificates::Certificates];

/// All of them.
pub fn rules() -> impl Iterator<Item = &'static dyn Rule> {
    CONTAINER_RULES.into_iter().chain(CREDENTIAL_RULES)
}

/// Everything that is wrong at the case's moment.
pub fn assess(case: &Case<'_>) -> Vec<Finding> {
    assess_by(rules(), case)
}

/// What these rules find wrong at the case's moment.
pub fn assess_by(rules: impl IntoIterator<Item = &'static dyn Rule>, case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for rule in rules {
        rule.assess(case, &mut found);
    }
    found
}

#[cfg(test)]
mod tests;
