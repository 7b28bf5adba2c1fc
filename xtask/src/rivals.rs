//! What an operator would run instead of timejump, of Debian 13: bpftrace and auditd, unpacked and never installed.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::{
    debian::{Archive, Release},
    keep,
    layout::Layout,
    linked,
    vm::Tree,
};

/// The release of [`crate::kernels::Kernel::V6_12`].
const RELEASE: Release = Release::Trixie;
const PACKAGES: [&str; 2] = ["bpftrace", "auditd"];
/// Libraries whose packages are not called after them.
const OTHER_LIBRARIES: [&str; 1] = ["zlib1g"];
/// bpftrace's program.
const BPFTRACE: &str = "usr/bin/bpftrace";
/// auditd's programs.
const AUDIT: [&str; 2] = ["usr/sbin/auditd", "usr/sbin/auditctl"];
/// How auditd is set up, as it comes.
const AUDIT_CONF: &str = "etc/audit/auditd.conf";

/// Fetches them.
pub fn fetch(layout: &Layout) -> Result<PathBuf> {
    let folder = layout.vm().join("packages/rivals");
    keep::once(&folder, &format!("{} to compare with", PACKAGES.join(" and ")), |partial| {
        Archive::with(layout, RELEASE, |archive| {
            let packages = archive
                .closure(&PACKAGES, |name| name.starts_with("lib") || OTHER_LIBRARIES.contains(&name))?;
            archive.unpack(&packages, partial)
        })
    })?;
    Ok(folder)
}

/// Puts them into a guest, with the loader and the libraries of the same release.
pub fn install(layout: &Layout, tree: &mut Tree) -> Result<()> {
    let root = fetch(layout)?;
    linked::install(&root, [BPFTRACE].into_iter().chain(AUDIT).map(PathBuf::from), tree)?;
    tree.copy(AUDIT_CONF, root.join(AUDIT_CONF));
    for folder in ["etc/audit/plugins.d", "etc/audit/rules.d", "var/log/audit", "run/audit"] {
        tree.directory(folder);
    }
    Ok(())
}

/// How many bytes each of them takes on a node that has nothing of it: name, and programs with their libraries.
pub fn sizes(layout: &Layout) -> Result<[(&'static str, u64); 2]> {
    let root = fetch(layout)?;
    let size = |programs: &[&str]| {
        let mut tree = Tree::new();
        linked::install(&root, programs.iter().map(Path::new).map(Path::to_owned), &mut tree)?;
        tree.size()
    };
    Ok([("bpftrace", size(&[BPFTRACE])?), ("auditd", size(&AUDIT[..1])?)])
}
