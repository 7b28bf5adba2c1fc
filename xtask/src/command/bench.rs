//! `cargo xtask bench`: what a jump costs, in a guest.

use std::{
    io::{stderr, stdout},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Result, bail};

use crate::{
    build::Programs,
    kernels::Kernel,
    layout::Layout,
    setup::{self, Choice},
    vm::{Guest, Outcome, Wish},
};

/// Where everything works.
const KERNEL: &str = "6.12";
const PROCESSORS: u32 = 2;
const MEMORY_MIB: u32 = 2048;
/// An emulated machine on a busy one is slow.
const TIMEOUT: Duration = Duration::from_mins(30);

/// Measures the latency from a step to the client's line, and the daemon's memory, with 1, 10 and 100 consumers.
///
/// Everything is measured in one guest, side by side: ratios are what counts, for the guest may be an emulated machine.
/// No test asserts any of it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which kernel: 5.10, 6.1, 6.12, 6.12-generic or 7.
    #[arg(long, value_name = "VERSION", default_value = KERNEL)]
    kernel: Kernel,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// How the guest's processors are made.
    #[arg(long, value_enum, default_value_t)]
    accel: Wish,
    /// Take the programs as they were built last.
    #[arg(long)]
    no_build: bool,
}

impl Args {
    /// Does it.
    pub fn run(&self) -> Result<ExitCode> {
        let layout = Layout::find()?;
        setup::emulator()?;
        if !self.no_build {
            super::build::all(&layout, Programs::All, Choice::Auto)?;
        }
        let guest =
            Guest::new(self.kernel).smp(PROCESSORS).memory_mib(MEMORY_MIB).timeout(TIMEOUT).accel(self.accel);
        let mut command = vec!["timejump-guest", "bench", "--accelerator", guest.accelerator(&layout)?];
        if self.json {
            command.push("--json");
        }
        match guest.command(command).run(&layout, &mut stdout(), &mut stderr())? {
            Outcome::Exited(status) => Ok(status.into()),
            Outcome::TimedOut => bail!("the bench took more than {} min", TIMEOUT.as_secs() / 60),
            Outcome::Interrupted => bail!("interrupted"),
        }
    }
}
