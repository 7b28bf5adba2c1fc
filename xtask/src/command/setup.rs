//! `cargo xtask setup`: finds or fetches what building and testing need.

use std::process::ExitCode;

use anyhow::Result;

use crate::{
    layout::Layout,
    setup::{self, Choice},
};

/// Finds or fetches what building and testing need, and says what it is for.
///
/// Programs of the system are installed only on Debian and only by root; all else goes below cargo's target directory.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only what building needs: no kernels, no emulator, and nothing for tests.
    #[arg(long)]
    build_only: bool,
    /// What compiles the eBPF half.
    #[arg(long, value_enum, default_value_t)]
    toolchain: Choice,
}

impl Args {
    /// Does it.
    pub fn run(&self) -> Result<ExitCode> {
        let layout = Layout::find()?;
        setup::for_building(&layout, self.toolchain)?;
        if !self.build_only {
            setup::for_tests(&layout)?;
            setup::for_guests(&layout)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
