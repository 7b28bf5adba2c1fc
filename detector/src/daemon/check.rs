//! Keeps the account balanced: compares it with what the kernel side counted and with the clocks.

use std::{thread, time::Duration};

use detector_common::{
    call::{Call, syscall},
    cell::{Cell, LIVE},
};

use super::engine::{CALL_SETTLE, Engine, call_path, climb};
use crate::{
    actor::{Actor, ActorKind},
    capture::{CapturedBy, Hooks, LadderOptions, Rung, StepPath},
    clock::{BootNs, DeltaNs, OffsetNs, Reading},
    ledger::Entry,
};

/// A record that is being written when its step is seen is complete by then.
const RETRY: Duration = Duration::from_millis(10);
/// Waits of [`RETRY`] after which a record that the kernel side counted is taken for lost.
const MAX_WAITS: u32 = 100;
/// While steps come at shorter intervals, clock reads do: reading the kernel's own offsets takes long, and the next step
/// would wait for it.
const QUIET: Duration = Duration::from_secs(1);
/// For so long at most.
const BUSY: Duration = Duration::from_secs(10);

/// What to do after a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// All is well.
    Nothing,
    /// Not settled yet.
    CheckAgain(Duration),
    /// Other programs are attached: there are new rings.
    HooksChanged,
}

impl Engine {
    /// Compares the account with the kernel's own and with the clocks. The rings have just been drained.
    pub(super) fn check(&mut self) -> Next {
        match self.hooks.as_ref().filter(|hooks| hooks.rung.measures_in_kernel()).map(Hooks::cell) {
            None => {
                self.measure();
                Next::Nothing
            }
            // The kernel keeps writing: there will be a quieter moment.
            Some(None) => Next::CheckAgain(RETRY),
            Some(Some(cell)) => self.check_hooks(&cell),
        }
    }

    fn check_hooks(&mut self, cell: &Cell) -> Next {
        let (glance, error, at) = self.witness.glance();
        let pending = cell.sequence.saturating_sub(self.ledger.kernel_sequence());
        if pending > 0 {
            let accounted = self.ledger.balance().missed - self.missed_before;
            let all_dropped = cell.drops.saturating_sub(accounted) == pending;
            if !all_dropped && self.may_still_come() {
                return Next::CheckAgain(RETRY);
            }
            let findings = self.ledger.catch_up(cell.sequence, cell_offset(cell), at);
            self.tell(findings, at);
            return Next::CheckAgain(Duration::ZERO);
        }
        if self.ledger.kernel_sequence() == cell.sequence && cell.flags & LIVE != 0 && self.ledger.error() > 0
        {
            // The start was read with an error; the kernel's own offset has none.
            let findings = self.ledger.catch_up(cell.sequence, cell_offset(cell), at);
            self.tell(findings, at);
        }
        if self.agrees(glance, error) && self.is_busy(at) {
            self.suspected = None;
            return Next::CheckAgain(QUIET);
        }
        let reading = self.witness.read();
        self.read_at = reading.at;
        if self.agrees(reading.offset, reading.error) {
            self.suspected = None;
            return Next::Nothing;
        }
        // Stepped between the reading and now: the record is on its way.
        let still = self.hooks.as_ref().and_then(Hooks::cell);
        if still.is_none_or(|still| still.sequence != cell.sequence) {
            self.suspected = None;
            return Next::CheckAgain(RETRY);
        }
        let as_before = |last: Reading| {
            reading.offset.since(last.offset).magnitude() <= reading.error.saturating_add(last.error)
        };
        if !self.suspected.replace(reading).is_some_and(as_before) {
            return Next::CheckAgain(CALL_SETTLE);
        }
        self.suspected = None;
        self.hook_is_silent(reading)
    }

    /// Whether the account is what the clocks were read to be, within `error` ns.
    pub(super) fn agrees(&self, offset: OffsetNs, error: u64) -> bool {
        offset.since(self.ledger.offset()).magnitude() <= error.saturating_add(self.ledger.error())
    }

    /// Whether the next step is likely to come soon, and the last exact reading not long ago.
    fn is_busy(&self, at: BootNs) -> bool {
        let within =
            |then: BootNs, limit: Duration| Duration::from_nanos(at.0.saturating_sub(then.0)) < limit;
        self.last.is_some_and(|(_, last)| within(last, QUIET)) && within(self.read_at, BUSY)
    }

    /// Whether records that the kernel side counted may be on their way: for as long as any come, and a while longer.
    fn may_still_come(&mut self) -> bool {
        let last = self.ledger.kernel_sequence();
        let waits = if self.waiting.0 == last { self.waiting.1 + 1 } else { 1 };
        self.waiting = (last, waits);
        waits < MAX_WAITS
    }

    /// A witness twice saw an offset of which the hook has told nothing.
    fn hook_is_silent(&mut self, reading: Reading) -> Next {
        let silent = self.rung;
        let message = format!(
            "rung {silent} did not tell of a jump that the clocks show; it is given up and the next one tried. \
             Actors of jumps until then are unknown, sizes are right"
        );
        self.alarm("hook_silent", message);
        if let Some(jump) = self.ledger.residual(reading.offset, reading.error, reading.at) {
            self.report(jump);
        }
        self.silent.push(silent);
        self.climb_again();
        Next::HooksChanged
    }

    fn climb_again(&mut self) {
        if let Some(hooks) = self.hooks.take() {
            let counters = hooks.counters();
            self.refused_before += counters.refused;
            self.dropped_before += hooks.cell().unwrap_or_default().drops + counters.calls_dropped;
            // Detaching waits for the kernel's grace periods.
            if let Err(error) = thread::Builder::new().spawn(move || drop(hooks)) {
                tracing::warn!("detaching without a thread of its own: {error}");
            }
        }
        self.missed_before = self.ledger.balance().missed;
        // A rung chosen by hand that went silent leaves the one that always works.
        let options = LadderOptions { only: None, ..self.options };
        match climb(&options, &self.silent, &self.witness, &self.names) {
            Ok(ladder) => {
                self.rung = ladder.rung;
                self.hooks = ladder.hooks;
                self.reports = ladder.reports;
            }
            Err(report) => {
                self.rung = Rung::Timerfd;
                self.reports.retain(|old| old.rung != report.rung);
                self.reports.push(report);
            }
        }
        self.learn_names();
        self.ledger.restart_chain(0);
        if let Some(seed) = self.hooks.as_ref().and_then(|hooks| hooks.seed) {
            let at = self.witness.now();
            let findings = self.ledger.catch_up(0, seed, at);
            self.tell(findings, at);
        }
        self.wait_for_first_update();
    }

    /// Reads the clock where no hook measures (rungs C, D, E): the difference to the account is the jump.
    fn measure(&mut self) {
        let reading = self.witness.read();
        let (old, old_tai) = (self.ledger.offset(), self.tai);
        let calls = std::mem::take(&mut self.calls);
        self.tai = reading.tai;
        let off_by = reading.offset.since(old);
        if off_by.magnitude() <= reading.error.saturating_add(self.ledger.error()) {
            return;
        }
        let error = reading.error.saturating_add(self.ledger.error());
        let (path, captured_by, actor) = if is_leap(off_by, reading.tai - old_tai, error) {
            (StepPath::LeapSecond, CapturedBy::Timerfd, Actor { kind: ActorKind::Kernel, ..Actor::default() })
        } else if let Some(call) = only_caller(&calls) {
            let actor = self.resolver.process(&call.task, &call.cmdline, BootNs(call.boot_ns));
            (call_path(call.syscall), self.rung.into(), actor)
        } else {
            (StepPath::Unattributed, CapturedBy::Timerfd, Actor::unknown())
        };
        let at = only_caller(&calls).map_or(reading.at, |call| BootNs(call.boot_ns));
        let entry = Entry { at, old, new: reading.offset, path, captured_by, actor };
        let jump = self.ledger.enter(entry, reading.error);
        self.report(jump);
    }
}

fn cell_offset(cell: &Cell) -> OffsetNs {
    OffsetNs(cell.offsets.real.saturating_sub(cell.offsets.boot))
}

/// The wall clock moved a second and TAI stood still, within `error` ns.
fn is_leap(off_by: DeltaNs, tai_change: i32, error: u64) -> bool {
    tai_change.abs() == 1
        && off_by.0.saturating_add(i64::from(tai_change).saturating_mul(1_000_000_000)).unsigned_abs()
            <= error
}

/// The call that made a step, if it can have been only one process by one path. A `settimeofday` of the time zone alone
/// steps the clock once in a boot: it is taken for the maker only where nothing else was called.
fn only_caller(calls: &[Call]) -> Option<&Call> {
    let is_timezone = |call: &&Call| call.syscall == syscall::SETTIMEZONE;
    let setters = calls.iter().filter(|call| !is_timezone(call));
    let last = setters.clone().next_back().or(calls.last())?;
    let mut candidates: Box<dyn Iterator<Item = &Call>> =
        if is_timezone(&last) { Box::new(calls.iter()) } else { Box::new(setters) };
    let same = |call: &Call| (call.task.tgid, call.syscall) == (last.task.tgid, last.syscall);
    candidates.all(same).then_some(last)
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;

    use super::*;

    fn call(tgid: u32, syscall: u32) -> Call {
        let mut call = Call::zeroed();
        call.syscall = syscall;
        call.task.tgid = tgid;
        call
    }

    #[test]
    fn one_caller_or_nobody() {
        let (set, adjust, zone) = (syscall::CLOCK_SETTIME, syscall::ADJTIMEX, syscall::SETTIMEZONE);
        let who = |calls: &[Call]| only_caller(calls).map(|call| (call.task.tgid, call.syscall));
        assert_eq!(who(&[]), None);
        assert_eq!(who(&[call(1, set), call(1, set)]), Some((1, set)));
        assert_eq!(who(&[call(1, set), call(2, set)]), None);
        assert_eq!(who(&[call(1, set), call(1, adjust)]), None);
        // A bystander that sets the time zone is not blamed.
        assert_eq!(who(&[call(1, set), call(2, zone)]), Some((1, set)));
        assert_eq!(who(&[call(2, zone)]), Some((2, zone)));
    }

    #[test]
    fn leaps_by_tai() {
        let second = 1_000_000_000;
        assert!(is_leap(DeltaNs(-second), 1, 0));
        assert!(is_leap(DeltaNs(second + 40), -1, 40));
        assert!(!is_leap(DeltaNs(-second), 0, 0));
        assert!(!is_leap(DeltaNs(-2 * second), 2, 0));
        assert!(!is_leap(DeltaNs(-second), 1 + 37, 0));
    }
}
