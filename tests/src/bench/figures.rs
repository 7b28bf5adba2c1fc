//! What becomes of many samples: nearest ranks and ratios, in whole numbers.

use std::fmt;

use anyhow::{Context, Result};
use serde::{Serialize, Serializer};

/// How samples spread, ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Half of them are not above it.
    pub median: i64,
    /// 99 of 100 are not above it.
    pub p99: i64,
    /// None is above it.
    pub most: i64,
}

impl Spread {
    /// Of these samples.
    pub fn of(mut samples: Vec<i64>) -> Result<Self> {
        samples.sort_unstable();
        let rank = |percent| nearest_rank(&samples, percent).context("no samples");
        Ok(Self { median: rank(50)?, p99: rank(99)?, most: rank(100)? })
    }
}

/// The least sample that `percent` of all are not above.
pub fn nearest_rank(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

/// One amount in terms of another, in hundredths; nothing where the other is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio(Option<i64>);

impl Ratio {
    /// `amount` / `unit`.
    pub fn of(amount: i64, unit: i64) -> Self {
        Self((unit > 0).then(|| (amount.saturating_mul(200) / unit + 1) / 2))
    }

    /// In hundredths, if it is one.
    pub fn hundredths(self) -> Option<i64> {
        self.0
    }

    /// Without its fraction.
    pub fn whole(self) -> i64 {
        self.0.map_or(0, |hundredths| (hundredths + 50) / 100)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(hundredths) => f.pad(&format!("{}.{:02}", hundredths / 100, hundredths.abs() % 100)),
            None => f.pad("–"),
        }
    }
}

impl Serialize for Ratio {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.to_string().parse::<f64>().ok().serialize(to)
    }
}

/// What a clock counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Time,
    /// Instructions, in a guest whose clock advances by a nanosecond with each.
    Instructions,
}

impl Unit {
    /// An amount as people read it.
    pub fn text(self, amount: i64) -> String {
        match (self, amount) {
            (Self::Time, ns) => time(ns),
            (Self::Instructions, 1_000_000..) => {
                format!("{}.{:02} M", amount / 1_000_000, amount % 1_000_000 / 10_000)
            }
            (Self::Instructions, 10_000..) => format!("{}.{} k", amount / 1000, amount % 1000 / 100),
            (Self::Instructions, _) => amount.to_string(),
        }
    }

    /// What it is called behind a heading.
    pub fn note(self) -> &'static str {
        match self {
            Self::Time => "",
            Self::Instructions => ", in instructions",
        }
    }
}

/// A length of time as people read it.
pub fn time(ns: i64) -> String {
    match ns {
        1_000_000_000.. => format!("{}.{:02} s", ns / 1_000_000_000, ns % 1_000_000_000 / 10_000_000),
        1_000_000.. => format!("{}.{:02} ms", ns / 1_000_000, ns % 1_000_000 / 10_000),
        1000.. => format!("{}.{} µs", ns / 1000, ns % 1000 / 100),
        _ => format!("{ns} ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_samples() {
        let hundred: Vec<_> = (1..=100).rev().collect();
        assert_eq!(Spread::of(hundred).expect("samples"), Spread { median: 50, p99: 99, most: 100 });
        assert_eq!(Spread::of(vec![7]).expect("a sample"), Spread { median: 7, p99: 7, most: 7 });
        assert_eq!(Spread::of(vec![3, 1, 2]).expect("samples"), Spread { median: 2, p99: 3, most: 3 });
        assert!(Spread::of(Vec::new()).is_err());
    }

    #[test]
    fn ratios_are_rounded() {
        for (amount, unit, text) in
            [(1, 3, "0.33"), (2, 3, "0.67"), (300, 2, "150.00"), (5, 0, "–"), (199, 100, "1.99")]
        {
            assert_eq!(Ratio::of(amount, unit).to_string(), text);
        }
        assert_eq!(serde_json::to_string(&Ratio::of(5, 4)).expect("a number"), "1.25");
        assert_eq!(serde_json::to_string(&Ratio::of(5, 0)).expect("nothing"), "null");
    }

    #[test]
    fn instructions_are_counted_in_thousands_and_millions() {
        let text = |amount| Unit::Instructions.text(amount);
        assert_eq!([text(9_999), text(12_345), text(2_050_000)], ["9999", "12.3 k", "2.05 M"]);
    }

    #[test]
    fn times_have_units() {
        assert_eq!(time(60), "60 ns");
        assert_eq!(time(12_345), "12.3 µs");
        assert_eq!(time(2_050_000), "2.05 ms");
        assert_eq!(time(1_500_000_000), "1.50 s");
    }
}
