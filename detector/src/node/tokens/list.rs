//! The token volumes there are, read once: of this node or of a copy of its files.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Volume, read_volume};

/// Volumes read: far more than a node has.
const MOST: usize = 20_000;

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its pod's uid, by the name of the directory.
    pub pod_uid: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub volume: Volume,
}

/// Reads every projected volume under kubelet's root directory `root`. An error if there are no pods to be read.
pub fn list(root: &Path) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    for pod in names(&root.join("pods"))? {
        let projected = root.join("pods").join(&pod).join("volumes/kubernetes.io~projected");
        // Not every pod has such volumes.
        for name in names(&projected).unwrap_or_default() {
            if found.len() >= MOST {
                return Ok(found);
            }
            let path = projected.join(&name);
            let volume = read_volume(&path);
            found.push(Listed { pod_uid: pod.as_str().into(), name: name.into(), path, volume });
        }
    }
    Ok(found)
}

/// What a directory has, sorted. Names that are no text are none of kubelet's.
fn names(path: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(path)?;
    let mut names: Vec<String> =
        entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).take(MOST).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn volumes_of_all_pods() {
        let root = tempfile::tempdir().unwrap();
        assert!(list(root.path()).is_err(), "no pods");
        let projected = root.path().join("pods/u1/volumes/kubernetes.io~projected");
        fs::create_dir_all(projected.join("v/..2024_03_31_15_57_54.1")).unwrap();
        symlink("..2024_03_31_15_57_54.1", projected.join("v/..data")).unwrap();
        fs::create_dir_all(root.path().join("pods/u2/volumes/kubernetes.io~empty-dir/x")).unwrap();
        let found = list(root.path()).unwrap();
        let [volume] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&*volume.pod_uid, &*volume.name), ("u1", "v"));
        assert!(volume.volume.stamp.is_some());
    }
}
