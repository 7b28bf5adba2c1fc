//! Actors as a scenario sees them: children that step the clock, and the comparison of a jump with what they did.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::lines::Jump;
use crate::referee;
use crate::role::Done;
use crate::stage::Stage;
use crate::step::{Amount, Way};

/// How far `wall_after` may be from the time that the clock was set to, where the kernel's own hook read it: some
/// instructions apart, in emulation.
const HOOK_TOLERANCE_NS: i128 = 50_000_000;
/// The same where the daemon reads it once it has woken up.
const WAKE_UP_TOLERANCE_NS: i128 = 3_000_000_000;

/// Who the child shall be, as words for `timejump-guest`.
#[derive(Debug, Clone, Default)]
pub struct Actor {
    words: Vec<String>,
}

/// A child that did its step and waits, so that it can still be looked at.
#[derive(Debug)]
pub struct Acted {
    child: Child,
    /// What it did and who it is.
    pub done: Done,
    /// The wall offset before and after, by the referee.
    pub offsets: (i64, i64),
}

impl Actor {
    /// A plain one named `comm`.
    pub fn named(comm: &str) -> Self {
        Self::default().word("--comm").word(comm)
    }

    /// In the cgroup with that directory.
    #[must_use]
    pub fn in_cgroup(self, dir: &Path) -> Self {
        self.word("--cgroup").word(&dir.to_string_lossy())
    }

    /// As that user, without any privilege.
    #[must_use]
    pub fn user(self, uid: u32) -> Self {
        self.word("--uid").word(&uid.to_string())
    }

    /// Keeping the privilege to set the clock.
    #[must_use]
    pub fn who_may_set_the_time(self) -> Self {
        self.word("--may-set-the-time")
    }

    /// Acting from a second thread.
    #[must_use]
    pub fn in_thread(self) -> Self {
        self.word("--thread")
    }

    /// Acting so many times.
    #[must_use]
    pub fn times(self, count: u64) -> Self {
        self.word("--times").word(&count.to_string())
    }

    fn word(mut self, word: &str) -> Self {
        self.words.push(word.to_owned());
        self
    }

    /// Steps the clock, which must succeed.
    pub fn step(&self, stage: &Stage, way: Way, delta_ns: i64) -> Result<Acted> {
        let acted = self.try_step(stage, way, delta_ns)?;
        if let Some(errno) = acted.done.errno {
            bail!("{} failed with error number {errno}", way.name());
        }
        Ok(acted)
    }

    /// Steps the clock or fails to.
    pub fn try_step(&self, stage: &Stage, way: Way, delta_ns: i64) -> Result<Acted> {
        self.run(stage, &["step", "--hold"], &[&way.name(), &Amount(delta_ns).to_string()])
    }

    /// Does as `timejump-guest BEFORE IDENTITY AFTER` and comes back once it has told what it did.
    pub fn run(&self, stage: &Stage, before: &[&str], after: &[&str]) -> Result<Acted> {
        let start = referee::wall_offset()?;
        let mut command = stage.role(before);
        command.args(&self.words).arg("--").args(after);
        let (child, done) = told(command)?;
        Ok(Acted { child, done, offsets: (start, referee::wall_offset()?) })
    }
}

/// Starts a child and reads the one line it tells.
fn told(mut command: Command) -> Result<(Child, Done)> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("start {command:?}"))?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("its stdout is piped")?).read_line(&mut line)?;
    let done = serde_json::from_str(&line).with_context(|| format!("{command:?} told {line:?}"))?;
    Ok((child, done))
}

impl Acted {
    /// By how much the clock moved, by the referee.
    pub fn delta_ns(&self) -> i64 {
        self.offsets.1 - self.offsets.0
    }

    /// Holds an exactly captured jump against what was done.
    pub fn made(&self, jump: &Jump, path: &str) -> Result<()> {
        self.sized(jump)?;
        ensure!(jump.delta_error_ns == 0, "not exact: {jump:?}");
        ensure!(jump.path == path, "path should be {path}: {jump:?}");
        self.acted(jump)
    }

    /// Compares the size with the referee and with what was asked for.
    pub fn sized(&self, jump: &Jump) -> Result<()> {
        let off_by = (jump.delta_ns - self.delta_ns()).abs();
        ensure!(off_by <= jump.delta_error_ns, "the clock moved by {} ns, not as {jump:?}", self.delta_ns());
        if let Some(delta) = self.done.delta_ns {
            crate::stage::moved_by(self.offsets.0, self.offsets.1, delta)?;
        }
        if let Some(target) = self.done.target_ns {
            let off_by = jump.wall_after_ns() - i128::from(target);
            let in_the_kernel = ["fentry", "kprobe"].contains(&&*jump.captured_by);
            let tolerance = if in_the_kernel { HOOK_TOLERANCE_NS } else { WAKE_UP_TOLERANCE_NS };
            ensure!(off_by.abs() <= tolerance, "set to {target}, {off_by} ns before wall_after in {jump:?}");
        }
        Ok(())
    }

    /// Compares the actor.
    pub fn acted(&self, jump: &Jump) -> Result<()> {
        let (actor, done) = (&jump.actor, &self.done);
        ensure!(actor.kind == "process", "kind should be process: {actor:?}");
        let same = |name: &str, told: &Option<String>, truth: &str| {
            ensure!(told.as_deref() == Some(truth), "{name} should be {truth:?}: {actor:?}");
            Ok(())
        };
        let same_number = |name: &str, told: Option<u32>, truth: u32| {
            ensure!(told == Some(truth), "{name} should be {truth}: {actor:?}");
            Ok(())
        };
        same_number("pid", actor.pid, done.pid)?;
        same_number("tid", actor.tid, done.tid)?;
        same_number("uid", actor.uid, done.uid)?;
        same_number("gid", actor.gid, done.gid)?;
        same_number("ppid", actor.ppid, done.ppid)?;
        same("comm", &actor.comm, &done.comm)?;
        same("parent_comm", &actor.parent_comm, &done.parent_comm)?;
        same("exe", &actor.exe, &done.exe)?;
        same("cmdline", &actor.cmdline, &done.cmdline)?;
        if let Some(cgroup) = done.cgroup.as_ref().filter(|path| path.as_str() != "/") {
            same("cgroup", &actor.cgroup, cgroup)?;
        }
        Ok(())
    }
}

impl Drop for Acted {
    fn drop(&mut self) {
        // The end of its stdin ends it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
