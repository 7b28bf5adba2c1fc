//! `cargo xtask fuzz`: libFuzzer at the parsers of what others write.

use std::{ffi::OsStr, fs, path::Path, process::Command, process::ExitCode};

use anyhow::{Context, Result, ensure};

use crate::{keep, layout::Layout, process};

const VERSION: &str = "0.13.2";
/// No input is longer, bytes: a ring's item, a line, a request.
const LONGEST: u32 = 1 << 16;

/// Runs libFuzzer with AddressSanitizer on each parser of bytes that others write, one after the other.
///
/// The first run compiles all that the daemon is made of for that, which takes a quarter of an hour on two processors. What makes a parser
/// fail is left in tests/fuzz/artifacts.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which parsers, by the names of files in tests/fuzz/fuzz_targets [default: all].
    #[arg(value_name = "PARSER")]
    parsers: Vec<String>,
    /// Seconds for each of them.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    seconds: u32,
}

impl Args {
    /// Does it.
    pub fn run(&self) -> Result<ExitCode> {
        let layout = Layout::find()?;
        let folder = layout.root.join("tests/fuzz");
        let all = targets(&folder.join("fuzz_targets"))?;
        for parser in &self.parsers {
            ensure!(all.contains(parser), "there is no {parser}, but {}", all.join(", "));
        }
        let cargo_fuzz = provide(&layout)?;
        let chosen = if self.parsers.is_empty() { &all } else { &self.parsers };
        for parser in chosen {
            // What is found goes into the first, and is known the next time.
            let found = layout.target.join("fuzz").join(parser);
            fs::create_dir_all(&found).with_context(|| format!("cannot make {}", found.display()))?;
            let mut fuzz = Command::new(&cargo_fuzz);
            fuzz.current_dir(&layout.root)
                // A stable compiler takes the sanitizers' flags with it.
                .env("RUSTC_BOOTSTRAP", "1")
                .args(["fuzz", "run", "--fuzz-dir"])
                .arg(&folder)
                .arg(parser)
                .args([&found, &folder.join("corpus").join(parser)])
                .arg("--")
                .arg(format!("-max_total_time={}", self.seconds))
                .arg(format!("-max_len={LONGEST}"));
            process::run(&mut fuzz).with_context(|| format!("{parser} does not hold"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn targets(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        names.extend(path.file_stem().and_then(OsStr::to_str).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

/// Builds cargo-fuzz, unless it was.
fn provide(layout: &Layout) -> Result<std::path::PathBuf> {
    let folder = layout.tools().join("fuzz");
    keep::once(&folder, "cargo-fuzz", |partial| {
        let mut install = Command::new("cargo");
        install.args(["install", "cargo-fuzz", "--locked", "--version", VERSION, "--root"]).arg(partial);
        process::run(&mut install)
    })?;
    Ok(folder.join("bin/cargo-fuzz"))
}
