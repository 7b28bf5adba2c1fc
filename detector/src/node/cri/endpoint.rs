//! Where the runtime listens, found as crictl does.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::node::process;

/// crictl's own list (cri-tools, `defaultRuntimeEndpoints`), then distributions that bring a runtime along.
const USUAL: [&str; 6] = [
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/var/run/cri-dockerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
];
/// crictl's configuration.
const CRICTL: &str = "/etc/crictl.yaml";
/// Flags of kubelet that name the runtime's socket.
const FLAG: &str = "--container-runtime-endpoint";

/// The sockets to try, in order: what kubelet uses, what crictl is configured for, what is usual.
pub fn candidates(kubelet_words: &[String]) -> Vec<PathBuf> {
    let crictl = fs::read_to_string(CRICTL).ok();
    in_order(kubelet_words, crictl.as_deref())
}

fn in_order(kubelet_words: &[String], crictl: Option<&str>) -> Vec<PathBuf> {
    let named = process::flag(kubelet_words, FLAG).into_iter().chain(crictl.and_then(configured));
    let mut found: Vec<PathBuf> = Vec::new();
    for path in named.filter_map(|name| parse_endpoint(name).ok()).chain(USUAL.map(PathBuf::from)) {
        if !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

/// `runtime-endpoint: unix:///…`, which is all of that file that matters here.
fn configured(text: &str) -> Option<&str> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix("runtime-endpoint:"))?;
    let value = value.trim().trim_matches(['"', '\'']);
    (!value.is_empty()).then_some(value)
}

/// A socket's path: `/run/x.sock`, `unix:///run/x.sock`.
pub fn parse_endpoint(text: &str) -> Result<PathBuf, String> {
    let path = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")).unwrap_or(text);
    if Path::new(path).is_absolute() {
        Ok(path.into())
    } else {
        Err(format!("{text:?} is neither an absolute path nor unix:///path"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubelets_first_then_crictls_then_the_usual() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let crictl = "timeout: 10\nruntime-endpoint: \"unix:///b.sock\"\nimage-endpoint: \"\"\n";
        for line in [
            "/usr/bin/kubelet --v=2 --container-runtime-endpoint=unix:///a.sock",
            "kubelet --container-runtime-endpoint unix:///a.sock --v=2",
        ] {
            let found = in_order(&words(line), Some(crictl));
            assert_eq!(found[..2], [PathBuf::from("/a.sock"), PathBuf::from("/b.sock")], "{line}");
            assert_eq!(found.len(), 2 + USUAL.len());
        }
        assert_eq!(in_order(&words("kubelet --container-runtime-endpoint"), None).len(), USUAL.len());
        let usual = in_order(&words("k --container-runtime-endpoint=unix:///run/crio/crio.sock"), None);
        assert_eq!((&usual[0], usual.len()), (&PathBuf::from("/run/crio/crio.sock"), USUAL.len()));
    }

    #[test]
    fn endpoints() {
        for good in ["/a/b.sock", "unix:///a/b.sock", "unix:/a/b.sock"] {
            assert_eq!(parse_endpoint(good), Ok(PathBuf::from("/a/b.sock")), "{good}");
        }
        for bad in ["", "tcp://1.2.3.4:5", "a.sock", "npipe:////./pipe/x"] {
            assert!(parse_endpoint(bad).is_err(), "{bad}");
        }
    }
}
