//! `cargo xtask test`: everything that must hold before a change is let in.

use std::{
    path::Path,
    process::{Command, ExitCode},
    thread,
};

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::{
    arch::Arch,
    build::{self, Programs},
    deadline::Stopwatch,
    layout::{Build, Layout},
    process,
    setup::{self, Choice, ForBuilding, ForTests},
};

/// How many tests of one program run at once.
const THREADS: &str = "8";

/// Checks format, lints and documentation, builds everything, and runs all tests, those in virtual machines included.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Leave out the tests in virtual machines; they say so.
    #[arg(long)]
    no_vm: bool,
    /// What compiles the eBPF half.
    #[arg(long, value_enum, default_value_t)]
    toolchain: Choice,
    /// Arguments for `cargo test`, after `--`: names of tests, for one.
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Args {
    /// Does it.
    pub fn run(&self) -> Result<ExitCode> {
        if self.no_vm && std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
            bail!("CI is set, and CI is where the tests in virtual machines must run: --no-vm is refused");
        }
        // Before cargo may build another in its place.
        let xtask = std::env::current_exe().context("cannot find this program itself")?;
        let layout = Layout { build: Build::Tested, ..Layout::find()? };
        let tools = step("setup for building", || setup::for_building(&layout, self.toolchain))?;
        // That waits for the network while this waits for the compiler.
        let programs = thread::scope(|scope| {
            let fetched = scope.spawn(|| step("setup for tests", || self.provide(&layout)));
            let built = Self::check_and_build(&layout, &tools);
            let fetched = fetched.join().map_err(|_| anyhow!("what fetches for tests has panicked"))?;
            built.and(fetched)
        })?;
        // Of the program that is tested: making it small takes longer than all tests.
        let image = step("image", || {
            super::image::pack(
                &layout,
                Arch::host()?,
                &layout.program("timejump")?,
                &layout.target.join("image/tested"),
            )
        })?;
        step("tests", || self.test(&layout, &programs, &image, &xtask))?;
        Ok(ExitCode::SUCCESS)
    }

    /// What tests need that is not ours.
    fn provide(&self, layout: &Layout) -> Result<ForTests> {
        let programs = setup::for_tests(layout)?;
        setup::for_images()?;
        if !self.no_vm {
            setup::for_guests(layout)?;
        }
        Ok(programs)
    }

    fn check_and_build(layout: &Layout, tools: &ForBuilding) -> Result<()> {
        step("format", || process::run(cargo(layout).args(["fmt", "--all", "--check"])))?;
        // The eBPF half compiles for this machine too, to nothing of use: that is enough for these two, and lets them
        // do without its toolchain.
        step("lints", || {
            process::run(cargo(layout).args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ]))
        })?;
        step("documentation", || {
            process::run(
                cargo(layout).args(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"),
            )
        })?;
        step("build", || {
            build::ebpf(layout, tools, Arch::host()?)?;
            build::user_space(layout, Programs::All)
        })
    }

    fn test(&self, layout: &Layout, programs: &ForTests, image: &Path, xtask: &Path) -> Result<()> {
        let detector = layout.program("timejump")?;
        ensure!(detector.exists(), "{} was not built", detector.display());
        let mut tests = build::tested_cargo(layout, "test")?;
        // Whoever reads what failed wants all of it.
        tests.arg("--no-fail-fast").arg("--").args(&self.arguments);
        tests.env("TIMEJUMP_XTASK", xtask).env("TIMEJUMP_BIN", &detector);
        tests.env("TIMEJUMP_IMAGE", image);
        tests.env("TIMEJUMP_PYTHON", &programs.python).env("TIMEJUMP_PROMTOOL", &programs.promtool);
        tests.env("TIMEJUMP_CHROMIUM", &programs.chromium);
        tests.env("TIMEJUMP_MANIFESTS_PYTHON", &programs.manifests_python);
        tests.env("TIMEJUMP_KUSTOMIZE", &programs.kustomize).env("TIMEJUMP_HELM", &programs.helm);
        tests.env("TIMEJUMP_SYSTEMD_ANALYZE", &programs.systemd_analyze);
        // Those that take long wait most of the time.
        tests.env("RUST_TEST_THREADS", THREADS);
        if self.no_vm {
            tests.env("TIMEJUMP_NO_VM", "1");
        }
        process::run(&mut tests)
    }
}

fn cargo(layout: &Layout) -> Command {
    let mut cargo = process::cargo();
    cargo.current_dir(&layout.root);
    cargo
}

fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("\nxtask: === {name}");
    let stopwatch = Stopwatch::start();
    let done = work().with_context(|| format!("{name}: failed"))?;
    eprintln!("xtask: === {name}: done in {} s", stopwatch.elapsed().as_secs());
    Ok(done)
}
