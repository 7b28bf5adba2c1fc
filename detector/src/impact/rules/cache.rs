//! What all caches that can be stuck have in common: per container until when, and the spike that ends it.

use serde_json::json;

use super::{ANNOUNCE_NS, WORTH_A_RESTART_NS, WORTH_A_WORD_NANOCORES};
use crate::{
    clock::{BootNs, WallNs, span},
    impact::{Case, Finding, Kind, Remedy, Stuck, stuck},
    node::{Container, RateSource},
};

/// A cache that keeps the latest sample of each container.
pub(super) struct Cache<'a> {
    pub kind: Kind,
    pub source: RateSource,
    /// Who has it, such as `containerd 1.7.24`.
    pub holder: &'a str,
    /// When it was empty last.
    pub emptied: BootNs,
    /// How often it is fed at least, ns.
    pub interval_ns: u64,
    /// What is shown instead of the rate.
    pub shows: &'a str,
    /// Whether it divides by the time since the stuck sample when it goes on.
    pub spikes: bool,
    /// What empties it.
    pub restart: Remedy,
    /// Where it is written.
    pub rule: &'static str,
}

/// Finds every container whose rate stands still.
pub(super) fn assess(cache: &Cache<'_>, case: &Case<'_>, found: &mut Vec<Finding>) {
    for container in case.node.containers.iter().filter(|container| container.runs()) {
        let sound =
            case.node.seen_sound.get(&(cache.source, container.id.clone())).copied().unwrap_or_default();
        let fed_since = container.born.max(cache.emptied).max(sound);
        if let Some(stuck) = stuck(case.timeline, fed_since, cache.interval_ns, case.now)
            && reaches_beyond_a_sample(&stuck, cache, case)
        {
            found.extend(finding(cache, case, container, &stuck));
        }
    }
}

/// A step smaller than the interval costs one sample at most, which another rule tells.
fn reaches_beyond_a_sample(stuck: &Stuck, cache: &Cache<'_>, case: &Case<'_>) -> bool {
    let at_the_jump = case.timeline.now().offset.wall_at(stuck.since);
    stuck.possible.0 - at_the_jump.0 >= i128::from(cache.interval_ns)
}

fn finding(cache: &Cache<'_>, case: &Case<'_>, container: &Container, stuck: &Stuck) -> Option<Finding> {
    let until = case.timeline.boot_at(stuck.possible)?;
    let left = until.0.saturating_sub(case.now.0);
    // For sure that it stands still, and that it does until about then.
    let certain = stuck.certain >= Some(WallNs(stuck.possible.0 - i128::from(cache.interval_ns)));
    let nanocores = container.cpu.and_then(|cpu| cpu.nanocores);
    let spike = cache.spikes.then(|| Spike::new(stuck, cache.interval_ns, nanocores));
    let then = spike
        .as_ref()
        .filter(|spike| spike.nanocores.is_none_or(|nanocores| nanocores >= WORTH_A_WORD_NANOCORES))
        .map_or_else(String::new, |spike| format!("; then, once, {}", spike.words()));
    let unless = if certain { "" } else { ", unless no sample was taken while the clock was ahead" };
    let message = format!(
        "{} shows {} until the wall clock passes {}, {} after the jump{unless}{then}",
        cache.holder,
        cache.shows,
        stuck.possible.short(),
        span(until.0.saturating_sub(stuck.since.0)),
    );
    let evidence = json!({
        "container_id": &*container.id,
        "attempt": container.attempt,
        "holder": cache.holder,
        "rule": cache.rule,
        "certain": certain,
        "stuck_stamp_earliest": stuck.certain.filter(|_| certain),
        "stuck_stamp_latest": stuck.possible,
        "recovery_latest": WallNs(stuck.possible.0 + i128::from(cache.interval_ns)),
        "interval_ns": cache.interval_ns,
        // Told again then: what the spike will be like is known best shortly before.
        "announced": (left <= ANNOUNCE_NS).then_some(true),
        "cpu_nanocores": nanocores,
        "spike_times_at_least": spike.as_ref().map(|spike| spike.times),
        "spike_nanocores_at_least": spike.as_ref().and_then(|spike| spike.nanocores),
    });
    Some(Finding {
        kind: cache.kind,
        jump: stuck.jump,
        subject: container.into(),
        key: container.id.clone(),
        from: stuck.since,
        until: Some(until),
        remedy: if left > WORTH_A_RESTART_NS { cache.restart } else { Remedy::Wait },
        message,
        evidence,
    })
}

/// The sample that ends it: all CPU time since the stuck sample, divided by the wall time since its stamp, which is at
/// most an interval.
struct Spike {
    /// Times the real rate, at least.
    times: u64,
    /// At least.
    nanocores: Option<u64>,
}

impl Spike {
    fn new(stuck: &Stuck, interval_ns: u64, nanocores: Option<u64>) -> Self {
        let elapsed = u128::from(stuck.behind_ns) + u128::from(interval_ns);
        let scaled = |rate: u64| {
            u64::try_from(u128::from(rate).saturating_mul(elapsed) / u128::from(interval_ns))
                .unwrap_or(u64::MAX)
        };
        Self { times: scaled(1), nanocores: nanocores.map(scaled) }
    }

    fn words(&self) -> String {
        match self.nanocores {
            Some(nanocores) => format!("at least {} cores", cores(nanocores)),
            None => format!("at least {} times the real rate", self.times),
        }
    }
}

/// `0.3`, `108.4`.
fn cores(nanocores: u64) -> String {
    let tenths = nanocores.saturating_add(50_000_000) / 100_000_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}
