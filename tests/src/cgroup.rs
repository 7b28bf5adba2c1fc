//! Control groups laid out as on a Kubernetes node, for actors to act from.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, mount};

const ROOT: &str = "/sys/fs/cgroup";
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// Makes the cgroup `path` (without a leading slash) in the unified hierarchy and returns its directory.
pub fn make(path: &str) -> Result<PathBuf> {
    mount_if_missing()?;
    let dir = Path::new(ROOT).join(path);
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

/// Moves this process into the cgroup with that directory.
pub fn enter(dir: &Path) -> std::io::Result<()> {
    fs::write(dir.join("cgroup.procs"), "0")
}

fn mount_if_missing() -> Result<()> {
    if !is_unified() {
        fs::create_dir_all(ROOT).context(ROOT)?;
        mount("cgroup2", ROOT, "cgroup2", MountFlags::empty(), None).context("mount cgroup2")?;
        ensure!(is_unified(), "{ROOT} is no cgroup2 even after mounting one");
    }
    Ok(())
}

fn is_unified() -> bool {
    rustix::fs::statfs(ROOT).is_ok_and(|of| u64::try_from(of.f_type) == Ok(CGROUP2_SUPER_MAGIC))
}
