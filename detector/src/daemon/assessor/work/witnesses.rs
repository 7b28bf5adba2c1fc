//! What others say of an impact: the runtime by a sample, kubelet by its summary and its log.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use super::Work;
use crate::{
    clock::WallNs,
    daemon::waiting::now,
    deliver::Message,
    impact::{Confidence, Impact, Kind, Observation, POLL_AT_MOST_NS, State, Stuck, evidence, stuck},
    node::{
        RateSource,
        kubelet_log::{Follower, LogSource, StuckLine},
    },
};

/// How far readings of kubelet's summary are apart: as far as cAdvisor's are; and how many are tried.
pub(super) const SUMMARY: (Duration, usize) = (Duration::from_secs(12), 5);
/// With less than this left the runtime is not asked: it would be us who get the spike, ns.
const TOO_LATE_NS: u64 = 3_000_000_000;
/// How long kubelet's log is followed after a jump: some of its polls.
pub(super) const FOLLOW: Duration = Duration::from_mins(1);
/// Lines of one poll come within this.
const ONE_POLL: Duration = Duration::from_secs(2);
/// Stamps remembered of kubelet's log.
const MOST_STAMPS: usize = 10_000;

/// The kinds that the runtime's sample speaks about.
pub(super) const SAMPLED: [Kind; 2] = [Kind::RuntimeCpuBaselineStuck, Kind::RuntimeCpuFrozen];

/// The kinds of a rate that stands still; kubelet's cache before the runtime's.
pub(in crate::daemon::assessor) const STUCK: [Kind; 3] =
    [Kind::KubeletCpuCacheStuck, Kind::RuntimeCpuBaselineStuck, Kind::RuntimeCpuFrozen];

/// kubelet's log, while it is followed.
pub(super) struct Following {
    follower: Follower,
    pub(super) since: Instant,
    /// The cache that it should speak of.
    expected: Stuck,
    stamps: BTreeSet<WallNs>,
    /// When what was read is told.
    pub(super) tell_at: Option<Instant>,
}

impl Work {
    /// The open impacts that the runtime's sample speaks about.
    pub(super) fn sampled(&self) -> impl Iterator<Item = (Kind, &str, &Impact)> {
        self.book.open().filter_map(|impact| {
            let kind = Kind::of_word(&impact.kind).filter(|kind| SAMPLED.contains(kind))?;
            Some((kind, impact.container_id()?, impact))
        })
    }

    /// Asks the runtime, once after a jump, whether it is as foretold. While its baseline is stuck that moves nothing.
    pub(super) async fn sample(&mut self) {
        let wanted = |impact: &Impact| {
            impact.confidence == Confidence::Predicted && impact.left_ns(now()) > TOO_LATE_NS
        };
        let asked: Vec<(Kind, String)> = self
            .sampled()
            .filter(|(.., impact)| wanted(impact))
            .map(|(kind, id, _)| (kind, id.to_owned()))
            .collect();
        if asked.is_empty() {
            return;
        }
        let samples = match self.node.samples().await {
            Ok(samples) => samples,
            Err(error) => return tracing::debug!("the runtime's sample: {error}"),
        };
        let now = now();
        let wall = self.timeline.wall(now);
        let mut tell = Vec::new();
        for (kind, id) in asked {
            let cpu = self.node.facts().containers.iter().find(|container| *container.id == *id);
            let cpu = cpu.and_then(|container| container.cpu);
            let sample = samples.iter().find(|sample| sample.container_id == id);
            let Some(seen) = sample.and_then(|sample| evidence::of_sample(kind, sample, cpu, wall)) else {
                continue;
            };
            let refuted = seen.confidence == Some(Confidence::Refuted);
            if refuted && self.book.get(kind, &id).is_some_and(|impact| evidence::may_be_over(impact, now)) {
                continue;
            }
            tell.extend(self.book.observe(kind, &id, &seen, &self.timeline, now));
            if refuted {
                self.node.seen_sound(RateSource::Runtime, &id, now);
            }
        }
        self.teller.tell_impacts(tell).await;
    }

    /// Asks kubelet what it shows. Only while rates stand still: else this would move the runtime's baseline.
    pub(super) async fn summary(&mut self) {
        self.summary_at = None;
        let lasts = |impact: &Impact| impact.state == State::Open && impact.left_ns(now()) > TOO_LATE_NS;
        let stuck = self.stuck_containers();
        if stuck.is_empty() || !stuck.iter().all(|(kind, id)| self.book.get(*kind, id).is_some_and(lasts)) {
            return;
        }
        match self.settings.summary.read().await {
            Ok(summary) => self.summaries.push(summary),
            Err(error) => return tracing::debug!("kubelet's summary: {error}"),
        }
        if self.summaries.len() < evidence::ENOUGH_READINGS {
            self.summary_at = Some(Instant::now() + SUMMARY.0);
            return;
        }
        let now = now();
        let mut tell = Vec::new();
        for (kind, id) in stuck {
            let containers = &self.node.facts().containers;
            let Some(container) = containers.iter().find(|container| *container.id == *id) else { continue };
            let key = (container.pod.uid.clone(), container.name.clone());
            let mut readings: Vec<_> =
                self.summaries.iter().filter_map(|summary| summary.get(&key)).copied().collect();
            // kubelet may not have had anything newer.
            readings.dedup_by_key(|shown| shown.at);
            if let Some(seen) = evidence::of_summary(kind, &readings) {
                tell.extend(self.book.observe(kind, &id, &seen, &self.timeline, now));
            }
        }
        if self.summaries.len() < SUMMARY.1 {
            self.summary_at = Some(Instant::now() + SUMMARY.0);
        }
        self.teller.tell_impacts(tell).await;
    }

    /// The containers of which a rate stands still, by what keeps it.
    fn stuck_containers(&self) -> Vec<(Kind, String)> {
        let open = self.book.open().filter(|impact| impact.state == State::Open);
        let stuck = open.filter_map(|impact| {
            let kind = Kind::of_word(&impact.kind).filter(|kind| STUCK.contains(kind))?;
            Some((kind, impact.container_id()?.to_owned()))
        });
        stuck.collect()
    }

    /// The cache of kubelet's that should be stuck, if it is used.
    fn expected_stuck(&self) -> Option<Stuck> {
        stuck(&self.timeline, self.node.facts().kubelet_since, POLL_AT_MOST_NS, now())
    }

    /// After a jump back: kubelet's log tells whether its cache is stuck, also where no rule expects that.
    pub(super) async fn follow_log(&mut self) {
        let Some(expected) = self.expected_stuck() else {
            self.following = None;
            return;
        };
        let kubelet = self.node.facts().kubelet.map(|kubelet| kubelet.process);
        match Follower::open(&self.log_source(), kubelet).await {
            Ok(follower) => {
                let (stamps, tell_at) = (BTreeSet::new(), None);
                self.following =
                    Some(Following { follower, since: Instant::now(), expected, stamps, tell_at });
            }
            Err(error) => tracing::debug!("kubelet's log: {error}"),
        }
    }

    pub(super) async fn line(&mut self, line: Option<StuckLine>) {
        let Some(following) = &mut self.following else { return };
        let Some(line) = line else {
            // The log has ended; what was read counts.
            self.tell_log().await;
            self.following = None;
            return;
        };
        if evidence::is_of(line, &following.expected, POLL_AT_MOST_NS) && following.stamps.len() < MOST_STAMPS
        {
            following.stamps.insert(line.cached);
            following.tell_at.get_or_insert(Instant::now() + ONE_POLL);
        }
    }

    /// One poll's lines have been read: kubelet's cache is stuck.
    pub(super) async fn tell_log(&mut self) {
        let Some(following) = &mut self.following else { return };
        following.tell_at = None;
        let stamps = following.stamps.clone();
        let Some(latest) = stamps.last() else { return };
        let seen = evidence::of_log(stamps.iter().copied(), self.timeline.boot_at(*latest));
        if self.of_kubelets_cache().is_empty() {
            self.node.kubelet_uses_its_cache();
            self.assess().await;
        }
        self.observe_kubelets_cache(&seen).await;
    }

    /// A log that is read and says nothing says that nothing is stuck.
    pub(super) async fn end_of_log(&mut self) {
        let Some(following) = self.following.take() else { return };
        if following.stamps.is_empty() && following.follower.has_read() {
            let for_ns = u64::try_from(FOLLOW.as_nanos()).unwrap_or(u64::MAX);
            self.observe_kubelets_cache(&evidence::of_silent_log(for_ns)).await;
        }
    }

    fn of_kubelets_cache(&self) -> Vec<String> {
        let stuck = self.stuck_containers().into_iter();
        stuck.filter(|(kind, _)| *kind == Kind::KubeletCpuCacheStuck).map(|(_, id)| id).collect()
    }

    async fn observe_kubelets_cache(&mut self, seen: &Observation) {
        let now = now();
        for id in self.of_kubelets_cache() {
            let told = self.book.observe(Kind::KubeletCpuCacheStuck, &id, seen, &self.timeline, now);
            if told.as_ref().is_some_and(|impact| impact.confidence == Confidence::Refuted) {
                self.node.seen_sound(RateSource::Kubelet, &id, now);
            }
            if let Some(impact) = told {
                self.teller.tell(Message::Impact(impact)).await;
            }
        }
    }

    pub(in crate::daemon::assessor) fn log_source(&self) -> LogSource {
        let kubelet = self.node.facts().kubelet.map(|kubelet| kubelet.process);
        LogSource::find(&self.settings.kubelet_log, kubelet)
    }
}

/// The next line of kubelet's log, if that is followed.
pub(super) async fn next_line(following: &mut Option<Following>) -> Option<StuckLine> {
    match following {
        Some(following) => following.follower.next().await,
        None => std::future::pending().await,
    }
}
