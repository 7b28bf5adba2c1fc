//! Pods that mount through CSI drivers: deleting one of them is safer than restarting kubelet under all of them.

use std::{collections::BTreeSet, fs, path::Path, sync::Arc};

use crate::node::Process;

/// Where kubelet has a pod's CSI volumes.
const CSI: &str = "kubernetes.io~csi";

/// The uids of pods with a CSI volume mounted: by kubelet's table of mounts, else by ours; where neither knows of any
/// volume of kubelet's, by kubelet's directories.
pub fn csi_pods(root: &Path, kubelet: Option<Process>) -> BTreeSet<Arc<str>> {
    let theirs =
        kubelet.and_then(|kubelet| fs::read_to_string(format!("/proc/{}/mountinfo", kubelet.pid)).ok());
    let mounts = theirs.or_else(|| fs::read_to_string("/proc/self/mountinfo").ok()).unwrap_or_default();
    match mounted(&mounts) {
        (true, pods) => pods,
        (false, _) => csi_pods_by_directory(root),
    }
}

/// Whether anything of a pod's is mounted, and whose CSI volumes are (proc(5): the fifth field is where).
fn mounted(mountinfo: &str) -> (bool, BTreeSet<Arc<str>>) {
    let mut any = false;
    let mut pods = BTreeSet::new();
    for at in mountinfo.lines().filter_map(|line| line.split(' ').nth(4)) {
        let Some((pod, volume)) = at.split_once("/pods/").and_then(|(_, rest)| rest.split_once("/volumes/"))
        else {
            continue;
        };
        any = true;
        if volume.starts_with(CSI) && !pod.contains('/') {
            pods.insert(pod.into());
        }
    }
    (any, pods)
}

/// The uids of pods with a directory for a CSI volume, under kubelet's root directory.
pub fn csi_pods_by_directory(root: &Path) -> BTreeSet<Arc<str>> {
    let Ok(pods) = fs::read_dir(root.join("pods")) else { return BTreeSet::new() };
    let has = |path: &Path| fs::read_dir(path).is_ok_and(|mut volumes| volumes.next().is_some());
    let pods = pods.flatten().filter(|pod| has(&pod.path().join("volumes").join(CSI)));
    pods.filter_map(|pod| pod.file_name().into_string().ok().map(Into::into)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_mounts_and_by_directories() {
        let line = |at: &str| format!("36 35 98:0 / {at} rw shared:1 - tmpfs tmpfs rw\n");
        let token = line("/var/lib/kubelet/pods/u1/volumes/kubernetes.io~projected/kube-api-access-x");
        let csi = line("/var/lib/kubelet/pods/u2/volumes/kubernetes.io~csi/pvc-1/mount");
        assert_eq!(mounted(&line("/")), (false, BTreeSet::new()));
        assert_eq!(mounted(&token), (true, BTreeSet::new()));
        assert_eq!(mounted(&format!("{token}{csi}nonsense\n")), (true, BTreeSet::from(["u2".into()])));
        let root = tempfile::tempdir().unwrap();
        assert_eq!(csi_pods_by_directory(root.path()), BTreeSet::new());
        fs::create_dir_all(root.path().join("pods/u3/volumes/kubernetes.io~csi/pvc/mount")).unwrap();
        fs::create_dir_all(root.path().join("pods/u4/volumes/kubernetes.io~csi")).unwrap();
        assert_eq!(csi_pods_by_directory(root.path()), BTreeSet::from(["u3".into()]));
    }
}
