//! Programs of Debian 12 for guests, unpacked and never installed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::{
    arch::Arch,
    debian::{Archive, Release},
    keep,
    layout::Layout,
    linked, process,
    vm::Tree,
};

const RELEASE: Release = Release::Bookworm;
/// Packages, and the files of theirs that guests get: programs whose calls tests compare timejump with.
const PACKAGES: [&str; 3] = ["chrony", "coreutils", "libfaketime"];
const PROGRAMS: [&str; 3] = ["usr/sbin/chronyd", "usr/bin/chronyc", "usr/bin/date"];
/// Loaded into programs by name, below the folder of libraries.
const PRELOADED: [&str; 2] = ["faketime/libfaketime.so.1", "faketime/libfaketimeMT.so.1"];

/// Fetches busybox alone.
pub fn fetch_busybox(layout: &Layout) -> Result<PathBuf> {
    let folder = layout.vm().join("packages/busybox");
    keep::once(&folder, "busybox", |partial| {
        Archive::with(layout, RELEASE, |archive| archive.unpack(&["busybox-static".to_owned()], partial))
    })?;
    ["usr/bin/busybox", "bin/busybox"]
        .iter()
        .map(|place| folder.join(place))
        .find(|place| place.is_file())
        .context("busybox's package holds no busybox")
}

/// Fetches the other programs.
pub fn fetch_debian(layout: &Layout) -> Result<PathBuf> {
    let folder = layout.vm().join("packages/userland");
    keep::once(&folder, &format!("{} for guests", PACKAGES.join(", ")), |partial| {
        Archive::with(layout, RELEASE, |archive| {
            let packages = archive.closure(&PACKAGES, |name| name.starts_with("lib"))?;
            archive.unpack(&packages, partial)
        })
    })?;
    Ok(folder)
}

/// Puts busybox into a guest, by all its names.
pub fn busybox(layout: &Layout, tree: &mut Tree) -> Result<()> {
    let busybox = fetch_busybox(layout)?;
    let names = process::stdout(Command::new(&busybox).arg("--list"))?;
    for name in names.lines().filter(|name| *name != "busybox") {
        tree.symlink(&format!("usr/bin/{name}"), "busybox");
    }
    tree.copy("usr/bin/busybox", busybox);
    Ok(())
}

/// Puts Debian's programs into a guest, with the libraries that they need and no others.
pub fn debian(layout: &Layout, tree: &mut Tree) -> Result<()> {
    let root = fetch_debian(layout)?;
    let libraries = Path::new("usr/lib").join(Arch::host()?.multiarch);
    let preloaded = PRELOADED.iter().map(|name| libraries.join(name));
    linked::install(&root, PROGRAMS.iter().map(PathBuf::from).chain(preloaded), tree)?;
    chrony(tree);
    Ok(())
}

/// What chronyd wants to find besides its libraries.
fn chrony(tree: &mut Tree) {
    tree.bytes("etc/chrony/chrony.conf", "driftfile /var/lib/chrony/drift\nmakestep 1 3\nuser root\n");
    for folder in ["var/lib/chrony", "var/log/chrony", "run/chrony"] {
        tree.directory(folder);
    }
}
