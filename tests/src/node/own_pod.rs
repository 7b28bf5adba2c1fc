//! timejump's own pod, as its DaemonSet has it and kubelet asks for it, apart from the network: there is none but the host's.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use k8s_cri::v1::{
    Capability, ContainerConfig, ContainerMetadata, ImageSpec, LinuxContainerConfig,
    LinuxContainerSecurityContext, LinuxPodSandboxConfig, LinuxSandboxSecurityContext, Mount,
    MountPropagation, NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata, SecurityProfile,
    security_profile::ProfileType,
};

use super::cri::Cri;

/// What of root's capabilities it has.
pub const CAPABILITIES: &[&str] =
    &["BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH", "SYSLOG", "SYS_RESOURCE"];
/// Where it can be asked, in the pod and on the host.
pub const SOCKET: &str = "/run/timejump/timejump.sock";
/// What is shipped for runtimes whose own profile is too narrow.
const PROFILE: &str = include_str!("../../../deploy/seccomp/timejump.json");
/// Where kubelet looks for such.
const PROFILE_AT: &str = "/var/lib/kubelet/seccomp/timejump.json";

const NAME: &str = "timejump";
const NAMESPACE: &str = "timejump";
const UID: &str = "99f2d27a-8527-4e20-ac33-74696d656a75";
/// Path on the host, path in the pod, how.
pub const MOUNTS: &[(&str, &str, How)] = &[
    ("/var/lib/kubelet", "/var/lib/kubelet", How::Following),
    ("/run/containerd", "/run/containerd", How::Following),
    ("/run/crio", "/run/crio", How::Following),
    ("/proc", "/host/proc", How::ReadOnly),
    ("/sys/fs/cgroup", "/host/sys/fs/cgroup", How::Following),
    ("/var/log", "/var/log", How::ReadOnly),
    ("/run/log", "/run/log", How::ReadOnly),
    ("/var/lib/timejump", "/var/lib/timejump", How::Writable),
    ("/run/timejump", "/run/timejump", How::Writable),
];
/// Its command line.
pub const ARGUMENTS: &[&str] = &[
    "run",
    "--http=0.0.0.0:9868",
    "--timer-list=/host/proc/timer_list",
    "--cgroups=/host/sys/fs/cgroup",
    "--kubelet-root=/var/lib/kubelet",
];
/// What a DaemonSet's pod has besides, and needs a cluster's network for.
pub const OF_A_CLUSTER: &[&str] =
    &["--pod-listen=127.0.0.1:9869", "--apiserver-ca=/etc/timejump/apiserver/ca.crt"];

/// How something of the host's is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// To be read, as it is now.
    ReadOnly,
    /// To be read, with what is mounted below it later.
    Following,
    /// To be written.
    Writable,
}
/// What kubelet hides of `/proc` and `/sys` unless told otherwise.
const MASKED: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];
const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Which system calls it may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seccomp {
    /// Those that the runtime allows every container.
    RuntimeDefault,
    /// Those of the profile that is shipped.
    Localhost,
    /// All.
    Unconfined,
}

/// The pod's sandbox.
#[derive(Debug)]
pub struct OwnPod {
    sandbox: String,
    image: String,
    attempts: u32,
}

impl OwnPod {
    /// Makes the sandbox, and on the host what kubelet would make there.
    pub fn make(cri: &mut Cri, image: &str) -> Result<Self> {
        for (path, ..) in MOUNTS {
            fs::create_dir_all(path).with_context(|| (*path).to_owned())?;
        }
        fs::create_dir_all(Path::new(PROFILE_AT).parent().context("it has a folder")?)?;
        fs::write(PROFILE_AT, PROFILE).context(PROFILE_AT)?;
        let sandbox = cri.run_pod_sandbox(sandbox_config())?;
        Ok(Self { sandbox, image: image.to_owned(), attempts: 0 })
    }

    /// Starts the container and gives its ID.
    pub fn start(&mut self, cri: &mut Cri, capabilities: &[&str], seccomp: Seccomp) -> Result<String> {
        let config = self.container(capabilities, seccomp);
        self.attempts += 1;
        cri.run_container(&self.sandbox, sandbox_config(), config)
    }

    /// Ends all of it.
    pub fn remove(self, cri: &mut Cri) -> Result<()> {
        cri.remove_pod_sandbox(&self.sandbox)
    }

    fn container(&self, capabilities: &[&str], seccomp: Seccomp) -> ContainerConfig {
        let capabilities = Capability {
            add_capabilities: owned(capabilities),
            drop_capabilities: owned(&["ALL"]),
            ..Capability::default()
        };
        let security = LinuxContainerSecurityContext {
            capabilities: Some(capabilities),
            namespace_options: Some(namespaces()),
            readonly_rootfs: true,
            // allowPrivilegeEscalation: false
            no_new_privs: true,
            masked_paths: owned(MASKED),
            readonly_paths: owned(READ_ONLY),
            seccomp: Some(seccomp.profile()),
            ..seccomp.of_old()
        };
        ContainerConfig {
            metadata: Some(ContainerMetadata { name: NAME.to_owned(), attempt: self.attempts }),
            image: Some(ImageSpec { image: self.image.clone(), ..ImageSpec::default() }),
            args: owned(ARGUMENTS),
            mounts: MOUNTS.iter().map(|(host, pod, how)| mount(host, pod, *how)).collect(),
            labels: labels(&[("io.kubernetes.container.name", NAME)]),
            log_path: format!("{NAME}/{}.log", self.attempts),
            linux: Some(LinuxContainerConfig {
                security_context: Some(security),
                ..LinuxContainerConfig::default()
            }),
            ..ContainerConfig::default()
        }
    }

    /// What the container wrote so far, as kubelet keeps it.
    pub fn log(&self) -> String {
        let last = self.attempts.saturating_sub(1);
        fs::read_to_string(format!("{LOGS}/{NAME}/{last}.log")).unwrap_or_default()
    }
}

/// Where kubelet keeps the logs of this pod.
const LOGS: &str = "/var/log/pods/timejump_timejump_99f2d27a-8527-4e20-ac33-74696d656a75";

impl Seccomp {
    fn profile(self) -> SecurityProfile {
        let (profile_type, localhost_ref) = match self {
            Self::RuntimeDefault => (ProfileType::RuntimeDefault, ""),
            Self::Unconfined => (ProfileType::Unconfined, ""),
            Self::Localhost => (ProfileType::Localhost, PROFILE_AT),
        };
        SecurityProfile { profile_type: profile_type.into(), localhost_ref: localhost_ref.to_owned() }
    }

    /// The same in the field that runtimes read before there was the other: kubelet filled both.
    #[expect(deprecated, reason = "containerd 1.4 knows no other")]
    fn of_old(self) -> LinuxContainerSecurityContext {
        let path = match self {
            Self::RuntimeDefault => "runtime/default".to_owned(),
            Self::Unconfined => "unconfined".to_owned(),
            Self::Localhost => format!("localhost/{PROFILE_AT}"),
        };
        LinuxContainerSecurityContext { seccomp_profile_path: path, ..Default::default() }
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

fn labels(more: &[(&str, &str)]) -> std::collections::HashMap<String, String> {
    let usual = [
        ("io.kubernetes.pod.name", NAME),
        ("io.kubernetes.pod.namespace", NAMESPACE),
        ("io.kubernetes.pod.uid", UID),
    ];
    usual.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn mount(host: &str, pod: &str, how: How) -> Mount {
    let propagation = if how == How::Following {
        MountPropagation::PropagationHostToContainer
    } else {
        MountPropagation::PropagationPrivate
    };
    Mount {
        container_path: pod.to_owned(),
        host_path: host.to_owned(),
        readonly: how != How::Writable,
        propagation: propagation.into(),
        ..Mount::default()
    }
}

/// `hostPID`.
fn namespaces() -> NamespaceOption {
    NamespaceOption {
        network: NamespaceMode::Node.into(),
        pid: NamespaceMode::Node.into(),
        ..NamespaceOption::default()
    }
}

fn sandbox_config() -> PodSandboxConfig {
    let security =
        LinuxSandboxSecurityContext { namespace_options: Some(namespaces()), ..Default::default() };
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata {
            name: NAME.to_owned(),
            uid: UID.to_owned(),
            namespace: NAMESPACE.to_owned(),
            attempt: 0,
        }),
        log_directory: LOGS.to_owned(),
        labels: labels(&[]),
        linux: Some(LinuxPodSandboxConfig {
            cgroup_parent: format!("/kubepods/burstable/pod{UID}"),
            security_context: Some(security),
            ..LinuxPodSandboxConfig::default()
        }),
        ..PodSandboxConfig::default()
    }
}
