//! `timejump diagnose`, as scenarios ask it.

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// What it says of this machine.
#[derive(Debug)]
pub struct Diagnosis {
    /// What it ended with.
    pub status: i32,
    /// Its lines.
    pub lines: Vec<Value>,
}

impl Diagnosis {
    /// Asks, as where no daemon ever ran.
    pub fn make(timejump: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(timejump);
        command.args(["diagnose", "-o", "json", "--no-store"]).args(arguments);
        let output = command.output().context("start timejump diagnose")?;
        let status = output.status.code().context("timejump diagnose was killed")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(status <= 1, "timejump diagnose ended with {status}: {errors}");
        let text = String::from_utf8(output.stdout)?;
        let lines = text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        Ok(Self { status, lines })
    }

    /// What is wrong now, of a kind.
    pub fn problems<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.lines
            .iter()
            .filter(move |line| line["type"] == "impact" && line["kind"] == kind && line["problem"] == true)
    }

    /// By how much the clock jumped, ns, the oldest jump first.
    pub fn jumps(&self) -> Vec<i64> {
        let jumps = self.lines.iter().filter(|line| line["type"] == "past_jump");
        jumps.filter_map(|jump| jump["delta_ns"].as_i64()).collect()
    }
}
