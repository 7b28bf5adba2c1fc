//! Which logs a node has.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Where logs are, and how those begin that may tell of the clock: of the system and of what the node runs.
const PLACES: [(&str, &[&str]); 5] = [
    (
        "var/log",
        &[
            "messages",
            "syslog",
            "kern.log",
            "daemon.log",
            "kubelet",
            "containerd",
            "crio",
            "docker",
            "cri-dockerd",
            "kube-",
            "kcm.log",
            "apiserver",
            "etcd",
            "ntp",
            "chrony",
            "k3s",
            "rke2",
            "audit.log",
        ],
    ),
    ("var/log/audit", &["audit.log"]),
    ("var/log/chrony", &["chrony"]),
    ("var/log/kubernetes", &["kube"]),
    ("var/log/kubernetes/audit", &["audit"]),
];
/// Files read of each place.
const MOST: usize = 64;
/// Entries looked at.
const MOST_ENTRIES: usize = 4096;

/// The logs below `root`, by the paths that the node has for them, and what was passed over because it is compressed.
pub fn find(root: &Path) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let (mut found, mut compressed) = (BTreeSet::new(), BTreeSet::new());
    for (place, begins) in PLACES {
        let Ok(entries) = fs::read_dir(root.join(place)) else { continue };
        let mut names: Vec<String> = entries
            .flatten()
            .take(MOST_ENTRIES)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| begins.iter().any(|begin| name.starts_with(begin)))
            .collect();
        names.sort();
        for name in names {
            let path = Path::new("/").join(place).join(&name);
            let packed = [".gz", ".xz", ".zst", ".bz2"].iter().any(|end| name.ends_with(end));
            if packed {
                compressed.insert(path);
            } else if found.len() < MOST * PLACES.len() && root.join(place).join(&name).is_file() {
                found.insert(path);
            }
        }
    }
    (found.into_iter().collect(), compressed.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_of_the_system_and_of_what_runs() {
        let root = tempfile::tempdir().unwrap();
        let log = root.path().join("var/log");
        fs::create_dir_all(log.join("audit")).unwrap();
        fs::create_dir_all(log.join("kubelet.d")).unwrap();
        for name in ["messages", "messages-20240201.gz", "kubelet.log", "boot.log", "audit/audit.log"] {
            fs::write(log.join(name), "").unwrap();
        }
        let (found, compressed) = find(root.path());
        let want = ["/var/log/audit/audit.log", "/var/log/kubelet.log", "/var/log/messages"];
        assert_eq!(found, want.map(PathBuf::from));
        assert_eq!(compressed, [PathBuf::from("/var/log/messages-20240201.gz")]);
        assert_eq!(find(Path::new("/nonexistent")), (vec![], vec![]));
    }
}
