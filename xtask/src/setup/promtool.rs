//! promtool, which tells whether Prometheus would take our metrics.

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

const NAME: &str = "promtool";
const PACKAGE: &str = "prometheus";
const IN_PACKAGE: &str = "usr/bin/promtool";

/// The one in PATH, or else Debian's. Its package is not installed, for that would start a service.
pub(super) fn provide(layout: &Layout) -> Result<PathBuf> {
    if let Some(found) = process::find(NAME) {
        return Ok(found);
    }
    let folder = layout.vm().join("packages").join(NAME);
    keep::once(&folder, "promtool", |partial| {
        Archive::with(layout, Release::Bookworm, |archive| archive.unpack(&[PACKAGE.to_owned()], partial))?;
        keep_only(partial, IN_PACKAGE)
    })?;
    Ok(folder.join(NAME))
}

/// Moves one file to the top of its folder and drops the rest, which is large.
fn keep_only(folder: &Path, file: &str) -> Result<()> {
    let kept = folder.join(NAME);
    fs::rename(folder.join(file), &kept).with_context(|| format!("the package holds no {file}"))?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path != kept {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
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
        fs::write(dir.path().join(IN_PACKAGE), "1").unwrap();
        keep_only(dir.path(), IN_PACKAGE).unwrap();
        let left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [NAME]);
    }
}
