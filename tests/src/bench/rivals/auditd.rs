//! auditd as Debian sets it up, the rules of hardening guides, and a plugin that is told of each event.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Write, stdin};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, ensure};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use super::super::board::Board;
use crate::stage::Stage;
use crate::sys::clock::boot_ns;
use crate::sys::process;

/// What tells events of these rules from all others.
const KEY: &str = "time-change";
/// As CIS and STIG have them.
const RULES: [&[&str]; 4] = [
    &["-b", "8192"],
    &["-a", "always,exit", "-F", "arch=b64", "-S", "adjtimex,settimeofday,clock_settime", "-k", KEY],
    &["-a", "always,exit", "-F", "arch=b32", "-S", "adjtimex,settimeofday,clock_settime", "-k", KEY],
    &["-w", "/etc/localtime", "-p", "wa", "-k", KEY],
];
const PLUGIN: &str = "/etc/audit/plugins.d/timejump.conf";
const CONFIG: &str = "/etc/audit/auditd.conf";
/// The group of its logs, which a guest lacks.
const GROUPS: (&str, &str) = ("/etc/group", "adm:x:4:\n");

/// A running auditd.
pub struct Auditd {
    child: Child,
    reader: Option<JoinHandle<Result<()>>>,
}

/// The plugin: notes when each event of ours came, and tells it by lines in `to`.
pub fn relay(to: &Path) -> Result<()> {
    let mut to = OpenOptions::new().write(true).open(to).with_context(|| to.display().to_string())?;
    for line in stdin().lock().lines() {
        let line = line?;
        if line.starts_with("type=SYSCALL") && line.contains(KEY) {
            writeln!(to, "{}", boot_ns())?;
        }
    }
    Ok(())
}

impl Auditd {
    /// Starts it, and loads the rules once it answers.
    pub fn start(stage: &Stage, board: &Arc<Board>) -> Result<Self> {
        let fifo = stage.bench.dir.join("audit");
        if !fifo.exists() {
            mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        }
        prepare(stage, &fifo)?;
        let mut child = Command::new("auditd").arg("-n").stdin(Stdio::null()).spawn().context("auditd")?;
        // Blocks until the plugin has opened the other end.
        let noting = Arc::clone(board);
        let pipe = File::open(&fifo)?;
        let reader = thread::Builder::new().name("auditd".into()).spawn(move || {
            for (number, line) in (1..).zip(BufReader::new(pipe).lines()) {
                noting.came(0, number, line?.parse()?);
            }
            Ok(())
        })?;
        for rule in RULES {
            control(rule)?;
        }
        ensure!(child.try_wait()?.is_none(), "auditd has ended");
        Ok(Self { child, reader: Some(reader) })
    }

    /// Its process. The plugin is the consumer, and counts for none.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Takes the rules away, ends it, and has the kernel audit nothing any more.
    pub fn stop(mut self) -> Result<()> {
        control(&["-D"])?;
        process::signal(&self.child, Signal::TERM)?;
        self.child.wait()?;
        control(&["-e", "0"])?;
        self.reader.take().map_or(Ok(()), |reader| reader.join().unwrap_or(Ok(())))
    }
}

impl Drop for Auditd {
    fn drop(&mut self) {
        // Both fail once it has ended, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn control(words: &[&str]) -> Result<()> {
    let output = Command::new("auditctl").args(words).stdin(Stdio::null()).output().context("auditctl")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "auditctl {words:?} ended with {}: {errors}", output.status);
    Ok(())
}

/// It wants its files as root's alone, and the group that its logs belong to.
fn prepare(stage: &Stage, fifo: &Path) -> Result<()> {
    let plugin = format!(
        "active = yes\ndirection = out\npath = {}\ntype = always\nargs = audit-relay {}\nformat = string\n",
        stage.me.display(),
        fifo.display()
    );
    fs::write(PLUGIN, plugin).context(PLUGIN)?;
    for path in [PLUGIN, CONFIG] {
        fs::set_permissions(path, Permissions::from_mode(0o640)).context(path)?;
    }
    let (file, group) = GROUPS;
    if !fs::read_to_string(file)?.contains(group) {
        OpenOptions::new().append(true).open(file)?.write_all(group.as_bytes())?;
    }
    Ok(())
}
