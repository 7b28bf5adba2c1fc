//! `cargo xtask`: see `cargo xtask help`.
#![expect(clippy::print_stderr, reason = "a developer's tool says what it does on standard error")]

use std::process::ExitCode;

use clap::Parser;
use xtask::command;

/// Sets up, builds and tests timejump.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Xtask {
    Setup(command::setup::Args),
    BuildEbpf(command::build_ebpf::Args),
    Build(command::build::Args),
    Manifests(command::manifests::Args),
    Run(command::run::Args),
    Vm(command::vm::Args),
    Test(command::test::Args),
    Demo(command::demo::Args),
    Bench(command::bench::Args),
    Fuzz(command::fuzz::Args),
    Image(command::image::Args),
    Kubernetes(command::kubernetes::Args),
}

fn main() -> ExitCode {
    let done = match Xtask::parse() {
        Xtask::Setup(args) => args.run(),
        Xtask::BuildEbpf(args) => args.run(),
        Xtask::Build(args) => args.run(),
        Xtask::Manifests(args) => args.run(),
        Xtask::Run(args) => args.run(),
        Xtask::Vm(args) => args.run(),
        Xtask::Test(args) => args.run(),
        Xtask::Demo(args) => args.run(),
        Xtask::Bench(args) => args.run(),
        Xtask::Fuzz(args) => args.run(),
        Xtask::Image(args) => args.run(),
        Xtask::Kubernetes(args) => args.run(),
    };
    done.unwrap_or_else(|failure| {
        // Without the backtrace that anyhow would add: none of these failures is a mistake in xtask.
        eprintln!("xtask: {failure:#}");
        ExitCode::FAILURE
    })
}
