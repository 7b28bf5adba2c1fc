//! Drives `timejump run -o json`: starts it, follows what it writes, ends it, and audits the whole ([`crate::report`]).
//!
//! Its output goes to files, so that no pipe holds it up and all of it can be looked at after a failure.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use crate::lines::{Impact, Jump, Line, Refused, Status};
use crate::report::{Expect, Report};
use crate::sys::clock::Deadline;
use crate::sys::process;

/// How often the output is looked at.
const POLL: Duration = Duration::from_millis(5);
/// How long a start or a stop may take. An emulated machine is slow, and detaching waits for grace periods.
const START_OR_STOP: Duration = Duration::from_secs(90);
/// How long a line that must come may take.
const LINE: Duration = Duration::from_secs(15);

/// Where things are, and the next free number for output files.
#[derive(Debug)]
pub struct Bench {
    /// The daemon's binary.
    pub timejump: PathBuf,
    /// A directory of its own for this scenario's files.
    pub dir: PathBuf,
}

/// How to start the daemon.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Its arguments after `run -o json`.
    pub arguments: Vec<String>,
    /// The user to run it as, without any privilege, instead of root.
    pub uid: Option<u32>,
    /// Run it as root without one capability, by way of `timejump-guest exec`.
    pub wrapper: Vec<String>,
    /// What its output must satisfy.
    pub expect: Expect,
    /// Where it keeps its state and its socket; unless given, a directory of its own.
    pub home: Option<PathBuf>,
}

impl Options {
    /// With these arguments after `run -o json`.
    pub fn with(arguments: &[&str]) -> Self {
        Self { arguments: arguments.iter().map(ToString::to_string).collect(), ..Self::default() }
    }
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    output: File,
    errors: PathBuf,
    partial: Vec<u8>,
    lines: Vec<Line>,
    jumps_seen: usize,
    expect: Expect,
    home: PathBuf,
}

impl Daemon {
    /// Starts it and waits for its status line.
    pub fn start(bench: &Bench, options: &Options) -> Result<Self> {
        let mut daemon = Self::spawn(bench, options)?;
        daemon.wait_until_ready()?;
        Ok(daemon)
    }

    /// Starts it and returns at once.
    pub fn spawn(bench: &Bench, options: &Options) -> Result<Self> {
        let number = fs::read_dir(&bench.dir).with_context(|| bench.dir.display().to_string())?.count();
        let file = |kind: &str| bench.dir.join(format!("{number}.{kind}"));
        let create = |kind: &str| File::create(file(kind)).with_context(|| file(kind).display().to_string());
        let home = options.home.clone().unwrap_or_else(|| file("home"));
        let program = bench.timejump.to_string_lossy().into_owned();
        let mut words = options.wrapper.clone();
        words.extend([program, "run".into(), "-o".into(), "json".into(), "--all".into()]);
        words.extend(["--http".into(), "127.0.0.1:0".into()]);
        words.extend(["--state-dir".into(), home.join("state").display().to_string()]);
        words.extend(["--socket".into(), socket_in(&home).display().to_string()]);
        words.extend(options.arguments.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(create("stdout")?).stderr(create("stderr")?);
        command.env("RUST_BACKTRACE", "1").current_dir("/");
        if let Some(uid) = options.uid {
            fs::set_permissions(&bench.dir, fs::Permissions::from_mode(0o755))?;
            command.uid(uid).gid(uid);
        }
        let child = command.spawn().with_context(|| format!("start {words:?}"))?;
        Ok(Self {
            child,
            output: File::open(file("stdout"))?,
            errors: file("stderr"),
            partial: Vec::new(),
            lines: Vec::new(),
            jumps_seen: 0,
            expect: options.expect.clone(),
            home,
        })
    }

    /// Every jump that it has told so far.
    pub fn jumps_so_far(&mut self) -> Result<Vec<Jump>> {
        self.read_more()?;
        Ok(self.jumps().cloned().collect())
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        socket_in(&self.home)
    }

    /// Every line that it has written so far.
    pub fn lines(&mut self) -> Result<&[Line]> {
        self.read_more()?;
        Ok(&self.lines)
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> Result<String> {
        Ok(fs::read_to_string(&self.errors)?)
    }

    /// Waits for the status line, which must be the first.
    pub fn wait_until_ready(&mut self) -> Result<()> {
        self.wait_for("its status line", START_OR_STOP, |daemon| !daemon.lines.is_empty())?;
        self.status().map(drop)
    }

    /// The status line.
    pub fn status(&self) -> Result<&Status> {
        match self.lines.first() {
            Some(Line::Status(status)) => Ok(status),
            other => bail!("the first line is no status but {other:?}"),
        }
    }

    /// Waits until a status line says that `rung` is in use.
    pub fn wait_for_rung(&mut self, rung: &str) -> Result<()> {
        self.wait_for(&format!("a status line with rung {rung}"), START_OR_STOP, |daemon| {
            daemon.lines.iter().any(|line| matches!(line, Line::Status(status) if status.rung == rung))
        })
    }

    /// The next jump that was not asked for yet.
    pub fn next_jump(&mut self) -> Result<Jump> {
        let wanted = self.jumps_seen;
        self.wait_for("a jump", LINE, |daemon| daemon.jumps().count() > wanted)?;
        self.jumps_seen += 1;
        self.jumps().nth(wanted).cloned().context("a jump that was just there")
    }

    /// Lets `time` pass in which no jump may be told.
    pub fn stays_quiet(&mut self, time: Duration) -> Result<()> {
        let end = Deadline::after(time);
        loop {
            self.read_more()?;
            if let Some(jump) = self.jumps().nth(self.jumps_seen) {
                bail!("expected silence, but it told {jump:?}");
            }
            if end.passed() {
                return Ok(());
            }
            sleep(POLL);
        }
    }

    /// Waits until refused attempts on `path` with `errno` have been told up to a count of at least `count`.
    pub fn wait_for_refused(&mut self, path: &str, errno: &str, count: u64) -> Result<Refused> {
        let matching = |daemon: &Self| {
            daemon.lines.iter().rev().find_map(|line| match line {
                Line::Refused(of) if of.path == path && of.errno == errno && of.count >= count => {
                    Some((**of).clone())
                }
                _ => None,
            })
        };
        let what = format!("a refused line for {path}, {errno}, count {count}");
        self.wait_for(&what, LINE, |daemon| matching(daemon).is_some())?;
        matching(self).context("a line that was just there")
    }

    /// Waits until one of the impacts told from line `from` on is as wanted, and gives it.
    pub fn wait_for_impact(
        &mut self,
        what: &str,
        limit: Duration,
        from: usize,
        wanted: impl Fn(&Impact) -> bool,
    ) -> Result<Impact> {
        let find = |daemon: &Self| daemon.impacts(from).find(|impact| wanted(impact)).cloned();
        self.wait_for(what, limit, |daemon| find(daemon).is_some())?;
        find(self).context("an impact that was just there")
    }

    /// The impacts told from line `from` on.
    pub fn impacts(&self, from: usize) -> impl Iterator<Item = &Impact> {
        let lines = self.lines.iter().skip(from);
        lines.filter_map(|line| if let Line::Impact(impact) = line { Some(&**impact) } else { None })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        process::signal(&self.child, signal).with_context(|| format!("send {signal:?} to timejump"))
    }

    /// Kills it, as a crash or the OOM killer would.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it with SIGABRT, which leaves what was in its memory where `core_pattern` says.
    pub fn abort(mut self) -> Result<()> {
        self.signal(Signal::ABORT)?;
        let status = self.wait_for_exit()?;
        ensure!(status.code().is_none(), "it should have been killed, but ended with {status}");
        Ok(())
    }

    /// Ends it with SIGTERM and audits all that it wrote.
    pub fn stop(mut self) -> Result<Report> {
        self.read_more()?;
        self.signal(Signal::TERM)?;
        let status = self.wait_for_exit()?;
        ensure!(status.success(), "after SIGTERM timejump ended with {status}\n{}", self.stderr_tail());
        self.read_more()?;
        ensure!(self.partial.is_empty(), "its last line has no end");
        Report::audit(&std::mem::take(&mut self.lines), &self.expect).with_context(|| self.stderr_tail())
    }

    /// Waits for its end instead of a status line, and tells how it ended and what it wrote to stderr.
    pub fn refuses(mut self) -> Result<(ExitStatus, String)> {
        let deadline = Deadline::after(START_OR_STOP);
        loop {
            let ended = self.child.try_wait()?;
            self.read_more()?;
            ensure!(self.lines.is_empty(), "it should have refused to start, but: {:?}", self.lines);
            if let Some(status) = ended {
                return Ok((status, fs::read_to_string(&self.errors)?));
            }
            ensure!(!deadline.passed(), "it neither started nor ended in {START_OR_STOP:?}");
            sleep(POLL);
        }
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_exit(&mut self) -> Result<ExitStatus> {
        let deadline = Deadline::after(START_OR_STOP);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(!deadline.passed(), "timejump did not end in {START_OR_STOP:?}\n{}", self.stderr_tail());
            sleep(POLL);
        }
    }

    fn jumps(&self) -> impl Iterator<Item = &Jump> {
        self.lines.iter().filter_map(|line| if let Line::Jump(jump) = line { Some(&**jump) } else { None })
    }

    fn wait_for(&mut self, what: &str, limit: Duration, done: impl Fn(&Self) -> bool) -> Result<()> {
        let deadline = Deadline::after(limit);
        loop {
            // In this order: what it wrote before its end is still read.
            let ended = self.child.try_wait()?;
            self.read_more()?;
            if done(self) {
                return Ok(());
            }
            if let Some(status) = ended {
                bail!("waiting for {what}: timejump ended with {status}\n{}", self.stderr_tail());
            }
            ensure!(!deadline.passed(), "waited {limit:?} for {what} in vain\n{}", self.stderr_tail());
            sleep(POLL);
        }
    }

    fn read_more(&mut self) -> Result<()> {
        self.output.read_to_end(&mut self.partial).context("read timejump's output")?;
        let Some(end) = self.partial.iter().rposition(|&byte| byte == b'\n') else { return Ok(()) };
        let rest = self.partial.split_off(end + 1);
        for line in std::mem::replace(&mut self.partial, rest)[..end].split(|&byte| byte == b'\n') {
            self.lines.push(Line::parse(&String::from_utf8_lossy(line))?);
        }
        Ok(())
    }

    fn stderr_tail(&self) -> String {
        let text = fs::read_to_string(&self.errors).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(15)..].join("\n  | ");
        format!("timejump's stderr ends:\n  | {tail}")
    }
}

/// The socket of a daemon with that home.
fn socket_in(home: &Path) -> PathBuf {
    home.join("run/timejump.sock")
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
