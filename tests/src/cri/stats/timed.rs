//! The samples of containerd's collector in their order: `TimedStore` of `internal/cri/store/stats/timed_store.go`, filled by
//! `internal/cri/server/stats_collector.go` (2.3 and later).

use super::{Sample, rate};
use crate::sys::SECOND;

/// How long samples are kept (`stats_retention_period`), and so many at most.
const AGE: i64 = 120 * SECOND;
const MOST: usize = 120;

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// What samples are ordered and dropped by: a monotonic reading, or the wall clock where that was lost on the way.
    order: i64,
    sample: Sample,
    nano_cores: u64,
}

/// One container's samples.
#[derive(Debug, Default)]
pub(super) struct TimedStore(Vec<Entry>);

impl TimedStore {
    /// Adds a sample where it belongs, which may be before all others: then it is the first to be dropped.
    pub(super) fn add(&mut self, order: i64, sample: Sample) {
        let Self(entries) = self;
        let index = entries.partition_point(|entry| entry.order <= order);
        entries.insert(index, Entry { order, sample, nano_cores: 0 });
        for changed in [index, index + 1] {
            if changed > 0 && changed < entries.len() {
                entries[changed].nano_cores = between(entries[changed - 1].sample, entries[changed].sample);
            }
        }
        let kept = entries.partition_point(|entry| entry.order <= order.saturating_sub(AGE));
        if kept < entries.len() {
            entries.drain(..kept);
        }
        entries.drain(..entries.len().saturating_sub(MOST));
    }

    /// The rate of the last one in the order, if there are two.
    pub(super) fn latest(&self) -> Option<u64> {
        let Self(entries) = self;
        entries.last().filter(|_| entries.len() >= 2).map(|entry| entry.nano_cores)
    }
}

/// The interval is the wall clock's in every version.
fn between(old: Sample, new: Sample) -> u64 {
    let interval = new.at.wall.saturating_sub(old.at.wall);
    if interval <= 0 || new.usage < old.usage { 0 } else { rate(new.usage - old.usage, interval) }
}
