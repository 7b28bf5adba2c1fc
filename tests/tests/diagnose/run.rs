//! Runs the binary and reads what it says.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use serde_json::Value;

/// What it said.
#[derive(Debug)]
pub struct Said {
    pub lines: Vec<Value>,
    pub screen: String,
    pub status: ExitStatus,
}

impl Said {
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["type"] == kind).collect()
    }

    /// Impacts of a kind that are problems, each with its subject's name.
    pub fn problems(&self, kind: &str) -> Vec<&str> {
        let impacts = self.of("impact").into_iter();
        let problems = impacts.filter(|impact| impact["kind"] == kind && impact["problem"] == true);
        let mut names: Vec<&str> =
            problems.map(|impact| impact["subject"]["name"].as_str().unwrap_or_default()).collect();
        names.sort_unstable();
        names
    }

    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Sources that could not be read.
    pub fn unseen(&self) -> Vec<&str> {
        let sources = self.of("source").into_iter().filter(|source| source["seen"] == false);
        sources.filter_map(|source| source["name"].as_str()).collect()
    }
}

/// The binary that the tests are about.
pub fn timejump() -> PathBuf {
    std::env::var_os("TIMEJUMP_BIN")
        .map(PathBuf::from)
        .expect("TIMEJUMP_BIN names the binary: cargo xtask test")
}

/// Diagnoses the copy at `root`, both ways.
pub fn diagnose(root: &Path, more: &[&str]) -> Said {
    let run = |output: &str| {
        let mut command = Command::new(timejump());
        command.args(["diagnose", "-o", output, "--root"]).arg(root).args(more);
        let done = command.output().expect("timejump runs");
        assert_eq!(String::from_utf8_lossy(&done.stderr), "", "nothing on standard error");
        (done.status, String::from_utf8(done.stdout).expect("text"))
    };
    let (status, text) = run("json");
    let (also, screen) = run("human");
    assert_eq!(status.code(), also.code());
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    Said { lines, screen, status }
}

/// Copies a directory with its symbolic links.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}
