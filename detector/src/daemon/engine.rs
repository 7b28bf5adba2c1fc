//! From records and readings to messages: holds the account and keeps it balanced.

use std::{path::Path, sync::Arc, thread, time::Duration};

use detector_common::{
    call::{Call, syscall},
    cell::LIVE,
    refusal::Refusal,
    step::{FIRST_UPDATE, Step},
};

use super::{
    DaemonError, Ears,
    host::{boot_id, status},
    journal::Journal,
    names::errno,
    past::{self, Now},
};
use crate::{
    actor::{Actor, ActorKind, Resolver},
    capture::{
        CapturedBy, Hooks, KernelFacts, KernelNames, Ladder, LadderOptions, Origin, Record, Rings, Rung,
        RungReport, StepPath, Symbols, Verdict, Who, before_first_update, classify, wall_offsets,
    },
    clock::{BootNs, Clocks, OffsetNs, Reading, Rtc, SystemClocks, Witness},
    deliver::{
        Alarm, ConsumersReport, CredentialsReport, DaemonReport, LedgerReport, Message, NodeReport, Refused,
        Status, StoreReport, Summary,
    },
    ledger::{Circumstances, Entry, Finding, Jump, Ledger, Missed, Reporter, Thresholds},
    store::{Continuity, Left},
    sys,
};

/// How often the first update is looked for.
const FIRST_UPDATE_POLL: Duration = Duration::from_millis(10);
/// How long a call's record may come after the timer's word.
pub(super) const CALL_SETTLE: Duration = Duration::from_millis(20);
/// How long after the timer's word a hook that works has told of the step.
const HOOK_SETTLE: Duration = Duration::from_millis(100);
/// A reading of the RTC serves the jumps of so long, ns.
const RTC_LASTS: u64 = 1_000_000_000;
/// Calls kept until the clock is read.
const MAX_PENDING_CALLS: usize = 1024;

/// The stages after the rings.
pub(super) struct Engine {
    pub(super) boot_id: Arc<str>,
    started: BootNs,
    pub(super) journal: Journal,
    /// Who must do nothing more once the clock has jumped.
    alert: Ears,
    reporter: Reporter,
    /// Whether the kernel held the clock synchronised when that was last asked; a step ends it.
    synchronised: Option<bool>,
    rtc: Option<Rtc>,
    /// The RTC's offset, and when it was read.
    rtc_read: Option<(OffsetNs, BootNs)>,
    /// Number and time of the last jump.
    pub(super) last: Option<(u64, BootNs)>,
    /// When the clocks were last read exactly.
    pub(super) read_at: BootNs,
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
    pub(super) names: KernelNames,
    pub(super) resolver: Resolver,
    pub(super) silent: Vec<Rung>,
    /// The last record when a check found more on their way, and how often in a row it has.
    pub(super) waiting: (u64, u32),
    /// What a witness said at the last check, if it disagreed.
    pub(super) suspected: Option<Reading>,
    /// What was known last by an earlier run, until it is compared with what is known now.
    before: Option<(Continuity, Now)>,
}

impl Engine {
    pub(super) fn start(
        options: LadderOptions,
        timer_list: &Path,
        cgroups: &Path,
        thresholds: Thresholds,
        left: Left,
        journal: Journal,
    ) -> Result<Self, DaemonError> {
        let witness = Witness::new(SystemClocks, Some(timer_list.to_owned()));
        let names = KernelNames::default();
        // Read before attaching: a step in between is found missing, never lost.
        let reading = witness.read();
        let ladder = climb(&options, &[], &witness, &names).map_err(DaemonError::Rung)?;
        let seed = ladder.hooks.as_ref().and_then(|hooks| hooks.seed);
        let now = Now {
            boot_id: boot_id().into(),
            offset: seed.unwrap_or(reading.offset),
            error: if seed.is_some() { 0 } else { reading.error },
            at: reading.at,
        };
        let Left { last_sequence, continuity, excursions, .. } = left;
        let engine = Self {
            boot_id: Arc::clone(&now.boot_id),
            started: reading.at,
            journal,
            alert: Ears::default(),
            reporter: Reporter::new(thresholds, excursions),
            synchronised: sys::clock_is_synchronised(),
            rtc: Rtc::find(),
            rtc_read: None,
            last: None,
            read_at: reading.at,
            options,
            rung: ladder.rung,
            ledger: past::open(continuity.as_ref(), &now, last_sequence),
            before: continuity.map(|continuity| (continuity, now)),
            hooks: ladder.hooks,
            reports: ladder.reports,
            witness,
            missed_before: 0,
            dropped_before: 0,
            refused_before: 0,
            calls: Vec::new(),
            tai: reading.tai,
            names,
            resolver: Resolver::new(cgroups),
            silent: Vec::new(),
            waiting: (0, 0),
            suspected: None,
        };
        engine.wait_for_first_update();
        Ok(engine)
    }

    /// The wall offset in the account.
    pub(super) fn offset(&self) -> OffsetNs {
        self.ledger.offset()
    }

    /// From now on `ears` hear of each jump before anybody else.
    pub(super) fn alert_of_jumps(&mut self, ears: Ears) {
        self.alert = ears;
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

    /// Tells what happened since an earlier run ended, and notes that this one has begun.
    pub(super) fn look_back(&mut self) {
        if let Some((last, now)) = self.before.take()
            && let Some(jump) = past::jump(&mut self.ledger, &last, &now)
        {
            self.report(jump);
        }
        self.note();
    }

    /// Completes a jump, stores it, tells it.
    pub(super) fn report(&mut self, jump: Jump) {
        let known = self.circumstances();
        self.last = Some((jump.sequence, jump.at));
        let now = self.continuity(jump.at);
        let reported = self.reporter.complete(jump, known);
        self.alert.tell_of(&reported.jump);
        self.journal.tell_jump(reported, now);
    }

    fn circumstances(&mut self) -> Circumstances {
        let now = SystemClocks.boottime_ns();
        if self.rtc_read.is_none_or(|(_, read)| now.saturating_sub(read.0) > RTC_LASTS) {
            let offset = self.rtc.as_ref().and_then(|rtc| rtc.offset(&SystemClocks));
            self.rtc_read = offset.map(|offset| (offset, BootNs(now)));
        }
        // The kernel has just forgotten it; whoever steps next does not find it synchronised.
        let synchronised = self.synchronised.replace(false);
        Circumstances { synchronised, rtc: self.rtc_read.map(|(offset, _)| offset), takes_back: false }
    }

    fn continuity(&self, at: BootNs) -> Continuity {
        let (offset, error) = (self.ledger.offset(), self.ledger.error());
        Continuity { boot_id: Arc::clone(&self.boot_id), at, offset, error }
    }

    /// Once in a while: notes what is known, if the clocks agree. Says whether they do.
    pub(super) fn note(&mut self) -> bool {
        self.synchronised = sys::clock_is_synchronised();
        let (offset, error, at) = self.witness.glance();
        let agrees = self.agrees(offset, error);
        if agrees {
            let now = self.continuity(at);
            self.journal.note(now);
        }
        agrees
    }

    pub(super) fn tell_status(&mut self, status: Status) {
        for report in &self.reports {
            if let Some(reason) = &report.reason {
                tracing::debug!("rung {} {}: {reason}", report.rung, report.state);
            }
        }
        self.journal.tell(Message::Status(Box::new(status)));
    }

    /// How the capture stands; what the servers know is left blank.
    pub(super) fn status(&self) -> Status {
        let mut status = status(self.rung, self.reports.clone(), &self.witness);
        status.offset_ns = self.ledger.offset();
        status.offset_error_ns = self.ledger.error();
        let balance = self.ledger.balance();
        let (last_sequence, last_boottime_ns) = self.last.unwrap_or_default();
        status.daemon = Some(DaemonReport {
            started_boottime_ns: self.started,
            now_boottime_ns: self.witness.now(),
            ledger: LedgerReport {
                start_offset_ns: balance.start,
                sum_of_deltas_ns: balance.sum.0,
                jumps: balance.jumps,
                missed: balance.missed,
                dropped: self.dropped(),
                refused: self.refused(),
                suspends: balance.suspends,
                suspended_ns: balance.suspended_ns,
                last_sequence,
                last_boottime_ns,
            },
            store: StoreReport::default(),
            listeners: Vec::new(),
            consumers: ConsumersReport::default(),
            deliveries: Vec::new(),
            node: NodeReport::default(),
            credentials: CredentialsReport::default(),
        });
        status
    }

    fn dropped(&self) -> u64 {
        let counters = self.hooks.as_ref().map(Hooks::counters).unwrap_or_default();
        let cell = self.hooks.as_ref().and_then(Hooks::cell).unwrap_or_default();
        self.dropped_before + cell.drops + counters.calls_dropped
    }

    fn refused(&self) -> u64 {
        self.refused_before + self.hooks.as_ref().map(Hooks::counters).unwrap_or_default().refused
    }

    pub(super) fn summary(&self) -> Summary {
        let reading = self.witness.read();
        Summary {
            balance: self.ledger.balance(),
            offset_now: (reading.offset, reading.error),
            dropped: self.dropped(),
            refused: self.refused(),
        }
    }

    /// Takes one record; says whether the clock should be read for it.
    pub(super) fn record(&mut self, bytes: &[u8]) -> bool {
        match Record::decode(bytes) {
            Ok(Record::Step(step)) => self.step(&step),
            Ok(Record::Refusal(refusal)) => self.refusal(&refusal),
            Ok(Record::Call(call)) => {
                if self.calls.len() == MAX_PENDING_CALLS {
                    self.calls.remove(0);
                }
                self.calls.push(call);
                return true;
            }
            Err(error) => self.alarm("foreign_record", error.to_string()),
        }
        false
    }

    pub(super) fn alarm(&mut self, kind: &str, message: String) {
        tracing::warn!("{kind}: {message}");
        self.journal.tell(Message::Alarm(Alarm { kind: kind.to_owned(), message }));
    }

    fn step(&mut self, step: &Step) {
        let at = BootNs(step.boot_ns);
        if step.sequence <= self.ledger.kernel_sequence() {
            // Taken for lost and told so; its part is in the account already.
            return;
        }
        let (mut old, new) = wall_offsets(step);
        let findings = self.ledger.link(step.sequence, old, at);
        self.tell(findings, at);
        let before = before_first_update(step);
        if let Some(jump) = self.ledger.residual(OffsetNs(old.0.saturating_add(before.0)), 0, at) {
            old = jump.new;
            self.report(jump);
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
                self.report(jump);
            }
        }
        self.tai = step.new.tai;
    }

    /// Reads the kernel's names, unless that is done, and gives the programs what they need of them.
    pub(super) fn learn_names(&mut self) {
        if let (Some(hooks), Some(names)) = (&mut self.hooks, self.names.known()) {
            hooks.learn(names);
        }
    }

    fn classify(&self, step: &Step) -> Verdict {
        let by = |names: Option<&Symbols>| {
            classify(step, &names.map(|names| names.frames(&step.stack)).unwrap_or_default())
        };
        let known = self.names.known();
        let verdict = by(known);
        match &verdict {
            // Rare, and of a function whose name is not kept, perhaps from a module that was loaded since.
            Verdict::Step(Origin { path: StepPath::Kernel | StepPath::Unattributed, .. })
                if known.is_some() =>
            {
                let named = self.names.all().map(|all| by(Some(&all)));
                sys::give_memory_back();
                named.unwrap_or(verdict)
            }
            _ => verdict,
        }
    }

    fn refusal(&mut self, refusal: &Refusal) {
        let path = call_path(refusal.key.syscall);
        let at = BootNs(refusal.boot_ns);
        let actor = self.resolver.process(&refusal.task, &refusal.cmdline, at);
        let errno = errno(refusal.key.errno);
        self.journal.tell(Message::Refused(Refused { at, path, errno, count: refusal.count, actor }));
    }

    pub(super) fn tell(&mut self, findings: Vec<Finding>, at: BootNs) {
        for finding in findings {
            match finding {
                Finding::Missed(missed) => {
                    let boot_id = Arc::clone(&self.boot_id);
                    self.journal.tell(Message::Missed(Missed { boot_id, at, missed }));
                }
                Finding::Jump(jump) => self.report(jump),
            }
        }
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
    names: &KernelNames,
) -> Result<Ladder, RungReport> {
    let timer_list = || witness.confirmed_timer_list();
    Ladder::climb(options, silent, KernelFacts { timer_list: &timer_list, names })
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
