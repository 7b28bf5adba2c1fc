//! `cargo xtask bench`: what a jump costs, in guests, and beside what one would run instead.

mod page;
mod part;
mod sizes;

use std::{fs, path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};

use self::part::Part;
use crate::{
    arch::Arch,
    build::{self, Programs},
    kernels::Kernel,
    layout::{Build, Layout},
    setup::{self, Choice},
    vm::Wish,
};

/// Where everything works.
const KERNEL: Kernel = Kernel::V6_12;

/// Measures timejump as it is shipped: the way from a step to consumers, beside bpftrace and auditd, and what it costs; prints it and
/// writes docs/performance.md.
///
/// All that is compared is measured side by side in one guest: ratios are what counts, for the guest may be an emulated
/// machine. No test asserts any of it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which kernel: 5.10, 6.1, 6.12, 6.12-generic or 7.
    #[arg(long, value_name = "VERSION", default_value_t = KERNEL)]
    kernel: Kernel,
    /// What to measure [default: rivals and instructions, of which the page is made].
    #[arg(value_enum)]
    parts: Vec<Part>,
    /// Print one JSON object a guest instead of tables.
    #[arg(long)]
    json: bool,
    /// How the guests' processors are made.
    #[arg(long, value_enum, default_value_t)]
    accel: Wish,
    /// Take the programs as they were built last.
    #[arg(long)]
    no_build: bool,
}

impl Args {
    /// Does it.
    pub fn run(&self) -> Result<ExitCode> {
        // Guests get the programs that tests have; but what is measured is what is shipped.
        let layout = Layout { build: Build::Tested, ..Layout::find()? };
        setup::emulator()?;
        if !self.no_build {
            super::build::all(&layout, Programs::All, Choice::Auto)?;
            let arch = Arch::host()?;
            build::shipped(&layout, &setup::for_shipping(&layout, arch)?, arch)?;
        }
        let usual = self.parts.is_empty();
        let parts = if usual { &[Part::Rivals, Part::Instructions][..] } else { &self.parts };
        let mut measured = Vec::new();
        for part in parts {
            let of_part = part.measure(&layout, self.kernel, self.accel)?;
            if self.json {
                println!("{}", of_part.json);
            } else {
                println!("{}", page::section(&of_part));
            }
            measured.push(of_part);
        }
        let sizes = sizes::Sizes::of(&layout)?;
        let goals = page::goals(&measured, &sizes);
        if !self.json {
            println!("{goals}");
        }
        if usual {
            let page = self.page(&layout);
            fs::write(&page, page::whole(&measured, &sizes, &goals))
                .with_context(|| format!("cannot write {}", page.display()))?;
            eprintln!("xtask: {} is written", page.display());
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Other kernels' figures are not the documented ones.
    fn page(&self, layout: &Layout) -> PathBuf {
        if self.kernel == KERNEL {
            layout.root.join("docs/performance.md")
        } else {
            layout.target.join(format!("performance-{}.md", self.kernel))
        }
    }
}
