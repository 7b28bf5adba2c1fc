//! Debian's containerd and runc for guests, unpacked and never installed.

use std::path::PathBuf;

use anyhow::Result;

use crate::{
    debian::{Archive, Release},
    keep,
    layout::Layout,
    linked,
    vm::Tree,
};

/// The releases whose containerd differs in how it accounts for time: 1.4, 1.6, 1.7 and 2.1.
pub const RELEASES: [Release; 4] = [Release::Bullseye, Release::Bookworm, Release::Trixie, Release::Sid];
const PACKAGES: [&str; 2] = ["containerd", "runc"];
const PROGRAMS: [&str; 4] =
    ["usr/bin/containerd", "usr/bin/containerd-shim-runc-v2", "usr/bin/ctr", "usr/sbin/runc"];
/// What containerd needs of the kernel that distributors have as a module: the file system of its snapshots.
pub const MODULE: &str = "overlay";

/// Fetches a release's packages.
pub fn fetch(layout: &Layout, release: Release) -> Result<PathBuf> {
    let folder = layout.vm().join("packages").join(format!("containerd-{}", release.name()));
    keep::once(&folder, &format!("containerd of Debian {}", release.name()), |partial| {
        Archive::with(layout, release, |archive| {
            let packages = archive.closure(&PACKAGES, |name| name.starts_with("lib"))?;
            archive.unpack(&packages, partial)
        })
    })?;
    Ok(folder)
}

/// Puts them into a guest, with the loader and the libraries of the same release.
pub fn install(layout: &Layout, release: Release, tree: &mut Tree) -> Result<()> {
    linked::install(&fetch(layout, release)?, PROGRAMS.map(PathBuf::from), tree)?;
    // Each pod gets copies of these.
    tree.bytes("etc/hosts", "127.0.0.1 localhost\n");
    tree.bytes("etc/hostname", "node\n");
    tree.bytes("etc/resolv.conf", "");
    Ok(())
}
