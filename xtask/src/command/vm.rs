//! `cargo xtask vm`: boots a kernel and runs a command in it.

use std::{
    io::{stderr, stdout},
    process::ExitCode,
    time::Duration,
};

use anyhow::Result;

use crate::{
    build::Programs,
    debian::Release,
    kernels::Kernel,
    layout::{Build, Layout},
    setup::{self, Choice},
    vm::{Guest, Outcome, PROGRAMS, Wish},
};

/// As `timeout` has it.
const TIMED_OUT: u8 = 124;
/// The guest, not its command, failed.
const BROKEN: u8 = 125;
/// As a shell has it for a program that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Boots a kernel with our programs in it and runs a command.
///
/// The guest has timejump, timejump-guest and the applets of busybox (whose shell prefers its own applets: say
/// /usr/bin/date for that of --userland). The command's output is passed on as it comes,
/// and its exit status is ours; 124 means that time was up, 125 that the guest itself failed, 126 and 127 that there is
/// no such program to run, 128 and more that a signal killed it.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// Which kernel: 5.10, 6.1, 6.12, 6.12-generic or 7.
    #[arg(long, value_name = "VERSION")]
    kernel: Kernel,
    /// More for the kernel's command line; the last of two that disagree wins.
    #[arg(long, value_name = "WORDS")]
    append: Vec<String>,
    /// Processors.
    #[arg(long, default_value_t = 2)]
    smp: u32,
    /// Memory in MiB.
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// Seconds that everything may take, boot included.
    #[arg(long, default_value_t = 120, value_name = "SECONDS")]
    timeout: u64,
    /// How the guest's processors are made.
    #[arg(long, value_enum, default_value_t)]
    accel: Wish,
    /// Take the programs as they were built last.
    #[arg(long)]
    no_build: bool,
    /// Put Debian's chronyd, chronyc, date and libfaketime into the guest.
    #[arg(long)]
    userland: bool,
    /// Put Debian 13's bpftrace, auditd and auditctl into the guest.
    #[arg(long, conflicts_with_all = ["userland", "containerd"])]
    rivals: bool,
    /// Put a Debian release's containerd, ctr and runc into the guest.
    // Its libraries and those of --userland are of different releases.
    #[arg(long, value_enum, value_name = "RELEASE", conflicts_with = "userland")]
    containerd: Option<Release>,
    /// Put kube-apiserver, kubelet and etcd into the guest: those that KUBE_APISERVER, KUBELET and ETCD name.
    #[arg(long)]
    kubernetes: bool,
    /// Give the guest a network card with a PTP clock, /dev/ptp0. Only 6.12-generic has a driver for it.
    #[arg(long)]
    ptp: bool,
    /// A kernel module to load.
    #[arg(long, value_name = "NAME")]
    module: Vec<String>,
    /// Which build of the programs the guest gets.
    #[arg(long, value_enum, default_value_t)]
    build: Build,
    /// A variable for the command.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,
    /// A file to copy into the guest.
    #[arg(long, value_name = "PATH_IN_GUEST=FILE", value_parser = pair)]
    file: Vec<(String, String)>,
    /// A file to copy out of the guest once the command has ended, if it is there.
    #[arg(long, value_name = "PATH_IN_GUEST=FILE", value_parser = pair)]
    fetch: Vec<(String, String)>,
    /// An argument for the emulator, such as `--qemu=-device --qemu=e1000e`.
    #[arg(long, value_name = "ARGUMENT", allow_hyphen_values = true)]
    qemu: Vec<String>,
    /// Show the kernel's messages, all of them.
    #[arg(long, short)]
    verbose: bool,
    /// The command, after `--`.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("there is no = in it")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Args {
    fn guest(&self) -> Guest {
        let mut guest = Guest::new(self.kernel)
            .command(&self.command)
            .smp(self.smp)
            .memory_mib(self.memory)
            .timeout(Duration::from_secs(self.timeout))
            .accel(self.accel)
            .userland(self.userland)
            .rivals(self.rivals)
            .containerd(self.containerd)
            .kubernetes(self.kubernetes)
            .ptp(self.ptp)
            .verbose(self.verbose);
        guest = self.append.iter().fold(guest, Guest::append);
        guest = self.module.iter().fold(guest, Guest::module);
        guest = self.qemu.iter().fold(guest, Guest::qemu);
        guest = self.env.iter().fold(guest, |guest, (name, value)| guest.environment(name, value));
        guest = self.fetch.iter().fold(guest, |guest, (path, to)| guest.fetch(path, to));
        self.file.iter().fold(guest, |guest, (path, from)| guest.file(path, from))
    }

    /// Does it.
    pub fn run(&self) -> Result<ExitCode> {
        let layout = Layout { build: self.build, ..Layout::find()? };
        setup::emulator()?;
        if !self.no_build {
            super::build::all(&layout, Programs::All, Choice::Auto)?;
        }
        for name in PROGRAMS {
            let program = layout.program(name)?;
            if !program.exists() {
                eprintln!("xtask: the guest will have no {name}, as there is no {}", program.display());
            }
        }
        Ok(match self.guest().run(&layout, &mut stdout(), &mut stderr()) {
            Ok(Outcome::Exited(status)) => status.into(),
            Ok(Outcome::TimedOut) => TIMED_OUT.into(),
            Ok(Outcome::Interrupted) => INTERRUPTED.into(),
            Err(failure) => {
                eprintln!("xtask: {failure:#}");
                BROKEN.into()
            }
        })
    }
}
