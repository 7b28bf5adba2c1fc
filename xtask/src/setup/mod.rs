//! What building and testing need: found, or else fetched.

mod bpf_linker;
mod chromium;
mod helm;
mod objcopy;
mod packages;
mod program;
mod python;
mod shipping;
mod toolchain;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
pub use shipping::ForShipping;
pub use toolchain::{Choice, Core, TARGET, Toolchain};

use crate::{arch::Arch, containerd, kernels::Kernel, layout::Layout, process, userland};
use packages::Package;

/// What compiles the detector's eBPF half.
#[derive(Debug)]
pub struct ForBuilding {
    /// The compiler.
    pub toolchain: Toolchain,
    /// Its linker.
    pub linker: PathBuf,
    /// What strips its objects.
    pub objcopy: PathBuf,
}

/// What tests start that is not ours.
#[derive(Debug)]
pub struct ForTests {
    /// A Python that has gRPC.
    pub python: PathBuf,
    /// Prometheus's checker of metrics.
    pub promtool: PathBuf,
    /// A browser that needs no screen.
    pub chromium: PathBuf,
    /// A Python that knows Kubernetes's schemas.
    pub manifests_python: PathBuf,
    /// What renders the Kustomize tree.
    pub kustomize: PathBuf,
    /// What renders the chart.
    pub helm: PathBuf,
    /// What rates systemd's units. systemd itself need not run.
    pub systemd_analyze: PathBuf,
}

/// What building needs.
pub fn for_building(layout: &Layout, choice: Choice) -> Result<ForBuilding> {
    protocol_compiler()?;
    let toolchain = toolchain::provide(choice)?;
    eprintln!("xtask: {toolchain}: compiles the eBPF half");
    let linker = bpf_linker::provide(layout, &toolchain)?;
    eprintln!("xtask: {}: links the eBPF half", linker.display());
    Ok(ForBuilding { toolchain, linker, objcopy: objcopy::provide()? })
}

/// What compiles the detector as it is shipped, for machines of one family.
pub fn for_shipping(layout: &Layout, arch: Arch) -> Result<ForShipping> {
    protocol_compiler()?;
    let tools = shipping::provide(layout, arch)?;
    eprintln!("xtask: {tools}: compiles for {}", arch.debian);
    Ok(tools)
}

/// What makes images.
pub fn for_images() -> Result<()> {
    if process::find("umoci").is_none() {
        packages::install(&[Package { name: "umoci", why: "makes container images" }])?;
    }
    ensure!(process::find("umoci").is_some(), "umoci is still not in PATH");
    Ok(())
}

fn protocol_compiler() -> Result<()> {
    if process::find("protoc").is_none() {
        packages::install(&[Package {
            name: "protobuf-compiler",
            why: "compiles the protocol of the jump event stream",
        }])?;
    }
    ensure!(process::find("protoc").is_some(), "protoc is still not in PATH");
    Ok(())
}

/// The emulator of the guests; installs it if that is possible.
pub fn emulator() -> Result<()> {
    let machine = Arch::host()?.machine()?;
    if process::find(machine.qemu).is_none() {
        packages::install(&[Package {
            name: machine.package,
            why: "boots kernels of our own, whose clocks may be stepped",
        }])?;
    }
    ensure!(process::find(machine.qemu).is_some(), "{} is still not in PATH", machine.qemu);
    // Part of util-linux, so of any Debian.
    ensure!(process::find("setpriv").is_some(), "setpriv (of util-linux) is not in PATH");
    Ok(())
}

/// The message bus that tests have a made-up systemd on; the package starts no service.
fn message_bus() -> Result<()> {
    if process::find("dbus-daemon").is_none() {
        packages::install(&[Package {
            name: "dbus-daemon",
            why: "carries requests to a made-up systemd, in tests",
        }])?;
    }
    ensure!(process::find("dbus-daemon").is_some(), "dbus-daemon is still not in PATH");
    Ok(())
}

/// Programs that tests of the servers need.
pub fn for_tests(layout: &Layout) -> Result<ForTests> {
    message_bus()?;
    let python = python::STREAM.provide(layout)?;
    eprintln!("xtask: {}: follows the stream in tests", python.display());
    let promtool = program::PROMTOOL.provide(layout)?;
    eprintln!("xtask: {}: checks the metrics in tests", promtool.display());
    let chromium = chromium::provide()?;
    eprintln!("xtask: {}: opens reports in tests", chromium.display());
    let manifests_python = python::MANIFESTS.provide(layout)?;
    eprintln!("xtask: {}: judges Kubernetes objects in tests", manifests_python.display());
    let kustomize = program::KUSTOMIZE.provide(layout)?;
    eprintln!("xtask: {}: renders them in tests", kustomize.display());
    let helm = helm::provide(layout, &manifests_python)?;
    eprintln!("xtask: {}: renders the chart in tests", helm.display());
    let systemd_analyze = systemd_analyze()?;
    eprintln!("xtask: {}: rates systemd's units in tests", systemd_analyze.display());
    Ok(ForTests { python, promtool, chromium, manifests_python, kustomize, helm, systemd_analyze })
}

fn systemd_analyze() -> Result<PathBuf> {
    let find = || process::find("systemd-analyze");
    if find().is_none() {
        packages::install(&[Package { name: "systemd", why: "rates the systemd units; it is not started" }])?;
    }
    find().context("systemd-analyze is still not in PATH")
}

/// Everything that guests are made of.
pub fn for_guests(layout: &Layout) -> Result<()> {
    emulator()?;
    for kernel in Kernel::ALL {
        let unpacked = kernel.fetch(layout)?;
        eprintln!("xtask: Linux {}: boots in tests as kernel {kernel}", unpacked.version);
    }
    let busybox = userland::fetch_busybox(layout)?;
    eprintln!("xtask: {}: shell and tools of the guests", busybox.display());
    let debian = userland::fetch_debian(layout)?;
    eprintln!("xtask: {}: programs that step clocks, for guests", debian.display());
    for release in containerd::RELEASES {
        let unpacked = containerd::fetch(layout, release)?;
        eprintln!("xtask: {}: makes pods in guests, as Debian {} has it", unpacked.display(), release.name());
    }
    Ok(())
}
