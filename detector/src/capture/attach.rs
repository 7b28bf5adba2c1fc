//! Attaches one rung's programs.
//!
//! Exits are attached before entries (an entry seen without its exit leaves its note behind), and what names causes
//! before what captures steps, so that no step is captured without its cause. Only the capturing program is needed;
//! each of the others that a kernel refuses is noted.

use aya::{
    Btf, Ebpf,
    maps::Array,
    programs::{BtfTracePoint, FEntry, FExit, KProbe, Program, ProgramError, RawTracePoint, TracePoint},
};
use detector_common::{
    cell::{Cell, SEEDED},
    step::Offsets,
};

use super::{facts::KernelFacts, pod::CellPod, refusal::Refusal, symbols::OF_RETURN_PROBES};
use crate::clock::OffsetNs;

/// What [`Attach::fentry`] and [`Attach::raw_tracepoint`] find by the kernel's types: functions, and the type of a raw
/// tracepoint's arguments (`btf_trace_`, include/trace/bpf_probe.h).
pub const ATTACHED_BY_TYPE: [&str; 7] = [
    "update_vsyscall",
    "do_sys_settimeofday64",
    "security_settime64",
    "do_settimeofday64",
    "do_adjtimex",
    "timekeeping_warp_clock",
    "btf_trace_sys_exit",
];

/// One rung's programs on their way into the kernel.
pub struct Attach<'a> {
    /// The object.
    pub ebpf: &'a mut Ebpf,
    /// The kernel's types.
    pub kernel: Option<&'a Btf>,
    /// What else is known of the kernel.
    pub facts: KernelFacts<'a>,
    /// Programs that the kernel refused, each with what is missing for it.
    pub lacking: Vec<String>,
    /// The wall offset that the cell was given.
    pub seed: Option<OffsetNs>,
}

impl Attach<'_> {
    /// Rung A.
    pub fn fentry(&mut self) -> Result<(), Refusal> {
        // The step program is loaded first: if it is refused there is no point in the others.
        self.load_fentry("timekeeper_update", "update_vsyscall")?;
        for (program, function) in [
            ("settimeofday_exit", "do_sys_settimeofday64"),
            ("settime_permission_exit", "security_settime64"),
            ("settime_exit", "do_settimeofday64"),
            ("adjtime_exit", "do_adjtimex"),
            ("warp_exit", "timekeeping_warp_clock"),
        ] {
            let attached = self.attach_fexit(program, function);
            self.optional(function, attached);
        }
        for (program, function) in [
            ("settimeofday_enter", "do_sys_settimeofday64"),
            ("settime_enter", "do_settimeofday64"),
            ("adjtime_enter", "do_adjtimex"),
            ("warp_enter", "timekeeping_warp_clock"),
        ] {
            let attached = self.load_fentry(program, function).and_then(|()| self.attach_fentry(program));
            self.optional(function, attached);
        }
        self.seed()?;
        self.attach_fentry("timekeeper_update")
    }

    /// Rung B.
    pub fn kprobe(&mut self) -> Result<(), Refusal> {
        if (self.facts.timer_list)().is_none() {
            return Err(Refusal::NoSeed);
        }
        self.program::<&mut KProbe>("kprobe_set_wall_to_mono")?.load()?;
        let transparent = self.return_probes_are_transparent();
        if !transparent {
            self.lacking.push(
                "the count of times refused as invalid (here a return probe would hide its caller)".into(),
            );
        }
        for (program, function, hides_caller) in [
            ("kprobe_settimeofday_exit", "do_sys_settimeofday64", true),
            ("kprobe_settime_exit", "do_settimeofday64", true),
            ("kprobe_settime_permission_exit", "security_settime64", false),
            ("kprobe_adjtime_exit", "do_adjtimex", false),
            ("kprobe_resume_exit", "timekeeping_resume", false),
            ("kprobe_settimeofday_enter", "do_sys_settimeofday64", true),
            ("kprobe_settime_enter", "do_settimeofday64", true),
            ("kprobe_adjtime_enter", "do_adjtimex", false),
            ("kprobe_warp_enter", "timekeeping_warp_clock", true),
            ("kprobe_resume_enter", "timekeeping_resume", false),
        ] {
            if hides_caller && !transparent {
                continue;
            }
            let attached = self.attach_kprobe(program, function, true);
            self.optional(function, attached);
        }
        // Only there where the time slept may have to come from the RTC.
        for program in ["kprobe_resume_exit", "kprobe_resume_enter"] {
            let _ = self.attach_kprobe(program, "timekeeping_inject_sleeptime64", false);
        }
        self.seed()?;
        self.attach_kprobe("kprobe_set_wall_to_mono", "tk_set_wall_to_mono", false)
    }

    /// Rung C.
    pub fn raw_tracepoint(&mut self) -> Result<(), Refusal> {
        let by_btf = self.attach_btf_tracepoint();
        let Err(by_btf) = by_btf else { return Ok(()) };
        let lack = format!("tp_btf/sys_exit ({by_btf}); by raw_tp instead");
        let program: &mut RawTracePoint = self.program("syscall_exit_raw")?;
        let by_raw = program.load().and_then(|()| program.attach("sys_exit").map(|_| ()));
        by_raw.map_err(|error| Refusal::Both(Box::new(by_btf), Box::new(error.into())))?;
        self.lacking.push(lack);
        Ok(())
    }

    /// Rung D.
    pub fn tracepoint(&mut self) -> Result<(), Refusal> {
        for (program, side, calls) in [
            ("syscall_exit", "sys_exit", &["clock_settime", "settimeofday", "clock_adjtime", "adjtimex"][..]),
            ("syscall_enter", "sys_enter", &["clock_settime", "settimeofday", "clock_adjtime"]),
            ("syscall_enter_adjtimex", "sys_enter", &["adjtimex"]),
        ] {
            let program: &mut TracePoint = self.program(program)?;
            program.load()?;
            for call in calls {
                program.attach("syscalls", &format!("{side}_{call}"))?;
            }
        }
        Ok(())
    }

    fn attach_btf_tracepoint(&mut self) -> Result<(), Refusal> {
        let kernel = self.kernel.ok_or_else(Refusal::no_btf)?;
        let program: &mut BtfTracePoint = self.program("syscall_exit_btf")?;
        program.load("sys_exit", kernel)?;
        program.attach()?;
        Ok(())
    }

    fn load_fentry(&mut self, program: &str, function: &str) -> Result<(), Refusal> {
        let kernel = self.kernel.ok_or_else(Refusal::no_btf)?;
        Ok(self.program::<&mut FEntry>(program)?.load(function, kernel)?)
    }

    fn attach_fentry(&mut self, program: &str) -> Result<(), Refusal> {
        self.program::<&mut FEntry>(program)?.attach()?;
        Ok(())
    }

    fn attach_fexit(&mut self, program: &str, function: &str) -> Result<(), Refusal> {
        let kernel = self.kernel.ok_or_else(Refusal::no_btf)?;
        let program: &mut FExit = self.program(program)?;
        program.load(function, kernel)?;
        program.attach()?;
        Ok(())
    }

    fn attach_kprobe(&mut self, program: &str, function: &str, load: bool) -> Result<(), Refusal> {
        let program: &mut KProbe = self.program(program)?;
        if load {
            program.load()?;
        }
        program.attach(function, 0)?;
        Ok(())
    }

    fn optional(&mut self, function: &str, attached: Result<(), Refusal>) {
        if let Err(refusal) = attached {
            let lack = format!("{function} ({refusal})");
            if !self.lacking.contains(&lack) {
                self.lacking.push(lack);
            }
        }
    }

    /// Gives the cell the offsets of this moment, so that a step between now and the first update is not taken for
    /// the beginning.
    fn seed(&mut self) -> Result<(), Refusal> {
        let Some(offsets) = (self.facts.timer_list)() else { return Ok(()) };
        let tai = offsets.tai.saturating_sub(offsets.real) / 1_000_000_000;
        let offsets = Offsets {
            real: offsets.real,
            boot: offsets.boot,
            tai: i32::try_from(tai).unwrap_or(0),
            reserved: 0,
        };
        let map = self.ebpf.map_mut("CELL").ok_or_else(|| Refusal::NoProgram("CELL".into()))?;
        let mut array: Array<_, CellPod> = Array::try_from(map).map_err(|error| Refusal::map(&error))?;
        array
            .set(0, CellPod(Cell { offsets, flags: SEEDED, ..Cell::default() }), 0)
            .map_err(|error| Refusal::map(&error))?;
        self.seed = Some(OffsetNs(offsets.real.saturating_sub(offsets.boot)));
        Ok(())
    }

    fn program<'p, P>(&'p mut self, name: &str) -> Result<P, Refusal>
    where
        P: TryFrom<&'p mut Program, Error = ProgramError>,
    {
        let program = self.ebpf.program_mut(name).ok_or_else(|| Refusal::NoProgram(name.to_owned()))?;
        Ok(P::try_from(program)?)
    }

    /// Whether a stack shows the callers of functions with return probes: `kretprobe_find_ret_addr` came with 5.15 and
    /// was followed by `rethook_find_ret_addr`. Before, the probe's trampoline stands in their place, and with it goes what tells `settimeofday` from
    /// `clock_settime`.
    fn return_probes_are_transparent(&self) -> bool {
        self.facts.names.known().is_none_or(|names| OF_RETURN_PROBES.iter().any(|name| names.contains(name)))
    }
}
