//! `cargo xtask run`: runs the detector on this machine.

use std::{
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::{build::Programs, layout::Layout, setup::Choice};

/// Builds the detector and runs it on this machine, whose clock it only watches.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What compiles the eBPF half.
    #[arg(long, value_enum, default_value_t)]
    toolchain: Choice,
    /// Arguments for `timejump run`, after `--`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Args {
    /// Does it, and returns only if it cannot.
    pub fn run(&self) -> Result<ExitCode> {
        let layout = Layout::find()?;
        super::build::all(&layout, Programs::Detector, self.toolchain)?;
        let program = layout.program("timejump")?;
        // In our place, so that signals and the exit status are the detector's own.
        let failure = Command::new(&program).arg("run").args(&self.arguments).exec();
        Err(failure).with_context(|| format!("cannot run {}", program.display()))
    }
}
