//! `cargo xtask demo`: the incident, in a guest, for whoever wants to see what timejump is.

use std::{
    env, fs,
    fs::File,
    io::{self, IsTerminal, Write, stderr, stdout},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    build::Programs,
    deadline::Stopwatch,
    debian::Release,
    kernels::Kernel,
    layout::Layout,
    setup::{self, Choice},
    vm::{Guest, Outcome, Wish},
};

const MEMORY_MIB: u32 = 1536;
/// Far more than it takes, also emulated.
const TIMEOUT: Duration = Duration::from_mins(6);
/// Where the guest puts the report.
const IN_GUEST: &str = "/root/incident.html";
const REPORT: &str = "incident.html";
const SESSION: &str = "session.txt";

/// Shows what a clock that is set 55 days ahead and back does to a node, and what timejump says of it.
///
/// All of it happens in a virtual machine with a real containerd: no other clock is touched. The report stays on disk, and so
/// does what was shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to leave the report and what was shown [default: demo in the target directory].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How the guest's processors are made.
    #[arg(long, value_enum, default_value_t)]
    accel: Wish,
    /// Take the programs as they were built last.
    #[arg(long)]
    no_build: bool,
}

impl Args {
    /// Does it.
    pub fn run(&self) -> Result<ExitCode> {
        let layout = Layout::find()?;
        setup::emulator()?;
        if !self.no_build {
            super::build::all(&layout, Programs::All, Choice::Auto)?;
        }
        let out = self.out.clone().unwrap_or_else(|| layout.target.join("demo"));
        fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
        let (report, session) = (out.join(REPORT), out.join(SESSION));
        // One of an earlier time would be taken for this one's.
        if report.exists() {
            fs::remove_file(&report).with_context(|| format!("cannot remove {}", report.display()))?;
        }
        let guest = Guest::new(Kernel::V6_12)
            .containerd(Some(Release::Trixie))
            .memory_mib(MEMORY_MIB)
            .timeout(TIMEOUT)
            .accel(self.accel)
            .environment("TERM", if coloured() { "xterm" } else { "dumb" })
            .fetch(IN_GUEST, &report)
            .command(["timejump-guest", "demo", "--report", IN_GUEST]);
        let how = match guest.accelerator(&layout)? {
            "kvm" => "",
            _ => ", emulated, as there is no KVM here that boots it",
        };
        eprintln!("xtask: booting Linux {}{how}; your clock is not touched", guest.kernel());
        let stopwatch = Stopwatch::start();
        let kept = File::create(&session).with_context(|| format!("cannot write {}", session.display()))?;
        let mut screen = Kept { shown: stdout(), kept: Plain::new(&kept) };
        let mut complaints = Kept { shown: stderr(), kept: Plain::new(&kept) };
        let outcome = guest
            .run(&layout, &mut screen, &mut complaints)
            .with_context(|| format!("the demo broke; what it showed is in {}", session.display()))?;
        match outcome {
            Outcome::Exited(0) => {}
            Outcome::Exited(status) => {
                bail!("the demo failed with status {status}; what it showed is in {}", session.display())
            }
            Outcome::TimedOut => bail!(
                "the demo took more than {} min; what it showed is in {}",
                TIMEOUT.as_secs() / 60,
                session.display()
            ),
            Outcome::Interrupted => bail!("interrupted"),
        }
        told(&report, &session, stopwatch.elapsed())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// By the rule that the guest's programs have for themselves; there, a serial port is what they write to.
fn coloured() -> bool {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || env::var_os("TERM").is_some_and(|term| term == "dumb");
    stdout().is_terminal() && !unwanted
}

fn told(report: &Path, session: &Path, took: Duration) -> Result<()> {
    let size = fs::metadata(report).context("the guest ended well but left no report")?.len();
    let path = report.canonicalize().with_context(|| format!("cannot find {}", report.display()))?;
    let path = path.display();
    eprintln!("\nxtask: done in {} s, boot included", took.as_secs());
    eprintln!("xtask: the report: {path} ({} KiB, in one file)", size.div_ceil(1024));
    eprintln!("xtask: open it in a browser: xdg-open '{path}'");
    eprintln!("xtask: what was shown: {}", session.display());
    Ok(())
}

/// Shows what is written to it, and keeps it.
struct Kept<'a, W> {
    shown: W,
    kept: Plain<'a>,
}

impl<W: Write> Write for Kept<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.kept.write_all(bytes)?;
        self.shown.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shown.flush()
    }
}

/// A file of text without colours.
struct Plain<'a> {
    file: &'a File,
    /// Within what tells a terminal its colours.
    in_escape: bool,
}

impl<'a> Plain<'a> {
    fn new(file: &'a File) -> Self {
        Self { file, in_escape: false }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let plain: Vec<u8> = bytes.iter().copied().filter(|byte| self.is_text(*byte)).collect();
        self.file.write_all(&plain)
    }

    /// Sequences begin with an escape and end with a letter: all that our programs write are `ESC [ numbers m`.
    fn is_text(&mut self, byte: u8) -> bool {
        if self.in_escape {
            self.in_escape = !byte.is_ascii_alphabetic();
            return false;
        }
        self.in_escape = byte == 0x1b;
        !self.in_escape
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_has_no_colours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session");
        let file = File::create(&path).unwrap();
        let mut shown = Vec::new();
        let mut kept = Kept { shown: &mut shown, kept: Plain::new(&file) };
        // In pieces, as they come out of a serial port.
        for piece in ["#1 \x1b[1;3", "6m+55d\x1b", "[0m 0h\n", "▌ plain m\n"] {
            kept.write_all(piece.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(path).unwrap(), "#1 +55d 0h\n▌ plain m\n");
        assert!(String::from_utf8(shown).unwrap().contains("\x1b[1;36m+55d\x1b[0m"));
    }
}
