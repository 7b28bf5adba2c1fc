//! Lengths and instants that are known from two sides, ns.

use serde::{Deserialize, Serialize};

/// From `lo` to `hi`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// At least.
    pub lo: i128,
    /// At most.
    pub hi: i128,
}

/// Beyond every instant that a clock can show, and small enough to be added to.
const FAR: i128 = 1 << 100;

impl Span {
    /// Nothing is known.
    pub const ANY: Self = Self { lo: -FAR, hi: FAR };
    /// Less than nothing.
    pub const NEGATIVE: Self = Self { lo: -FAR, hi: -1 };
    /// More than nothing.
    pub const POSITIVE: Self = Self { lo: 1, hi: FAR };

    /// From `lo` to `hi`.
    pub fn new(lo: i128, hi: i128) -> Self {
        Self { lo: lo.clamp(-FAR, FAR), hi: hi.clamp(-FAR, FAR) }
    }

    /// Within `error` of `at`.
    pub fn around(at: i128, error: i128) -> Self {
        Self::new(at.saturating_sub(error), at.saturating_add(error))
    }

    /// What both allow; nothing if they contradict each other.
    pub fn meet(self, other: Self) -> Option<Self> {
        let meet = Self { lo: self.lo.max(other.lo), hi: self.hi.min(other.hi) };
        (meet.lo <= meet.hi).then_some(meet)
    }

    /// Wider by so much on both sides.
    #[must_use]
    pub fn widened(self, by: i128) -> Self {
        Self::new(self.lo.saturating_sub(by), self.hi.saturating_add(by))
    }

    /// All differences between one of these and one of `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self::new(self.lo.saturating_sub(other.hi), self.hi.saturating_sub(other.lo))
    }

    /// All sums of one of these and one of `other`.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self::new(self.lo.saturating_add(other.lo), self.hi.saturating_add(other.hi))
    }

    /// Whether both sides are known.
    pub fn is_bounded(self) -> bool {
        self.has_lo() && self.has_hi()
    }

    /// Whether it is known to be at least something.
    pub fn has_lo(self) -> bool {
        self.lo > -FAR / 2
    }

    /// Whether it is known to be at most something.
    pub fn has_hi(self) -> bool {
        self.hi < FAR / 2
    }

    /// How far the sides are apart.
    pub fn width(self) -> i128 {
        self.hi.saturating_sub(self.lo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_from_two_sides() {
        let (a, b) = (Span::new(10, 20), Span::around(22, 3));
        assert_eq!(a.meet(b), Some(Span::new(19, 20)));
        assert_eq!(a.meet(Span::new(30, 40)), None);
        assert_eq!(a.minus(b), Span::new(-15, 1));
        assert_eq!(a.plus(b), Span::new(29, 45));
        assert!(a.is_bounded() && !Span::NEGATIVE.is_bounded() && Span::NEGATIVE.has_hi());
        assert!(!Span::ANY.minus(a).has_lo() && !a.plus(Span::ANY).has_hi());
        assert_eq!(Span::new(i128::MIN, i128::MAX), Span::ANY);
    }
}
