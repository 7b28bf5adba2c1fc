//! `cargo xtask bench`: how long a jump takes to its consumers, what that costs, and how both compare with what one would run
//! instead. Figures, never verdicts: no test looks at them. Each is set beside another of the same run, for the machine may be
//! an emulated one.

mod baseline;
pub mod board;
mod burst;
mod consumers;
mod figures;
mod goal;
mod latency;
mod loaded;
mod memory;
mod million;
pub mod node;
pub mod rivals;
mod steps;
mod stream;
pub mod subject;
mod table;
pub mod tokens;

use std::fs;
use std::io::Write;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

use crate::guard::InGuest;
use crate::stage::Stage;
use crate::sys::SECOND;
use crate::sys::clock::monotonic_ns;
use figures::Unit;
use goal::Goal;
use rivals::table as compared;

/// Numbers of consumers, the most last.
const COUNTS: [usize; 3] = [1, 10, 100];

/// What is measured in one guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The stream, with more and fewer consumers.
    Stream,
    /// timejump beside bpftrace and auditd.
    Rivals,
    /// What system calls, jumps and starts cost, in a guest whose clock counts instructions.
    Instructions,
}

/// All that was measured in one guest.
#[derive(Debug, Serialize)]
struct Results {
    machine: Machine,
    /// For people.
    text: String,
    goals: Vec<Goal>,
    /// For programs.
    figures: serde_json::Value,
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

/// Measures one part and prints it as one JSON object: texts for people are in it.
pub fn run(guest: InGuest, part: Part, accelerator: &str) -> Result<()> {
    let began = monotonic_ns();
    let stage = Stage::new(guest, "bench")?;
    let (text, goals, figures) = match part {
        Part::Stream => stream::measure(&stage)?,
        Part::Rivals => compare(&stage)?,
        Part::Instructions => count(&stage)?,
    };
    let read = |path: &str| fs::read_to_string(path).with_context(|| path.to_owned());
    let machine = Machine {
        kernel: read("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        accelerator: accelerator.to_owned(),
        processors: std::thread::available_parallelism()?.get(),
        clocksource: read("/sys/devices/system/clocksource/clocksource0/current_clocksource")?
            .trim()
            .to_owned(),
        seconds: (monotonic_ns() - began) / SECOND,
    };
    println!("{}", serde_json::to_string(&Results { machine, text, goals, figures })?);
    Ok(())
}

/// What a part has to say: for people, its goals, for programs.
type Said = (String, Vec<Goal>, serde_json::Value);

fn compare(stage: &Stage) -> Result<Said> {
    let start = rivals::start::measure(stage)?;
    let latency = rivals::latency::measure(stage)?;
    let rest = rivals::rest::measure(stage)?;
    let loaded = loaded::measure(stage)?;
    let million = million::measure(stage)?;
    let text = [
        compared::latencies(&latency, Unit::Time),
        compared::starts(&start, Unit::Time),
        compared::rests(&rest),
        compared::loaded(&loaded),
        compared::million(&million),
    ]
    .join("\n");
    let goals = compared::goals(&latency.all, &rest, &start, &loaded, &million);
    let figures = serde_json::json!({
        "start": start, "latency": latency, "rest": rest, "loaded": loaded, "million": million
    });
    Ok((text, goals, figures))
}

fn count(stage: &Stage) -> Result<Said> {
    let calls = rivals::cost::measure(stage)?;
    let latency = rivals::latency::measure(stage)?;
    let start = rivals::start::measure(stage)?;
    let text = [
        compared::costs(&calls),
        compared::latencies(&latency, Unit::Instructions),
        compared::starts(&start, Unit::Instructions),
    ]
    .join("\n");
    let goals = compared::cost_goals(&calls);
    Ok((text, goals, serde_json::json!({ "calls": calls, "latency": latency, "start": start })))
}

/// How far it is. A bench takes minutes.
fn say(what: &str) {
    // Nobody to tell if stderr is gone.
    let _ = writeln!(std::io::stderr(), "bench: {what}");
}
