//! What a fake node is like at its start.

use super::{
    clock::Clock,
    manners::Manners,
    runtime::{Profile, Runtime},
};
use crate::sys::SECOND;

/// How old containers are, by the wall clock: created so many ns ago. Negative: in the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ages {
    /// The first one's.
    pub first: i64,
    /// So much more for each that follows.
    pub step: i64,
}

impl Ages {
    /// The age of the container with this number, counted over the whole node.
    pub fn of(self, number: usize) -> i64 {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        self.first.saturating_add(self.step.saturating_mul(number))
    }
}

/// A fake node.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which runtime it has.
    pub runtime: Runtime,
    /// By which clocks it lives.
    pub clock: Clock,
    /// Pods.
    pub pods: usize,
    /// Running containers in each.
    pub containers: usize,
    /// How many of these were started anew: each has an exited predecessor beside it.
    pub restarted: usize,
    /// The pods' namespace.
    pub namespace: String,
    /// How old they are.
    pub ages: Ages,
    /// Thousandths of a core that each running container uses.
    pub millicores: u64,
    /// How it misbehaves.
    pub manners: Manners,
}

impl From<Profile> for Settings {
    fn from(profile: Profile) -> Self {
        Self {
            runtime: profile.into(),
            clock: Clock::running(),
            pods: 3,
            containers: 2,
            restarted: 0,
            namespace: "default".into(),
            ages: Ages { first: 3_600 * SECOND, step: -SECOND },
            millicores: 500,
            manners: Manners::default(),
        }
    }
}
