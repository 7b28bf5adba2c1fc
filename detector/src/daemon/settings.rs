//! What the operator wants.

use std::path::PathBuf;

use super::{DaemonError, DeliverySettings, NodeSettings, RemedySettings, journal::Shelf};
use crate::{
    capture::LadderOptions,
    ledger::Thresholds,
    serve::Doors,
    store::{self, Directory, Left, OpenError, Retention, Store},
};

/// What the operator wants.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How to capture.
    pub ladder: LadderOptions,
    /// The kernel's timer list.
    pub timer_list: PathBuf,
    /// Where cgroups are mounted.
    pub cgroups: PathBuf,
    /// Where the store is; nothing: in memory.
    pub state_dir: Option<PathBuf>,
    /// How much of the past to keep.
    pub retention: Retention,
    /// What is worth reporting.
    pub thresholds: Thresholds,
    /// Where to listen.
    pub doors: Doors,
    /// Who may follow the stream at once.
    pub max_consumers: usize,
    /// Where to look for victims.
    pub node: NodeSettings,
    /// Where the stream is taken to.
    pub delivery: DeliverySettings,
    /// Which remedies to carry out.
    pub remedy: RemedySettings,
    /// Print quiet jumps as well.
    pub all: bool,
}

impl Settings {
    /// Opens the store. One that cannot be used is told, and replaced by one in memory.
    pub(super) fn open_store(&self) -> Result<(Shelf, Left), DaemonError> {
        let failed = match &self.state_dir {
            None => Some(("--no-store".to_owned(), None)),
            Some(path) => match self.open_on_disk(path) {
                Ok(opened) => return Ok(opened),
                Err(error) => {
                    tracing::error!(
                        "{error}; the store is in memory until timejump is started again: jumps are captured and told, \
                         and forgotten when it ends (--state-dir names another place)"
                    );
                    Some((error.to_string(), store::peek(path)))
                }
            },
        };
        let retention = self.retention.in_memory();
        let store = Store::in_memory(retention).map_err(|error| DaemonError::Start(error.to_string()))?;
        let (why, left) = failed.unzip();
        let left = left.flatten().unwrap_or_default();
        let opened = Shelf {
            store,
            directory: None,
            retention,
            why_in_memory: why,
            last_sequence: left.last_sequence,
            last_position: left.last_position,
        };
        Ok((opened, left))
    }

    fn open_on_disk(&self, path: &std::path::Path) -> Result<(Shelf, Left), OpenError> {
        let directory = Directory::take(path)?;
        let (store, left) = store::open(&directory, self.retention)?;
        let opened = Shelf {
            store,
            directory: Some(directory),
            retention: self.retention,
            why_in_memory: None,
            last_sequence: left.last_sequence,
            last_position: left.last_position,
        };
        Ok((opened, left))
    }
}
