//! Instants and spans in nanoseconds, each its own type, and how they are written.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

/// An instant of `CLOCK_BOOTTIME`, ns since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BootNs(pub u64);

/// The wall offset, ns: `CLOCK_REALTIME` − `CLOCK_BOOTTIME`, which is the wall time of boot since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct OffsetNs(pub i64);

/// How far the wall clock moved, ns; positive is forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct DeltaNs(pub i64);

/// An instant of `CLOCK_REALTIME`, ns since 1970. Wide, so that no sum of an offset and an uptime overflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallNs(pub i128);

impl OffsetNs {
    /// What the wall clock shows at `boot` under this offset.
    pub fn wall_at(self, boot: BootNs) -> WallNs {
        WallNs(i128::from(self.0) + i128::from(boot.0))
    }

    /// The step from `old` to this offset. Saturates: the kernel's own clock ends sooner (`KTIME_MAX`, 292 years).
    pub fn since(self, old: Self) -> DeltaNs {
        DeltaNs(self.0.saturating_sub(old.0))
    }
}

impl DeltaNs {
    /// No movement.
    pub const ZERO: Self = Self(0);

    /// The sum; saturates.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// In few characters: the two largest units, rounded, or three digits after the point.
    pub fn short(self) -> String {
        let ns = self.magnitude();
        let (second, minute, hour, day) =
            (1_000_000_000, 60_000_000_000, 3_600_000_000_000, 86_400_000_000_000);
        let sign = if self.0 < 0 { '-' } else { '+' };
        let fine =
            |unit: u64, name| format!("{sign}{}", decimal(ns / (unit / 1000) * (unit / 1000), unit, name));
        match ns {
            0 => "0".to_owned(),
            _ if ns < 1_000 => format!("{sign}{ns}ns"),
            _ if ns < 1_000_000 => fine(1_000, "µs"),
            _ if ns < second => fine(1_000_000, "ms"),
            _ if ns < minute => fine(second, "s"),
            _ => {
                let rounded = |unit: u64| ns.saturating_add(unit / 2) / unit * unit;
                let (seconds, minutes, hours) = (rounded(second), rounded(minute), rounded(hour));
                if seconds < hour {
                    format!("{sign}{}m {}s", seconds / minute, seconds % minute / second)
                } else if minutes < day {
                    format!("{sign}{}h {}m", minutes / hour, minutes % hour / minute)
                } else {
                    format!("{sign}{}d {}h", hours / day, hours % day / hour)
                }
            }
        }
    }

    /// The size without direction.
    pub fn magnitude(self) -> u64 {
        self.0.unsigned_abs()
    }
}

/// A length of time without direction, in few characters.
pub fn span(ns: u64) -> String {
    let text = DeltaNs(i64::try_from(ns).unwrap_or(i64::MAX)).short();
    text.trim_start_matches('+').to_owned()
}

impl WallNs {
    /// To the second, for tables: `2024-02-06 00:02:33Z`.
    pub fn short(self) -> String {
        match Timestamp::from_nanosecond(self.0) {
            Ok(instant) => instant.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            Err(_) => self.to_string(),
        }
    }
}

impl fmt::Display for WallNs {
    /// RFC 3339, UTC, nine fractional digits. Beyond the years that RFC 3339 writes: the seconds since 1970.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_nanosecond(self.0) {
            Ok(instant) => write!(f, "{instant:.9}"),
            Err(_) => write!(f, "@{}", self.0 / 1_000_000_000),
        }
    }
}

impl Serialize for WallNs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for DeltaNs {
    /// For people, every digit that is not zero: `-55d 0h 0m 0s`, `+1.5s`, `-123.457µs`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let ns = self.magnitude();
        let (second, minute, hour, day) =
            (1_000_000_000, 60_000_000_000, 3_600_000_000_000, 86_400_000_000_000);
        let clock = ns % day;
        let text = match ns {
            0 => return f.pad("0"),
            _ if ns < 1_000 => format!("{ns}ns"),
            _ if ns < 1_000_000 => decimal(ns, 1_000, "µs"),
            _ if ns < second => decimal(ns, 1_000_000, "ms"),
            _ if ns < minute => decimal(ns, second, "s"),
            _ if ns < hour => format!("{}m {}", ns / minute, decimal(ns % minute, second, "s")),
            _ => {
                format!("{}h {}m {}", clock / hour, clock % hour / minute, decimal(ns % minute, second, "s"))
            }
        };
        let text = if ns < day { text } else { format!("{}d {text}", ns / day) };
        f.pad(&format!("{sign}{text}"))
    }
}

/// `ns / unit` with its fraction, no trailing zeros.
fn decimal(ns: u64, unit: u64, name: &str) -> String {
    let width = unit.ilog10() as usize;
    let fraction = format!("{:0width$}", ns % unit);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        format!("{}{name}", ns / unit)
    } else {
        format!("{}.{fraction}{name}", ns / unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_is_rfc3339_with_nine_digits() {
        let feb = OffsetNs(1_707_177_752_100_000_000).wall_at(BootNs(1_000));
        assert_eq!(feb.to_string(), "2024-02-06T00:02:32.100001000Z");
        assert_eq!(WallNs(0).to_string(), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(WallNs(-1).to_string(), "1969-12-31T23:59:59.999999999Z");
    }

    #[test]
    fn wall_beyond_rfc3339_does_not_panic() {
        assert_eq!(WallNs(i128::from(i64::MAX) * 1000).to_string(), "@9223372036854");
    }

    #[test]
    fn deltas_read_well() {
        for (ns, text) in [
            (0, "0"),
            (1, "+1ns"),
            (-123_457, "-123.457µs"),
            (1_500_000, "+1.5ms"),
            (-1_000_000_000, "-1s"),
            (3_600_000_000_000, "+1h 0m 0s"),
            (-4_752_000_000_000_000, "-55d 0h 0m 0s"),
            (61_000_000_001, "+1m 1.000000001s"),
            (i64::MIN, "-106751d 23h 47m 16.854775808s"),
        ] {
            assert_eq!(DeltaNs(ns).to_string(), text);
        }
    }

    #[test]
    fn short_forms_fit_a_column() {
        for (ns, text) in [
            (0, "0"),
            (-7, "-7ns"),
            (123_457, "+123.457µs"),
            (-1_234_567_891, "-1.234s"),
            (61_900_000_000, "+1m 2s"),
            (3_599_700_000_000, "+1h 0m"),
            (4_751_999_999_436_548, "+55d 0h"),
            (-4_752_000_000_000_000, "-55d 0h"),
            (i64::MIN, "-106752d 0h"),
        ] {
            assert_eq!(DeltaNs(ns).short(), text);
        }
        assert_eq!(WallNs(1_707_177_753_900_000_000).short(), "2024-02-06 00:02:33Z");
    }

    #[test]
    fn differences_saturate() {
        assert_eq!(OffsetNs(i64::MAX).since(OffsetNs(i64::MIN)), DeltaNs(i64::MAX));
    }
}
