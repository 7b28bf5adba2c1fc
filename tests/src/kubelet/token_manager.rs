//! kubelet's token manager (pkg/kubelet/token/token_manager.go).

use std::{collections::HashMap, fmt};

use super::apiserver_model::Issued;
use crate::random::Random;

const SECOND: i64 = 1_000_000_000;
/// `maxTTL`, s.
const MOST_AGE: i64 = 24 * 60 * 60;
/// `maxJitter`, s.
const JITTER: u64 = 10;

/// Why a volume cannot be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountFailed {
    /// There is no token, and none to be had.
    NoToken,
    /// There is one, but it has expired, and no other is to be had.
    Expired,
}

impl fmt::Display for MountFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoToken => "failed to fetch token",
            Self::Expired => "token expired and refresh failed",
        })
    }
}

impl std::error::Error for MountFailed {}

/// The token manager.
#[derive(Debug)]
pub struct TokenManager {
    /// One that was patched to ask for another token when the one it has was issued in the future.
    pub mends: bool,
    cache: HashMap<String, Issued>,
    random: Random,
}

impl TokenManager {
    /// One with nothing in it.
    pub fn new(seed: u64) -> Self {
        Self { mends: false, cache: HashMap::new(), random: Random(seed) }
    }

    /// The token for a key while the node's clock shows `wall_ns`; `request` is a TokenRequest, which may fail.
    pub fn get(
        &mut self,
        key: &str,
        wall_ns: i64,
        request: impl FnOnce() -> Option<Issued>,
    ) -> Result<Issued, MountFailed> {
        let cached = self.cache.get(key).cloned();
        if let Some(cached) = &cached
            && !self.requires_refresh(cached, wall_ns)
        {
            return Ok(cached.clone());
        }
        match (request(), cached) {
            (Some(new), _) => {
                self.cache.insert(key.to_owned(), new.clone());
                Ok(new)
            }
            (None, None) => Err(MountFailed::NoToken),
            (None, Some(old)) if wall_ns > old.expiration * SECOND => Err(MountFailed::Expired),
            (None, Some(old)) => Ok(old),
        }
    }

    fn requires_refresh(&mut self, issued: &Issued, wall_ns: i64) -> bool {
        let jitter = i64::try_from(self.random.below(JITTER)).unwrap_or(0);
        let iat = issued.expiration - issued.seconds;
        let old = wall_ns > (iat + MOST_AGE - jitter) * SECOND;
        let nearly_expired = wall_ns > (issued.expiration - issued.seconds * 20 / 100 - jitter) * SECOND;
        old || nearly_expired || (self.mends && iat * SECOND > wall_ns)
    }

    /// What is done each minute.
    pub fn clean_up(&mut self, wall_ns: i64) {
        self.cache.retain(|_, issued| wall_ns <= issued.expiration * SECOND);
    }

    /// All is lost at a restart.
    pub fn forget(&mut self) {
        self.cache.clear();
    }
}
