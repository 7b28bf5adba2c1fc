//! A token, as the rules look at it.

use std::sync::Arc;

use super::Claims;
use crate::{
    clock::{BootNs, WallNs},
    ledger::Timeline,
    node::Pod,
};

/// A directory's name is cut to the second, ns.
const SECOND_NS: i128 = 1_000_000_000;

/// When the wall clock showed `stamp`, or was within the second that it is cut to; 0: never that is known.
pub fn written(stamp: WallNs, timeline: &Timeline, now: BootNs) -> BootNs {
    let shown = |wall: WallNs| timeline.moment_of(wall, BootNs(0), now);
    match shown(stamp) {
        BootNs(0) => shown(WallNs(stamp.0 + SECOND_NS)),
        at => at,
    }
}

/// A token's place on the node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenKey {
    /// The pod's uid, by the name of its directory.
    pub pod_uid: Arc<str>,
    /// The volume.
    pub volume: Arc<str>,
    /// The file within the volume.
    pub file: Arc<str>,
}

impl TokenKey {
    /// In one text.
    pub fn text(&self) -> Arc<str> {
        format!("{}/{}/{}", self.pod_uid, self.volume, self.file).into()
    }
}

/// A token in a projected volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Where it is.
    pub key: TokenKey,
    /// Its pod.
    pub pod: Pod,
    /// What it claims; the volume it was read in shares it.
    pub claims: Arc<Claims>,
    /// When it was written, by the node's wall clock as it then was: the name of its directory.
    pub stamp: Option<WallNs>,
    /// When it was written, ns since boot, as far as can be told; 0: not at all.
    pub written: BootNs,
    /// Since when it has been known to be there, ns since boot.
    pub known: BootNs,
    /// Whether that was seen, not deduced.
    pub seen: bool,
    /// How often it was seen to be replaced.
    pub refreshes: u64,
}

/// A volume of which something cannot be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeTrouble {
    /// The pod's uid.
    pub pod_uid: Arc<str>,
    /// The volume.
    pub volume: Arc<str>,
    /// What is wrong with it.
    pub trouble: String,
}
