//! A consumer as one would run it: `timejump watch`, a client of the gRPC stream, with a pipe as its standard output.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::thread;

use anyhow::{Context, Result};

use super::super::board::Board;
use crate::cli::Cli;
use crate::sys::clock::boot_ns;

/// A running one.
pub struct Follower {
    child: Child,
}

impl Follower {
    /// Starts one that notes what it prints in `column` of `board`. Returns once it follows.
    pub fn start(cli: &Cli, board: &Arc<Board>, column: usize) -> Result<Self> {
        let mut child = cli.watch_into(Stdio::piped(), &[])?;
        let output = child.stdout.take().context("its stdout is piped")?;
        let follower = Self { child };
        let board = Arc::clone(board);
        // Ends with the program, of which nobody wants the rest.
        thread::Builder::new().name("follower".into()).spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            let jumps = lines.filter(|line| line.starts_with(r#"{"type":"jump""#));
            for (number, _) in (1..).zip(jumps) {
                board.came(column, number, boot_ns());
            }
        })?;
        cli.wait_for_consumers(1)?;
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
