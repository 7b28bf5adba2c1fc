//! The kernel side's memory: one record in an array map.

use crate::step::Offsets;

/// [`Cell::flags`]: `offsets` was seeded by user space and no update has been seen yet.
pub const SEEDED: u64 = 1;
/// [`Cell::flags`]: an update of the timekeeper has been seen since attaching.
pub const LIVE: u64 = 1 << 1;

/// Last offsets seen, and counters. Written under the timekeeper's lock, hence without atomics.
#[repr(C)]
#[cfg_attr(feature = "user", derive(bytemuck::AnyBitPattern))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The timekeeper's offsets after the last update.
    pub offsets: Offsets,
    /// `SEEDED`, `LIVE`.
    pub flags: u64,
    /// Updates of the timekeeper seen.
    pub updates: u64,
    /// Sequence number of the last change.
    pub sequence: u64,
    /// Changes whose record found the ring full.
    pub drops: u64,
    /// Not zero while a resume is adding the time slept (rung B).
    pub resuming: u64,
}

/// Counters that are written without the timekeeper's lock; each increment is atomic.
#[repr(C)]
#[cfg_attr(feature = "user", derive(bytemuck::AnyBitPattern))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Refused attempts, all keys.
    pub refused: u64,
    /// Calls whose record found the ring full (rungs C, D).
    pub calls_dropped: u64,
}

const _: () = assert!(size_of::<Cell>() == 64);
