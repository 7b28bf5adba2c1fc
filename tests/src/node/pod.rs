//! Pods as kubelet makes them, on the host's network.

use anyhow::Result;
use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, ImageSpec, LinuxContainerConfig, LinuxContainerResources,
    LinuxContainerSecurityContext, LinuxPodSandboxConfig, LinuxSandboxSecurityContext, NamespaceMode,
    NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
};

use super::cri::Cri;
use super::image;

/// The period of a CPU quota, in µs.
const PERIOD_US: i64 = 100_000;
/// Burning this much per period leaves emulated machines time for others, and the tests beside this one theirs.
const BURN_QUOTA_US: i64 = 10_000;

/// What a pod is to be.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Its name.
    pub name: &'static str,
    /// Its UID, which is part of its cgroup's name.
    pub uid: &'static str,
    /// What its only container runs, in a shell.
    script: &'static str,
    /// At most so much CPU time in each [`PERIOD_US`]; as much as there is, if 0.
    quota_us: i64,
}

/// Takes 0.1 of a processor, always.
pub const BURN: Plan = Plan {
    name: "burn",
    uid: "99f2d27a-8527-4e20-ac33-00006275726e",
    script: "while :; do :; done",
    quota_us: BURN_QUOTA_US,
};
/// Sleeps.
pub const IDLE: Plan = Plan {
    name: "idle",
    uid: "99f2d27a-8527-4e20-ac33-000069646c65",
    script: "exec sleep 1000000000",
    quota_us: 0,
};
/// Sleeps as well.
pub const COREDNS: Plan = Plan { name: "coredns", uid: "99f2d27a-8527-4e20-ac33-636f7265646e", ..IDLE };

/// A running pod.
#[derive(Debug, Clone)]
pub struct Pod {
    /// Its name.
    pub name: &'static str,
    /// The ID of its sandbox.
    pub sandbox: String,
    /// The ID of its container.
    pub container: String,
}

impl Plan {
    /// Makes it.
    pub fn run(&self, cri: &mut Cri) -> Result<Pod> {
        let sandbox_config = self.sandbox();
        let sandbox = cri.run_pod_sandbox(sandbox_config.clone())?;
        let container = cri.run_container(&sandbox, sandbox_config, self.container())?;
        Ok(Pod { name: self.name, sandbox, container })
    }

    fn sandbox(&self) -> PodSandboxConfig {
        let security =
            LinuxSandboxSecurityContext { namespace_options: Some(namespaces()), ..Default::default() };
        PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: self.name.to_owned(),
                uid: self.uid.to_owned(),
                namespace: "default".to_owned(),
                attempt: 0,
            }),
            // What kubelet says, and what tools look for.
            labels: [
                ("io.kubernetes.pod.name", self.name),
                ("io.kubernetes.pod.namespace", "default"),
                ("io.kubernetes.pod.uid", self.uid),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: format!("/kubepods/burstable/pod{}", self.uid),
                security_context: Some(security),
                ..LinuxPodSandboxConfig::default()
            }),
            ..PodSandboxConfig::default()
        }
    }

    fn container(&self) -> ContainerConfig {
        let resources = LinuxContainerResources {
            cpu_period: if self.quota_us == 0 { 0 } else { PERIOD_US },
            cpu_quota: self.quota_us,
            ..LinuxContainerResources::default()
        };
        let security =
            LinuxContainerSecurityContext { namespace_options: Some(namespaces()), ..Default::default() };
        ContainerConfig {
            metadata: Some(ContainerMetadata { name: self.name.to_owned(), attempt: 0 }),
            image: Some(ImageSpec { image: image::NAME.to_owned(), ..ImageSpec::default() }),
            command: ["/bin/sh", "-c", self.script].map(str::to_owned).into(),
            labels: [
                ("io.kubernetes.container.name", self.name),
                ("io.kubernetes.pod.name", self.name),
                ("io.kubernetes.pod.namespace", "default"),
                ("io.kubernetes.pod.uid", self.uid),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
            linux: Some(LinuxContainerConfig {
                resources: Some(resources),
                security_context: Some(security),
            }),
            ..ContainerConfig::default()
        }
    }
}

/// The host's network, so that there need be no other.
fn namespaces() -> NamespaceOption {
    NamespaceOption {
        network: NamespaceMode::Node.into(),
        pid: NamespaceMode::Container.into(),
        ..NamespaceOption::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kubelet::live;

    #[test]
    fn kubelet_knows_them_by_the_same_uid() {
        for plan in [BURN, IDLE, COREDNS] {
            assert_eq!(plan.uid, live::uid(plan.name), "{}", plan.name);
        }
    }
}
