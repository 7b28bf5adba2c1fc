//! The ways a program can step the wall clock, one per kernel entry, and how each is asked for a given step.

use std::fmt;
use std::io;
use std::str::FromStr;

use clap::ValueEnum;

use crate::guard::InGuest;
use crate::sys::native::{ADJ_NANO, ADJ_SETOFFSET};
use crate::sys::{SECOND, clock, compat, native};

/// One way to step the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub enum Way {
    /// `clock_settime`.
    ClockSettime,
    /// `settimeofday` with a time.
    Settimeofday,
    /// `adjtimex` with `ADJ_SETOFFSET` in microseconds.
    AdjtimexMicro,
    /// `adjtimex` with `ADJ_SETOFFSET` and `ADJ_NANO`.
    AdjtimexNano,
    /// `clock_adjtime` with `ADJ_SETOFFSET` in microseconds.
    ClockAdjtimeMicro,
    /// `clock_adjtime` with `ADJ_SETOFFSET` and `ADJ_NANO`.
    ClockAdjtimeNano,
    /// 32-bit `stime`: whole seconds.
    Int80Stime,
    /// 32-bit `settimeofday`.
    Int80Settimeofday,
    /// 32-bit `clock_settime` with 32-bit seconds.
    Int80ClockSettime32,
    /// 32-bit `clock_settime` with 64-bit seconds.
    Int80ClockSettime64,
    /// 32-bit `adjtimex` in microseconds.
    Int80Adjtimex,
    /// 32-bit `clock_adjtime` with 32-bit fields and `ADJ_NANO`.
    #[value(name = "int80-clock-adjtime32")]
    Int80ClockAdjtime32,
    /// 32-bit `clock_adjtime` with 64-bit fields and `ADJ_NANO`.
    #[value(name = "int80-clock-adjtime64")]
    Int80ClockAdjtime64,
}

/// What a step was asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Move the clock by so much, exactly.
    Delta(i64),
    /// Set the clock to this time, in ns since 1970.
    Target(i64),
}

impl Way {
    /// The name the way goes by on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The `path` that timejump gives to a jump made this way.
    pub fn path(self) -> &'static str {
        match self {
            Self::ClockSettime | Self::Int80ClockSettime32 | Self::Int80ClockSettime64 => "clock_settime",
            Self::Settimeofday | Self::Int80Settimeofday | Self::Int80Stime => "settimeofday",
            Self::AdjtimexMicro
            | Self::AdjtimexNano
            | Self::ClockAdjtimeMicro
            | Self::ClockAdjtimeNano
            | Self::Int80Adjtimex
            | Self::Int80ClockAdjtime32
            | Self::Int80ClockAdjtime64 => "adjtimex",
        }
    }

    /// Whether it enters the kernel as a 32-bit program does.
    pub fn is_compat(self) -> bool {
        self.name().starts_with("int80")
    }

    /// Whether it moves the clock by an amount, rather than to a time.
    pub fn is_relative(self) -> bool {
        self.path() == "adjtimex"
    }

    /// Steps the clock by `delta_ns`, or to the time it would then show.
    pub fn perform(self, guest: &InGuest, delta_ns: i64) -> io::Result<Asked> {
        if self.is_relative() {
            self.shift(guest, delta_ns)?;
            Ok(Asked::Delta(delta_ns))
        } else {
            self.set(guest, clock::wall_ns() + delta_ns).map(Asked::Target)
        }
    }

    /// Sets the clock to `target_ns`, as exactly as this way can: the return value is what was asked of the kernel.
    pub fn set(self, guest: &InGuest, target_ns: i64) -> io::Result<i64> {
        let (seconds, nanoseconds) = split(target_ns);
        let microseconds = nanoseconds / 1000;
        let narrow = |value: i64| i32::try_from(value).map_err(io::Error::other);
        let rounded = |unit: i64| target_ns - target_ns.rem_euclid(unit);
        match self {
            Self::ClockSettime => {
                let at = libc::timespec { tv_sec: seconds, tv_nsec: nanoseconds };
                native::clock_settime(guest, libc::CLOCK_REALTIME, at).map(|()| target_ns)
            }
            Self::Settimeofday => {
                let time = libc::timeval { tv_sec: seconds, tv_usec: microseconds };
                native::settimeofday(guest, Some(time), None).map(|()| rounded(1000))
            }
            Self::Int80Stime => compat::stime(guest, narrow(seconds)?).map(|()| rounded(SECOND)),
            Self::Int80Settimeofday => {
                compat::settimeofday(guest, narrow(seconds)?, narrow(microseconds)?).map(|()| rounded(1000))
            }
            Self::Int80ClockSettime32 => {
                compat::clock_settime32(guest, narrow(seconds)?, narrow(nanoseconds)?).map(|()| target_ns)
            }
            Self::Int80ClockSettime64 => {
                compat::clock_settime64(guest, seconds, nanoseconds).map(|()| target_ns)
            }
            _ => Err(io::Error::other("this way moves the clock by an amount")),
        }
    }

    fn shift(self, guest: &InGuest, delta_ns: i64) -> io::Result<()> {
        let (seconds, nanoseconds) = split(delta_ns);
        let micro = matches!(self, Self::AdjtimexMicro | Self::ClockAdjtimeMicro | Self::Int80Adjtimex);
        if micro && nanoseconds % 1000 != 0 {
            return Err(io::Error::other("this way counts in whole microseconds"));
        }
        let (modes, fraction) =
            if micro { (ADJ_SETOFFSET, nanoseconds / 1000) } else { (ADJ_SETOFFSET | ADJ_NANO, nanoseconds) };
        let mut wide = native::timex();
        wide.modes = modes;
        wide.time = libc::timeval { tv_sec: seconds, tv_usec: fraction };
        let narrow = || -> io::Result<compat::Timex32> {
            let seconds = i32::try_from(seconds).map_err(io::Error::other)?;
            let fraction = i32::try_from(fraction).map_err(io::Error::other)?;
            Ok(compat::Timex32 { modes, seconds, fraction, ..compat::Timex32::default() })
        };
        match self {
            Self::AdjtimexMicro | Self::AdjtimexNano => native::adjtimex(guest, &mut wide).map(drop),
            Self::ClockAdjtimeMicro | Self::ClockAdjtimeNano => {
                native::clock_adjtime(guest, libc::CLOCK_REALTIME, &mut wide).map(drop)
            }
            Self::Int80Adjtimex => compat::adjtimex(guest, narrow()?).map(drop),
            Self::Int80ClockAdjtime32 => compat::clock_adjtime32(guest, narrow()?).map(drop),
            Self::Int80ClockAdjtime64 => compat::clock_adjtime64(guest, wide).map(drop),
            _ => Err(io::Error::other("this way sets the clock to a time")),
        }
    }
}

/// Seconds, rounded down, and the nanoseconds left, never negative: how the kernel wants negative times.
fn split(ns: i64) -> (i64, i64) {
    (ns.div_euclid(SECOND), ns.rem_euclid(SECOND))
}

/// An amount of time with sign and unit, as given on the command line: `+3600s`, `-1500ms`, `+5us`, `-123457ns`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount(pub i64);

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits_end = text.rfind(|c: char| c.is_ascii_digit()).map_or(0, |last| last + 1);
        let (number, unit) = text.split_at(digits_end);
        let scale = match unit {
            "s" => SECOND,
            "ms" => 1_000_000,
            "us" => 1000,
            "ns" => 1,
            _ => return Err(format!("{text:?}: the unit is one of s, ms, us, ns")),
        };
        let number: i64 = number.parse().map_err(|e| format!("{text:?}: {e}"))?;
        number
            .checked_mul(scale)
            .map(Self)
            .ok_or_else(|| format!("{text:?} does not fit 64 bits of nanoseconds"))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+}ns", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_sign_and_unit() {
        assert_eq!("+3600s".parse(), Ok(Amount(3600 * SECOND)));
        assert_eq!("-1500ms".parse(), Ok(Amount(-1_500_000_000)));
        assert_eq!("5us".parse(), Ok(Amount(5000)));
        for wrong in ["", "s", "5", "5h", "+-5s", "9223372036854775807s"] {
            assert!(wrong.parse::<Amount>().is_err(), "{wrong:?} was taken");
        }
        assert_eq!(Amount(-7).to_string().parse(), Ok(Amount(-7)));
    }

    #[test]
    fn negative_times_have_positive_fractions() {
        assert_eq!(split(-1), (-1, 999_999_999));
        assert_eq!(split(-SECOND), (-1, 0));
        assert_eq!(split(SECOND + 1), (1, 1));
    }

    #[test]
    fn names_are_stable() {
        let names: Vec<_> = Way::value_variants().iter().map(|way| way.name()).collect();
        assert!(names.contains(&"int80-clock-settime64".to_owned()), "{names:?}");
        assert!(names.contains(&"int80-clock-adjtime32".to_owned()), "{names:?}");
    }
}
