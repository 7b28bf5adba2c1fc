//! Other programs: run, with errors that name what was run.

use std::{
    ffi::OsStr,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, bail};

/// What an outer cargo or a user's shell may have set to steer a cargo. Ours brings its own flags, and flags given in
/// the environment would replace them in silence.
const FLAGS: [&str; 5] =
    ["CARGO_BUILD_TARGET", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "RUSTFLAGS", "RUSTDOCFLAGS"];
/// What names the toolchain in use: wrong for any other.
const TOOLCHAIN: [&str; 7] = [
    "CARGO",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOC",
    "RUSTUP_TOOLCHAIN",
    "LD_LIBRARY_PATH",
];

/// The command as someone would type it, for messages.
pub fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| {
        let word = word.to_string_lossy();
        if word.contains([' ', '"', '$']) { format!("'{word}'") } else { word.into_owned() }
    }));
    words.join(" ")
}

/// Runs with this process's own input and output; anything but success is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs in silence; what it printed is told if it fails.
pub fn quiet(command: &mut Command) -> Result<()> {
    finished(command).map(drop)
}

/// Runs and gives what it printed.
pub fn stdout(command: &mut Command) -> Result<String> {
    let output = finished(command)?;
    String::from_utf8(output.stdout).with_context(|| format!("{} printed no UTF-8", shown(command)))
}

fn finished(command: &mut Command) -> Result<Output> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        bail!(
            "{} failed: {}\n{}{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(output)
}

/// The cargo that started us, or else the one in PATH.
pub fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    without(Command::new(program), &FLAGS)
}

/// A program of another toolchain than the one that built us.
pub fn foreign(program: impl AsRef<OsStr>) -> Command {
    without(without(Command::new(program), &FLAGS), &TOOLCHAIN)
}

fn without(mut command: Command, variables: &[&str]) -> Command {
    for name in variables {
        command.env_remove(name);
    }
    command
}

/// Where in PATH a program is.
pub fn find(program: &str) -> Option<PathBuf> {
    find_all(program).next()
}

/// Everywhere in PATH where a program is.
pub fn find_all(program: &str) -> impl Iterator<Item = PathBuf> + use<'_> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Administrators' programs are often not in a plain user's PATH.
    let more = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    let folders: Vec<_> = std::env::split_paths(&path).chain(more).collect();
    folders.into_iter().map(move |folder| folder.join(program)).filter(|file| file.is_file())
}
