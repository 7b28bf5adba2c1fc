//! Names and times in the columns of a screen.

use crate::clock::{WallNs, span};

const SECOND_NS: u64 = 1_000_000_000;
const DAY_NS: u64 = 86_400 * SECOND_NS;

/// What tells pods apart is at both ends: a name that is too long loses its middle.
pub(crate) fn shortened(name: &str, columns: usize) -> String {
    const TAIL: usize = 6;
    let length = name.chars().count();
    if length <= columns {
        return name.to_owned();
    }
    let head: String = name.chars().take(columns - TAIL - 1).collect();
    let tail: String = name.chars().skip(length - TAIL).collect();
    format!("{head}…{tail}")
}

/// A length of time, to the second.
pub(super) fn seconds(ns: u64) -> String {
    span(ns.div_ceil(SECOND_NS).saturating_mul(SECOND_NS))
}

/// The time of what is less than a day `away_ns`, else the day.
pub(super) fn time_or_day(at: WallNs, away_ns: u64) -> String {
    let text = at.short();
    match text.split_once(' ') {
        Some((_, time)) if away_ns < DAY_NS => time.to_owned(),
        Some((day, _)) => day.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_their_middle() {
        for (name, columns, want) in [
            ("coredns", 7, "coredns"),
            ("kube-api-access-x7k2p", 16, "kube-api-…-x7k2p"),
            ("ünïcödé-and-more", 10, "ünï…d-more"),
        ] {
            assert_eq!(shortened(name, columns), want);
        }
    }

    #[test]
    fn a_time_or_a_day() {
        let at = WallNs(1_707_177_753_900_000_000);
        assert_eq!(time_or_day(at, DAY_NS - 1), "00:02:33Z");
        assert_eq!(time_or_day(at, DAY_NS), "2024-02-06");
    }
}
