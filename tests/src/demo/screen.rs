//! What the audience sees besides timejump's own words: captions, and the commands as one would type them.

use std::{
    env, fs,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};

const BOLD: &str = "\x1b[1m";
const CYAN: &str = "\x1b[1;36m";
const PLAIN: &str = "\x1b[0m";
/// How much of a log explains a failure.
const LAST_LINES: usize = 8;

/// Standard output.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    coloured: bool,
}

impl Screen {
    /// Coloured where timejump's own output is: whoever booted this guest says whether a terminal shows it.
    pub(super) fn new() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { coloured: !unwanted && !dumb }
    }

    /// Says what is going on.
    pub(super) fn caption(self, text: &str) -> Result<()> {
        let lines = text.lines().map(|line| self.in_colour(CYAN, &format!("▌ {line}")));
        say(&format!("\n{}", lines.collect::<Vec<_>>().join("\n")))
    }

    /// Shows what is typed.
    pub(super) fn command(self, words: &[&str]) -> Result<()> {
        say(&self.in_colour(BOLD, &format!("$ {}", words.join(" "))))
    }

    /// Shows a command and what it prints. It must end with one of `statuses`.
    pub(super) fn run(self, words: &[&str], statuses: &[i32]) -> Result<()> {
        self.command(words)?;
        let (program, arguments) = words.split_first().context("no program")?;
        let mut command = Command::new(program);
        let status = command.args(arguments).stdin(Stdio::null()).status();
        let status = status.with_context(|| format!("cannot start {program}"))?;
        let expected = status.code().is_some_and(|code| statuses.contains(&code));
        ensure!(expected, "`{}` ended with {status}", words.join(" "));
        Ok(())
    }

    fn in_colour(self, colour: &str, text: &str) -> String {
        if self.coloured { format!("{colour}{text}{PLAIN}") } else { text.to_owned() }
    }
}

fn say(text: &str) -> Result<()> {
    // At once, as others write here too.
    io::stdout().lock().write_all(format!("{text}\n").as_bytes()).context("nobody looks")
}

/// Shows the end of a log to whoever looks for what went wrong.
pub(super) fn complain_of(log: &Path) {
    let Ok(text) = fs::read_to_string(log) else { return };
    let lines: Vec<_> = text.lines().collect();
    let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n  ");
    // Nobody to tell if stderr is gone.
    let _ = writeln!(io::stderr(), "--- {} ends:\n  {last}", log.display());
}
