//! kubelet's cache of CPU usage, replayed: `cpuUsageCache` of its `cri_stats_provider.go`. Pure.
//!
//! Before Kubernetes learnt to take the runtime's own rate, and with runtimes that have none, a rate is what two answers
//! differ by, over what their wall-clock stamps differ by. A stamp that did not rise is an error, which leaves the old
//! answer in place: after a step back all later ones are errors until the wall clock has passed it.

use std::collections::HashMap;
use std::fmt;

use crate::sys::SECOND;

/// After so long without an answer a container is forgotten.
const KEEP_NS: i64 = 600 * SECOND;

/// What an answer says of one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// The wall clock of the runtime.
    pub timestamp_ns: i64,
    /// CPU time since the container began.
    pub core_ns: Option<u64>,
    /// The runtime's own rate.
    pub nano_cores: Option<u64>,
}

/// The error that kubelet logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoInterval {
    /// The stamp of the answer.
    pub new_ns: i64,
    /// The stamp in the cache.
    pub cached_ns: i64,
}

impl fmt::Display for NoInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "zero or negative interval ({} - {})", self.new_ns, self.cached_ns)
    }
}

impl std::error::Error for NoInterval {}

#[derive(Debug, Clone, Copy)]
struct Record {
    timestamp_ns: i64,
    core_ns: u64,
    nano_cores: Option<u64>,
}

/// The cache.
#[derive(Debug, Default)]
pub struct KubeletCache {
    records: HashMap<String, Record>,
}

impl KubeletCache {
    /// What the eviction manager does with an answer each ten seconds, and the rate that comes of it.
    pub fn update(&mut self, container: &str, usage: Usage) -> Result<Option<u64>, NoInterval> {
        if usage.nano_cores.is_some() {
            return Ok(usage.nano_cores);
        }
        let Some(core_ns) = usage.core_ns else { return Ok(None) };
        let new = Record { timestamp_ns: usage.timestamp_ns, core_ns, nano_cores: None };
        // A counter that fell is that of a container begun anew.
        let Some(cached) = self.records.get(container).filter(|cached| cached.core_ns <= core_ns).copied()
        else {
            self.records.insert(container.to_owned(), new);
            return Ok(None);
        };
        let interval_ns = new.timestamp_ns - cached.timestamp_ns;
        let refused = NoInterval { new_ns: new.timestamp_ns, cached_ns: cached.timestamp_ns };
        let nano_cores = rate(core_ns - cached.core_ns, interval_ns).ok_or(refused)?;
        self.records.insert(container.to_owned(), Record { nano_cores: Some(nano_cores), ..new });
        Ok(Some(nano_cores))
    }

    /// What whoever only reads is told.
    pub fn read(&self, container: &str) -> Option<u64> {
        self.records.get(container)?.nano_cores
    }

    /// Forgets what is ten minutes old. A stamp in the future is never old.
    pub fn forget_outdated(&mut self, wall_ns: i64) {
        self.records.retain(|_, record| wall_ns - record.timestamp_ns <= KEEP_NS);
    }
}

/// `core_ns` of CPU time in `interval_ns`, in billionths of a processor; nothing if there was no such interval.
fn rate(core_ns: u64, interval_ns: i64) -> Option<u64> {
    let interval = u128::try_from(interval_ns).ok().filter(|interval| *interval > 0)?;
    let second = u128::from(SECOND.unsigned_abs());
    u64::try_from(u128::from(core_ns) * second / interval).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A container at half a processor, asked at that second; the clock shows `offset` seconds more.
    fn half(second: i64, offset: i64) -> Usage {
        Usage {
            timestamp_ns: (second + offset) * SECOND,
            core_ns: Some(u64::try_from(second).expect("positive") * 500_000_000),
            nano_cores: None,
        }
    }

    #[test]
    fn a_step_back_lasts_as_long_as_it_is_and_ends_with_a_spike() {
        let mut cache = KubeletCache::default();
        assert_eq!(cache.update("c", half(10, 1000)), Ok(None));
        assert_eq!(cache.update("c", half(20, 1000)), Ok(Some(500_000_000)));
        for second in [30, 40, 50, 60, 70] {
            let refused = NoInterval { new_ns: (second + 945) * SECOND, cached_ns: 1020 * SECOND };
            assert_eq!(cache.update("c", half(second, 945)), Err(refused));
            assert_eq!(cache.read("c"), Some(500_000_000), "readers are told what was");
        }
        // 55 s and 5 s of use in 5 s of wall time.
        assert_eq!(cache.update("c", half(80, 945)), Ok(Some(6_000_000_000)));
        assert_eq!(cache.update("c", half(90, 945)), Ok(Some(500_000_000)));
    }

    #[test]
    fn a_step_forward_dilutes_one_rate() {
        let mut cache = KubeletCache::default();
        assert_eq!(cache.update("c", half(10, 1000)), Ok(None));
        assert_eq!(cache.update("c", half(20, 1090)), Ok(Some(50_000_000)));
        assert_eq!(cache.update("c", half(30, 1090)), Ok(Some(500_000_000)));
    }

    #[test]
    fn the_runtimes_own_rate_is_taken_as_it_is() {
        let mut cache = KubeletCache::default();
        let usage = Usage { nano_cores: Some(0), ..half(10, 1000) };
        assert_eq!(cache.update("c", usage), Ok(Some(0)));
        assert_eq!(cache.read("c"), None);
    }

    #[test]
    fn a_fallen_counter_starts_anew_whatever_the_clock() {
        let mut cache = KubeletCache::default();
        assert_eq!(cache.update("c", half(20, 1000)), Ok(None));
        assert_eq!(cache.update("c", half(10, 0)), Ok(None));
        assert_eq!(cache.update("c", half(20, 0)), Ok(Some(500_000_000)));
        let nothing = Usage { core_ns: None, ..half(30, 0) };
        assert_eq!(cache.update("c", nothing), Ok(None));
    }

    #[test]
    fn the_future_is_never_outdated() {
        let mut cache = KubeletCache::default();
        assert_eq!(cache.update("c", half(0, 1000)), Ok(None));
        cache.forget_outdated(0);
        cache.forget_outdated(1600 * SECOND);
        assert!(cache.update("c", half(0, 1000)).is_err(), "still there");
        cache.forget_outdated(1601 * SECOND);
        assert_eq!(cache.update("c", half(0, 1000)), Ok(None), "forgotten");
    }

    #[test]
    fn the_error_reads_as_kubelets() {
        let error = NoInterval { new_ns: 1, cached_ns: 2 };
        assert_eq!(error.to_string(), "zero or negative interval (1 - 2)");
    }
}
