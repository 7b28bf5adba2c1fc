//! kubelet.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use serde_json::json;

use super::{ADDRESS, KUBELET, NODE, control_plane::ControlPlane, program::Program};
use crate::node::config::SOCKET;

/// Its root directory.
pub(super) const ROOT: &str = "/var/lib/kubelet";
/// Without a network configuration the node never becomes ready. Pods here use the host's, so that nothing reads more of it.
const NETWORK: &str = r#"{"cniVersion":"0.3.1","name":"none","plugins":[{"type":"loopback"}]}"#;

/// A running kubelet.
#[derive(Debug)]
pub(super) struct Kubelet(Program);

impl Kubelet {
    pub(super) fn start(dir: &Path, control_plane: &ControlPlane) -> Result<Self> {
        fs::create_dir_all("/etc/cni/net.d")?;
        fs::write("/etc/cni/net.d/10-none.conflist", NETWORK).context("write a network configuration")?;
        fs::create_dir_all(ROOT)?;
        let configuration = dir.join("kubelet.yaml");
        let content = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "cgroupDriver": "cgroupfs",
            "enforceNodeAllocatable": [],
            "failSwapOn": false,
            "makeIPTablesUtilChains": false,
            // Nothing may be evicted from so small a machine.
            "evictionHard": { "memory.available": "1Mi" },
            "imageGCHighThresholdPercent": 100,
            // How often it looks at each pod, and so at its tokens: a minute, unless told otherwise.
            "syncFrequency": "10s",
            "authentication": {
                "anonymous": { "enabled": false },
                "webhook": { "enabled": false },
                "x509": { "clientCAFile": control_plane.ca_file() },
            },
            "authorization": { "mode": "AlwaysAllow" },
        });
        fs::write(&configuration, content.to_string())?;
        let kubeconfig = control_plane.kubeconfig("kubelet", KUBELET)?;
        let arguments = [
            format!("--config={}", configuration.display()),
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--root-dir={ROOT}"),
            "--container-runtime=remote".to_owned(),
            format!("--container-runtime-endpoint=unix://{SOCKET}"),
            format!("--hostname-override={NODE}"),
            format!("--node-ip={ADDRESS}"),
            "--v=2".to_owned(),
        ];
        Ok(Self(Program::start(dir, "kubelet", &arguments)?))
    }

    /// Fails if it has ended.
    pub(super) fn lives(&self) -> Result<()> {
        self.0.lives()
    }
}
