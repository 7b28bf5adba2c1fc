//! The map values that aya copies in and out.
#![expect(unsafe_code, reason = "aya asks for a promise about plain data that only `unsafe impl` can give")]

use detector_common::cell::{Cell, Counters};

/// The value of the map `CELL`.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct CellPod(pub Cell);

/// The value of the map `COUNTERS`.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct CountersPod(pub Counters);

// SAFETY: integers only, `repr(C)`, padding named: every byte is initialised and every pattern valid.
unsafe impl aya::Pod for CellPod {}
// SAFETY: as above.
unsafe impl aya::Pod for CountersPod {}
