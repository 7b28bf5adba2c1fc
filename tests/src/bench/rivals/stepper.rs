//! Who steps the clock: a process of its own, started after those who watch, as the kernel audits no process from before auditd.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{Child, ChildStdout, Stdio};

use anyhow::{Context, Result};

use super::super::steps::set;
use crate::guard::InGuest;
use crate::stage::Stage;
use crate::sys::clock::boot_ns;

/// The child: makes the step of each number that it is given, and tells when it began to, ns since boot.
pub fn obey(guest: &InGuest) -> Result<()> {
    for line in stdin().lock().lines() {
        let number = line?.parse()?;
        let began = boot_ns();
        set(guest, number)?;
        println!("{began}");
        stdout().flush()?;
    }
    Ok(())
}

/// Such a child.
pub struct Stepper {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Stepper {
    /// Starts one.
    pub fn start(stage: &Stage) -> Result<Self> {
        let mut command = stage.role(&["bench-stepper"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().context("a stepper")?;
        let answers = BufReader::new(child.stdout.take().context("its stdout is piped")?);
        Ok(Self { child, answers })
    }

    /// Has it make step number `number`; when that began, ns since boot.
    pub fn step(&mut self, number: u64) -> Result<i64> {
        writeln!(self.child.stdin.as_mut().context("its stdin is piped")?, "{number}")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        answer.trim_end().parse().with_context(|| format!("the stepper says {answer:?}"))
    }
}

impl Drop for Stepper {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
