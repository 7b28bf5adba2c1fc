//! Reading clocks. The tests keep their own time by the monotonic clock: the wall clock is what they break.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

use super::SECOND;

fn nanoseconds(at: Timespec) -> i64 {
    at.tv_sec * SECOND + at.tv_nsec
}

/// The wall clock in ns since 1970.
pub fn wall_ns() -> i64 {
    nanoseconds(clock_gettime(ClockId::Realtime))
}

/// Nanoseconds since boot, time asleep included.
pub fn boot_ns() -> i64 {
    nanoseconds(clock_gettime(ClockId::Boottime))
}

/// Nanoseconds since boot, time asleep not included.
pub fn monotonic_ns() -> i64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// A point in monotonic time after which a wait gives up.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(i64);

impl Deadline {
    /// The point `after` from now.
    pub fn after(after: Duration) -> Self {
        let length = i64::try_from(after.as_nanos()).unwrap_or(i64::MAX);
        Self(monotonic_ns().saturating_add(length))
    }

    /// Whether it is over.
    pub fn passed(self) -> bool {
        monotonic_ns() >= self.0
    }
}
