//! A consumer as one would run it: `timejump watch`, a client of the gRPC stream, with a pipe as its standard output.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::super::baseline;
use super::super::board::Board;
use super::super::subject::Subject;
use crate::stage::Stage;
use crate::sys::clock::{Deadline, boot_ns};

/// How long it may take to follow.
const START: Duration = Duration::from_mins(1);
const ASK: Duration = Duration::from_millis(100);

/// A running one.
pub struct Follower {
    child: Child,
}

impl Follower {
    /// Starts one that notes what it prints in `column` of `board`. Returns once it follows.
    pub fn start(stage: &Stage, subject: &Subject, board: &Arc<Board>, column: usize) -> Result<Self> {
        let address = subject.address();
        let mut command = Command::new(&stage.bench.timejump);
        command.args(["watch", "-o", "json", "--all", "--once", "--address"]).arg(address.to_string());
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("timejump watch")?;
        let output = child.stdout.take().context("its stdout is piped")?;
        let board = Arc::clone(board);
        // Ends with the program, of which nobody wants the rest.
        thread::Builder::new().name("follower".into()).spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            let jumps = lines.filter(|line| line.starts_with(r#"{"type":"jump""#));
            for (number, _) in (1..).zip(jumps) {
                board.came(column, number, boot_ns());
            }
        })?;
        let follower = Self { child };
        let deadline = Deadline::after(START);
        while baseline::consumers(&address)?.now == 0 {
            ensure!(!deadline.passed(), "nobody follows after {START:?}");
            sleep(ASK);
        }
        Ok(follower)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
