//! Both halves of the detector.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    arch::Arch,
    layout::{Build, Layout},
    process,
    setup::{Core, ForBuilding, ForShipping, TARGET},
};

/// Package and program of the eBPF half.
const EBPF_PACKAGE: &str = "detector-ebpf";
const EBPF_PROGRAM: &str = "timejump-ebpf";
/// What guests are given.
const GUEST_PROGRAMS: [&str; 3] = ["timejump", "timejump-guest", "timejump-init"];
/// What tells linkers to leave out how to unwind. Below the root, where cargo has them work: a whole path would change the hashes
/// in symbols' names, and with them the program.
const NO_UNWINDING: &str = "xtask/link/no-unwinding.ld";
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

/// Builds the eBPF object for machines of one family.
pub fn ebpf(layout: &Layout, tools: &ForBuilding, arch: Arch) -> Result<()> {
    // Apart from all other builds, as another compiler would invalidate theirs.
    let mut folder = layout.target.join("ebpf").join(match tools.toolchain.core {
        Core::Prebuilt => "with-prebuilt-core",
        Core::Source => "with-core-from-source",
    });
    if !arch.is_host() {
        folder.push(arch.debian);
    }
    let mut cargo = ebpf_cargo(layout, tools, arch)?;
    cargo.args(["build", "--release", "-p", EBPF_PACKAGE, "--bin", EBPF_PROGRAM, "--target", TARGET]);
    cargo.arg("--target-dir").arg(&folder);
    process::run(&mut cargo).context("cannot build the eBPF half")?;
    let linked = folder.join(TARGET).join("release").join(EBPF_PROGRAM);
    // Three quarters of it are for debuggers. The kernel reads BTF, which stays.
    let stripped = linked.with_extension("stripped");
    process::quiet(Command::new(&tools.objcopy).arg("--strip-debug").arg(&linked).arg(&stripped))
        .context("cannot strip the eBPF object")?;
    publish(&stripped, &layout.ebpf_object(arch))
}

/// A cargo that compiles for BPF.
pub fn ebpf_cargo(layout: &Layout, tools: &ForBuilding, arch: Arch) -> Result<Command> {
    let linker = tools.linker.to_str().context("the linker's path is no UTF-8")?;
    let mut flags = vec![
        format!("--cfg=bpf_target_arch=\"{}\"", arch.rust),
        // The linker turns debug information into the types that the kernel checks.
        "-Cdebuginfo=2".to_owned(),
        format!("-Clinker={linker}"),
        "-Clink-arg=--btf".to_owned(),
    ];
    // The types name source files, for the verifier's messages.
    flags.extend(anonymous(layout).map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())));
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
    let folder = to.parent().context("the object has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let partial = to.with_extension("partial");
    fs::write(&partial, object).with_context(|| format!("cannot write {}", partial.display()))?;
    fs::rename(&partial, to).with_context(|| format!("cannot write {}", to.display()))
}

/// Builds programs of user space.
pub fn user_space(layout: &Layout, programs: Programs) -> Result<()> {
    match layout.build {
        Build::Release => released(layout, programs),
        Build::Tested => tested(layout),
    }
    .context("cannot build the programs of user space")
}

fn released(layout: &Layout, programs: Programs) -> Result<()> {
    let mut cargo = user_space_cargo(layout, "build")?;
    cargo.args(["-p", "timejump", "--bin", "timejump"]);
    if programs == Programs::All {
        // Not the programs that tests start on this machine.
        cargo.args(["-p", "timejump-tests", "--bin", "timejump-guest", "--bin", "timejump-init"]);
    }
    process::run(&mut cargo)
}

/// Optimised somewhat, as emulated machines are slow, and put where building the tests does not replace them.
fn tested(layout: &Layout) -> Result<()> {
    let mut cargo = tested_cargo(layout, "build")?;
    cargo.arg("--bins");
    // Any test: as for all tests, dependencies then have the features that tests want, and are not compiled again for them.
    cargo.args(["--test", "guard"]);
    let profile = layout.build.profile();
    // Each scenario starts the detector anew: a sixth of the guests' time is worth a minute of compiling.
    for (package, level) in [("timejump", 2), ("timejump-tests", 1)] {
        cargo.arg("--config").arg(format!("profile.{profile}.package.{package}.opt-level={level}"));
    }
    process::run(&mut cargo)?;
    for name in GUEST_PROGRAMS {
        let kept = layout.program(name)?;
        let folder = kept.parent().context("programs have no folder")?;
        let built = folder.with_file_name(name);
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        fs::copy(&built, &kept).with_context(|| format!("cannot copy {}", built.display()))?;
    }
    Ok(())
}

/// A cargo for all that runs on this machine and in guests, in the build for tests.
pub fn tested_cargo(layout: &Layout, subcommand: &str) -> Result<Command> {
    let mut cargo = user_space_cargo(layout, subcommand)?;
    cargo.args(["--workspace", "--exclude", EBPF_PACKAGE]);
    Ok(cargo)
}

/// A cargo that compiles user space, linked statically: it runs in containers and guests that have nothing else.
fn user_space_cargo(layout: &Layout, subcommand: &str) -> Result<Command> {
    let arch = Arch::host()?;
    let mut cargo = process::cargo();
    cargo.current_dir(&layout.root);
    cargo.args([subcommand, "--profile", layout.build.profile(), "--target", arch.target]);
    cargo.env(arch.rustflags_variable(), "-Ctarget-feature=+crt-static");
    cargo.env(OBJECT_VARIABLE, layout.ebpf_object(arch));
    Ok(cargo)
}

/// Builds the detector as it is shipped: small, linked statically, and the same bytes wherever the checkout is.
pub fn shipped(layout: &Layout, tools: &ForShipping, arch: Arch) -> Result<()> {
    let mut cargo = tools.cargo();
    cargo.current_dir(&layout.root);
    cargo.args(["build", "--locked", "--profile", "dist", "--target", arch.target]);
    cargo.args(["-p", "timejump", "--bin", "timejump"]);
    let mut flags = vec![
        "-Ctarget-feature=+crt-static".to_owned(),
        "-Cforce-unwind-tables=no".to_owned(),
        format!("-Clink-arg=-Wl,-T,{NO_UNWINDING}"),
        "-Clink-arg=-Wl,--no-eh-frame-hdr".to_owned(),
        // What functions have in common becomes one function, for processors too where that is not the compiler's habit.
        "-Cllvm-args=-enable-machine-outliner".to_owned(),
        "-Clink-arg=-Wl,--build-id=none".to_owned(),
    ];
    let mut c_flags = vec![
        "-fno-asynchronous-unwind-tables".to_owned(),
        "-fno-unwind-tables".to_owned(),
        "-ffunction-sections".to_owned(),
        "-fdata-sections".to_owned(),
    ];
    for (from, to) in anonymous(layout) {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        let from = from.to_str().with_context(|| format!("{} is no UTF-8", from.display()))?;
        ensure!(!from.contains(' '), "{from}: a C compiler's flags are separated by spaces");
        c_flags.push(format!("-ffile-prefix-map={from}={to}"));
    }
    flags.extend(tools.flags(arch)?);
    cargo.env(arch.rustflags_variable(), flags.join(" "));
    cargo.env(arch.c_variable("CFLAGS"), c_flags.join(" "));
    cargo.env(OBJECT_VARIABLE, layout.ebpf_object(arch));
    process::run(&mut cargo).with_context(|| format!("cannot build timejump for {}", arch.debian))
}

/// What programs would otherwise say of the machine they were built on, and what they say instead.
fn anonymous(layout: &Layout) -> impl Iterator<Item = (PathBuf, &'static str)> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    // Of two that fit, compilers take the later one.
    let target =
        (!layout.target.starts_with(&layout.root)).then(|| (layout.target.clone(), "/timejump/target"));
    home.map(|home| (home, "/cargo")).into_iter().chain(target).chain([(layout.root.clone(), "/timejump")])
}
