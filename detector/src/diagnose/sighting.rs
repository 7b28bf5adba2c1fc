//! What one source tells of one jump.

use serde::Serialize;

use super::Span;

/// How much a sighting says, the most first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Weight {
    /// Both clocks were recorded before and after: the jump is proven and measured.
    Measured,
    /// Stamps of one log go back and stay there.
    Order,
    /// Something was stamped in what is now the future.
    Reached,
    /// Whoever did it said by how much.
    Told,
    /// Stamps of one log leap ahead: the clock did, or nobody wrote.
    Leap,
    /// A line says that something happened, not how much.
    Said,
    /// The stamp of a single line.
    Lone,
}

impl Weight {
    /// Whether a jump may be concluded from this alone.
    pub fn suffices(self) -> bool {
        self <= Self::Told
    }
}

/// What of a source tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Witness {
    /// Stamps, one after the other: each jump turns them once.
    Stamps,
    /// A line's words.
    Words,
    /// What kubelet's cache is stuck at.
    KubeletCache,
    /// Names and times of files.
    Files,
    /// When containers were made, or processes.
    Lives,
}

/// What one source tells of one jump. Instants are of the wall clock, ns since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// What it comes from, such as `/var/log/messages`, `token volumes`, `journal`.
    pub source: String,
    /// What of the source it is.
    pub witness: Witness,
    /// How much it says.
    pub weight: Weight,
    /// Its place among the source's, if that has an order.
    pub place: Option<u64>,
    /// What the wall clock showed right before.
    pub before: Span,
    /// What it showed right after.
    pub after: Span,
    /// By how much it moved.
    pub delta: Span,
    /// Who did it, if that is said.
    pub by: Option<String>,
    /// What the source says, for people.
    pub quote: String,
}

impl Sighting {
    /// With what follows from each of its spans for the others; nothing if they contradict each other.
    pub fn consistent(mut self) -> Option<Self> {
        self.delta = self.delta.meet(self.after.minus(self.before))?;
        self.after = self.after.meet(self.before.plus(self.delta))?;
        self.before = self.before.meet(self.after.minus(self.delta))?;
        Some(self)
    }
}
