//! Runs a suite in the guest: each scenario in a process group of its own with a deadline, so that none can hang the
//! boot or leave anything behind, and the clock taken back after each.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::guard::InGuest;
use crate::node::sample;
use crate::referee;
use crate::scenario::{Boot, Verdict, deadline_seconds};
use crate::stage::{Skip, Stage, directory_of};
use crate::suite;
use crate::sys::clock::{Deadline, monotonic_ns};
use crate::sys::process::kill_group;

/// Runs the scenarios of `boot`, or those of them in `only`, and tells each result. Whether all went well.
pub fn run_suite(guest: InGuest, boot: &Boot, only: &[String]) -> Result<bool> {
    for name in only {
        ensure!(boot.scenarios.contains(&name.as_str()), "suite {} has no scenario {name:?}", boot.name);
    }
    let stage = Stage::new(guest, "between-scenarios")?;
    let wall_offset = referee::wall_offset_settled()?;
    let mut all_well = true;
    for &scenario in boot.scenarios {
        if !only.is_empty() && !only.iter().any(|name| name == scenario) {
            continue;
        }
        let started = monotonic_ns();
        let verdict = run_apart(&stage, boot, scenario).unwrap_or_else(|e| Verdict::Failed(format!("{e:#}")));
        if let Err(error) = stage.restore(wall_offset) {
            say(&format!("warning: after {scenario}: {error:#}"));
        }
        say(&format!("took {scenario} {} ms", (monotonic_ns() - started) / 1_000_000));
        say(&verdict.line(scenario));
        all_well &= !matches!(verdict, Verdict::Failed(_));
    }
    if let Some(line) = suite::reboot::carried_line() {
        say(&line);
    }
    Ok(all_well)
}

/// Runs one scenario in this process and says how it ended.
pub fn run_scenario(guest: InGuest, scenario: &str) -> Result<Verdict> {
    let run = suite::named(scenario).with_context(|| format!("no scenario {scenario:?}"))?;
    let stage = Stage::new(guest, scenario)?;
    let verdict = match run(&stage) {
        Ok(()) => Verdict::Ok,
        Err(error) => {
            if let Some(reason) = error.downcast_ref::<Skip>() {
                Verdict::Skipped(reason.to_string())
            } else {
                say(&format!("{error:?}"));
                Verdict::Failed(format!("{error:#}"))
            }
        }
    };
    say(&verdict.line(scenario));
    Ok(verdict)
}

fn run_apart(stage: &Stage, boot: &Boot, scenario: &str) -> Result<Verdict> {
    let dir = directory_of(scenario);
    if dir.exists() {
        fs::remove_dir_all(&dir)?;
    }
    fs::create_dir_all(&dir)?;
    let log = dir.join("log");
    let output = File::create(&log)?;
    let mut child = Command::new(&stage.me)
        .args(["scenario", scenario, "--boot", boot.name])
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()
        .context("start the scenario")?;
    let limit = deadline_seconds(scenario);
    let deadline = Deadline::after(Duration::from_secs(limit));
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if deadline.passed() {
            break None;
        }
        sleep(Duration::from_millis(10));
    };
    kill_group(&child);
    child.wait()?;
    let text = fs::read_to_string(&log)?;
    let told = text.lines().rev().find_map(Verdict::parse).map(|(_, verdict)| verdict);
    let verdict = match (status, told) {
        (Some(_), Some(verdict)) => verdict,
        (Some(status), None) => Verdict::Failed(format!("ended with {status} and no result")),
        (None, _) => Verdict::Failed(format!("still running after {limit} s")),
    };
    for line in text.lines().filter(|line| line.starts_with(sample::PREFIX)) {
        say(line);
    }
    if matches!(verdict, Verdict::Failed(_)) {
        dump(&dir);
    }
    fs::remove_dir_all(&dir)?;
    Ok(verdict)
}

/// Shows what a failed scenario and its daemons wrote.
fn dump(dir: &Path) {
    const MOST_LINES: usize = 60;
    let Ok(entries) = fs::read_dir(dir) else { return };
    // Not what links lead to, which is programs.
    let plain = |path: &PathBuf| path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(plain).collect();
    files.sort();
    for file in files {
        let Ok(text) = fs::read(&file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) else {
            continue;
        };
        let lines: Vec<_> = text.lines().collect();
        say(&format!("  {} ({} lines)", file.display(), lines.len()));
        let head = lines.len().min(MOST_LINES / 2);
        let tail = lines.len().saturating_sub(MOST_LINES / 2).max(head);
        let shown = lines[..head].iter().chain(&lines[tail..]);
        for line in shown.filter(|line| is_news(line)) {
            say(&format!("  | {line}"));
        }
    }
}

/// Whether a line of a log is not shown in any case.
fn is_news(line: &str) -> bool {
    Verdict::parse(line).is_none() && !line.starts_with(sample::PREFIX)
}

/// One line to the console, at once.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A console that is gone leaves nobody to tell.
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
