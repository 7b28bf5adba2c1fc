//! `cargo xtask build`: builds both halves, and what guests need.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    arch::Arch,
    build::{self, Programs},
    layout::Layout,
    setup::{self, Choice},
};

/// Builds the detector, statically linked, and the programs of the tests' guests.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What compiles the eBPF half.
    #[arg(long, value_enum, default_value_t)]
    toolchain: Choice,
}

impl Args {
    /// Does it.
    pub fn run(&self) -> Result<ExitCode> {
        let layout = Layout::find()?;
        all(&layout, Programs::All, self.toolchain)?;
        eprintln!("xtask: built {}", layout.program("timejump")?.display());
        Ok(ExitCode::SUCCESS)
    }
}

/// Builds both halves with what is there or can be had.
pub(super) fn all(layout: &Layout, programs: Programs, choice: Choice) -> Result<()> {
    let tools = setup::for_building(layout, choice)?;
    build::ebpf(layout, &tools, Arch::host()?)?;
    build::user_space(layout, programs)
}
