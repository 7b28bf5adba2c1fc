//! What a runtime says about CPU usage, computed as each generation of runtimes does, with its faults.

mod baseline;
mod replaced;
mod timed;

use std::{collections::BTreeMap, str::FromStr};

use clap::ValueEnum;

use super::clock::Now;
use crate::sys::SECOND;
use timed::TimedStore;

/// How a runtime gets at `usageNanoCores`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StatsKind {
    /// Never set: containerd up to 1.5, cri-dockerd.
    None,
    /// The rate since the last call of ListContainerStats: containerd 1.6 to 2.2.
    Baseline,
    /// A collector that orders by a monotonic clock and divides by the wall clock: containerd 2.3.
    Blip,
    /// A collector that orders and divides by the wall clock: containerd 2.4.
    Frozen,
    /// The rate since the last call, whatever the interval: CRI-O.
    Garbage,
}

impl FromStr for StatsKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false)
    }
}

/// How often the collectors of containerd 2.3 and later look (`stats_collect_period`).
const PERIOD: i64 = SECOND;

/// A container's CPU counter at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    at: Now,
    /// ns of CPU time used so far.
    usage: u64,
}

/// What is remembered of one container.
#[derive(Debug, Default)]
struct Book {
    last: Option<Sample>,
    timed: TimedStore,
}

/// All that the runtime remembers between two answers: lost when it restarts.
#[derive(Debug)]
pub(super) struct Stats {
    kind: StatsKind,
    books: BTreeMap<String, Book>,
    /// When the collector looks next, by the boot clock.
    next: i64,
}

impl Stats {
    pub(super) fn new(kind: StatsKind, now: Now) -> Self {
        Self { kind, books: BTreeMap::new(), next: now.boot }
    }

    pub(super) fn restart(&mut self, now: Now) {
        *self = Self::new(self.kind, now);
    }

    /// Whether this runtime looks by itself, and not only when asked.
    pub(super) fn collects(&self) -> bool {
        matches!(self.kind, StatsKind::Blip | StatsKind::Frozen)
    }

    pub(super) fn forget(&mut self, id: &str) {
        self.books.remove(id);
    }

    /// Makes up for all moments until `now` at which the collector would have looked, if there is one. Whoever steps the
    /// clock calls this before.
    pub(super) fn collect(&mut self, now: Now, counters: impl Fn(i64) -> Vec<(String, u64)>) {
        if !self.collects() {
            return;
        }
        let offset = now.wall.saturating_sub(now.boot);
        while self.next <= now.boot {
            let at = Now { wall: self.next.saturating_add(offset), boot: self.next };
            for (id, usage) in counters(at.boot) {
                // Only what carries Go's monotonic reading is ordered by it.
                let order = if self.kind == StatsKind::Blip { at.boot } else { at.wall };
                self.books.entry(id).or_default().timed.add(order, Sample { at, usage });
            }
            self.next += PERIOD;
        }
    }

    /// `usageNanoCores` as ListContainerStats gives it.
    pub(super) fn listed(&mut self, id: &str, at: Now, usage: u64) -> Option<u64> {
        let now = Sample { at, usage };
        let book = self.books.entry(id.to_owned()).or_default();
        match self.kind {
            StatsKind::None => None,
            StatsKind::Baseline => Some(baseline::usage_nano_cores(&mut book.last, now).unwrap_or(0)),
            StatsKind::Blip | StatsKind::Frozen => {
                book.timed.latest().or_else(|| baseline::usage_nano_cores(&mut book.last, now))
            }
            StatsKind::Garbage => replaced::usage_nano_cores(&mut book.last, now),
        }
    }

    /// `usageNanoCores` as ContainerStats gives it: containerd computes no rate there and leaves its baseline alone.
    pub(super) fn single(&mut self, id: &str, at: Now, usage: u64) -> Option<u64> {
        (self.kind == StatsKind::Garbage).then(|| self.listed(id, at, usage)).flatten()
    }
}

/// Cores, in ns of CPU time per second.
fn rate(used: u64, interval: i64) -> u64 {
    let rate = i128::from(used) * i128::from(SECOND) / i128::from(interval.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_A_CORE: u64 = 500_000_000;

    /// A node with one container that uses half a core, and its clocks.
    struct Rig {
        stats: Stats,
        now: Now,
        lost: u64,
    }

    impl Rig {
        fn new(kind: StatsKind) -> Self {
            let now = Now { wall: 1_700_000_000 * SECOND, boot: 1_000 * SECOND };
            Self { stats: Stats::new(kind, now), now, lost: 0 }
        }

        fn usage(&self, boot: i64) -> u64 {
            boot.cast_unsigned() / 2 - self.lost
        }

        fn collect(&mut self) {
            let lost = self.lost;
            self.stats.collect(self.now, |boot| vec![("c".into(), boot.cast_unsigned() / 2 - lost)]);
        }

        fn jump(&mut self, seconds: i64) {
            self.jump_ns(seconds * SECOND);
        }

        fn jump_ns(&mut self, ns: i64) {
            self.collect();
            self.now.wall += ns;
        }

        fn pass(&mut self, seconds: i64) {
            self.now.wall += seconds * SECOND;
            self.now.boot += seconds * SECOND;
        }

        fn list(&mut self) -> Option<u64> {
            self.collect();
            self.stats.listed("c", self.now, self.usage(self.now.boot))
        }

        /// What is said every ten seconds from now on.
        fn poll(&mut self, times: usize) -> Vec<Option<u64>> {
            self.every(10, times)
        }

        /// What is said each second.
        fn seconds(&mut self, times: usize) -> Vec<Option<u64>> {
            self.every(1, times)
        }

        fn every(&mut self, seconds: i64, times: usize) -> Vec<Option<u64>> {
            let next = |_| {
                self.pass(seconds);
                self.list()
            };
            (0..times).map(next).collect()
        }
    }

    #[test]
    fn none_never_says_a_rate() {
        let mut rig = Rig::new(StatsKind::None);
        assert_eq!(rig.list(), None);
        rig.jump(-600);
        assert!(rig.poll(70).iter().all(Option::is_none));
    }

    #[test]
    fn baseline_is_zero_for_as_long_as_the_clock_went_back_then_one_spike() {
        let mut rig = Rig::new(StatsKind::Baseline);
        assert_eq!(rig.list(), Some(0), "the first sample");
        assert_eq!(rig.poll(2), [Some(HALF_A_CORE); 2]);
        // 3 s into an interval, as a step comes in practice.
        rig.pass(3);
        rig.jump(-600);
        rig.pass(7);
        assert_eq!(rig.list(), Some(0));
        assert_eq!(rig.poll(58), [Some(0); 58]);
        assert_eq!(rig.poll(1), [Some(0)], "the interval is exactly nothing");
        assert_eq!(rig.poll(1), [Some(61 * HALF_A_CORE)], "610 s of usage in 10 s");
        assert_eq!(rig.poll(3), [Some(HALF_A_CORE); 3]);
    }

    #[test]
    fn baseline_after_a_step_forward_is_low_once() {
        let mut rig = Rig::new(StatsKind::Baseline);
        rig.list();
        rig.jump(90);
        assert_eq!(rig.poll(2), [Some(HALF_A_CORE / 10), Some(HALF_A_CORE)]);
    }

    #[test]
    fn baseline_keeps_its_old_sample_when_the_counter_falls() {
        let mut rig = Rig::new(StatsKind::Baseline);
        rig.list();
        rig.lost = 21 * HALF_A_CORE;
        assert_eq!(rig.poll(2), [Some(0); 2], "not above the old counter yet");
        assert_eq!(
            rig.poll(1),
            [Some(3 * HALF_A_CORE / 10)],
            "9 s of usage in the 30 s since the old sample"
        );
    }

    #[test]
    fn baseline_ends_with_a_restart_or_a_step_forward() {
        let mut rig = Rig::new(StatsKind::Baseline);
        rig.list();
        rig.jump(-600);
        assert_eq!(rig.poll(2), [Some(0); 2]);
        let now = rig.now;
        rig.stats.restart(now);
        assert_eq!(rig.poll(2), [Some(0), Some(HALF_A_CORE)]);
        rig.jump(-600);
        assert_eq!(rig.poll(2), [Some(0); 2]);
        rig.jump(600);
        assert_eq!(rig.poll(1), [Some(HALF_A_CORE)]);
    }

    #[test]
    fn blip_has_one_zero_of_a_second() {
        let mut rig = Rig::new(StatsKind::Blip);
        assert_eq!(rig.list(), None, "the first sample");
        assert_eq!(rig.poll(20), [Some(HALF_A_CORE); 20]);
        rig.jump(-600);
        assert_eq!(
            rig.seconds(5),
            [Some(0), Some(HALF_A_CORE), Some(HALF_A_CORE), Some(HALF_A_CORE), Some(HALF_A_CORE)]
        );
    }

    #[test]
    fn frozen_is_the_old_sample_until_the_clock_is_back_then_one_spike_of_a_second() {
        let mut rig = Rig::new(StatsKind::Frozen);
        assert_eq!(rig.list(), None, "the first sample");
        assert_eq!(rig.poll(30), [Some(HALF_A_CORE); 30]);
        rig.jump_ns(-600 * SECOND - SECOND / 4);
        let seconds = rig.seconds(605);
        assert_eq!(seconds[..599], [Some(HALF_A_CORE); 599]);
        assert_eq!(seconds[599], Some(0), "the last one that is inserted before the old sample");
        assert_eq!(seconds[600], Some(601 * HALF_A_CORE * 4 / 3), "601 s of usage in three quarters of one");
        assert_eq!(seconds[601..], [Some(HALF_A_CORE); 4]);
    }

    #[test]
    fn frozen_ends_without_a_spike_where_the_stamps_meet() {
        let mut rig = Rig::new(StatsKind::Frozen);
        rig.list();
        rig.poll(30);
        rig.jump(-600);
        let seconds = rig.seconds(605);
        assert_eq!(seconds[..598], [Some(HALF_A_CORE); 598]);
        assert_eq!(seconds[598..600], [Some(0); 2]);
        assert_eq!(seconds[600..], [Some(HALF_A_CORE); 5]);
    }

    #[test]
    fn garbage_is_one_absurd_sample() {
        let mut rig = Rig::new(StatsKind::Garbage);
        assert_eq!(rig.list(), None, "the first sample");
        assert_eq!(rig.poll(2), [Some(HALF_A_CORE); 2]);
        rig.jump(-600);
        let polls = rig.poll(3);
        assert!(polls[0].is_some_and(|cores| cores > 1 << 63), "{polls:?}");
        assert_eq!(polls[1..], [Some(HALF_A_CORE); 2]);
    }

    #[test]
    fn single_answers_move_no_baseline_but_cri_os() {
        let mut rig = Rig::new(StatsKind::Baseline);
        rig.list();
        rig.pass(5);
        let usage = rig.usage(rig.now.boot);
        assert_eq!(rig.stats.single("c", rig.now, usage), None);
        assert_eq!(rig.stats.books["c"].last.unwrap().at.boot, rig.now.boot - 5 * SECOND);
        let mut rig = Rig::new(StatsKind::Garbage);
        rig.list();
        rig.pass(5);
        let usage = rig.usage(rig.now.boot);
        assert_eq!(rig.stats.single("c", rig.now, usage), Some(HALF_A_CORE));
        assert_eq!(rig.stats.books["c"].last.unwrap().at, rig.now);
    }
}
