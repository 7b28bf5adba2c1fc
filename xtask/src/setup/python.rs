//! Pythons with packages, for tests that are not Rust's to do.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::packages::{self, Package};
use crate::{keep, layout::Layout, process};

/// Follows the stream as a client that is not Rust.
pub(super) const STREAM: Environment = Environment {
    what: "gRPC for Python",
    packages: &[
        "grpcio==1.85.1",
        "grpcio-reflection==1.85.1",
        "grpcio-tools==1.85.1",
        "protobuf==7.36.2",
        "setuptools==84.2.1",
        "typing-extensions==4.16.0",
    ],
    imports: "import grpc, grpc_reflection, grpc_tools",
};
/// Judges Kubernetes objects: the schemas of many versions, and models made from the CRDs of Prometheus's operator. Puts
/// programs under seccomp profiles, by the libseccomp that apt brings.
pub(super) const MANIFESTS: Environment = Environment {
    what: "schemas of Kubernetes",
    packages: &[
        "kubernetes-validate==1.37.0",
        "cloudcoil.models.prometheus_operator==0.80.1.0",
        "annotated-types==0.8.0",
        "anyio==4.16.0",
        "attrs==26.1.0",
        "certifi==2026.10.19.post1",
        "cloudcoil==0.6.0",
        "h11==0.16.0",
        "httpcore==1.0.9",
        "httpx==0.28.1",
        "idna==3.20",
        "importlib_resources==7.1.0",
        "jsonschema==4.26.0",
        "jsonschema-specifications==2025.9.1",
        "packaging==26.4",
        "pydantic==2.14.4",
        "pydantic_core==2.50.5",
        "pyseccomp==0.1.2",
        "PyYAML==6.0.4",
        "referencing==0.37.0",
        "rpds-py==2026.9.1",
        "typing-inspection==0.4.5",
        "typing-extensions==4.16.0",
    ],
    imports: "import cloudcoil.models.prometheus_operator, kubernetes_validate, pyseccomp",
};

/// Fails in a Python that cannot make virtual environments: Debian's has that in a package of its own.
const CAN_MAKE: &str = "import ensurepip, sys, venv; print(sys.implementation.cache_tag)";

/// A virtual environment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Environment {
    what: &'static str,
    /// What the tests import, and all that it needs. One fits the other: they are raised together. The first names it.
    packages: &'static [&'static str],
    imports: &'static str,
}

impl Environment {
    /// Its Python; makes it if need be.
    pub(super) fn provide(self, layout: &Layout) -> Result<PathBuf> {
        certificates()?;
        if find().is_none() {
            packages::install(&[Package {
                name: "python3-venv",
                why: "runs tests of what clients of other languages see, and of manifests",
            }])?;
        }
        let base = find().context("no python3 in PATH can make a virtual environment")?;
        // Another interpreter or other packages make another environment.
        let folder = layout.target.join("python").join(format!(
            "{}-{}",
            base.tag,
            self.packages[0].replace("==", "-")
        ));
        keep::once(&folder, self.what, |partial| self.fill(&base.program, partial))?;
        let python = folder.join("bin/python");
        process::quiet(Command::new(&python).args(["-c", self.imports]))
            .with_context(|| format!("remove {} to have it made again", folder.display()))?;
        Ok(python)
    }

    /// It works from another place as well, but for its scripts, which nobody runs.
    fn fill(self, base: &Path, into: &Path) -> Result<()> {
        process::quiet(Command::new(base).args(["-m", "venv"]).arg(into))?;
        process::quiet(pip(&into.join("bin/python"), "install").arg("--quiet").args(self.packages))
            .context("is there a network? Do these versions have wheels for this Python?")
    }
}

/// What fetches packages. Nothing is compiled here, and nothing of the packages' own runs.
pub(super) fn pip(python: &Path, verb: &str) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", verb, "--no-input", "--disable-pip-version-check", "--only-binary", ":all:"]);
    pip
}

/// What makes certificates for tests of the stream.
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
