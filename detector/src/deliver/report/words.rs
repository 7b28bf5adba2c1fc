//! The report's words: for people who have never heard of a wall offset.

use crate::{
    clock::{DeltaNs, WallNs, span},
    deliver::human::printable,
    impact::{Confidence, Kind, Remedy},
};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// What comes from outside, fit to be shown: nothing in it steers, and it is no longer than `most` characters. It is
/// escaped when it is written.
pub(super) fn safe(text: &str, most: usize) -> String {
    let shown: String = text.chars().take(most).collect();
    let cut = if shown.len() < text.len() { "…" } else { "" };
    printable(&shown) + cut
}

/// A length of time in words: `55 days`, `5.1 seconds`.
pub(super) fn long(ns: u64) -> String {
    let plural = |n: u64, unit: &str| format!("{n} {unit}{}", if n == 1 { "" } else { "s" });
    let two = |ns: u64, (big, name): (u64, &str), (small, small_name): (u64, &str)| {
        let ns = ns.saturating_add(small / 2) / small * small;
        match ns % big / small {
            0 => plural(ns / big, name),
            rest => format!("{} {}", plural(ns / big, name), plural(rest, small_name)),
        }
    };
    let decimal = |unit: u64, name: &str| {
        let tenths = ns.saturating_add(unit / 20) / (unit / 10);
        match tenths % 10 {
            0 => plural(tenths / 10, name),
            tenth => format!("{}.{tenth} {name}s", tenths / 10),
        }
    };
    match ns {
        _ if ns < 1_000 => plural(ns, "nanosecond"),
        _ if ns < 999_950 => decimal(1_000, "microsecond"),
        _ if ns < 999_950_000 => decimal(1_000_000, "millisecond"),
        _ if ns < MINUTE - SECOND / 20 => decimal(SECOND, "second"),
        _ if ns < HOUR - SECOND / 2 => two(ns, (MINUTE, "minute"), (SECOND, "second")),
        _ if ns < DAY - MINUTE / 2 => two(ns, (HOUR, "hour"), (MINUTE, "minute")),
        _ if ns < 10 * DAY => two(ns, (DAY, "day"), (HOUR, "hour")),
        _ => plural(ns.saturating_add(DAY / 2) / DAY, "day"),
    }
}

/// `+55d 0h`, from the difference of two wall offsets.
pub(super) fn level(ns: i128) -> String {
    let limit = if ns < 0 { i64::MIN } else { i64::MAX };
    DeltaNs(i64::try_from(ns).unwrap_or(limit)).short()
}

/// `in 54d 23h`, `3m 1s ago`.
pub(super) fn away(at: WallNs, now: WallNs) -> String {
    let ns = at.0 - now.0;
    let text = span(u64::try_from(ns.unsigned_abs()).unwrap_or(u64::MAX));
    if ns < 0 { format!("{text} ago") } else { format!("in {text}") }
}

/// What kind of harm it is; the report paints them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Harm {
    /// Somebody is refused.
    Access,
    /// A figure is wrong.
    Figures,
    /// A workload waits.
    Work,
    /// Over at once, or harmless.
    Passing,
}

impl Harm {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Figures => "figures",
            Self::Work => "work",
            Self::Passing => "passing",
        }
    }
}

/// How a kind of impact is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Telling {
    pub(super) title: &'static str,
    pub(super) harm: Harm,
    /// After `1`, and after more.
    counted: [&'static str; 2],
}

impl Telling {
    /// `6 tokens are refused …`
    pub(super) fn count(&self, number: u64) -> String {
        let [one, many] = self.counted;
        format!("{number} {}", if number == 1 { one } else { many })
    }
}

/// How to tell of `kind`.
pub(super) fn telling(kind: &str) -> Telling {
    let Some(kind) = Kind::of_word(kind) else {
        return Telling {
            title: "Of a kind that this version does not know",
            harm: Harm::Passing,
            counted: ["thing is wrong", "things are wrong"],
        };
    };
    let (harm, title, one, many) = told(kind);
    Telling { title, harm, counted: [one, many] }
}

#[expect(clippy::too_many_lines, reason = "a table")]
const fn told(kind: Kind) -> (Harm, &'static str, &'static str, &'static str) {
    match kind {
        Kind::TokenNotYetValid => (
            Harm::Access,
            "Tokens refused: not valid yet",
            "token is refused by the apiserver with 401: it comes from the future",
            "tokens are refused by the apiserver with 401: they come from the future",
        ),
        Kind::TokenExpired => (
            Harm::Access,
            "Tokens refused: expired",
            "token is refused by the apiserver with 401: it has expired",
            "tokens are refused by the apiserver with 401: they have expired",
        ),
        Kind::TokenExcursion => (
            Harm::Access,
            "Tokens written while the clock was ahead",
            "crowd of tokens was written while the clock was ahead, and is refused",
            "crowds of tokens were written while the clock was ahead, and are refused",
        ),
        Kind::CertificateNotYetValid => (
            Harm::Access,
            "Certificates not valid yet",
            "certificate is not valid yet",
            "certificates are not valid yet",
        ),
        Kind::CertificateExpired => (
            Harm::Access,
            "Certificates expired",
            "certificate has expired by the clock",
            "certificates have expired by the clock",
        ),
        Kind::TokenRefreshStalled => (
            Harm::Access,
            "Tokens that kubelet should have replaced",
            "node has tokens that kubelet should have replaced by now",
            "times kubelet should have replaced tokens by now",
        ),
        Kind::KubeletCpuCacheStuck => (
            Harm::Figures,
            "CPU rates that stand still in kubelet",
            "container has a CPU rate that stands still in kubelet",
            "containers have CPU rates that stand still in kubelet",
        ),
        Kind::RuntimeCpuBaselineStuck => (
            Harm::Figures,
            "CPU rates that read 0 at the runtime",
            "container reads as idle at the container runtime, whatever it does",
            "containers read as idle at the container runtime, whatever they do",
        ),
        Kind::RuntimeCpuFrozen => (
            Harm::Figures,
            "CPU rates that are frozen at the runtime",
            "container has a CPU rate that is frozen at the container runtime",
            "containers have CPU rates that are frozen at the container runtime",
        ),
        Kind::MetricsServerGap => (
            Harm::Figures,
            "Containers that metrics-server leaves out",
            "container is left out by metrics-server",
            "containers are left out by metrics-server",
        ),
        Kind::ProbesSuspended => {
            (Harm::Work, "Probes that are suspended", "container is not probed", "containers are not probed")
        }
        Kind::RestartDelayed => (
            Harm::Work,
            "Restarts that wait",
            "container would be restarted late",
            "containers would be restarted late",
        ),
        Kind::NameReservationRisk => (
            Harm::Work,
            "Container names that may be taken",
            "container may find its name taken when it restarts",
            "containers may find their names taken when they restart",
        ),
        Kind::TokenRefreshLate => (
            Harm::Passing,
            "Tokens that are replaced later",
            "node has tokens that are replaced later than usual",
            "times tokens are replaced later than usual",
        ),
        Kind::TokenRefreshChurn => (
            Harm::Passing,
            "Tokens that are replaced all the time",
            "node asks for new tokens all the time",
            "times new tokens are asked for all the time",
        ),
        Kind::TokenStale => (
            Harm::Passing,
            "Tokens that count as stale",
            "crowd of tokens is accepted, and counted as stale",
            "crowds of tokens are accepted, and counted as stale",
        ),
        Kind::RuntimeCpuBlip => {
            (Harm::Passing, "One senseless CPU rate", "senseless CPU rate", "senseless CPU rates")
        }
        Kind::CpuSampleDiluted => {
            (Harm::Passing, "One CPU rate too small", "CPU rate is too small", "CPU rates are too small")
        }
        Kind::CpuSampleInflated => {
            (Harm::Passing, "One CPU rate too large", "CPU rate is too large", "CPU rates are too large")
        }
        Kind::KubeletCpuRecordsDropped => (
            Harm::Passing,
            "CPU samples that kubelet throws away",
            "time kubelet throws its CPU samples away",
            "times kubelet throws its CPU samples away",
        ),
        Kind::MetricsServerSample => (
            Harm::Passing,
            "A sample that metrics-server misjudges",
            "sample is misjudged by metrics-server",
            "samples are misjudged by metrics-server",
        ),
        Kind::CpuStatsUnknown => (
            Harm::Passing,
            "CPU rates of a runtime that is not known",
            "time CPU rates may be wrong: the runtime is not known",
            "times CPU rates may be wrong: the runtime is not known",
        ),
    }
}

/// What to do, in a few words.
pub(super) fn remedy(remedy: Remedy) -> &'static str {
    match remedy {
        Remedy::RestartKubelet => "restart kubelet",
        Remedy::DeletePod => "delete the pod",
        Remedy::RestartRuntime => "restart the container runtime",
        Remedy::Wait => "wait",
        Remedy::None => "nothing to do",
    }
}

/// How sure it is.
pub(super) fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Predicted => "predicted",
        Confidence::Observed => "observed",
        Confidence::Refuted => "refuted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_in_words() {
        for (ns, text) in [
            (0, "0 nanoseconds"),
            (1, "1 nanosecond"),
            (1_500, "1.5 microseconds"),
            (212_726_000, "212.7 milliseconds"),
            (999_960_000, "1 second"),
            (5 * SECOND + 109_000_000, "5.1 seconds"),
            (MINUTE - 1, "1 minute"),
            (90 * SECOND, "1 minute 30 seconds"),
            (HOUR, "1 hour"),
            (25 * HOUR, "1 day 1 hour"),
            (55 * DAY - 950_000_000, "55 days"),
            (u64::MAX, "213503 days"),
        ] {
            assert_eq!(long(ns), text, "{ns}");
        }
    }

    #[test]
    fn what_comes_from_outside_is_cut_and_does_not_steer() {
        assert_eq!(safe("a\u{202e}b\nc", 9), "a\u{fffd}b\u{fffd}c");
        assert_eq!(safe("äöü", 2), "äö…");
        assert_eq!(safe("äöü", 3), "äöü");
    }

    #[test]
    fn every_kind_is_told() {
        for kind in Kind::ALL {
            let telling = telling(kind.word());
            assert!(telling.count(1).starts_with("1 ") && telling.count(2).starts_with("2 "), "{kind}");
        }
        assert_eq!(telling("of_tomorrow").count(2), "2 things are wrong");
    }
}
