//! kubelet's root directory.

use std::path::{Path, PathBuf};

use crate::node::{Process, process};

/// Where it is by default, and in distributions that put it elsewhere: kubelet, microk8s, k0s.
pub const USUAL_ROOTS: [&str; 3] =
    ["/var/lib/kubelet", "/var/snap/microk8s/common/var/lib/kubelet", "/var/lib/k0s/kubelet"];
/// kubelet's flag for it.
const FLAG: &str = "--root-dir";

/// The root directory: what the operator says, else what kubelet's command line says, else the first usual one with
/// pods. Where that is not in our own mount namespace, it is read through kubelet's.
pub fn find_root(given: Option<&Path>, kubelet: Option<Process>) -> PathBuf {
    if let Some(path) = given {
        return path.to_owned();
    }
    let words = kubelet.map(process::command_line).unwrap_or_default();
    let flag = process::flag(&words, FLAG).map(PathBuf::from).filter(|path| path.is_absolute());
    let candidates = flag.map_or_else(|| USUAL_ROOTS.map(PathBuf::from).to_vec(), |path| vec![path]);
    let seen = |path: &PathBuf| path.join("pods").is_dir();
    let here = candidates.iter().find(|path| seen(path)).cloned();
    let through = || {
        let root = PathBuf::from(format!("/proc/{}/root", kubelet?.pid));
        candidates.iter().map(|path| root.join(path.strip_prefix("/").unwrap_or(path))).find(seen)
    };
    here.or_else(through).or_else(|| candidates.first().cloned()).unwrap_or_default()
}
