//! What compiles the detector as it is shipped: for this machine's family the toolchain in use, for another one whatever
//! has its standard library, with that family's C compiler and linker.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::packages::{self, Package};
use crate::{
    arch::Arch,
    debian::{Archive, Release},
    keep,
    layout::Layout,
    process,
};

/// Debian's package with the standard library of the compiler that is also the eBPF half's.
const STANDARD_LIBRARY: &str = "libstd-rust-web-dev";

/// A compiler for one family of machines.
#[derive(Debug)]
pub struct ForShipping {
    /// Unless it is the toolchain in use.
    other: Option<Other>,
    /// Compiles and links C, unless it is the system's own.
    cc: Option<String>,
    /// The folder with LLVM's linker, which makes the program smaller, if there is one.
    lld: Option<PathBuf>,
}

/// A toolchain that is not the one in use.
#[derive(Debug)]
struct Other {
    cargo: PathBuf,
    rustc: PathBuf,
    /// Where the standard library for the other family is.
    sysroot: PathBuf,
}

impl ForShipping {
    /// The cargo to build with.
    pub(crate) fn cargo(&self) -> Command {
        let Some(other) = &self.other else { return process::cargo() };
        let mut cargo = process::foreign(&other.cargo);
        cargo.env("RUSTC", &other.rustc);
        cargo
    }

    /// What the compiler is to be told of itself.
    pub(crate) fn flags(&self, arch: Arch) -> Result<Vec<String>> {
        let mut flags = Vec::new();
        if let Some(other) = &self.other {
            flags.push(format!("--sysroot={}", text(&other.sysroot)?));
        }
        if let Some(cc) = &self.cc {
            flags.push(format!("-Clinker={cc}"));
        }
        if let Some(lld) = &self.lld {
            flags.push("-Clink-arg=-fuse-ld=lld".to_owned());
            flags.push(format!("-Clink-arg=-B{}", text(lld)?));
            // Functions that are the same are there once.
            flags.push("-Clink-arg=-Wl,--icf=all".to_owned());
            if arch.packs_relocations {
                flags.push("-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned());
            }
        }
        Ok(flags)
    }
}

impl fmt::Display for ForShipping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.other {
            Some(other) => {
                write!(f, "{} with the library in {}", other.rustc.display(), other.sysroot.display())
            }
            None => f.write_str("the toolchain in use"),
        }?;
        match &self.lld {
            Some(_) => f.write_str(", LLVM's linker"),
            None => f.write_str(", the system's linker as there is no LLVM's (the program will be larger)"),
        }
    }
}

fn text(path: &Path) -> Result<&str> {
    let text = path.to_str().with_context(|| format!("{} is no UTF-8", path.display()))?;
    if text.contains(' ') {
        bail!("{text}: flags are separated by spaces");
    }
    Ok(text)
}

/// Finds one, or fetches what is missing.
pub(super) fn provide(layout: &Layout, arch: Arch) -> Result<ForShipping> {
    let lld = lld();
    if arch.is_host() {
        return Ok(ForShipping { other: None, cc: None, lld });
    }
    let cc = format!("{}-gcc", arch.multiarch);
    if process::find(&cc).is_none() {
        packages::install(
            &arch.cross.map(|name| Package { name, why: "compiles C for the other processors" }),
        )?;
    }
    let other = if has_library(&in_use()?, arch) { None } else { Some(debian(layout, arch)?) };
    Ok(ForShipping { other, cc: Some(cc), lld })
}

/// The sysroot of the toolchain in use.
fn in_use() -> Result<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    sysroot(Command::new(rustc))
}

fn sysroot(mut rustc: Command) -> Result<PathBuf> {
    Ok(process::stdout(rustc.args(["--print", "sysroot"]))?.trim().into())
}

fn has_library(sysroot: &Path, arch: Arch) -> bool {
    sysroot.join("lib/rustlib").join(arch.target).join("lib").is_dir()
}

/// Debian's compiler, with its library for the other family.
fn debian(layout: &Layout, arch: Arch) -> Result<Other> {
    let missing = || {
        format!(
            "no Rust toolchain here has the standard library for {0}. Either will do:\n  rustup target add {0}\n  \
             Debian's rustc-web and cargo-web, whose library for {1} is then fetched",
            arch.target, arch.debian
        )
    };
    let rustc = Path::new("/usr/bin/rustc").to_owned();
    let cargo = Path::new("/usr/bin/cargo").to_owned();
    let version =
        process::stdout(Command::new("dpkg-query").args(["-W", "-f", "${Version}", STANDARD_LIBRARY]))
            .with_context(missing)?;
    let folder = layout.target.join("cross").join(format!("{}-{version}", arch.debian));
    keep::once(&folder, &format!("Rust's standard library for {}", arch.debian), |partial| {
        let release = Release::of_system().context("this is no known release of Debian")?;
        Archive::with_arch(layout, release, arch, |archive| {
            archive.unpack(&[format!("{STANDARD_LIBRARY}={version}")], partial)
        })
    })
    .with_context(missing)?;
    Ok(Other { cargo, rustc, sysroot: folder.join("usr") })
}

/// LLVM's linker as Rust's toolchains bring it along, or as Debian has it.
fn lld() -> Option<PathBuf> {
    let host = Arch::host().ok()?.target;
    let of_rust = process::find_all("rustc").filter_map(|rustc| {
        Some(sysroot(process::foreign(rustc)).ok()?.join("lib/rustlib").join(host).join("bin/gcc-ld"))
    });
    let of_debian = [21, 22, 23].map(|version| PathBuf::from(format!("/usr/lib/llvm-{version}/bin")));
    of_rust.chain(of_debian).find(|folder| folder.join("ld.lld").is_file())
}
