//! What is known of the running kernel besides its types.

use detector_common::refusal::CODE_RANGES;

use super::{KernelNames, StepPath, Symbols, syscall_path};
use crate::clock::TimerListOffsets;

/// What loading needs to know.
#[derive(Clone, Copy)]
pub struct KernelFacts<'a> {
    /// Reads the timekeeper's offsets as of now, if they can be had.
    pub timer_list: &'a dyn Fn() -> Option<TimerListOffsets>,
    /// The kernel's functions.
    pub names: &'a KernelNames,
}

/// Where the code of `settimeofday` and `stime` lies, as the programs want it: pairs of a beginning and an end, the unused
/// ones 0.
pub fn settimeofday_code(symbols: &Symbols) -> [u64; 2 * CODE_RANGES] {
    let mut code = [0; 2 * CODE_RANGES];
    let ranges = symbols.ranges(|name| syscall_path(name) == Some(StepPath::Settimeofday));
    if ranges.len() > CODE_RANGES {
        tracing::debug!("settimeofday's code lies in {} places, {CODE_RANGES} are told apart", ranges.len());
    }
    for (slot, (start, end)) in code.chunks_exact_mut(2).zip(ranges) {
        slot.copy_from_slice(&[start, end]);
    }
    code
}
