//! Loads and attaches one rung's programs.
//!
//! Exits are attached before entries (an entry seen without its exit leaves its note behind), and what names causes
//! before what captures steps, so that no step is captured without its cause. Only the capturing program is needed;
//! each of the others that a kernel refuses is noted.

use std::path::Path;

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{Array, MapData, RingBuf},
    programs::{BtfTracePoint, FEntry, FExit, KProbe, Program, ProgramError, RawTracePoint, TracePoint},
};
use detector_common::{
    cell::{Cell, Counters, SEEDED},
    step::Offsets,
    task::{READ_NOT, READ_PROBE, READ_TYPED},
};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::{
    Rung,
    btf::{KernelBtf, VMLINUX},
    layout::{Layout, TaskLayout, Timekeeper},
    pod::{CellPod, CountersPod},
    refusal::{Refusal, has_task_btf_helper},
};
use crate::clock::{OffsetNs, TimerListOffsets};

/// The object that `cargo xtask build-ebpf` made, empty in a build without it.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/timejump.bpf.o"));

/// Programs at work in the kernel. Dropping it detaches them.
pub struct Hooks {
    /// The rung they make.
    pub rung: Rung,
    /// The wall offset that the kernel side was given to start from.
    pub seed: Option<OffsetNs>,
    /// Programs that the kernel refused, each with what is missing for it; steps are captured all the same.
    pub lacking: Vec<String>,
    rings: Option<Rings>,
    cell: Array<MapData, CellPod>,
    counters: Array<MapData, CountersPod>,
    /// Holds the programs.
    _ebpf: Ebpf,
}

/// What comes from the kernel side.
pub struct Rings {
    /// Steps and calls, in the order in which they happened.
    pub events: RingBuf<MapData>,
    /// Refused attempts.
    pub refusals: RingBuf<MapData>,
}

impl Hooks {
    /// The rings, once.
    pub fn take_rings(&mut self) -> Option<Rings> {
        self.rings.take()
    }

    /// The kernel's last offsets and counters, from one moment, or nothing while the kernel keeps writing.
    pub fn cell(&self) -> Option<Cell> {
        // A copy made while an update writes may be torn: two equal ones in a row are not.
        let read = || self.cell.get(&0, 0).ok().map(|CellPod(cell)| cell);
        let mut last = read()?;
        for _ in 0..16 {
            let next = read()?;
            if (next.offsets, next.sequence, next.drops) == (last.offsets, last.sequence, last.drops) {
                return Some(next);
            }
            last = next;
        }
        None
    }

    /// Counters outside the timekeeper's lock.
    pub fn counters(&self) -> Counters {
        self.counters.get(&0, 0).map(|CountersPod(counters)| counters).unwrap_or_default()
    }
}

/// How to load.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Bytes of the ring of steps; a power of two, at least a page.
    pub ring_bytes: u32,
}

/// Loads and attaches `rung`. `seed` gives the offsets as of now, read just before each attempt.
pub fn load(
    rung: Rung,
    options: LoadOptions,
    seed: impl Fn() -> Option<TimerListOffsets>,
) -> Result<Hooks, Refusal> {
    if OBJECT.is_empty() {
        return Err(Refusal::NoObject);
    }
    raise_memlock_limit();
    let btf = KernelBtf::read(Path::new(VMLINUX));
    let timekeeper = btf
        .as_ref()
        .map_err(|error| Refusal::Btf(error.to_string()))
        .and_then(|btf| Timekeeper::find(btf).map_err(|error| Refusal::Btf(error.to_string())));
    let timekeeper = match rung {
        Rung::Fentry => timekeeper?,
        _ => timekeeper.unwrap_or_default(),
    };
    let task = btf.ok().and_then(|btf| TaskLayout::find(&btf).ok());
    let kernel = Btf::from_sys_fs().ok();
    let mut refused = None;
    for (read, user_read, task) in ways_to_read(task) {
        let layout = Layout { timekeeper, read, user_read, task };
        match attempt(rung, layout, kernel.as_ref(), options, &seed) {
            Ok(hooks) => return Ok(hooks),
            // Perhaps for reading tasks; the last way reads none, and its refusal is the rung's own.
            Err(refusal) => refused = Some(refusal),
        }
    }
    Err(refused.unwrap_or(Refusal::NoObject))
}

/// How `task_struct`, and whether user memory, can be read: the best way first, the last reads nothing.
///
/// Under `lockdown=confidentiality` user memory could be read, but aya then replaces `bpf_probe_read_user` by
/// `bpf_probe_read`, which is gone: it takes both for missing when `bpf_probe_read_kernel` is.
fn ways_to_read(task: Option<TaskLayout>) -> Vec<(u32, bool, TaskLayout)> {
    let nothing = TaskLayout::default();
    match task {
        Some(task) if has_task_btf_helper() => {
            vec![(READ_TYPED, true, task), (READ_TYPED, false, task), (READ_NOT, false, nothing)]
        }
        Some(task) => vec![(READ_PROBE, true, task), (READ_NOT, true, nothing), (READ_NOT, false, nothing)],
        None => vec![(READ_NOT, true, nothing), (READ_NOT, false, nothing)],
    }
}

fn attempt(
    rung: Rung,
    layout: Layout,
    kernel: Option<&Btf>,
    options: LoadOptions,
    seed: &impl Fn() -> Option<TimerListOffsets>,
) -> Result<Hooks, Refusal> {
    let mut ebpf = open(layout, kernel, options)?;
    let mut attach = Attach { ebpf: &mut ebpf, kernel, lacking: Vec::new(), seed: None };
    match rung {
        Rung::Fentry => attach.fentry(seed)?,
        Rung::Kprobe => attach.kprobe(seed)?,
        Rung::RawTracepoint => attach.raw_tracepoint()?,
        Rung::Tracepoint => attach.tracepoint()?,
        Rung::Timerfd => return Err(Refusal::NoProgram("timerfd".into())),
    }
    match (layout.read, layout.user_read) {
        (READ_NOT, _) => attach.lacking.push("parent and command line of processes that are gone".to_owned()),
        (_, false) => attach.lacking.push("command line of processes that are gone".to_owned()),
        (_, true) => {}
    }
    let Attach { lacking, seed, .. } = attach;
    let rings = Rings {
        events: RingBuf::try_from(take(&mut ebpf, "EVENTS")?).map_err(|error| Refusal::map(&error))?,
        refusals: RingBuf::try_from(take(&mut ebpf, "REFUSALS")?).map_err(|error| Refusal::map(&error))?,
    };
    Ok(Hooks {
        rung,
        seed,
        rings: Some(rings),
        cell: Array::try_from(take(&mut ebpf, "CELL")?).map_err(|error| Refusal::map(&error))?,
        counters: Array::try_from(take(&mut ebpf, "COUNTERS")?).map_err(|error| Refusal::map(&error))?,
        lacking,
        _ebpf: ebpf,
    })
}

fn open(layout: Layout, kernel: Option<&Btf>, options: LoadOptions) -> Result<Ebpf, Refusal> {
    let mut loader = EbpfLoader::new();
    let globals = [
        ("TK_OFFS_REAL", layout.timekeeper.offs_real),
        ("TK_OFFS_BOOT", layout.timekeeper.offs_boot),
        ("TK_TAI_OFFSET", layout.timekeeper.tai_offset),
        ("TASK_READ", layout.read),
        ("USER_READ", u32::from(layout.user_read)),
        ("TASK_REAL_PARENT", layout.task.real_parent),
        ("TASK_TGID", layout.task.tgid),
        ("TASK_COMM", layout.task.comm),
        ("TASK_MM", layout.task.mm),
        ("MM_ARG_START", layout.task.arg_start),
        ("MM_ARG_END", layout.task.arg_end),
        ("TASK_STATUS_PLUS_ONE", layout.task.status_plus_one),
    ];
    for (name, value) in &globals {
        loader.override_global(name, value, true);
    }
    loader.btf(kernel).map_max_entries("EVENTS", options.ring_bytes).load(OBJECT).map_err(Refusal::load)
}

/// Whether a stack shows the callers of functions with return probes: `kretprobe_find_ret_addr` came with 5.15. Before,
/// the probe's trampoline stands in their place, and with it goes what tells `settimeofday` from `clock_settime`.
fn return_probes_are_transparent() -> bool {
    std::fs::read_to_string("/proc/kallsyms")
        .is_ok_and(|symbols| symbols.contains(" kretprobe_find_ret_addr"))
}

/// Maps count against `RLIMIT_MEMLOCK` before 5.11. Failing to raise it shows when the maps are made.
fn raise_memlock_limit() {
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<aya::maps::Map, Refusal> {
    ebpf.take_map(name).ok_or_else(|| Refusal::NoProgram(name.to_owned()))
}

struct Attach<'a> {
    ebpf: &'a mut Ebpf,
    kernel: Option<&'a Btf>,
    lacking: Vec<String>,
    seed: Option<OffsetNs>,
}

impl Attach<'_> {
    fn fentry(&mut self, seed: &impl Fn() -> Option<TimerListOffsets>) -> Result<(), Refusal> {
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
        self.seed(seed)?;
        self.attach_fentry("timekeeper_update")
    }

    fn kprobe(&mut self, seed: &impl Fn() -> Option<TimerListOffsets>) -> Result<(), Refusal> {
        self.program::<&mut KProbe>("kprobe_set_wall_to_mono")?.load()?;
        let transparent = return_probes_are_transparent();
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
        self.seed(seed)?;
        if self.seed.is_none() {
            return Err(Refusal::NoSeed);
        }
        self.attach_kprobe("kprobe_set_wall_to_mono", "tk_set_wall_to_mono", false)
    }

    fn raw_tracepoint(&mut self) -> Result<(), Refusal> {
        let by_btf = self.attach_btf_tracepoint();
        let Err(by_btf) = by_btf else { return Ok(()) };
        let lack = format!("tp_btf/sys_exit ({by_btf}); by raw_tp instead");
        let program: &mut RawTracePoint = self.program("syscall_exit_raw")?;
        let by_raw = program.load().and_then(|()| program.attach("sys_exit").map(|_| ()));
        by_raw.map_err(|error| Refusal::Both(Box::new(by_btf), Box::new(error.into())))?;
        self.lacking.push(lack);
        Ok(())
    }

    fn tracepoint(&mut self) -> Result<(), Refusal> {
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
    fn seed(&mut self, seed: &impl Fn() -> Option<TimerListOffsets>) -> Result<(), Refusal> {
        let Some(offsets) = seed() else { return Ok(()) };
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
}
