//! Where things are in the checkout.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::{arch::Arch, process};

/// Folders and files of this checkout.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The workspace's root.
    pub root: PathBuf,
    /// Cargo's target directory; everything that xtask makes or fetches lies below it.
    pub target: PathBuf,
    /// Which build of this workspace's programs is meant.
    pub build: Build,
}

/// A build of the programs, by Cargo's profile of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Build {
    /// For use.
    #[default]
    Release,
    /// For `cargo xtask test`: compiled faster, and with the checks of integers that a release leaves out.
    Tested,
}

/// Where programs of the tested build are kept, in Cargo's folder for it: building the tests would replace them.
const TESTED: &str = "programs";

impl Build {
    /// Cargo's name of the profile.
    pub const fn profile(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Tested => "tested",
        }
    }
}

impl Layout {
    /// Finds the checkout that this program was built from.
    pub fn find() -> Result<Self> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package.parent().context("xtask has no workspace around it")?.to_owned();
        let metadata = process::stdout(
            process::cargo().args(["metadata", "--no-deps", "--format-version=1"]).current_dir(&root),
        )?;
        let metadata: serde_json::Value =
            serde_json::from_str(&metadata).context("cargo metadata printed something else than JSON")?;
        let target =
            metadata["target_directory"].as_str().context("cargo metadata names no target_directory")?;
        Ok(Self { root, target: target.into(), build: Build::default() })
    }

    /// Programs built for our own use.
    pub fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// All that belongs to virtual machines.
    pub fn vm(&self) -> PathBuf {
        self.target.join("vm")
    }

    /// The linked eBPF object for machines of one family.
    pub fn ebpf_object(&self, arch: Arch) -> PathBuf {
        let folder = self.target.join("ebpf");
        if arch.is_host() {
            return folder.join("timejump.bpf.o");
        }
        folder.join(arch.debian).join("timejump.bpf.o")
    }

    /// The detector as it is shipped.
    pub fn shipped(&self, arch: Arch) -> PathBuf {
        self.target.join(arch.target).join("dist/timejump")
    }

    /// A program of this workspace, linked statically for use in guests.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let built = self.target.join(Arch::host()?.target).join(self.build.profile());
        Ok(match self.build {
            Build::Release => built.join(name),
            Build::Tested => built.join(TESTED).join(name),
        })
    }
}
