//! What a container runtime does with CPU statistics, by its name and version.
//!
//! Sources: containerd's `getUsageNanoCores` (pkg/cri/server/container_stats_list_linux.go in 1.6, container_stats_list.go
//! from 1.7 on, internal/cri/server/container_stats_list.go in 2.x) and `stats_collector.go` (from 2.3 on); CRI-O's
//! `updateUsageNanoCores` (internal/lib/stats/stats_server.go); cri-dockerd's core/stats_linux.go.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who computes the rate (`usageNanoCores`) that is in CPU statistics, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatsClass {
    /// The runtime gives none, so kubelet divides, against a cache of its own: containerd up to 1.5, cri-dockerd.
    KubeletCache,
    /// The runtime divides, against the sample before, each time it is asked: containerd 1.6 to 2.2.
    Baseline,
    /// The runtime samples once a second by itself and orders the samples by the monotonic clock: containerd 2.3.
    Collector,
    /// The same, but ordered by the wall clock: containerd from 2.4 on.
    CollectorByWall,
    /// The runtime divides, against the sample before, and never asks whether time went on: CRI-O.
    Unchecked,
    /// Not known.
    Unknown,
}

impl StatsClass {
    /// The class of the runtime that calls itself `name` (CRI's `Version`).
    pub fn of(name: &str, version: &str) -> Self {
        match name {
            "containerd" => match Version::parse(version) {
                Some(version) if version < Version(1, 6) => Self::KubeletCache,
                Some(version) if version < Version(2, 3) => Self::Baseline,
                Some(version) if version < Version(2, 4) => Self::Collector,
                Some(_) => Self::CollectorByWall,
                None => Self::Unknown,
            },
            // What cri-dockerd, and dockershim before it, call themselves.
            "docker" => Self::KubeletCache,
            "cri-o" => Self::Unchecked,
            _ => Self::Unknown,
        }
    }

    /// What that means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::KubeletCache => "kubelet computes CPU rates, from a cache of its own",
            Self::Baseline => "it computes CPU rates itself, from when it was asked last",
            Self::Collector => "it computes CPU rates itself, once a second",
            Self::CollectorByWall => "it computes CPU rates itself, from samples ordered by the wall clock",
            Self::Unchecked => "it computes CPU rates itself and never asks whether time went on",
            Self::Unknown => "what it does with CPU rates is not known",
        }
    }
}

/// Major and minor number of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Version(pub u32, pub u32);

impl Version {
    /// Of `1.6.20~ds1`, `v2.1.4`, `v1.28.3+k3s1`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.trim().trim_start_matches('v').split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..digits].parse().ok()
        });
        Some(Self(numbers.next()??, numbers.next()??))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_by_version() {
        for (name, version, class) in [
            ("containerd", "1.4.13~ds1", StatsClass::KubeletCache),
            ("containerd", "v1.5.18", StatsClass::KubeletCache),
            ("containerd", "1.6.20~ds1", StatsClass::Baseline),
            ("containerd", "v1.7.11-k3s2", StatsClass::Baseline),
            ("containerd", "2.2.0", StatsClass::Baseline),
            ("containerd", "v2.3.4", StatsClass::Collector),
            ("containerd", "v2.4.0-beta.0", StatsClass::CollectorByWall),
            ("containerd", "v10.0.1", StatsClass::CollectorByWall),
            ("containerd", "unknown", StatsClass::Unknown),
            ("docker", "20.10.21", StatsClass::KubeletCache),
            ("cri-o", "1.30.4", StatsClass::Unchecked),
            ("frakti", "0.3", StatsClass::Unknown),
            ("", "", StatsClass::Unknown),
        ] {
            assert_eq!(StatsClass::of(name, version), class, "{name} {version}");
        }
    }

    #[test]
    fn versions() {
        assert_eq!(Version::parse("v1.28.3+k3s1"), Some(Version(1, 28)));
        assert_eq!(Version::parse("1.6"), Some(Version(1, 6)));
        for none in ["", "v", "1", "x.y", "99999999999.1"] {
            assert_eq!(Version::parse(none), None, "{none}");
        }
    }
}
