//! The capture's part: makes jumps of lines, and says how it stands. Reads no clock.

use std::sync::Arc;

use timejump::{
    capture::{Rung, RungReport, RungState, coverage},
    clock::{BootNs, Clocks, OffsetNs, SystemClocks, bracketed_offset},
    daemon::Known,
    deliver::{
        ConsumersReport, CredentialsReport, DaemonReport, LedgerReport, NodeReport, Status, StoreReport,
    },
    ledger::{Circumstances, Entry, Ledger, Missed, Reported, Reporter, Thresholds},
    store::{Continuity, Left},
};

use super::line::JumpLine;

/// No boot of any machine.
pub const BOOT_ID: &str = "00000000-feed-4000-8000-000000000000";
/// The wall offset of a new account: the wall clock shows 2024-02-06 00:02:32.1 at boot.
const START: OffsetNs = OffsetNs(1_707_177_752_100_000_000);
/// Time from a jump to the next, unless told otherwise, ns.
const STEP: u64 = 1_000_000;

/// The account.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) boot_id: Arc<str>,
    ledger: Ledger,
    reporter: Reporter,
    /// When the last thing happened.
    at: BootNs,
    started: BootNs,
    last: Option<(u64, BootNs)>,
    /// By the machine's own clock, where something real goes by that.
    clocks: Option<SystemClocks>,
}

impl Account {
    /// Goes on from what an earlier run left, within the same boot.
    pub(super) fn open(left: Left, live: bool) -> Self {
        let boot_id: Arc<str> = BOOT_ID.into();
        let clocks = live.then_some(SystemClocks);
        let begun = clocks.map_or((START, BootNs(0)), |clocks| {
            (OffsetNs(bracketed_offset(&clocks).0), BootNs(clocks.boottime_ns()))
        });
        let (offset, error, at) = match left.continuity {
            Some(last) => (last.offset, last.error, last.at),
            None => (begun.0, 0, begun.1),
        };
        Self {
            ledger: Ledger::open(offset, error, 0).numbered(Arc::clone(&boot_id), left.last_sequence),
            boot_id,
            reporter: Reporter::new(Thresholds::default(), left.excursions),
            at,
            started: at,
            last: None,
            clocks,
        }
    }

    /// Enters a jump, as the daemon's engine does with what it captured.
    pub(super) fn enter(&mut self, line: &JumpLine) -> (Reported, Continuity) {
        let next = || self.clocks.map_or(self.at.0 + STEP, |clocks| clocks.boottime_ns());
        self.at = line.at_ms.map_or_else(|| BootNs(next()), |ms| BootNs(ms * 1_000_000));
        let old = self.ledger.offset();
        let entry = Entry {
            at: self.at,
            old,
            new: OffsetNs(old.0.saturating_add(line.delta_ns)),
            path: line.path,
            captured_by: line.captured_by,
            actor: line.actor(),
        };
        let jump = self.ledger.enter(entry, line.delta_error_ns);
        self.last = Some((jump.sequence, jump.at));
        let known = Circumstances { synchronised: line.synchronised, ..Circumstances::default() };
        let now = Continuity {
            boot_id: Arc::clone(&self.boot_id),
            at: self.at,
            offset: self.ledger.offset(),
            error: self.ledger.error(),
        };
        (self.reporter.complete(jump, known), now)
    }

    /// Time goes by; never back.
    pub(super) fn pass(&mut self, now_ms: u64) {
        self.at = self.at.max(BootNs(now_ms.saturating_mul(1_000_000)));
    }

    /// So many steps were lost.
    pub(super) fn miss(&self, missed: u64) -> Missed {
        Missed { boot_id: Arc::clone(&self.boot_id), at: self.at, missed }
    }

    /// What the node's part goes on from.
    pub(super) fn known(&self) -> Known {
        Known { boot_id: Arc::clone(&self.boot_id), offset: self.ledger.offset(), ..Known::default() }
    }

    /// How the capture stands.
    pub(super) fn status(&self) -> Status {
        let balance = self.ledger.balance();
        let (last_sequence, last_boottime_ns) = self.last.unwrap_or_default();
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            kernel: "none: these jumps are made up".into(),
            boot_id: self.boot_id.to_string(),
            rung: Rung::Fentry,
            offset_ns: balance.offset,
            offset_error_ns: balance.error,
            rungs: Rung::ALL.into_iter().map(rung_report).collect(),
            coverage: coverage(Rung::Fentry, true),
            witnesses: Vec::new(),
            capabilities: Some(Vec::new()),
            daemon: Some(DaemonReport {
                started_boottime_ns: self.started,
                now_boottime_ns: self.at,
                ledger: LedgerReport {
                    start_offset_ns: balance.start,
                    sum_of_deltas_ns: balance.sum.0,
                    jumps: balance.jumps,
                    last_sequence,
                    last_boottime_ns,
                    ..LedgerReport::default()
                },
                store: StoreReport::default(),
                listeners: Vec::new(),
                consumers: ConsumersReport::default(),
                deliveries: Vec::new(),
                node: NodeReport::default(),
                credentials: CredentialsReport::default(),
            }),
        }
    }
}

fn rung_report(rung: Rung) -> RungReport {
    match rung {
        Rung::Fentry => RungReport { rung, state: RungState::InUse, reason: None },
        _ => RungReport { rung, state: RungState::Available, reason: Some("a better one works".into()) },
    }
}
