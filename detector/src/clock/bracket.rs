//! The wall offset from clock reads alone: boot, wall, boot, as often as it takes for a narrow pair.

use rustix::time::{ClockId, DynamicClockId, Timespec, clock_gettime, clock_gettime_dynamic};

/// The clocks that are read, so that tests own time.
pub trait Clocks {
    /// `CLOCK_BOOTTIME`, ns.
    fn boottime_ns(&self) -> u64;
    /// `CLOCK_REALTIME`, ns since 1970.
    fn realtime_ns(&self) -> i64;
    /// `CLOCK_TAI`, ns; equal to `CLOCK_REALTIME` where nobody has set the TAI offset.
    fn tai_ns(&self) -> i64;
}

/// The kernel's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClocks;

impl Clocks for SystemClocks {
    fn boottime_ns(&self) -> u64 {
        read(ClockId::Boottime).cast_unsigned()
    }

    fn realtime_ns(&self) -> i64 {
        read(ClockId::Realtime)
    }

    fn tai_ns(&self) -> i64 {
        nanoseconds(clock_gettime_dynamic(DynamicClockId::Tai).unwrap_or(clock_gettime(ClockId::Realtime)))
    }
}

fn read(clock: ClockId) -> i64 {
    nanoseconds(clock_gettime(clock))
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// Pairs tried before the narrowest is taken.
const TRIES: u32 = 64;

/// The wall offset and the most by which it can be wrong, both ns: half the width of the narrowest bracket, rounded up.
pub fn bracketed_offset(clocks: &impl Clocks) -> (i64, u64) {
    let mut best = (0, u64::MAX);
    for _ in 0..TRIES {
        let before = clocks.boottime_ns();
        let wall = clocks.realtime_ns();
        let after = clocks.boottime_ns();
        let width = after.saturating_sub(before);
        if width < best.1 {
            let middle = before.saturating_add(width / 2);
            best = (wall.saturating_sub(middle.cast_signed()), width);
        }
    }
    (best.0, best.1.div_ceil(2))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// A clock whose reads each take a time of a repeating pattern.
    struct Fake {
        now: Cell<u64>,
        cost: [u64; 3],
        reads: Cell<usize>,
        offset: i64,
    }

    impl Fake {
        fn tick(&self) -> u64 {
            let reads = self.reads.get();
            self.reads.set(reads + 1);
            self.now.set(self.now.get() + self.cost[reads % self.cost.len()]);
            self.now.get()
        }
    }

    impl Clocks for Fake {
        fn boottime_ns(&self) -> u64 {
            self.tick()
        }
        fn realtime_ns(&self) -> i64 {
            self.tick().cast_signed() + self.offset
        }
        fn tai_ns(&self) -> i64 {
            self.realtime_ns()
        }
    }

    #[test]
    fn truth_lies_within_the_error() {
        for cost in [[30, 40, 50], [1, 999, 7], [0, 0, 0], [5, 5, 5000]] {
            let fake = Fake {
                now: Cell::new(1_000_000),
                cost,
                reads: Cell::new(0),
                offset: 1_700_000_000_000_000_000,
            };
            let (offset, error) = bracketed_offset(&fake);
            assert!(offset.abs_diff(fake.offset) <= error, "{cost:?}: off by more than {error}");
        }
    }

    #[test]
    fn system_offset_is_the_boot_time() {
        let (offset, error) = bracketed_offset(&SystemClocks);
        assert!(offset > 0);
        assert!(error < 1_000_000_000);
    }
}
