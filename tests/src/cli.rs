//! Drives `timejump`'s other commands against a daemon.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::lines::{Jump, Line, Status};
use crate::sys::clock::Deadline;
use crate::sys::process;

/// How long consumers may take to follow.
const PATIENCE: Duration = Duration::from_secs(200);

/// One command's program and the daemon it is for.
#[derive(Debug, Clone)]
pub struct Cli {
    /// The binary.
    pub timejump: PathBuf,
    /// The daemon's socket.
    pub socket: PathBuf,
}

impl Cli {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.timejump);
        command.args(words).arg("--address").arg(&self.socket).stdin(Stdio::null());
        command
    }

    /// What a command prints; it must succeed.
    pub fn output(&self, words: &[&str]) -> Result<String> {
        let output = self.command(words).output().context("start timejump")?;
        ensure!(
            output.status.success(),
            "timejump {words:?} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The jumps that `history` lists, quiet ones included.
    pub fn history(&self, words: &[&str]) -> Result<Vec<Jump>> {
        let text = self.output(&[&["history", "-o", "json", "--all"], words].concat())?;
        text.lines()
            .map(|line| match Line::parse(line)? {
                Line::Jump(jump) => Ok(*jump),
                other => anyhow::bail!("history printed {other:?}"),
            })
            .collect()
    }

    /// How the daemon stands.
    pub fn status(&self) -> Result<Status> {
        match Line::parse(self.output(&["status", "-o", "json"])?.trim_end())? {
            Line::Status(status) => Ok(*status),
            other => anyhow::bail!("status printed {other:?}"),
        }
    }

    /// Follows the stream, into `file`.
    pub fn watch(&self, file: &Path, words: &[&str]) -> Result<Watcher> {
        let output = File::create(file).with_context(|| file.display().to_string())?;
        Ok(Watcher { child: self.watch_into(output.into(), words)?, file: file.to_owned() })
    }

    /// Follows the stream, into `output`.
    pub fn watch_into(&self, output: Stdio, words: &[&str]) -> Result<Child> {
        let mut command = self.command(&[&["watch", "-o", "json", "--all", "--once"], words].concat());
        command.stdout(output).spawn().context("start timejump watch")
    }

    /// Waits until so many consumers follow.
    pub fn wait_for_consumers(&self, wanted: u64) -> Result<()> {
        let deadline = Deadline::after(PATIENCE);
        while self.status()?.daemon.context("a daemon's status")?.consumers.now != wanted {
            ensure!(!deadline.passed(), "there should be {wanted} consumers");
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// A running `timejump watch`.
#[derive(Debug)]
pub struct Watcher {
    child: Child,
    file: PathBuf,
}

impl Watcher {
    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        process::signal(&self.child, signal).with_context(|| format!("send {signal:?} to timejump watch"))
    }

    /// What it has printed so far.
    pub fn lines(&self) -> Result<Vec<Line>> {
        let text = std::fs::read_to_string(&self.file)?;
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(Line::parse).collect()
    }

    /// Its jumps so far.
    pub fn jumps(&self) -> Result<Vec<Jump>> {
        let jumps = self.lines()?.into_iter();
        Ok(jumps.filter_map(|line| if let Line::Jump(jump) = line { Some(*jump) } else { None }).collect())
    }

    /// Waits for its end, which comes with the daemon's.
    pub fn wait(mut self) -> Result<Vec<Line>> {
        let status = self.child.wait()?;
        ensure!(status.success(), "timejump watch ended with {status}");
        self.lines()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
