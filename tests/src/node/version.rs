//! Versions of containerd, as far as they matter: what accounts for CPU time differs between them.

use std::fmt;
use std::str::FromStr;

/// A series of containerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
}

impl Version {
    /// Of `major.minor`.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Whether it has a rate in its statistics, which kubelet then takes instead of working one out.
    pub fn tells_rates(self) -> bool {
        self >= Self::new(1, 6)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for Version {
    type Err = String;

    /// Reads `1.6.20~ds1`, `v2.1.9` and the like.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut numbers = text.trim_start_matches('v').split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok(Self { major, minor }),
            _ => Err(format!("{text:?} is no version")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_packagers_add() {
        for (text, version) in [
            ("1.4.13~ds1", Version::new(1, 4)),
            ("v1.7.24", Version::new(1, 7)),
            ("2.1.9+unknown", Version::new(2, 1)),
        ] {
            assert_eq!(text.parse(), Ok(version));
        }
        assert!("github.com/containerd/containerd".parse::<Version>().is_err());
    }

    #[test]
    fn rates_came_with_1_6() {
        assert!(!Version::new(1, 4).tells_rates());
        assert!(Version::new(1, 6).tells_rates() && Version::new(2, 1).tells_rates());
    }
}
