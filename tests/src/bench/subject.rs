//! The daemon that is measured, with a pipe as its standard output.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use timejump::deliver::grpc::Address;

use super::board::Board;
use crate::cli::Cli;
use crate::lines::Line;
use crate::report::{Expect, Report};
use crate::stage::Stage;
use crate::sys::clock::boot_ns;
use crate::sys::process;

/// How long a start may take: an emulated machine is slow.
const START: Duration = Duration::from_mins(1);
/// The board's column for standard output.
pub const STDOUT: usize = 0;

/// Whether jumps are kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// As a plain node does.
    OnDisk,
    /// `--no-store`.
    InMemory,
}

/// A running daemon.
#[derive(Debug)]
pub struct Subject {
    child: Child,
    socket: PathBuf,
    reader: Option<JoinHandle<Result<Vec<Line>>>>,
    /// What came on its standard output is noted here.
    pub board: Arc<Board>,
}

impl Subject {
    /// Starts one on the best rung and waits for its status line.
    pub fn start(stage: &Stage, keep: Keep, arguments: &[&str]) -> Result<Self> {
        Self::on_rung(stage, "fentry", keep, arguments)
    }

    /// The same on another rung.
    pub fn on_rung(stage: &Stage, rung: &str, keep: Keep, arguments: &[&str]) -> Result<Self> {
        Self::wrapped(stage, Command::new(&stage.bench.timejump), rung, keep, arguments)
    }

    /// The same, begun by another command that becomes it.
    pub fn wrapped(
        stage: &Stage,
        mut command: Command,
        rung: &str,
        keep: Keep,
        arguments: &[&str],
    ) -> Result<Self> {
        let home = stage.bench.dir.join("home");
        if home.exists() {
            std::fs::remove_dir_all(&home)?;
        }
        let socket = home.join("run/timejump.sock");
        command.args(["run", "-o", "json", "--all", "--rung", rung, "--http", "127.0.0.1:0"]);
        match keep {
            Keep::OnDisk => command.arg("--state-dir").arg(home.join("state")),
            Keep::InMemory => command.arg("--no-store"),
        };
        command.arg("--socket").arg(&socket).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).current_dir("/");
        let mut child = command.spawn().context("start timejump")?;
        let output = child.stdout.take().context("its stdout is piped")?;
        let board = Arc::new(Board::new(1));
        let (ready, started) = mpsc::channel();
        let noting = Arc::clone(&board);
        let reader =
            thread::Builder::new().name("stdout".into()).spawn(move || read(output, &noting, &ready))?;
        let subject = Self { child, socket, reader: Some(reader), board };
        started.recv_timeout(START).context("timejump told no status")?;
        Ok(subject)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it can be followed.
    pub fn address(&self) -> Address {
        Address::Unix(self.socket.clone())
    }

    /// Its other commands.
    pub fn cli(&self, stage: &Stage) -> Cli {
        Cli { timejump: stage.bench.timejump.clone(), socket: self.socket.clone() }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        process::signal(&self.child, signal).context("send timejump a signal")
    }

    /// Ends it and audits all that it wrote: figures of a daemon that is wrong are worth nothing.
    pub fn stop(mut self, expect: &Expect) -> Result<Report> {
        self.signal(Signal::TERM)?;
        let reader = self.reader.take().context("it is read until here")?;
        let lines = reader.join().unwrap_or_else(|_| bail!("the reader panicked"))?;
        let status = self.child.wait()?;
        ensure!(status.success(), "timejump ended with {status}");
        Report::audit(&lines, expect)
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads until the end and notes when each jump came. The lines are looked at afterwards.
fn read(output: ChildStdout, board: &Board, ready: &mpsc::Sender<()>) -> Result<Vec<Line>> {
    let mut output = BufReader::with_capacity(1 << 16, output);
    let mut texts = Vec::new();
    loop {
        let mut text = String::new();
        if output.read_line(&mut text)? == 0 {
            break;
        }
        let at = boot_ns();
        if let Some(rest) = text.strip_prefix(r#"{"type":"jump","sequence":"#) {
            // The sum of what was lost is no step.
            if !text.contains(r#""path":"unattributed""#) {
                let digits = rest.find(',').map_or("", |end| &rest[..end]);
                board.came(STDOUT, digits.parse()?, at);
            }
        } else if text.starts_with(r#"{"type":"lagged""#) {
            if let Line::Lagged { missed, .. } = Line::parse(&text)? {
                board.lost(missed, at);
            }
        } else if texts.is_empty() {
            let _ = ready.send(());
        }
        texts.push(text);
    }
    texts.iter().map(|text| Line::parse(text)).collect()
}
