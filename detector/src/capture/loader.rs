//! Loads one rung's programs, with what they must know of this kernel, and holds them.

use std::path::Path;

use aya::{
    Btf, Ebpf, EbpfLoader, Endianness,
    maps::{Array, MapData, RingBuf},
};
use detector_common::{
    cell::{Cell, Counters},
    refusal::CODE_RANGES,
    task::{READ_NOT, READ_PROBE, READ_TYPED},
};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::{
    Rung,
    attach::{ATTACHED_BY_TYPE, Attach},
    btf::{KernelBtf, VMLINUX},
    facts::{KernelFacts, settimeofday_code},
    layout::{Layout, TaskLayout, Timekeeper},
    pod::{CellPod, CountersPod},
    refusal::{Refusal, has_task_btf_helper},
    symbols::Symbols,
};
use crate::{clock::OffsetNs, privilege};

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
    settimeofday_code: Array<MapData, [u64; 2 * CODE_RANGES]>,
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

    /// From now on refused calls of `settimeofday` are told from those of `clock_settime`.
    pub fn learn(&mut self, symbols: &Symbols) {
        if let Err(error) = self.settimeofday_code.set(0, settimeofday_code(symbols), 0) {
            tracing::warn!("where settimeofday's code lies: {error}");
        }
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

/// Loads and attaches `rung`.
pub fn load(rung: Rung, options: LoadOptions, facts: KernelFacts<'_>) -> Result<Hooks, Refusal> {
    if OBJECT.is_empty() {
        return Err(Refusal::NoObject);
    }
    if !rung.measures_in_kernel() && !cfg!(target_arch = "x86_64") {
        return Err(Refusal::Unsafe("this rung knows x86-64's system calls and registers only"));
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
    let task = btf.as_ref().ok().and_then(|btf| TaskLayout::find(btf).ok());
    let digest = btf.and_then(|btf| btf.digest(&ATTACHED_BY_TYPE));
    // Read whole, and dropped before the next reader takes room.
    let kernel = digest.ok().and_then(|digest| Btf::parse(&digest, Endianness::default()).ok());
    let mut refused = None;
    for (read, user_read, task) in ways_to_read(task) {
        let layout = Layout { timekeeper, read, user_read, task };
        match attempt(rung, layout, kernel.as_ref(), options, facts) {
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
    facts: KernelFacts<'_>,
) -> Result<Hooks, Refusal> {
    let mut ebpf = open(layout, kernel, options)?;
    let mut attach = Attach { ebpf: &mut ebpf, kernel, facts, lacking: Vec::new(), seed: None };
    match rung {
        Rung::Fentry => attach.fentry()?,
        Rung::Kprobe => attach.kprobe()?,
        Rung::RawTracepoint => attach.raw_tracepoint()?,
        Rung::Tracepoint => attach.tracepoint()?,
        Rung::Timerfd => return Err(Refusal::NoProgram("timerfd".into())),
    }
    match (layout.read, layout.user_read) {
        (READ_NOT, _) => attach.lacking.push("parent and command line of processes that are gone".to_owned()),
        (_, false) => attach.lacking.push("command line of processes that are gone".to_owned()),
        (_, true) => {}
    }
    if rung.measures_in_kernel() && !facts.names.are_there() {
        let names = "the names of kernel functions (/proc/kallsyms): settimeofday is told as clock_settime";
        attach.lacking.push(names.to_owned());
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
        settimeofday_code: Array::try_from(take(&mut ebpf, "SETTIMEOFDAY_CODE")?)
            .map_err(|error| Refusal::map(&error))?,
        counters: Array::try_from(take(&mut ebpf, "COUNTERS")?).map_err(|error| Refusal::map(&error))?,
        lacking,
        _ebpf: ebpf,
    })
}

fn open(layout: Layout, kernel: Option<&Btf>, options: LoadOptions) -> Result<Ebpf, Refusal> {
    // aya's loader begins by reading all the kernel's types, some 20 MiB, of which the digest has what is needed.
    let mut loader = privilege::without_opening(EbpfLoader::new);
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

/// Maps count against `RLIMIT_MEMLOCK` before 5.11. Failing to raise it shows when the maps are made.
fn raise_memlock_limit() {
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<aya::maps::Map, Refusal> {
    ebpf.take_map(name).ok_or_else(|| Refusal::NoProgram(name.to_owned()))
}
