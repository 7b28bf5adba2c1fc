//! From a cgroup's id to its path, also when the process is gone: the id is the inode of its directory.

use std::{
    collections::HashMap,
    fs,
    os::unix::fs::{DirEntryExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Directories looked at before a walk is given up: far more than a node has cgroups.
const MAX_DIRECTORIES: usize = 100_000;
/// Ids remembered.
const MAX_KNOWN: usize = 4096;

/// The default (v2) hierarchy.
#[derive(Debug)]
pub struct CgroupTree {
    root: PathBuf,
    /// What was found, or that it was not: ids are not used twice.
    known: HashMap<u64, Option<String>>,
}

impl CgroupTree {
    /// The tree mounted at `mount` (v2) or at `mount/unified` (hybrid).
    pub fn new(mount: &Path) -> Self {
        let unified = mount.join("unified");
        let root = if unified.is_dir() { unified } else { mount.to_owned() };
        Self { root, known: HashMap::new() }
    }

    /// The path of cgroup `id` from the root, or nothing if it is not (or no longer) there.
    pub fn path(&mut self, id: u64) -> Option<String> {
        if let Some(path) = self.known.get(&id) {
            return path.clone();
        }
        let path = self.walk(id);
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(id, path.clone());
        path
    }

    fn walk(&self, id: u64) -> Option<String> {
        if fs::metadata(&self.root).is_ok_and(|root| root.ino() == id) {
            return Some("/".to_owned());
        }
        let mut waiting = vec![self.root.clone()];
        let mut looked_at = 0;
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                let path = entry.path();
                if entry.ino() == id {
                    let below = path.strip_prefix(&self.root).unwrap_or(&path);
                    return Some(format!("/{}", below.display()));
                }
                looked_at += 1;
                if looked_at > MAX_DIRECTORIES {
                    return None;
                }
                waiting.push(path);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_found_by_inode() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("system.slice/demo.service");
        fs::create_dir_all(&deep).unwrap();
        let mut tree = CgroupTree::new(root.path());
        let id = fs::metadata(&deep).unwrap().ino();
        assert_eq!(tree.path(id).as_deref(), Some("/system.slice/demo.service"));
        assert_eq!(tree.path(fs::metadata(root.path()).unwrap().ino()).as_deref(), Some("/"));
        assert_eq!(tree.path(u64::MAX), None);
        // Remembered when the directory is gone with its process.
        fs::remove_dir(&deep).unwrap();
        assert_eq!(tree.path(id).as_deref(), Some("/system.slice/demo.service"));
    }

    #[test]
    fn no_tree_is_no_path() {
        assert_eq!(CgroupTree::new(Path::new("/nonexistent")).path(1), None);
    }
}
