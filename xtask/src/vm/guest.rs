//! What a guest is made of.

use std::{io::Write, path::PathBuf, time::Duration};

use anyhow::Result;

use super::{
    accel::{Accel, Wish},
    contents,
    emulator::Hardware,
    life::{self, Outcome, Sinks},
};
use crate::{arch::Arch, debian::Release, kernels::Kernel, layout::Layout};

/// What every guest's kernel is told: no messages but those of failures, to end at a panic, to run BPF LSM programs,
/// and the mark by which tests know that this clock may be stepped.
const APPEND: &str = "quiet panic=-1 rdinit=/init lsm=lockdown,capability,yama,bpf timejump.guest=1";
/// A guest to be.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is something it has or has not")]
pub struct Guest {
    kernel: Kernel,
    command: Vec<String>,
    append: Vec<String>,
    environment: Vec<(String, String)>,
    files: Vec<(String, PathBuf)>,
    fetched: Vec<(String, PathBuf)>,
    modules: Vec<String>,
    qemu: Vec<String>,
    smp: u32,
    memory_mib: u32,
    timeout: Duration,
    accel: Wish,
    userland: bool,
    rivals: bool,
    containerd: Option<Release>,
    kubernetes: bool,
    verbose: bool,
}

impl Guest {
    /// Two processors, 1 GiB, two minutes, and a command that does nothing.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            command: vec!["true".to_owned()],
            append: Vec::new(),
            environment: Vec::new(),
            files: Vec::new(),
            fetched: Vec::new(),
            modules: Vec::new(),
            qemu: Vec::new(),
            smp: 2,
            memory_mib: 1024,
            timeout: Duration::from_mins(2),
            accel: Wish::Auto,
            userland: false,
            rivals: false,
            containerd: None,
            kubernetes: false,
            verbose: false,
        }
    }

    /// What to run, and with which arguments.
    #[must_use]
    pub fn command(mut self, words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.command = words.into_iter().map(Into::into).collect();
        self
    }

    /// More for the kernel's command line. It comes after ours, so it wins.
    #[must_use]
    pub fn append(mut self, words: impl Into<String>) -> Self {
        self.append.push(words.into());
        self
    }

    /// A variable of the command's environment.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// A file of this machine to copy into the guest.
    #[must_use]
    pub fn file(mut self, in_guest: impl Into<String>, from: impl Into<PathBuf>) -> Self {
        self.files.push((in_guest.into(), from.into()));
        self
    }

    /// A file of the guest to copy to this machine once the command has ended, however it did, if it is there then.
    #[must_use]
    pub fn fetch(mut self, in_guest: impl Into<String>, to: impl Into<PathBuf>) -> Self {
        self.fetched.push((in_guest.into(), to.into()));
        self
    }

    /// A kernel module to load, with those that it needs.
    #[must_use]
    pub fn module(mut self, name: impl Into<String>) -> Self {
        self.modules.push(name.into());
        self
    }

    /// An argument for the emulator, such as one more device.
    #[must_use]
    pub fn qemu(mut self, argument: impl Into<String>) -> Self {
        self.qemu.push(argument.into());
        self
    }

    /// Number of processors.
    #[must_use]
    pub fn smp(mut self, processors: u32) -> Self {
        self.smp = processors;
        self
    }

    /// Memory in MiB.
    #[must_use]
    pub fn memory_mib(mut self, memory: u32) -> Self {
        self.memory_mib = memory;
        self
    }

    /// How long it may take from power on.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How its processors are made.
    #[must_use]
    pub fn accel(mut self, wish: Wish) -> Self {
        self.accel = wish;
        self
    }

    /// Whether it has Debian's chrony, coreutils' date and libfaketime.
    #[must_use]
    pub fn userland(mut self, wanted: bool) -> Self {
        self.userland = wanted;
        self
    }

    /// Whether it has bpftrace and auditd, to compare with. Not together with [`Self::userland`] or [`Self::containerd`].
    #[must_use]
    pub fn rivals(mut self, wanted: bool) -> Self {
        self.rivals = wanted;
        self
    }

    /// The release whose containerd and runc it has, if any. Not together with [`Self::userland`].
    #[must_use]
    pub fn containerd(mut self, release: Option<Release>) -> Self {
        self.containerd = release;
        self
    }

    /// Whether it has the components of Kubernetes that the environment names.
    #[must_use]
    pub fn kubernetes(mut self, wanted: bool) -> Self {
        self.kubernetes = wanted;
        self
    }

    /// Whether it has a network card with a PTP clock. Of our kernels, [`Kernel::V6_12Generic`] alone drives it.
    #[must_use]
    pub fn ptp(self, wanted: bool) -> Self {
        if wanted { self.module("e1000e").qemu("-device").qemu("e1000e") } else { self }
    }

    /// Whether the kernel's messages are shown as they come, all of them.
    #[must_use]
    pub fn verbose(mut self, wanted: bool) -> Self {
        self.verbose = wanted;
        self
    }

    /// The kernel that it boots.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// How its processors are made: `kvm` or `tcg`. Tries it where that is not known yet.
    pub fn accelerator(&self, layout: &Layout) -> Result<&'static str> {
        Accel::choose(self.accel, self, layout).map(Accel::name)
    }

    /// Boots it and runs its command. What that writes is passed on as it comes. An error if the guest broke.
    pub fn run(&self, layout: &Layout, stdout: &mut dyn Write, stderr: &mut dyn Write) -> Result<Outcome> {
        let machine = Arch::host()?.machine()?;
        let kernel = self.kernel.fetch(layout)?;
        let contents = contents::Wanted {
            command: &self.command,
            environment: &self.environment,
            files: &self.files,
            fetched: &self.fetched,
            modules: &self.modules,
            userland: self.userland,
            rivals: self.rivals,
            containerd: self.containerd,
            kubernetes: self.kubernetes,
        };
        let tree = contents.gather(layout, &kernel)?;
        // After all that may fail for want of a file, so that a probe fails for want of KVM only.
        let accel = Accel::choose(self.accel, self, layout)?;
        let quiet = if self.verbose { APPEND.trim_start_matches("quiet ") } else { APPEND };
        let append = format!("console={} {quiet} {}", machine.console, self.append.join(" "));
        let hardware = Hardware {
            machine,
            accel,
            smp: self.smp,
            memory_mib: self.memory_mib,
            kernel: &kernel,
            append,
            more: &self.qemu,
        };
        let mut sinks = Sinks { stdout, stderr, console: self.verbose, files: &self.fetched };
        life::live(&hardware, &tree, self.timeout, &mut sinks)
    }
}
