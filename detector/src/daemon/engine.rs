//! From records and readings to messages: holds the account and keeps it balanced.

use std::{io, io::Write, path::Path, thread, time::Duration};

use detector_common::{
    call::{Call, syscall},
    cell::LIVE,
    refusal::Refusal,
    step::{FIRST_UPDATE, Step},
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

/// How often the first update is looked for.
const FIRST_UPDATE_POLL: Duration = Duration::from_millis(10);
/// How long a call's record may come after the timer's word.
pub(super) const CALL_SETTLE: Duration = Duration::from_millis(20);
/// How long after the timer's word a hook that works has told of the step.
const HOOK_SETTLE: Duration = Duration::from_millis(100);
/// Calls kept until the clock is read.
const MAX_PENDING_CALLS: usize = 1024;

/// The stages after the rings.
pub(super) struct Engine<W> {
    pub(super) options: LadderOptions,
    pub(super) rung: Rung,
    pub(super) hooks: Option<Hooks>,
    pub(super) reports: Vec<RungReport>,
    pub(super) witness: Witness<SystemClocks>,
    pub(super) ledger: Ledger,
    /// Steps that were known to be missed when the present programs were loaded.
    pub(super) missed_before: u64,
    pub(super) dropped_before: u64,
    pub(super) refused_before: u64,
    /// Calls whose steps are not measured yet (rungs C, D).
    pub(super) calls: Vec<Call>,
    pub(super) tai: i32,
    pub(super) symbols: Option<Symbols>,
    pub(super) resolver: Resolver,
    pub(super) silent: Vec<Rung>,
    /// The last record when a check found more on their way, and how often in a row it has.
    pub(super) waiting: (u64, u32),
    /// What a witness said at the last check, if it disagreed.
    pub(super) suspected: Option<Reading>,
    pub(super) output: Output<W>,
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
            waiting: (0, 0),
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
        if step.sequence <= self.ledger.kernel_sequence() {
            // Taken for lost and told so; its part is in the account already.
            return Ok(());
        }
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
                let before_attaching = who == Who::Unknown && step.flags & FIRST_UPDATE != 0;
                let captured_by = if before_attaching { CapturedBy::Reconcile } else { self.rung.into() };
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
                if let Some(symbols) = read_symbols() {
                    self.symbols = Some(symbols);
                }
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

    pub(super) fn tell(&mut self, findings: Vec<Finding>) -> io::Result<()> {
        for finding in findings {
            self.output.tell(&match finding {
                Finding::Missed(n) => Message::Lagged(n),
                Finding::Jump(jump) => Message::Jump(jump),
            })?;
        }
        Ok(())
    }

    /// Without a seed the kernel side takes the offsets of its first update for the beginning; a tick is not far.
    pub(super) fn wait_for_first_update(&self) {
        let Some(hooks) = self.hooks.as_ref().filter(|hooks| hooks.rung.measures_in_kernel()) else { return };
        if hooks.seed.is_some() {
            return;
        }
        for _ in 0..50 {
            if hooks.cell().is_some_and(|cell| cell.flags & LIVE != 0) {
                return;
            }
            thread::sleep(FIRST_UPDATE_POLL);
        }
    }
}

pub(super) fn climb(
    options: &LadderOptions,
    silent: &[Rung],
    witness: &Witness<SystemClocks>,
    symbols: Option<&Symbols>,
) -> Result<Ladder, RungReport> {
    let timer_list = || witness.confirmed_timer_list();
    Ladder::climb(options, silent, KernelFacts { timer_list: &timer_list, symbols })
}

pub(super) fn call_path(call: u32) -> StepPath {
    match call {
        syscall::CLOCK_SETTIME => StepPath::ClockSettime,
        syscall::SETTIMEOFDAY => StepPath::Settimeofday,
        syscall::ADJTIMEX => StepPath::Adjtimex,
        syscall::SETTIMEZONE => StepPath::TimezoneWarp,
        _ => StepPath::Unattributed,
    }
}
