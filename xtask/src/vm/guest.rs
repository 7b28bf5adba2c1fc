//! One guest: what it is made of, and its life from boot to the end of its command.

use std::{
    io::Write,
    os::{fd::AsFd, unix::net::UnixStream},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    accel::{Accel, Wish},
    channels::Port,
    console::Console,
    contents,
    emulator::{Emulator, Hardware},
    status::Status,
};
use crate::{arch::Arch, deadline::Deadline, kernels::Kernel, layout::Layout};

/// What every guest's kernel is told: no messages but those of failures, to end at a panic, to run BPF LSM programs,
/// and the mark by which tests know that this clock may be stepped.
const APPEND: &str = "quiet panic=-1 rdinit=/init lsm=lockdown,capability,yama,bpf timejump.guest=1";
/// After a sign that the guest is broken, how long it may explain itself.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How a guest's command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With this exit status: 127 if there is no such program, 126 if it cannot be run, 128 + n if signal n killed it.
    Exited(u8),
    /// It took too long.
    TimedOut,
    /// The user interrupted it.
    Interrupted,
}

/// A guest to be.
#[derive(Debug, Clone)]
pub struct Guest {
    kernel: Kernel,
    command: Vec<String>,
    append: Vec<String>,
    environment: Vec<(String, String)>,
    files: Vec<(String, PathBuf)>,
    modules: Vec<String>,
    qemu: Vec<String>,
    smp: u32,
    memory_mib: u32,
    timeout: Duration,
    accel: Wish,
    userland: bool,
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
            modules: Vec::new(),
            qemu: Vec::new(),
            smp: 2,
            memory_mib: 1024,
            timeout: Duration::from_mins(2),
            accel: Wish::Auto,
            userland: false,
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

    /// Boots it and runs its command. What that writes is passed on as it comes. An error if the guest broke.
    pub fn run(&self, layout: &Layout, stdout: &mut dyn Write, stderr: &mut dyn Write) -> Result<Outcome> {
        let machine = Arch::host()?.machine()?;
        let accel = Accel::choose(self.accel, self, layout)?;
        let kernel = self.kernel.fetch(layout)?;
        let contents = contents::Wanted {
            command: &self.command,
            environment: &self.environment,
            files: &self.files,
            modules: &self.modules,
            userland: self.userland,
        };
        let tree = contents.gather(layout, &kernel)?;
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
        // Before the start, so that no moment is left in which an interrupt would leave the guest behind.
        let interrupts = interrupts()?;
        let emulator = Emulator::start(&hardware, &tree)?;
        Life {
            emulator,
            interrupts,
            deadline: Deadline::after(self.timeout),
            console: Console::default(),
            status: Status::default(),
            broken: None,
            verbose: self.verbose,
            stdout,
            stderr,
        }
        .watch()
    }
}

/// Becomes readable when the user or a supervisor asks us to stop.
fn interrupts() -> Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)
            .with_context(|| format!("cannot catch signal {signal}"))?;
    }
    Ok(read)
}

/// A running guest.
struct Life<'a> {
    emulator: Emulator,
    interrupts: UnixStream,
    deadline: Deadline,
    console: Console,
    status: Status,
    broken: Option<(&'static str, Deadline)>,
    verbose: bool,
    stdout: &'a mut dyn Write,
    stderr: &'a mut dyn Write,
}

impl Life<'_> {
    fn watch(mut self) -> Result<Outcome> {
        loop {
            let [interrupted, ended] = self.wait()?;
            self.drain()?;
            if let Some(outcome) = self.status.outcome() {
                // The guest says so only after all that its command wrote has left its serial ports.
                self.drain()?;
                return outcome;
            }
            if interrupted {
                return Ok(Outcome::Interrupted);
            }
            if ended || self.broken.is_some_and(|(_, last_words)| last_words.passed()) {
                bail!(self.obituary());
            }
            if self.deadline.passed() {
                return Ok(self.timed_out());
            }
        }
    }

    /// Waits until something happens or the time is up, and says whether we were interrupted and whether the emulator
    /// ended.
    fn wait(&self) -> Result<[bool; 2]> {
        let left = self.broken.map_or(self.deadline, |(_, last_words)| last_words).left();
        // A little more than what is left, lest this spins when only a fraction of the unit is.
        let left = Timespec { tv_sec: left.as_secs().try_into()?, tv_nsec: left.subsec_nanos().into() };
        let mut descriptors = vec![
            PollFd::from_borrowed_fd(self.interrupts.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.emulator.ended.as_fd(), PollFlags::IN),
        ];
        let channels = self.emulator.channels.iter().filter_map(super::channels::Channel::descriptor);
        descriptors.extend(channels.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        match poll(&mut descriptors, Some(&left)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context("cannot wait for the guest"),
        }
        Ok([0, 1].map(|i: usize| !descriptors[i].revents().is_empty()))
    }

    fn drain(&mut self) -> Result<()> {
        for channel in &mut self.emulator.channels {
            let bytes = channel.read()?;
            if bytes.is_empty() {
                continue;
            }
            match channel.port {
                Port::Stdout => pass_on(self.stdout, &bytes)?,
                Port::Stderr => pass_on(self.stderr, &bytes)?,
                Port::Status => self.status.push(&bytes),
                Port::Console => {
                    if self.verbose {
                        pass_on(self.stderr, &bytes)?;
                    }
                    if let Some(sign) = self.console.push(&bytes) {
                        self.broken.get_or_insert((sign, Deadline::after(LAST_WORDS)));
                    }
                }
            }
        }
        Ok(())
    }

    fn obituary(&self) -> String {
        let cause = match self.broken {
            Some((sign, _)) => format!("the guest's kernel broke (\"{sign}\")"),
            None => "the guest ended before its command did".to_owned(),
        };
        let mut text = format!("{cause}; {}", self.status.stage());
        for (title, said) in [
            ("the emulator said", self.emulator.complaints()),
            ("the kernel's last messages", self.console.tail()),
        ] {
            if !said.is_empty() {
                text = format!("{text}\n--- {title}:\n{said}");
            }
        }
        text
    }

    fn timed_out(&mut self) -> Outcome {
        let mut text = format!("xtask: time is up; {}\n", self.status.stage());
        let said = self.console.tail();
        if !said.is_empty() && !self.verbose {
            text = format!("{text}--- the kernel's last messages:\n{said}\n");
        }
        let _ = self.stderr.write_all(text.as_bytes());
        Outcome::TimedOut
    }
}

fn pass_on(to: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    to.write_all(bytes).and_then(|()| to.flush()).context("cannot pass on what the guest wrote")
}
