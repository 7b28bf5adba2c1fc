//! Things made once and kept: whole or not at all, by one process at a time.

use std::{
    fs::{self, File},
    path::Path,
};

use anyhow::{Context, Result};

/// Makes a folder unless it is there. What `fill` leaves unfinished is never taken for the thing itself.
pub(crate) fn once(folder: &Path, what: &str, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    let parent = folder.parent().context("a folder to keep needs a parent")?;
    let _lock = lock(parent)?;
    if folder.exists() {
        return Ok(());
    }
    eprintln!("xtask: fetching {what}");
    let partial = parent.join(format!(
        ".partial-{}",
        folder.file_name().context("a folder to keep needs a name")?.to_string_lossy()
    ));
    if partial.exists() {
        fs::remove_dir_all(&partial).with_context(|| format!("cannot remove {}", partial.display()))?;
    }
    fs::create_dir_all(&partial).with_context(|| format!("cannot make {}", partial.display()))?;
    fill(&partial).with_context(|| format!("cannot get {what}"))?;
    fs::rename(&partial, folder).with_context(|| format!("cannot make {}", folder.display()))
}

/// Only one process at a time holds the lock of a folder, until the file is dropped.
pub(crate) fn lock(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let path = folder.join(".lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn keeps_what_is_whole_and_only_that() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("things/one");
        assert!(once(&folder, "one", |_| bail!("no network")).is_err());
        assert!(!folder.exists());
        once(&folder, "one", |partial| Ok(fs::write(partial.join("a"), "1")?)).unwrap();
        once(&folder, "one", |_| bail!("made twice")).unwrap();
        assert_eq!(fs::read_to_string(folder.join("a")).unwrap(), "1");
    }
}
