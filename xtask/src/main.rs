//! `cargo xtask`: see `cargo xtask help`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use xtask::command;

/// Sets up, builds and tests timejump.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Xtask {
    Setup(command::setup::Args),
    BuildEbpf(command::build_ebpf::Args),
    Build(command::build::Args),
    Run(command::run::Args),
    Vm(command::vm::Args),
    Test(command::test::Args),
}

fn main() -> Result<ExitCode> {
    match Xtask::parse() {
        Xtask::Setup(args) => args.run(),
        Xtask::BuildEbpf(args) => args.run(),
        Xtask::Build(args) => args.run(),
        Xtask::Run(args) => args.run(),
        Xtask::Vm(args) => args.run(),
        Xtask::Test(args) => args.run(),
    }
}
