//! What the threads that look for victims start with.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use crate::{
    clock::OffsetNs,
    impact::{CREDENTIAL_RULES, Impact, Kind, Numbers},
    ledger::{Timeline, Turn},
    node::{Places, Pod, kubelet_log::LogOption, summary::SummarySource},
};

/// Pods by uid, as the container runtime names them.
pub type PodNames = Arc<Mutex<HashMap<String, Pod>>>;

/// Where and how to look for victims.
#[derive(Clone, Debug)]
pub struct NodeSettings {
    /// Whether to look at all.
    pub enabled: bool,
    /// Where to look.
    pub places: Places,
    /// Where kubelet logs to.
    pub kubelet_log: LogOption,
    /// Where kubelet shows what it knows of its containers.
    pub summary: SummarySource,
    /// kubelet's root directory; nothing: found.
    pub kubelet_root: Option<PathBuf>,
    /// Directories of the control plane's certificates; none: the usual ones.
    pub pki: Vec<PathBuf>,
    /// The apiservers whose clocks are looked at.
    pub apiservers: ApiserverSettings,
}

/// The apiservers whose clocks are looked at.
#[derive(Clone, Debug)]
pub struct ApiserverSettings {
    /// `https://HOST:PORT`, checked.
    pub urls: Vec<String>,
    /// Who must have signed their certificates (PEM); nothing: found.
    pub ca: Option<PathBuf>,
    /// How often they are asked without a reason.
    pub interval: Duration,
}

impl Default for ApiserverSettings {
    fn default() -> Self {
        Self { urls: Vec::new(), ca: None, interval: Duration::from_mins(5) }
    }
}

/// What an earlier run knew of this boot.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// This boot.
    pub boot_id: Arc<str>,
    /// The wall offset before the first of the turns, or now if there are none.
    pub offset: OffsetNs,
    /// The jumps of this boot, the oldest first.
    pub turns: Vec<Turn>,
    /// Impacts that last.
    pub impacts: Vec<Impact>,
    /// Impacts of another boot that were open when that ended.
    pub outlived: Vec<Impact>,
    /// Numbers the next ones.
    pub numbers: Numbers,
}

impl Known {
    /// What is known of the wall clock.
    pub(super) fn timeline(&self) -> Timeline {
        let first = self.turns.first().map_or(self.offset, |turn| turn.old);
        let mut timeline = Timeline::new(first);
        for turn in &self.turns {
            timeline.enter(*turn);
        }
        timeline
    }

    /// What of this is about containers, and what about credentials.
    pub fn split(self) -> (Self, Self) {
        let of_credentials = |impact: &Impact| {
            let kind = Kind::of_word(&impact.kind);
            kind.is_some_and(|kind| CREDENTIAL_RULES.iter().any(|rule| rule.kinds().contains(&kind)))
        };
        let credentials = Self {
            impacts: self.impacts.iter().filter(|impact| of_credentials(impact)).cloned().collect(),
            outlived: Vec::new(),
            ..self.clone()
        };
        let mut containers = self;
        containers.impacts.retain(|impact| !of_credentials(impact));
        (containers, credentials)
    }
}
