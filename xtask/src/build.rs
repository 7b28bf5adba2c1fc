//! Both halves of the detector.

use std::{fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    arch::Arch,
    layout::Layout,
    process,
    setup::{Core, ForBuilding, TARGET},
};

/// Package and program of the eBPF half.
const EBPF_PACKAGE: &str = "detector-ebpf";
const EBPF_PROGRAM: &str = "timejump-ebpf";
/// By this variable the detector's build script finds the object to embed.
const OBJECT_VARIABLE: &str = "TIMEJUMP_BPF_OBJECT";

/// What of user space to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    /// The detector.
    Detector,
    /// The detector and what guests need.
    All,
}

/// Builds the eBPF object.
pub fn ebpf(layout: &Layout, tools: &ForBuilding) -> Result<()> {
    // Apart from all other builds, as another compiler would invalidate theirs.
    let folder = layout.target.join("ebpf").join(match tools.toolchain.core {
        Core::Prebuilt => "with-prebuilt-core",
        Core::Source => "with-core-from-source",
    });
    let mut cargo = ebpf_cargo(layout, tools)?;
    cargo.args(["build", "--release", "-p", EBPF_PACKAGE, "--bin", EBPF_PROGRAM, "--target", TARGET]);
    cargo.arg("--target-dir").arg(&folder);
    process::run(&mut cargo).context("cannot build the eBPF half")?;
    publish(&folder.join(TARGET).join("release").join(EBPF_PROGRAM), &layout.ebpf_object())
}

/// A cargo that compiles for BPF.
pub fn ebpf_cargo(layout: &Layout, tools: &ForBuilding) -> Result<std::process::Command> {
    let linker = tools.linker.to_str().context("the linker's path is no UTF-8")?;
    let flags = [
        format!("--cfg=bpf_target_arch=\"{}\"", Arch::host()?.rust),
        // The linker turns debug information into the types that the kernel checks.
        "-Cdebuginfo=2".to_owned(),
        format!("-Clinker={linker}"),
        "-Clink-arg=--btf".to_owned(),
    ];
    let mut cargo = process::foreign(&tools.toolchain.cargo);
    cargo
        .current_dir(&layout.root)
        .env("RUSTC", &tools.toolchain.rustc)
        // The target is not stable in any toolchain, nor is building the core library.
        .env("RUSTC_BOOTSTRAP", "1")
        // Unlike user space's: what the kernel's verifier takes is not to change with how fast that compiles.
        .env("CARGO_PROFILE_RELEASE_LTO", "thin")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "4")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    if tools.toolchain.core == Core::Source {
        cargo.args(["-Z", "build-std=core"]);
    }
    Ok(cargo)
}

/// Copies a file if it differs, so that what depends on it is not built for nothing.
fn publish(from: &Path, to: &Path) -> Result<()> {
    let object = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    if fs::read(to).is_ok_and(|present| present == object) {
        return Ok(());
    }
    let partial = to.with_extension("partial");
    fs::write(&partial, object).with_context(|| format!("cannot write {}", partial.display()))?;
    fs::rename(&partial, to).with_context(|| format!("cannot write {}", to.display()))
}

/// Builds user space, linked statically: it runs in containers and guests that have nothing else.
pub fn user_space(layout: &Layout, programs: Programs) -> Result<()> {
    let arch = Arch::host()?;
    let mut cargo = process::cargo();
    cargo.current_dir(&layout.root);
    cargo.args(["build", "--release", "--target", arch.target, "-p", "timejump", "--bin", "timejump"]);
    if programs == Programs::All {
        // Not the programs that tests start on this machine.
        cargo.args(["-p", "timejump-tests", "--bin", "timejump-guest", "--bin", "timejump-init"]);
    }
    cargo.env(arch.rustflags_variable(), "-Ctarget-feature=+crt-static");
    cargo.env(OBJECT_VARIABLE, layout.ebpf_object());
    process::run(&mut cargo).context("cannot build the programs of user space")
}
