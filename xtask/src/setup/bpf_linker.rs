//! bpf-linker, which makes one eBPF object of what the compiler makes. It reads LLVM's bitcode, so its LLVM may not be
//! older than the compiler's.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{
    packages::{self, Package},
    toolchain::Toolchain,
};
use crate::{keep, layout::Layout, process};

const VERSION: &str = "0.13.0";
/// The versions of LLVM that this version can be built with.
const LLVM: [Llvm; 3] =
    [Llvm::new(21, "llvm-21-dev"), Llvm::new(22, "llvm-22-dev"), Llvm::new(23, "llvm-23-dev")];
/// Names a linker to be used as it is.
const OVERRIDE: &str = "BPF_LINKER";

#[derive(Debug, Clone, Copy)]
struct Llvm {
    version: u32,
    package: Package,
}

impl Llvm {
    const fn new(version: u32, package: &'static str) -> Self {
        Self { version, package: Package { name: package, why: "is what bpf-linker is built with" } }
    }

    /// Where Debian puts it.
    fn prefix(self) -> PathBuf {
        format!("/usr/lib/llvm-{}", self.version).into()
    }

    fn is_installed(self) -> bool {
        self.prefix().join("bin/llvm-config").exists() && self.prefix().join("include/llvm-c").exists()
    }
}

/// Finds a linker that fits a toolchain, or builds one.
pub(super) fn provide(layout: &Layout, toolchain: &Toolchain) -> Result<PathBuf> {
    if let Some(linker) = std::env::var_os(OVERRIDE) {
        return Ok(linker.into());
    }
    let root = layout.tools();
    let linker = root.join("bin/bpf-linker");
    let _lock = keep::lock(&root)?;
    if built_with(&root).is_some_and(|llvm| llvm >= toolchain.llvm) && works(&linker) {
        return Ok(linker);
    }
    build(&root, llvm_for(toolchain)?)?;
    Ok(linker)
}

fn llvm_for(toolchain: &Toolchain) -> Result<Llvm> {
    let fitting: Vec<_> = LLVM.into_iter().filter(|llvm| llvm.version >= toolchain.llvm).collect();
    let Some(first) = fitting.first() else {
        bail!(
            "{toolchain} is too new: bpf-linker {VERSION} can be built with LLVM {} at most. Use an older toolchain, or \
             name a newer linker in {OVERRIDE}",
            LLVM[LLVM.len() - 1].version
        );
    };
    if let Some(installed) = fitting.iter().find(|llvm| llvm.is_installed()) {
        return Ok(*installed);
    }
    packages::install(&[first.package]).with_context(|| {
        format!(
            "bpf-linker must be built with LLVM {} or later to fit {toolchain}; or name a linker in {OVERRIDE}",
            first.version
        )
    })?;
    Ok(*first)
}

fn build(root: &Path, llvm: Llvm) -> Result<()> {
    let prefix = llvm.prefix();
    eprintln!("xtask: bpf-linker {VERSION} is missing: building it with {}", prefix.display());
    let feature = format!("llvm-{}", llvm.version);
    process::quiet(
        process::cargo()
            .args(["install", "bpf-linker", "--version", VERSION, "--locked", "--force"])
            .args(["--no-default-features", "--features", &feature, "--root"])
            .arg(root)
            // Its own folder: one inside a workspace's is cleaned with it, and that is enough.
            .arg("--target-dir")
            .arg(root.join("build"))
            .env("LLVM_PREFIX", prefix),
    )
    .context("cannot build bpf-linker")?;
    // Some hundred MB that nobody needs again.
    fs::remove_dir_all(root.join("build")).context("cannot clean up")
}

/// The version of LLVM that an installed linker was built with, as cargo remembers it.
fn built_with(root: &Path) -> Option<u32> {
    let record = fs::read_to_string(root.join(".crates2.json")).ok()?;
    let record: serde_json::Value = serde_json::from_str(&record).ok()?;
    let (_, install) = record["installs"]
        .as_object()?
        .iter()
        .find(|(package, _)| package.starts_with(&format!("bpf-linker {VERSION} ")))?;
    install["features"]
        .as_array()?
        .iter()
        .find_map(|feature| feature.as_str()?.strip_prefix("llvm-")?.parse().ok())
}

/// Whether it runs: the shared library of its LLVM may be gone.
fn works(linker: &Path) -> bool {
    process::stdout(process::foreign(linker).arg("--version")).is_ok()
}
