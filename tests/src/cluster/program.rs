//! Programs of the cluster, each with a log of its own.

use std::{
    cell::RefCell,
    fs::File,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::stage::{program, skip};

/// A running program. It ends when it is dropped.
#[derive(Debug)]
pub(super) struct Program {
    name: &'static str,
    child: RefCell<Child>,
}

impl Program {
    /// Starts it; what it says goes into a file in `dir`.
    pub(super) fn start(dir: &Path, name: &'static str, arguments: &[String]) -> Result<Self> {
        if program(name).is_none() {
            return skip(format!("no {name} in the guest"));
        }
        let log = File::create(dir.join(format!("{name}.log")))?;
        let mut command = Command::new(name);
        command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // There is memory enough, and hardly any processor.
        command.env("GOGC", "500");
        let child = command.spawn().with_context(|| format!("start {name}"))?;
        Ok(Self { name, child: RefCell::new(child) })
    }

    /// Fails if it has ended.
    pub(super) fn lives(&self) -> Result<()> {
        let ended = self.child.borrow_mut().try_wait()?;
        ensure!(ended.is_none(), "{} ended with {ended:?}", self.name);
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let child = self.child.get_mut();
        // Both fail once it has ended, which is fine.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// Runs a program that is done at once.
pub(super) fn run(name: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(name).args(arguments).status().with_context(|| format!("start {name}"))?;
    ensure!(status.success(), "{name} {arguments:?} ended with {status}");
    Ok(())
}
