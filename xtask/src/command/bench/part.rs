//! One guest, and what is measured in it.

use std::{io::stderr, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde_json::Value;

use crate::{
    arch::Arch,
    kernels::Kernel,
    layout::Layout,
    vm::{Guest, Outcome, Wish},
};

/// An emulated machine on a busy one is slow.
const TIMEOUT: Duration = Duration::from_hours(1);
/// The clock advances by a nanosecond with each instruction, and by nothing else; where nobody has anything to do it is at the next timer.
const COUNTING: [&str; 2] = ["-icount", "shift=0,sleep=off"];

/// What is measured in one guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// timejump beside bpftrace and auditd: latency, start, rest, memory; a million steps.
    Rivals,
    /// What system calls, jumps and starts cost, by a clock that counts instructions.
    Instructions,
    /// The stream with 1, 10 and 100 consumers.
    Stream,
}

/// What came of it.
#[derive(Debug)]
pub struct Measured {
    /// Which part.
    pub part: Part,
    /// All of it, as the guest printed it.
    pub json: Value,
}

impl Part {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Boots a guest for it.
    pub fn measure(self, layout: &Layout, kernel: Kernel, accel: Wish) -> Result<Measured> {
        eprintln!("xtask: bench: {}", self.name());
        let shipped = layout.shipped(Arch::host()?);
        ensure!(shipped.exists(), "{} is missing: run `cargo xtask image` first", shipped.display());
        let mut guest = Guest::new(kernel)
            .memory_mib(3072)
            .timeout(TIMEOUT)
            .accel(accel)
            .file("usr/bin/timejump", &shipped)
            .rivals(self != Self::Stream);
        if self == Self::Instructions {
            guest = COUNTING.into_iter().fold(guest, Guest::qemu).smp(1).accel(Wish::Tcg);
        }
        let accelerator = guest.accelerator(layout)?;
        let guest = guest.command(["timejump-guest", "bench", "--accelerator", accelerator, &self.name()]);
        let mut output = Vec::new();
        match guest.run(layout, &mut output, &mut stderr())? {
            Outcome::Exited(0) => {}
            Outcome::Exited(status) => bail!("the bench ended with {status}"),
            Outcome::TimedOut => bail!("the bench took more than {} min", TIMEOUT.as_secs() / 60),
            Outcome::Interrupted => bail!("interrupted"),
        }
        let output = String::from_utf8(output)?;
        let line = output.lines().rfind(|line| line.starts_with('{')).context("the bench said nothing")?;
        Ok(Measured { part: self, json: serde_json::from_str(line)? })
    }
}
