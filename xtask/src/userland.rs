//! Programs of Debian 12 for guests, unpacked and never installed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use goblin::elf::Elf;

use crate::{
    arch::Arch,
    debian::{Archive, Release},
    keep,
    layout::Layout,
    process,
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
    let multiarch = Arch::host()?.multiarch;
    let mut todo: Vec<PathBuf> = PROGRAMS.iter().map(PathBuf::from).collect();
    todo.extend(PRELOADED.iter().map(|name| Path::new("usr/lib").join(multiarch).join(name)));
    let mut seen = BTreeSet::new();
    while let Some(path) = todo.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let file = on_disk(&root, &path)?;
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let elf = Elf::parse(&bytes).with_context(|| format!("{} is no ELF file", file.display()))?;
        todo.extend(elf.interpreter.map(|loader| PathBuf::from(loader.trim_start_matches('/'))));
        for library in &elf.libraries {
            todo.push(Path::new("usr/lib").join(multiarch).join(library));
        }
        tree.copy(&path.to_string_lossy(), file);
    }
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

/// Where a file of the guest is in the unpacked packages, links followed: some are spelled without `usr`, and absolute
/// links mean the guest's root.
fn on_disk(root: &Path, path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    // More links than this are a loop.
    for _ in 0..8 {
        let unmerged = path.strip_prefix("usr").unwrap_or(&path).to_owned();
        let merged = Path::new("usr").join(&unmerged);
        let Some(file) = [&merged, &unmerged]
            .map(|place| root.join(place))
            .into_iter()
            .find(|place| place.symlink_metadata().is_ok())
        else {
            bail!("{} is in none of the packages fetched for guests", path.display());
        };
        let Ok(target) = fs::read_link(&file) else { return Ok(file) };
        path = match target.strip_prefix("/") {
            Ok(absolute) => absolute.to_owned(),
            Err(_) => path.parent().unwrap_or(Path::new("")).join(target),
        };
    }
    bail!("{} is a link to itself", path.display())
}
