//! A guest's life, from power on to the end of its command.

use std::{
    fs,
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
use signal_hook::{
    SigId,
    consts::{SIGHUP, SIGINT, SIGTERM},
    low_level::{pipe, unregister},
};

use super::{
    channels::Port,
    console::Console,
    emulator::{Emulator, Hardware},
    status::Status,
    tree::Tree,
};
use crate::deadline::Deadline;

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

/// Where what the guest says goes.
pub(super) struct Sinks<'a> {
    /// Where files that were asked for go, in the order in which they were.
    pub(super) files: &'a [(String, PathBuf)],
    /// The command's standard output.
    pub(super) stdout: &'a mut dyn Write,
    /// Its standard error.
    pub(super) stderr: &'a mut dyn Write,
    /// Whether the kernel's messages go there too.
    pub(super) console: bool,
}

/// Boots a guest and waits for its command to end.
pub(super) fn live(
    hardware: &Hardware<'_>,
    tree: &Tree,
    timeout: Duration,
    sinks: &mut Sinks<'_>,
) -> Result<Outcome> {
    // Before the start, so that no moment is left in which an interrupt would leave the guest behind.
    let interrupts = Interrupts::catch()?;
    let emulator = Emulator::start(hardware, tree)?;
    Life {
        emulator,
        interrupts,
        deadline: Deadline::after(timeout),
        console: Console::default(),
        status: Status::default(),
        broken: None,
        sinks,
    }
    .watch()
}

/// Readable once the user or a supervisor has asked us to stop.
struct Interrupts {
    asked: UnixStream,
    handlers: Vec<SigId>,
}

impl Interrupts {
    fn catch() -> Result<Self> {
        let (asked, ask) = UnixStream::pair()?;
        let mut interrupts = Self { asked, handlers: Vec::new() };
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let handler = pipe::register(signal, ask.try_clone()?)
                .with_context(|| format!("cannot catch signal {signal}"))?;
            interrupts.handlers.push(handler);
        }
        Ok(interrupts)
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            unregister(handler);
        }
    }
}

/// A running guest.
struct Life<'a, 'b> {
    emulator: Emulator,
    interrupts: Interrupts,
    deadline: Deadline,
    console: Console,
    status: Status,
    broken: Option<(&'static str, Deadline)>,
    sinks: &'a mut Sinks<'b>,
}

impl Life<'_, '_> {
    fn watch(mut self) -> Result<Outcome> {
        loop {
            let [interrupted, ended] = self.wait()?;
            self.drain()?;
            if let Some(outcome) = self.status.outcome() {
                // The guest says so only after all that its command wrote has left its serial ports.
                self.drain()?;
                self.save()?;
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
        let left = Timespec { tv_sec: left.as_secs().try_into()?, tv_nsec: left.subsec_nanos().into() };
        let mut descriptors = vec![
            PollFd::from_borrowed_fd(self.interrupts.asked.as_fd(), PollFlags::IN),
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
                Port::Stdout => pass_on(self.sinks.stdout, &bytes)?,
                Port::Stderr => pass_on(self.sinks.stderr, &bytes)?,
                Port::Status => self.status.push(&bytes),
                Port::Console => {
                    if self.sinks.console {
                        pass_on(self.sinks.stderr, &bytes)?;
                    }
                    if let Some(sign) = self.console.push(&bytes) {
                        self.broken.get_or_insert((sign, Deadline::after(LAST_WORDS)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes down the files that came.
    fn save(&self) -> Result<()> {
        for (number, contents) in self.status.files() {
            let (_, to) = self.sinks.files.get(*number).context("the guest sent a file that nobody wants")?;
            fs::write(to, contents).with_context(|| format!("cannot write {}", to.display()))?;
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
        if !said.is_empty() && !self.sinks.console {
            text = format!("{text}--- the kernel's last messages:\n{said}\n");
        }
        let _ = self.sinks.stderr.write_all(text.as_bytes());
        Outcome::TimedOut
    }
}

fn pass_on(to: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    to.write_all(bytes).and_then(|()| to.flush()).context("cannot pass on what the guest wrote")
}
