//! A tool that strips eBPF objects: LLVM's, as that of binutils does not know them.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::packages::{self, Package};
use crate::{arch::Arch, process};

const NAME: &str = "llvm-objcopy";

/// The one in PATH, or that of a Rust toolchain; installs Debian's if there is neither.
pub(super) fn provide() -> Result<PathBuf> {
    if let Some(found) = process::find(NAME).or_else(of_rust) {
        return Ok(found);
    }
    packages::install(&[Package { name: "llvm", why: "strips the eBPF half of what debuggers read" }])?;
    process::find(NAME).with_context(|| format!("{NAME} is still not in PATH"))
}

/// What rustup's toolchains bring along.
fn of_rust() -> Option<PathBuf> {
    let host = Arch::host().ok()?.target;
    process::find_all("rustc").find_map(|rustc| {
        let sysroot = process::stdout(process::foreign(rustc).args(["--print", "sysroot"])).ok()?;
        let tool = PathBuf::from(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-objcopy");
        tool.is_file().then_some(tool)
    })
}
