//! What is worth reporting.

use serde::Serialize;

use crate::clock::DeltaNs;

/// The least jumps that are told unasked. Smaller ones are stored and counted all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Thresholds {
    /// Forward, ns.
    pub forward_ns: u64,
    /// Backward, ns.
    pub backward_ns: u64,
}

impl Default for Thresholds {
    /// A millisecond either way: no clock discipline that slews moves the clock by steps, and what steps by less is a
    /// hardware clock's servo.
    fn default() -> Self {
        Self { forward_ns: 1_000_000, backward_ns: 1_000_000 }
    }
}

impl Thresholds {
    /// Everything.
    pub const NONE: Self = Self { forward_ns: 0, backward_ns: 0 };

    /// Whether a jump of this size is told unasked.
    pub fn is_loud(&self, delta: DeltaNs) -> bool {
        let least = if delta.0 < 0 { self.backward_ns } else { self.forward_ns };
        delta.magnitude() >= least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_direction_has_its_own() {
        let thresholds = Thresholds { forward_ns: 10, backward_ns: 3 };
        for (delta, loud) in [(9, false), (10, true), (-2, false), (-3, true), (0, false), (i64::MIN, true)] {
            assert_eq!(thresholds.is_loud(DeltaNs(delta)), loud, "{delta}");
        }
        assert!(Thresholds::NONE.is_loud(DeltaNs(-1)));
    }
}
