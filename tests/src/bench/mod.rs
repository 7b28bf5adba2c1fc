//! `cargo xtask bench`: how long a jump takes to its consumers, and what that costs. Figures, never verdicts: no test
//! looks at them. Each is set beside another of the same run, for the machine may be an emulated one.

mod baseline;
mod board;
mod burst;
mod consumers;
mod figures;
mod latency;
mod memory;
pub mod node;
mod steps;
mod subject;
mod table;
pub mod tokens;

use std::fs;
use std::io::Write;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::guard::InGuest;
use crate::stage::Stage;
use crate::sys::SECOND;
use crate::sys::clock::monotonic_ns;

/// Numbers of consumers, the most last.
const COUNTS: [usize; 3] = [1, 10, 100];

/// All that was measured.
#[derive(Debug, Serialize)]
pub struct Results {
    machine: Machine,
    baseline: baseline::Baseline,
    latency: Vec<latency::Latency>,
    memory: memory::Memory,
    bursts: Vec<burst::Burst>,
    node: node::Node,
    tokens: tokens::Tokens,
}

/// Where it was measured.
#[derive(Debug, Serialize)]
struct Machine {
    kernel: String,
    accelerator: String,
    processors: usize,
    clocksource: String,
    seconds: i64,
}

/// Measures everything and prints it: a table, or one JSON object.
pub fn run(guest: InGuest, accelerator: &str, json: bool) -> Result<()> {
    let began = monotonic_ns();
    let stage = Stage::new(guest, "bench")?;
    let read = |path: &str| fs::read_to_string(path).with_context(|| path.to_owned());
    let mut results = Results {
        baseline: baseline::measure(&stage)?,
        latency: latency::measure(&stage)?,
        memory: memory::measure(&stage)?,
        bursts: burst::measure(&stage)?,
        node: node::measure(&stage.bench.dir)?,
        tokens: tokens::measure(&stage.bench.dir)?,
        machine: Machine {
            kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            accelerator: accelerator.to_owned(),
            processors: std::thread::available_parallelism()?.get(),
            clocksource: read("/sys/devices/system/clocksource/clocksource0/current_clocksource")?
                .trim()
                .to_owned(),
            seconds: 0,
        },
    };
    results.machine.seconds = (monotonic_ns() - began) / SECOND;
    let text = if json { serde_json::to_string(&results)? } else { table::of(&results) };
    println!("{}", text.trim_end());
    Ok(())
}

/// How far it is. A bench takes minutes.
fn say(what: &str) {
    // Nobody to tell if stderr is gone.
    let _ = writeln!(std::io::stderr(), "bench: {what}");
}
