//! What a scenario has at hand.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::daemon::{Bench, Daemon, Options};
use crate::guard::InGuest;
use crate::scenario::{self, Kernel};
use crate::sys::native;
use crate::{referee, sys};

/// The guest, seen from one scenario.
#[derive(Debug)]
pub struct Stage {
    /// What allows stepping the clock.
    pub guest: InGuest,
    /// The kernel that runs.
    pub kernel: Kernel,
    /// The daemon's binary and a directory for files.
    pub bench: Bench,
    /// This program, to start children from.
    pub me: PathBuf,
    /// The scenario's name.
    pub name: String,
}

/// The error of a scenario that cannot run here.
#[derive(Debug)]
pub struct Skip(pub String);

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// Ends a scenario that cannot run here.
pub fn skip<T>(reason: impl Into<String>) -> Result<T> {
    Err(Skip(reason.into()).into())
}

/// Where a scenario keeps its files.
pub fn directory_of(scenario: &str) -> PathBuf {
    env::temp_dir().join("timejump-guest").join(scenario)
}

impl Stage {
    /// Looks around.
    pub fn new(guest: InGuest, scenario: &str) -> Result<Self> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let kernel = Kernel::of_release(release.trim()).with_context(|| format!("kernel {release:?}"))?;
        let dir = directory_of(scenario);
        fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        let timejump = match env::var_os("TIMEJUMP_BIN") {
            Some(path) => path.into(),
            // Whoever starts it will say that it is missing.
            None => program("timejump").unwrap_or_else(|| "timejump".into()),
        };
        let me = env::current_exe()?;
        Ok(Self { guest, kernel, bench: Bench { timejump, dir }, me, name: scenario.to_owned() })
    }

    /// Starts the daemon as a plain node would.
    pub fn daemon(&self) -> Result<Daemon> {
        self.daemon_with(&Options::default())
    }

    /// Starts the daemon with options.
    pub fn daemon_with(&self, options: &Options) -> Result<Daemon> {
        Daemon::start(&self.bench, options)
    }

    /// This program, to be given a role.
    pub fn role(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.me);
        command.args(words);
        command
    }

    /// The stated reason why this scenario is not supported on this kernel.
    pub fn unsupported(&self) -> Option<&'static str> {
        scenario::unsupported(self.kernel, &self.name)
    }

    /// Takes the wall clock to an offset it had before, without leaving a trace in time.
    pub fn restore(&self, wall_offset: i64) -> Result<()> {
        let mut status = native::timex();
        status.modes = ADJ_STATUS;
        native::adjtimex(&self.guest, &mut status).context("clear the clock's status")?;
        let back = wall_offset - referee::wall_offset_settled()?;
        if back != 0 {
            crate::step::Way::AdjtimexNano.perform(&self.guest, back).context("take the clock back")?;
        }
        Ok(())
    }
}

/// `ADJ_STATUS`: set `timex.status`.
pub const ADJ_STATUS: u32 = 0x0010;

/// A program of that name in `PATH`.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Fails unless the offset moved from `before` to `after` in this way.
pub fn moved_by(before: i64, after: i64, asked: i64) -> Result<()> {
    ensure!(
        after - before == asked,
        "the kernel moved the clock by {} ns, not by the {asked} ns asked for",
        after - before
    );
    Ok(())
}

/// Seconds in nanoseconds.
pub const fn seconds(count: i64) -> i64 {
    count * sys::SECOND
}
