//! `cargo xtask build-ebpf`: builds the eBPF half alone.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    arch::Arch,
    build,
    layout::Layout,
    setup::{self, Choice},
};

/// Builds the eBPF half and prints where it is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What compiles it.
    #[arg(long, value_enum, default_value_t)]
    toolchain: Choice,
}

impl Args {
    /// Does it.
    pub fn run(&self) -> Result<ExitCode> {
        let layout = Layout::find()?;
        let tools = setup::for_building(&layout, self.toolchain)?;
        let arch = Arch::host()?;
        build::ebpf(&layout, &tools, arch)?;
        eprintln!("xtask: built {}", layout.ebpf_object(arch).display());
        Ok(ExitCode::SUCCESS)
    }
}
