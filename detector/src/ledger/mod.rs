//! The balance: from steps to jumps, in memory. Pure: no clock, no file, no kernel.
//!
//! At every moment the sum of all reported deltas is the wall offset now less the wall offset at the start. Steps
//! chain: each one's old offset is the previous one's new. Where they do not, something was missed, and the
//! difference is its exact sum; where a witness disagrees with the chain, the difference is a residual. Both are
//! reported as jumps, of path `unattributed`.

mod away;
mod burst;
mod excursion;
mod judge;
mod jump;
mod reporter;
mod thresholds;
mod timeline;

pub use away::{Away, Stray, is_measured};
pub use burst::Bursts;
pub use excursion::{Closed, Excursion, Excursions};
pub use judge::{Circumstances, Evidence, Verdict, judge};
pub use jump::{Jump, Missed, Window, WindowKind};
pub use reporter::{Reported, Reporter};
pub use thresholds::Thresholds;
pub use timeline::{Segment, Timeline, Turn};

#[cfg(test)]
pub(crate) use timeline::tests as timeline_tests;

use std::sync::Arc;

use crate::{
    actor::Actor,
    capture::{CapturedBy, StepPath},
    clock::{BootNs, DeltaNs, OffsetNs},
};

/// The account of one capture, from its start.
#[derive(Clone, Debug)]
pub struct Ledger {
    start: OffsetNs,
    /// The wall offset after the last jump.
    offset: OffsetNs,
    /// The most by which `offset` can be wrong, ns.
    error: u64,
    kernel_sequence: u64,
    boot_id: Arc<str>,
    last_number: u64,
    jumps: u64,
    missed: u64,
    sum: DeltaNs,
    suspends: u64,
    suspended_ns: i64,
}

/// What the account holds, for people and for checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The wall offset at the start.
    pub start: OffsetNs,
    /// The wall offset by the account.
    pub offset: OffsetNs,
    /// The most by which it can be wrong, ns.
    pub error: u64,
    /// Sum of all reported deltas.
    pub sum: DeltaNs,
    /// Jumps reported.
    pub jumps: u64,
    /// Steps known to have been lost on the way; their sum is among the jumps.
    pub missed: u64,
    /// Suspends seen.
    pub suspends: u64,
    /// Time slept in them, ns.
    pub suspended_ns: i64,
}

/// A step that is about to be entered, however it was captured.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When, ns since boot.
    pub at: BootNs,
    /// The wall offset before.
    pub old: OffsetNs,
    /// The wall offset after.
    pub new: OffsetNs,
    /// By which path.
    pub path: StepPath,
    /// Captured by what.
    pub captured_by: CapturedBy,
    /// Who.
    pub actor: Actor,
}

/// What the account has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are jumps")]
pub enum Finding {
    /// Report this jump.
    Jump(Jump),
    /// So many records never came; the next jump, if their sum is not 0, carries it.
    Missed(u64),
}

impl Ledger {
    /// Opens the account at `start`, known to within `error` ns. `kernel_sequence` is the number of the last change
    /// that the kernel side had counted by then.
    pub fn open(start: OffsetNs, error: u64, kernel_sequence: u64) -> Self {
        Self {
            start,
            offset: start,
            error,
            kernel_sequence,
            boot_id: "".into(),
            last_number: 0,
            jumps: 0,
            missed: 0,
            sum: DeltaNs::ZERO,
            suspends: 0,
            suspended_ns: 0,
        }
    }

    /// Numbers the jumps of this boot on from `last_number`, the last that was given on this node.
    #[must_use]
    pub fn numbered(self, boot_id: Arc<str>, last_number: u64) -> Self {
        Self { boot_id, last_number, ..self }
    }

    /// The wall offset by the account.
    pub fn offset(&self) -> OffsetNs {
        self.offset
    }

    /// The most by which [`Self::offset`] can be wrong, ns.
    pub fn error(&self) -> u64 {
        self.error
    }

    /// The number of the last change that the kernel side counted and this account knows of.
    pub fn kernel_sequence(&self) -> u64 {
        self.kernel_sequence
    }

    /// The account so far.
    pub fn balance(&self) -> Balance {
        let &Self { start, offset, error, jumps, missed, sum, suspends, suspended_ns, .. } = self;
        Balance { start, offset, error, sum, jumps, missed, suspends, suspended_ns }
    }

    /// The kernel side starts anew (programs attached again), its count at `kernel_sequence`.
    pub fn restart_chain(&mut self, kernel_sequence: u64) {
        self.kernel_sequence = kernel_sequence;
    }

    /// Change number `sequence` of the kernel side is at hand, with the wall offset before it: tells what is missing
    /// between the last one and this.
    pub fn link(&mut self, sequence: u64, old: OffsetNs, at: BootNs) -> Vec<Finding> {
        let missed = sequence.saturating_sub(self.kernel_sequence).saturating_sub(1);
        self.kernel_sequence = self.kernel_sequence.max(sequence);
        self.close_gap(missed, old, at)
    }

    /// The kernel side has counted up to `sequence`, its offset is `offset`, and what is missing was dropped for good.
    pub fn catch_up(&mut self, sequence: u64, offset: OffsetNs, at: BootNs) -> Vec<Finding> {
        let missed = sequence.saturating_sub(self.kernel_sequence);
        self.kernel_sequence = self.kernel_sequence.max(sequence);
        self.close_gap(missed, offset, at)
    }

    fn close_gap(&mut self, missed: u64, exact: OffsetNs, at: BootNs) -> Vec<Finding> {
        let mut findings = Vec::new();
        if missed > 0 {
            self.missed += missed;
            findings.push(Finding::Missed(missed));
        }
        if exact.since(self.offset).magnitude() <= self.error {
            self.refine(exact);
        } else {
            findings.extend(self.residual(exact, 0, at).map(Finding::Jump));
        }
        findings
    }

    /// An exact offset where so far there was one with an error: the start lay that much elsewhere.
    fn refine(&mut self, exact: OffsetNs) {
        let by = exact.since(self.offset);
        self.start = OffsetNs(self.start.0.saturating_add(by.0));
        self.offset = exact;
        self.error = 0;
    }

    /// A witness says that the offset is `offset`, to within `error` ns: the jump that nothing else told of, if the
    /// account says otherwise by more than both errors.
    pub fn residual(&mut self, offset: OffsetNs, error: u64, at: BootNs) -> Option<Jump> {
        let off_by = offset.since(self.offset).magnitude();
        if off_by <= self.error.saturating_add(error) {
            return None;
        }
        let entry = Entry {
            at,
            old: self.offset,
            new: offset,
            path: StepPath::Unattributed,
            captured_by: CapturedBy::Reconcile,
            actor: Actor::unknown(),
        };
        Some(self.enter(entry, error))
    }

    /// Enters a jump. Its new offset is known to within `error` ns.
    pub fn enter(&mut self, entry: Entry, error: u64) -> Jump {
        let delta_error_ns = self.error.saturating_add(error);
        self.offset = entry.new;
        self.error = error;
        let jump = self.number(entry, delta_error_ns);
        self.jumps += 1;
        self.sum = self.sum.plus(jump.delta);
        jump
    }

    /// Numbers a jump that lies outside this account: it came about before this boot, where offsets have another zero.
    pub fn outside(&mut self, entry: Entry) -> Jump {
        self.number(entry, 0)
    }

    fn number(&mut self, entry: Entry, delta_error_ns: u64) -> Jump {
        self.last_number += 1;
        Jump {
            sequence: self.last_number,
            boot_id: Arc::clone(&self.boot_id),
            at: entry.at,
            delta: entry.new.since(entry.old),
            delta_error_ns,
            old: entry.old,
            new: entry.new,
            path: entry.path,
            captured_by: entry.captured_by,
            actor: entry.actor,
            verdict: Verdict::Unknown,
            evidence: Vec::new(),
            excursion: None,
            burst: self.last_number,
            loud: true,
            window: None,
        }
    }

    /// The machine slept; the wall offset stands.
    pub fn suspended(&mut self, slept_ns: i64) {
        self.suspends += 1;
        self.suspended_ns = self.suspended_ns.saturating_add(slept_ns);
    }
}

impl Balance {
    /// What the sum does not explain of the way from the start to the offset now, ns; 0 when the account balances.
    pub fn residual(&self) -> DeltaNs {
        DeltaNs(self.offset.since(self.start).0.saturating_sub(self.sum.0))
    }
}

#[cfg(test)]
mod tests;
