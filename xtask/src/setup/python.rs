//! A Python with gRPC, for the tests of the stream by a client that is not Rust.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::packages::{self, Package};
use crate::{keep, layout::Layout, process};

/// What the tests import, and all that it needs. One fits the other: they are raised together.
const PACKAGES: [&str; 6] = [
    "grpcio==1.85.1",
    "grpcio-reflection==1.85.1",
    "grpcio-tools==1.85.1",
    "protobuf==7.36.2",
    "setuptools==84.2.1",
    "typing-extensions==4.16.0",
];
/// Fails in a Python that cannot make virtual environments: Debian's has that in a package of its own.
const CAN_MAKE: &str = "import ensurepip, sys, venv; print(sys.implementation.cache_tag)";
const IMPORTS: &str = "import grpc, grpc_reflection, grpc_tools";

/// The Python of a virtual environment; makes that if need be.
pub(super) fn provide(layout: &Layout) -> Result<PathBuf> {
    certificates()?;
    if find().is_none() {
        packages::install(&[Package {
            name: "python3-venv",
            why: "runs the tests of the stream for clients of other languages",
        }])?;
    }
    let base = find().context("no python3 in PATH can make a virtual environment")?;
    // Another interpreter or other packages make another environment.
    let folder =
        layout.target.join("python").join(format!("{}-{}", base.tag, PACKAGES[0].replace("==", "-")));
    keep::once(&folder, "gRPC for Python", |partial| fill(&base.program, partial))?;
    let python = folder.join("bin/python");
    process::quiet(Command::new(&python).args(["-c", IMPORTS]))
        .with_context(|| format!("remove {} to have it made again", folder.display()))?;
    Ok(python)
}

/// What makes certificates for those tests.
fn certificates() -> Result<()> {
    if process::find("openssl").is_none() {
        packages::install(&[Package { name: "openssl", why: "makes certificates for tests of mutual TLS" }])?;
    }
    Ok(())
}

/// An interpreter.
struct Base {
    program: PathBuf,
    /// Its name and version, such as `cpython-311`.
    tag: String,
}

fn find() -> Option<Base> {
    process::find_all("python3").find_map(|program| {
        let tag = process::stdout(Command::new(&program).args(["-c", CAN_MAKE])).ok()?;
        Some(Base { program, tag: tag.trim().to_owned() })
    })
}

/// It works from another place as well, but for its scripts, which nobody runs.
fn fill(base: &Path, into: &Path) -> Result<()> {
    process::quiet(Command::new(base).args(["-m", "venv"]).arg(into))?;
    process::quiet(
        Command::new(into.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
            // Nothing is compiled here, and nothing of the packages' own runs.
            .args(["--only-binary", ":all:"])
            .args(PACKAGES),
    )
    .context("is there a network? Do these versions have wheels for this Python?")
}
