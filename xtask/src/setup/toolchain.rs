//! A Rust toolchain that can compile for BPF, found by looking.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use super::packages::{self, Package};
use crate::process;

/// The target of the eBPF half.
pub const TARGET: &str = "bpfel-unknown-none";

/// What of Debian's makes such a toolchain.
const PACKAGES: [Package; 3] = [
    Package { name: "rustc-web", why: "compiles the eBPF half" },
    Package { name: "cargo-web", why: "builds the eBPF half with that compiler" },
    Package { name: "libstd-rust-web-dev-bpf", why: "is that compiler's library for the eBPF half" },
];

/// Which toolchain the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Choice {
    /// The first of the others that is there.
    #[default]
    Auto,
    /// A compiler in PATH that has a core library for BPF.
    Prebuilt,
    /// The nightly toolchain of rustup, with its component rust-src.
    Nightly,
    /// A compiler in PATH that has the source of the core library.
    Source,
}

/// Where the core library for BPF comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Core {
    /// It came with the compiler.
    Prebuilt,
    /// It is compiled along.
    Source,
}

/// A toolchain.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// Compiler.
    pub rustc: PathBuf,
    /// Cargo of the same make, or else any.
    pub cargo: PathBuf,
    /// Where the core library comes from.
    pub core: Core,
    /// The version of LLVM that the compiler was made with.
    pub llvm: u32,
    version: String,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = match self.core {
            Core::Prebuilt => "core prebuilt",
            Core::Source => "core from source",
        };
        write!(f, "{} ({}, LLVM {}, {core})", self.rustc.display(), self.version, self.llvm)
    }
}

/// Finds a toolchain, or has one installed.
pub(super) fn provide(choice: Choice) -> Result<Toolchain> {
    if let Some(toolchain) = find(choice)? {
        return Ok(toolchain);
    }
    match choice {
        Choice::Auto | Choice::Prebuilt => {
            packages::install(&PACKAGES).context(
                "there is no Rust toolchain for the eBPF half. Either will do:\n  \
                 rustup toolchain install nightly --component rust-src\n  \
                 Debian's rustc-web, cargo-web and libstd-rust-web-dev-bpf",
            )?;
            find(choice)?.context("the packages are installed, but there is no Rust core library for BPF")
        }
        Choice::Nightly => bail!(
            "there is no nightly toolchain with its source: rustup toolchain install nightly --component rust-src"
        ),
        Choice::Source => {
            bail!("no rustc in PATH has its source: install rust-src, or rust-web-src on Debian")
        }
    }
}

fn find(choice: Choice) -> Result<Option<Toolchain>> {
    match choice {
        Choice::Prebuilt => in_path(Core::Prebuilt),
        Choice::Nightly => nightly(),
        Choice::Source => in_path(Core::Source),
        Choice::Auto => {
            for choice in [Choice::Prebuilt, Choice::Nightly, Choice::Source] {
                if let Some(toolchain) = find(choice)? {
                    return Ok(Some(toolchain));
                }
            }
            Ok(None)
        }
    }
}

fn nightly() -> Result<Option<Toolchain>> {
    let mut rustc = process::foreign("rustup");
    // Looking for a toolchain must not install it.
    rustc.env("RUSTUP_AUTO_INSTALL", "0").args(["run", "nightly", "rustc", "--print", "sysroot"]);
    let Ok(sysroot) = process::stdout(&mut rustc) else { return Ok(None) };
    let rustc = Path::new(sysroot.trim()).join("bin/rustc");
    inspect(&rustc, Core::Source)
}

fn in_path(core: Core) -> Result<Option<Toolchain>> {
    for rustc in process::find_all("rustc") {
        if let Some(toolchain) = inspect(&rustc, core)? {
            return Ok(Some(toolchain));
        }
    }
    Ok(None)
}

/// The toolchain of a compiler, if it has the core library in that way.
fn inspect(rustc: &Path, core: Core) -> Result<Option<Toolchain>> {
    let Ok(sysroot) = process::stdout(process::foreign(rustc).args(["--print", "sysroot"])) else {
        return Ok(None);
    };
    let rustlib = Path::new(sysroot.trim()).join("lib/rustlib");
    let has_core = match core {
        Core::Prebuilt => has_library(&rustlib.join(TARGET).join("lib")),
        Core::Source => rustlib.join("src/rust/library/core").is_dir(),
    };
    if !has_core {
        return Ok(None);
    }
    let about = process::stdout(process::foreign(rustc).arg("-vV"))?;
    let field = |name: &str| about.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let llvm = field("LLVM version:").and_then(|version| version.split('.').next()?.parse().ok());
    let beside = rustc.with_file_name("cargo");
    Ok(Some(Toolchain {
        rustc: rustc.to_owned(),
        cargo: if beside.is_file() { beside } else { "cargo".into() },
        core,
        llvm: llvm.with_context(|| format!("{} -vV names no LLVM version", rustc.display()))?,
        version: field("release:").unwrap_or("unknown version").to_owned(),
    }))
}

fn has_library(folder: &Path) -> bool {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| name.to_string_lossy().starts_with("libcore-"))
}
