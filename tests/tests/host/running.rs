//! A daemon as a test has it, and what asks it.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::Signal;
use timejump_tests::lines::{Line, Status};
use timejump_tests::sys::clock::Deadline;
use timejump_tests::sys::process::signal;

/// For whatever must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The binary, where everybody may run it, or nothing if there is none.
pub(crate) fn binary() -> Option<PathBuf> {
    if let Some(path) = env::var_os("TIMEJUMP_BIN") {
        return Some(path.into());
    }
    assert!(env::var_os("CI").is_none_or(|value| value.is_empty()), "TIMEJUMP_BIN is not set");
    println!("skipped: TIMEJUMP_BIN is not set; `cargo xtask test` sets it");
    None
}

/// A daemon that is ended even if the test fails.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) output: BufReader<ChildStdout>,
    pub(crate) errors: File,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let errors = tempfile::tempfile().expect("a file for stderr");
        let stderr = errors.try_clone().expect("a second handle");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("start timejump");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, output, errors }
    }

    pub(crate) fn line(&mut self) -> Line {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("read its output");
        assert!(!line.is_empty(), "timejump ended: {}", self.stderr());
        Line::parse(&line).expect("a line of the contract")
    }

    pub(crate) fn status(&mut self) -> Status {
        match self.line() {
            Line::Status(status) => *status,
            other => panic!("the first line is {other:?}"),
        }
    }

    pub(crate) fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.errors.rewind().expect("rewind");
        self.errors.read_to_string(&mut text).expect("read its stderr");
        text
    }

    /// SIGTERM; then all that it still wrote.
    pub(crate) fn stop(mut self) -> Vec<Line> {
        signal(&self.child, Signal::TERM).expect("SIGTERM");
        let deadline = Deadline::after(PATIENCE);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                break status;
            }
            assert!(!deadline.passed(), "it did not end: {}", self.stderr());
            sleep(Duration::from_millis(20));
        };
        assert!(status.success(), "after SIGTERM it ended with {status}: {}", self.stderr());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("read its output");
        rest.lines().map(|line| Line::parse(line).expect("a line of the contract")).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A daemon that keeps its state and its socket in `home`.
pub(crate) fn run_json(binary: &Path, home: &Path) -> Command {
    let mut command = Command::new(binary);
    command.args(["run", "-o", "json", "--all", "--http", "127.0.0.1:0", "--state-dir"]);
    command.arg(home.join("state")).arg("--socket").arg(home.join("timejump.sock"));
    command
}

pub(crate) fn home() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

pub(crate) fn output(binary: &PathBuf, words: &[&str]) -> Output {
    Command::new(binary).args(words).stdin(Stdio::null()).output().expect("run timejump")
}

/// What `timejump` prints when it asks the daemon at `socket`.
pub(crate) fn output_at(binary: &Path, socket: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(binary);
    command.args(words).arg("--address").arg(socket).stdin(Stdio::null());
    command.output().expect("run timejump")
}
