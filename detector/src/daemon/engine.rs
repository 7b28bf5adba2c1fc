//! From records and readings to messages: holds the account and keeps it balanced.

use std::{io, io::Write, path::Path, thread, time::Duration};

use detector_common::{
    call::{Call, syscall},
    cell::{Cell, LIVE},
    refusal::Refusal,
    step::Step,
};

use super::{
    DaemonError,
    host::{read_symbols, status},
    names::errno,
};
use crate::{
    actor::{Actor, ActorKind, Resolver},
    capture::{
        CapturedBy, Hooks, KernelFacts, Ladder, LadderOptions, Origin, Record, Rings, Rung, RungReport,
        StepPath, Symbols, Verdict, Who, before_first_update, classify, wall_offsets,
    },
    clock::{BootNs, OffsetNs, Reading, SystemClocks, Witness},
    deliver::{Alarm, Message, Output, Refused, Summary},
    ledger::{Entry, Finding, Ledger},
};

/// A record that is being written when its step is seen is complete by then.
const RETRY: Duration = Duration::from_millis(10);
/// How long a call's record may come after the timer's word.
const CALL_SETTLE: Duration = Duration::from_millis(20);
/// How long after the timer's word a hook that works has told of the step.
const HOOK_SETTLE: Duration = Duration::from_millis(100);
/// Waits of [`RETRY`] after which a record that the kernel side counted is taken for lost.
const MAX_WAITS: u32 = 100;
/// Calls kept until the clock is read.
const MAX_PENDING_CALLS: usize = 1024;

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

/// The stages after the rings.
pub(super) struct Engine<W> {
    options: LadderOptions,
    rung: Rung,
    hooks: Option<Hooks>,
    reports: Vec<RungReport>,
    witness: Witness<SystemClocks>,
    ledger: Ledger,
    /// Steps that were known to be missed when the present programs were loaded.
    missed_before: u64,
    dropped_before: u64,
    refused_before: u64,
    /// Calls whose steps are not measured yet (rungs C, D).
    calls: Vec<Call>,
    tai: i32,
    symbols: Option<Symbols>,
    resolver: Resolver,
    silent: Vec<Rung>,
    /// How often in a row a check found records still on their way.
    waits_for_records: u32,
    /// What a witness said at the last check, if it disagreed.
    suspected: Option<OffsetNs>,
    output: Output<W>,
}

impl<W: Write> Engine<W> {
    pub(super) fn start(
        options: LadderOptions,
        timer_list: &Path,
        cgroups: &Path,
        output: Output<W>,
    ) -> Result<Self, DaemonError> {
        let witness = Witness::new(SystemClocks, Some(timer_list.to_owned()));
        let symbols = read_symbols();
        // Read before attaching: a step in between is found missing, never lost.
        let reading = witness.read();
        let ladder = climb(&options, &[], &witness, symbols.as_ref()).map_err(DaemonError::Rung)?;
        let seed = ladder.hooks.as_ref().and_then(|hooks| hooks.seed);
        let engine = Self {
            options,
            rung: ladder.rung,
            ledger: Ledger::open(
                seed.unwrap_or(reading.offset),
                if seed.is_some() { 0 } else { reading.error },
                0,
            ),
            hooks: ladder.hooks,
            reports: ladder.reports,
            witness,
            missed_before: 0,
            dropped_before: 0,
            refused_before: 0,
            calls: Vec::new(),
            tai: reading.tai,
            symbols,
            resolver: Resolver::new(cgroups),
            silent: Vec::new(),
            waits_for_records: 0,
            suspected: None,
            output,
        };
        engine.wait_for_first_update();
        Ok(engine)
    }

    pub(super) fn take_rings(&mut self) -> Option<Rings> {
        self.hooks.as_mut().and_then(Hooks::take_rings)
    }

    pub(super) fn settle_time(&self) -> Duration {
        match self.rung {
            Rung::Fentry | Rung::Kprobe => HOOK_SETTLE,
            Rung::RawTracepoint | Rung::Tracepoint => CALL_SETTLE,
            Rung::Timerfd => Duration::ZERO,
        }
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }

    pub(super) fn tell_status(&mut self) -> io::Result<()> {
        for report in &self.reports {
            if let Some(reason) = &report.reason {
                tracing::debug!("rung {} {}: {reason}", report.rung, report.state);
            }
        }
        let mut status = status(self.rung, self.reports.clone(), &self.witness);
        status.offset_ns = self.ledger.offset();
        status.offset_error_ns = self.ledger.error();
        self.output.tell(&Message::Status(status))?;
        self.output.flush()
    }

    pub(super) fn tell_summary(&mut self) -> io::Result<()> {
        let reading = self.witness.read();
        let counters = self.hooks.as_ref().map(Hooks::counters).unwrap_or_default();
        let cell = self.hooks.as_ref().and_then(Hooks::cell).unwrap_or_default();
        let summary = Summary {
            balance: self.ledger.balance(),
            offset_now: (reading.offset, reading.error),
            dropped: self.dropped_before + cell.drops + counters.calls_dropped,
            refused: self.refused_before + counters.refused,
        };
        self.output.tell(&Message::Summary(summary))
    }

    /// Takes one record; says whether the clock should be read for it.
    pub(super) fn record(&mut self, bytes: &[u8]) -> io::Result<bool> {
        match Record::decode(bytes) {
            Ok(Record::Step(step)) => self.step(&step).map(|()| false),
            Ok(Record::Refusal(refusal)) => self.refusal(&refusal).map(|()| false),
            Ok(Record::Call(call)) => {
                if self.calls.len() == MAX_PENDING_CALLS {
                    self.calls.remove(0);
                }
                self.calls.push(call);
                Ok(true)
            }
            Err(error) => {
                self.output
                    .tell(&Message::Alarm(Alarm { kind: "foreign_record", message: error.to_string() }))?;
                Ok(false)
            }
        }
    }

    fn step(&mut self, step: &Step) -> io::Result<()> {
        let at = BootNs(step.boot_ns);
        let (mut old, new) = wall_offsets(step);
        let findings = self.ledger.link(step.sequence, old, at);
        self.tell(findings)?;
        let before = before_first_update(step);
        if let Some(jump) = self.ledger.residual(OffsetNs(old.0.saturating_add(before.0)), 0, at) {
            old = jump.new;
            self.output.tell(&Message::Jump(jump))?;
        }
        match self.classify(step) {
            Verdict::Suspend { slept_ns } => self.ledger.suspended(slept_ns),
            Verdict::TaiSet => {}
            Verdict::Step(Origin { path, who, function }) => {
                let actor = match who {
                    Who::Process => self.resolver.process(&step.task, &step.request.cmdline, at),
                    Who::Kernel => Actor { kind: ActorKind::Kernel, function, ..Actor::default() },
                    Who::Hypervisor => Actor { kind: ActorKind::Hypervisor, function, ..Actor::default() },
                    Who::Unknown => Actor::unknown(),
                };
                let captured_by = match who {
                    Who::Unknown => CapturedBy::Reconcile,
                    _ => self.rung.into(),
                };
                let jump = self.ledger.enter(Entry { at, old, new, path, captured_by, actor }, 0);
                self.output.tell(&Message::Jump(jump))?;
            }
        }
        self.tai = step.new.tai;
        Ok(())
    }

    fn classify(&mut self, step: &Step) -> Verdict {
        let by = |symbols: &Option<Symbols>| {
            let frames = symbols.as_ref().map(|symbols| symbols.frames(&step.stack)).unwrap_or_default();
            classify(step, &frames)
        };
        let verdict = by(&self.symbols);
        match &verdict {
            // Rare, and perhaps from a module that was loaded since the names were read.
            Verdict::Step(Origin { path: StepPath::Kernel | StepPath::Unattributed, .. })
                if self.symbols.is_some() =>
            {
                self.symbols = read_symbols();
                by(&self.symbols)
            }
            _ => verdict,
        }
    }

    fn refusal(&mut self, refusal: &Refusal) -> io::Result<()> {
        let path = call_path(refusal.key.syscall);
        let at = BootNs(refusal.boot_ns);
        let actor = self.resolver.process(&refusal.task, &refusal.cmdline, at);
        let errno = errno(refusal.key.errno);
        self.output.tell(&Message::Refused(Refused { at, path, errno, count: refusal.count, actor }))
    }

    fn tell(&mut self, findings: Vec<Finding>) -> io::Result<()> {
        for finding in findings {
            self.output.tell(&match finding {
                Finding::Missed(n) => Message::Lagged(n),
                Finding::Jump(jump) => Message::Jump(jump),
            })?;
        }
        Ok(())
    }

    /// Compares the account with the kernel's own and with the clocks. The rings have just been drained.
    pub(super) fn check(&mut self) -> io::Result<Next> {
        match self.hooks.as_ref().filter(|hooks| hooks.rung.measures_in_kernel()).map(Hooks::cell) {
            None => self.measure().map(|()| Next::Nothing),
            // The kernel keeps writing: there will be a quieter moment.
            Some(None) => Ok(Next::CheckAgain(RETRY)),
            Some(Some(cell)) => self.check_hooks(&cell),
        }
    }

    fn check_hooks(&mut self, cell: &Cell) -> io::Result<Next> {
        let reading = self.witness.read();
        let pending = cell.sequence.saturating_sub(self.ledger.kernel_sequence());
        if pending > 0 {
            let accounted = self.ledger.balance().missed - self.missed_before;
            let all_dropped = cell.drops.saturating_sub(accounted) == pending;
            if !all_dropped && self.waits_for_records < MAX_WAITS {
                // Some of them are still on their way.
                self.waits_for_records += 1;
                return Ok(Next::CheckAgain(RETRY));
            }
            self.waits_for_records = 0;
            let findings = self.ledger.catch_up(cell.sequence, cell_offset(cell), reading.at);
            self.tell(findings)?;
            return Ok(Next::CheckAgain(Duration::ZERO));
        }
        if self.ledger.kernel_sequence() == cell.sequence && cell.flags & LIVE != 0 && self.ledger.error() > 0
        {
            // The start was read with an error; the kernel's own offset has none.
            let findings = self.ledger.catch_up(cell.sequence, cell_offset(cell), reading.at);
            self.tell(findings)?;
        }
        let off_by = reading.offset.since(self.ledger.offset()).magnitude();
        if off_by <= reading.error.saturating_add(self.ledger.error()) {
            self.suspected = None;
            return Ok(Next::Nothing);
        }
        // Stepped between the reading and now: the record is on its way.
        let still = self.hooks.as_ref().and_then(Hooks::cell);
        if still.is_none_or(|still| still.sequence != cell.sequence) {
            self.suspected = None;
            return Ok(Next::CheckAgain(RETRY));
        }
        if self.suspected.replace(reading.offset) != Some(reading.offset) {
            return Ok(Next::CheckAgain(CALL_SETTLE));
        }
        self.suspected = None;
        self.hook_is_silent(reading)
    }

    /// A witness twice saw an offset of which the hook has told nothing.
    fn hook_is_silent(&mut self, reading: Reading) -> io::Result<Next> {
        let silent = self.rung;
        let message = format!(
            "rung {silent} did not tell of a jump that the clocks show; it is given up and the next one tried. \
             Actors of jumps until then are unknown, sizes are right"
        );
        self.output.tell(&Message::Alarm(Alarm { kind: "hook_silent", message }))?;
        if let Some(jump) = self.ledger.residual(reading.offset, reading.error, reading.at) {
            self.output.tell(&Message::Jump(jump))?;
        }
        self.silent.push(silent);
        self.climb_again()?;
        self.tell_status()?;
        Ok(Next::HooksChanged)
    }

    fn climb_again(&mut self) -> io::Result<()> {
        if let Some(hooks) = self.hooks.take() {
            let counters = hooks.counters();
            self.refused_before += counters.refused;
            self.dropped_before += hooks.cell().unwrap_or_default().drops + counters.calls_dropped;
            // Detaching waits for the kernel's grace periods.
            thread::spawn(move || drop(hooks));
        }
        self.missed_before = self.ledger.balance().missed;
        // A rung chosen by hand that went silent leaves the one that always works.
        let options = LadderOptions { only: None, ..self.options };
        match climb(&options, &self.silent, &self.witness, self.symbols.as_ref()) {
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
        self.ledger.restart_chain(0);
        if let Some(seed) = self.hooks.as_ref().and_then(|hooks| hooks.seed) {
            let findings = self.ledger.catch_up(0, seed, self.witness.now());
            self.tell(findings)?;
        }
        self.wait_for_first_update();
        Ok(())
    }

    /// Reads the clock where no hook measures (rungs C, D, E): the difference to the account is the jump.
    fn measure(&mut self) -> io::Result<()> {
        let reading = self.witness.read();
        let (old, old_tai) = (self.ledger.offset(), self.tai);
        let calls = std::mem::take(&mut self.calls);
        self.tai = reading.tai;
        let off_by = reading.offset.since(old);
        if off_by.magnitude() <= reading.error.saturating_add(self.ledger.error()) {
            return Ok(());
        }
        let leap = off_by.0.saturating_add(i64::from(reading.tai - old_tai).saturating_mul(1_000_000_000));
        let (path, captured_by, actor) = match calls.last() {
            Some(call) => {
                let actor = self.resolver.process(&call.task, &call.cmdline, BootNs(call.boot_ns));
                (call_path(call.syscall), self.rung.into(), actor)
            }
            None if reading.tai != old_tai && leap.unsigned_abs() <= reading.error + self.ledger.error() => {
                let kernel = Actor { kind: ActorKind::Kernel, ..Actor::default() };
                (StepPath::LeapSecond, CapturedBy::Timerfd, kernel)
            }
            None => (StepPath::Unattributed, CapturedBy::Timerfd, Actor::unknown()),
        };
        let at = calls.last().map_or(reading.at, |call| BootNs(call.boot_ns));
        let entry = Entry { at, old, new: reading.offset, path, captured_by, actor };
        let jump = self.ledger.enter(entry, reading.error);
        self.output.tell(&Message::Jump(jump))
    }

    /// Without a seed the kernel side takes the offsets of its first update for the beginning; a tick is not far.
    fn wait_for_first_update(&self) {
        let Some(hooks) = self.hooks.as_ref().filter(|hooks| hooks.rung.measures_in_kernel()) else { return };
        if hooks.seed.is_some() {
            return;
        }
        for _ in 0..50 {
            if hooks.cell().is_some_and(|cell| cell.flags & LIVE != 0) {
                return;
            }
            thread::sleep(RETRY);
        }
    }
}

fn climb(
    options: &LadderOptions,
    silent: &[Rung],
    witness: &Witness<SystemClocks>,
    symbols: Option<&Symbols>,
) -> Result<Ladder, RungReport> {
    let timer_list = || witness.timer_list().and_then(Result::ok);
    Ladder::climb(options, silent, KernelFacts { timer_list: &timer_list, symbols })
}

fn cell_offset(cell: &Cell) -> OffsetNs {
    OffsetNs(cell.offsets.real.saturating_sub(cell.offsets.boot))
}

fn call_path(call: u32) -> StepPath {
    match call {
        syscall::CLOCK_SETTIME => StepPath::ClockSettime,
        syscall::SETTIMEOFDAY => StepPath::Settimeofday,
        syscall::ADJTIMEX => StepPath::Adjtimex,
        syscall::SETTIMEZONE => StepPath::TimezoneWarp,
        _ => StepPath::Unattributed,
    }
}
