//! The rate since the sample that the last answer left behind: `getUsageNanoCores` of containerd 1.6 to 2.2
//! (`pkg/cri/server/container_stats_list.go`, later `internal/cri/server/container_stats_list.go`), and what 2.3 falls back
//! on while its collector knows too little.

use super::{Sample, rate};

/// Nothing where there is no rate. The baseline stays where it was if the interval is none or the counter fell: that is the
/// poison, since after a step back it lies ahead of the clock.
pub(super) fn usage_nano_cores(baseline: &mut Option<Sample>, now: Sample) -> Option<u64> {
    let Some(old) = *baseline else {
        *baseline = Some(now);
        return None;
    };
    let interval = now.at.wall.saturating_sub(old.at.wall);
    if interval <= 0 || now.usage < old.usage {
        return None;
    }
    *baseline = Some(now);
    Some(rate(now.usage - old.usage, interval))
}
