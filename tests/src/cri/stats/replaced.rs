//! The rate since the last answer without a look at the interval: `updateUsageNanoCores` of CRI-O
//! (`internal/lib/stats/stats_server.go`).

use super::Sample;
use crate::sys::SECOND;

/// What a float that no `u64` holds becomes on amd64; Go leaves it open.
const OUT_OF_RANGE: u64 = 1 << 63;

/// Each sample replaces the one before, so there is never more than one bad rate.
pub(super) fn usage_nano_cores(last: &mut Option<Sample>, now: Sample) -> Option<u64> {
    let old = last.replace(now)?;
    let interval = i128::from(now.at.wall) - i128::from(old.at.wall);
    // Go's subtraction of unsigned counters wraps.
    let used = i128::from(now.usage.wrapping_sub(old.usage));
    Some((used * i128::from(SECOND)).checked_div(interval).map_or(OUT_OF_RANGE, converted))
}

/// Go's conversion on amd64: by way of a signed integer if the float is small enough.
fn converted(rate: i128) -> u64 {
    u64::try_from(rate).unwrap_or_else(|_| i64::try_from(rate).map_or(OUT_OF_RANGE, i64::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::super::super::clock::Now;
    use super::*;

    #[test]
    fn every_interval_is_divided_by() {
        let sample = |wall, usage| Sample { at: Now { wall, boot: 0 }, usage };
        let mut last = None;
        assert_eq!(usage_nano_cores(&mut last, sample(100, 10)), None);
        assert_eq!(usage_nano_cores(&mut last, sample(100, 20)), Some(OUT_OF_RANGE));
        assert_eq!(usage_nano_cores(&mut last, sample(90, 21)), Some((-100_000_000_i64).cast_unsigned()));
        assert_eq!(usage_nano_cores(&mut last, sample(92, 23)), Some(1_000_000_000));
    }
}
