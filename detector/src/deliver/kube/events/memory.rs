//! What has to be remembered between batches: which Events there are, and what belongs to them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{clock::OffsetNs, ledger::Jump};

/// Jumps of which the size is remembered, for Events of what they spoil.
const JUMPS: usize = 64;
/// Objects in trouble that are remembered. Those beyond are told of, and not told to be over.
const VICTIMS: usize = 10_000;

/// All of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// The boot that it is about.
    pub(super) boot_id: String,
    /// When jumps were given Events of their own, s since boot, the last ones.
    pub(super) own: VecDeque<u64>,
    /// The series that the next jump may belong to.
    pub(super) series: Option<Series>,
    /// The last jumps, by number.
    pub(super) jumps: BTreeMap<u64, Remembered>,
    /// Objects in trouble, by the names of the Events that told so.
    pub(super) victims: BTreeMap<String, Victim>,
}

/// A jump's Event, and how many jumps it stands for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Series {
    /// Number of the jump that it tells.
    pub(super) first: u64,
    /// The burst of the last one.
    pub(super) burst: u64,
    pub(super) count: u64,
}

/// As much of a jump as Events of its victims tell.
#[expect(clippy::struct_field_names, reason = "the unit is part of the name")]
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Remembered {
    pub(super) delta_ns: i64,
    pub(super) old_ns: i64,
    pub(super) new_ns: i64,
    pub(super) boottime_ns: u64,
}

/// An object in trouble.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Victim {
    /// The impacts that last.
    pub(super) open: BTreeSet<u64>,
    /// How often it was told.
    pub(super) count: u64,
    /// Whether any of them was seen.
    pub(super) observed: bool,
}

impl From<&Jump> for Remembered {
    fn from(jump: &Jump) -> Self {
        Self { delta_ns: jump.delta.0, old_ns: jump.old.0, new_ns: jump.new.0, boottime_ns: jump.at.0 }
    }
}

impl Remembered {
    pub(super) fn offsets(&self) -> (OffsetNs, OffsetNs) {
        (OffsetNs(self.old_ns), OffsetNs(self.new_ns))
    }
}

impl Memory {
    /// What is of another boot no longer grows.
    pub(super) fn enter(&mut self, jump: &Jump) {
        if self.boot_id != *jump.boot_id {
            (*jump.boot_id).clone_into(&mut self.boot_id);
            self.own.clear();
            self.series = None;
        }
        self.jumps.insert(jump.sequence, jump.into());
        while self.jumps.len() > JUMPS {
            self.jumps.pop_first();
        }
    }

    /// Nothing if there are too many.
    pub(super) fn victim(&mut self, name: &str) -> Option<&mut Victim> {
        if self.victims.len() >= VICTIMS && !self.victims.contains_key(name) {
            return None;
        }
        Some(self.victims.entry(name.to_owned()).or_default())
    }
}
