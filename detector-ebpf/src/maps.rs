//! The maps that several files use or user space reads. User space may resize the rings.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LruHashMap, RingBuf},
};
use detector_common::{
    cell::{Cell, Counters},
    refusal::{CODE_RANGES, Key},
};

/// Steps and calls, in the order in which they happened.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(256 * 1024, 0);

/// Refused attempts: apart, so that a flood of them costs no step its place.
#[map]
pub static REFUSALS: RingBuf = RingBuf::with_byte_size(16 * 1024, 0);

/// The last offsets. One entry.
#[map]
pub static CELL: Array<Cell> = Array::with_max_entries(1, 0);

/// Counters outside the timekeeper's lock. One entry.
#[map]
pub static COUNTERS: Array<Counters> = Array::with_max_entries(1, 0);

/// Refused attempts by key. LRU: the total is in `COUNTERS`.
#[map]
pub static REFUSED: LruHashMap<Key, u64> = LruHashMap::with_max_entries(1024, 0);

/// Where the code of `settimeofday` and `stime` lies: pairs of a beginning and an end, unused ones 0. One entry, which user
/// space fills once it has the kernel's names: reading them takes longer than attaching.
#[map]
pub static SETTIMEOFDAY_CODE: Array<[u64; 2 * CODE_RANGES]> = Array::with_max_entries(1, 0);

/// System calls between entry and exit, by `pid_tgid` (rung D): one of `detector_common::call::syscall`.
#[map]
pub static IN_SYSCALL: HashMap<u64, u32> = HashMap::with_max_entries(4096, 0);
