//! The other axis: how far the clock was away. To scale where that shows every level; else by the logarithm of how far,
//! on both sides of 0, so that a second is seen beside 55 days.

/// Levels that are less than this part of the largest are drawn at 0.
const BLIND: i128 = 1_000_000_000;
/// A level that is nearer to 0 than this part of the range is lost on a linear scale.
const CLOSE: i128 = 20;
/// Steps of the logarithm between two powers of two.
const FINE: u128 = 1 << 20;

/// The scale.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The least level that the logarithm tells from 0; nothing where the scale is linear.
    unit: Option<u128>,
    low: i128,
    high: i128,
    top: i64,
    bottom: i64,
}

impl Scale {
    /// One for `levels`, ns, between `top` and `bottom`; 0 is always on it.
    pub(super) fn new(levels: &[i128], top: i64, bottom: i64) -> Self {
        let (low, high) =
            levels.iter().fold((0, 0), |(low, high), level| (low.min(*level), high.max(*level)));
        let largest = high.max(-low);
        let linear = Self { unit: None, low, high, top, bottom };
        // The nearest to home: two that are far from it and close together no scale of this kind tells apart.
        let near = levels.iter().map(|level| level.abs()).filter(|level| *level > largest / BLIND).min();
        let Some(near) = near.filter(|near| near * CLOSE < high - low) else { return linear };
        let unit = Some((near.unsigned_abs() / 8).max(1));
        let scale = Self { unit, ..linear };
        Self { low: scale.mapped(low), high: scale.mapped(high), ..scale }
    }

    /// Whether it is one of logarithms.
    pub(super) fn is_logarithmic(&self) -> bool {
        self.unit.is_some()
    }

    /// Where `level` is.
    pub(super) fn y(&self, level: i128) -> i64 {
        let range = self.high - self.low;
        if range <= 0 {
            return self.bottom;
        }
        let up = (self.mapped(level) - self.low) * i128::from(self.bottom - self.top) / range;
        self.bottom - i64::try_from(up).unwrap_or(0)
    }

    fn mapped(&self, level: i128) -> i128 {
        let Some(unit) = self.unit else { return level };
        let size = i128::try_from(log2(level.unsigned_abs().saturating_add(unit)) - log2(unit)).unwrap_or(0);
        if level < 0 { -size } else { size }
    }
}

/// The logarithm to base 2 in steps of 1 / [`FINE`], straight between powers of two. `n` is not 0.
fn log2(n: u128) -> u128 {
    let n = n.clamp(1, 1 << 100);
    let power = n.ilog2();
    u128::from(power) * FINE + ((n * FINE) >> power) - FINE
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;
    const DAY: i128 = 86_400 * SECOND;

    #[test]
    fn few_levels_are_to_scale() {
        let scale = Scale::new(&[0, 10 * SECOND, 5 * SECOND], 0, 100);
        assert!(!scale.is_logarithmic());
        assert_eq!([0, 5, 10].map(|n| scale.y(n * SECOND)), [100, 50, 0]);
    }

    #[test]
    fn a_second_is_seen_beside_55_days() {
        let scale = Scale::new(&[0, 55 * DAY, -3 * SECOND / 2], 0, 150);
        assert!(scale.is_logarithmic());
        let [high, home, low] = [55 * DAY, 0, -3 * SECOND / 2].map(|level| scale.y(level));
        assert_eq!((high, low), (0, 150));
        assert!(low - home >= 12 && home > 100, "{home}");
    }

    #[test]
    fn levels_close_together_far_from_home_are_to_scale() {
        assert!(!Scale::new(&[0, DAY, DAY + SECOND], 0, 150).is_logarithmic());
    }

    #[test]
    fn what_is_nothing_beside_the_rest_does_not_bend_the_scale() {
        let scale = Scale::new(&[0, 55 * DAY, -1_910], 0, 150);
        assert!(!scale.is_logarithmic());
        assert_eq!(scale.y(-1_910), scale.y(0));
    }

    #[test]
    fn it_rises_and_takes_extremes() {
        let levels = [i128::from(i64::MIN) * 2, -DAY, -1, 0, 5, SECOND, DAY, i128::from(i64::MAX) * 2];
        let scale = Scale::new(&levels, 0, 1_000);
        let places: Vec<_> = levels.iter().rev().map(|level| scale.y(*level)).collect();
        assert!(places.is_sorted() && places.iter().all(|y| (0..=1_000).contains(y)), "{places:?}");
        assert_eq!(Scale::new(&[], 0, 100).y(0), 100);
        let scale = Scale::new(&[0, 1, 1 << 62], 0, 1_000);
        assert!(scale.y(1 << 62) < scale.y(1));
    }
}
