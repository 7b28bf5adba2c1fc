//! What a copy of a node's files cannot hold, and goes with it: the clocks and what was answered at that moment.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::{Anchor, ClockState, SourceState};
use crate::{
    clock::{BootNs, WallNs},
    node::{
        Container, ContainerState, Cpu, Kubelet, Pod, Process, Runtime, StatsClass, Version, cri::Sample,
    },
};

/// Its name at the top of a bundle.
pub const NAME: &str = "timejump-bundle.json";
/// The form that this version writes.
const FORM: u32 = 1;
/// Far more than a thousand containers take.
const LARGEST: u64 = 64 << 20;

/// What goes with the files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bundle {
    /// The form.
    pub form: u32,
    /// Of timejump.
    pub version: String,
    /// What the wall clock showed, ns since 1970.
    pub wall_ns: i64,
    /// ns since boot.
    pub boottime_ns: u64,
    /// The boot's id.
    pub boot_id: Option<String>,
    /// The node's name.
    pub host: Option<String>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// How the clocks stood.
    pub clocks: ClockState,
    /// Whether an apiserver ran on it.
    pub own_apiserver: bool,
    /// kubelet's root directory.
    pub kubelet_root: Option<String>,
    /// kubelet's directory of certificates, if it was told another than the usual one.
    pub kubelet_cert_dir: Option<String>,
    /// kubelet's process: its id, and when it started, ns since boot.
    pub kubelet: Option<(u32, u64)>,
    /// kubelet's version, major and minor, if the operator said.
    pub kubelet_version: Option<(u32, u32)>,
    /// The container runtime.
    pub runtime: Option<RuntimeSeen>,
    /// The units that run kubelet and the runtime.
    #[serde(default)]
    pub units: [Option<String>; 2],
    /// Its containers.
    pub containers: Vec<ContainerSeen>,
    /// What it said of their CPU rates.
    pub samples: Vec<SampleSeen>,
    /// Uids of pods with CSI volumes mounted.
    pub csi_pods: Vec<String>,
    /// Moments of which both clocks are known.
    #[serde(default)]
    pub anchors: Vec<Anchor>,
    /// What could not be asked or read then.
    pub sources: Vec<SourceState>,
}

#[derive(Deserialize)]
struct Form {
    form: u32,
}

/// A runtime, as it answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RuntimeSeen {
    name: String,
    version: String,
    api: String,
    endpoint: String,
    process: Option<(u32, u64)>,
}

/// A container, as the runtime listed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ContainerSeen {
    id: String,
    name: String,
    attempt: u32,
    namespace: String,
    pod: String,
    pod_uid: String,
    state: String,
    created_ns: i64,
    started_ns: Option<i64>,
    finished_ns: Option<i64>,
    /// CPU time used, ns; when, ns since boot; the rate, billionths of a core.
    cpu: Option<(u64, u64, Option<u64>)>,
}

/// What the runtime said of a container's CPU.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SampleSeen {
    container_id: String,
    timestamp_ns: i64,
    usage_ns: Option<u64>,
    nanocores: Option<u64>,
}

/// Why a bundle cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Reading it.
    #[error("cannot read {NAME}: {0}")]
    Io(#[from] io::Error),
    /// Its text.
    #[error("{NAME} is not what timejump writes: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by a later version.
    #[error("{NAME} has form {0}, which this version of timejump does not know")]
    Form(u32),
}

impl Bundle {
    /// The one that goes with the copy at `root`; nothing if the copy was made by other means.
    pub fn read(root: &Path) -> Result<Option<Self>, BundleError> {
        let path = root.join(NAME);
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
            Ok(about) if !about.is_file() || about.len() > LARGEST => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "no file, or too large").into());
            }
            Ok(_) => {}
        }
        let text = fs::read(&path)?;
        // Another form has other fields.
        match serde_json::from_slice(&text)? {
            Form { form: FORM } => Ok(Some(serde_json::from_slice(&text)?)),
            Form { form } => Err(BundleError::Form(form)),
        }
    }

    /// The form that this version writes.
    pub const fn form() -> u32 {
        FORM
    }

    /// kubelet's process.
    pub fn kubelet(&self) -> Option<Kubelet> {
        let version = self.kubelet_version.map(|(major, minor)| Version(major, minor));
        self.kubelet.map(|seen| Kubelet { process: process(seen), version })
    }
}

fn process((pid, started): (u32, u64)) -> Process {
    Process { pid, started: BootNs(started) }
}

fn seen(process: Process) -> (u32, u64) {
    (process.pid, process.started.0)
}

impl From<&Runtime> for RuntimeSeen {
    fn from(runtime: &Runtime) -> Self {
        Self {
            name: runtime.name.clone(),
            version: runtime.version.clone(),
            api: runtime.api.clone(),
            endpoint: runtime.endpoint.display().to_string(),
            process: runtime.process.map(seen),
        }
    }
}

impl From<&RuntimeSeen> for Runtime {
    fn from(seen: &RuntimeSeen) -> Self {
        Self {
            class: StatsClass::of(&seen.name, &seen.version),
            name: seen.name.clone(),
            version: seen.version.clone(),
            api: seen.api.clone(),
            endpoint: seen.endpoint.clone().into(),
            process: seen.process.map(process),
        }
    }
}

const STATES: [(ContainerState, &str); 4] = [
    (ContainerState::Created, "created"),
    (ContainerState::Running, "running"),
    (ContainerState::Exited, "exited"),
    (ContainerState::Unknown, "unknown"),
];

/// Beyond what a clock can show: as far as it goes.
fn cut(wall: WallNs) -> i64 {
    i64::try_from(wall.0).unwrap_or(if wall.0 < 0 { i64::MIN } else { i64::MAX })
}

impl From<&Container> for ContainerSeen {
    fn from(container: &Container) -> Self {
        let state = STATES.iter().find(|(state, _)| *state == container.state);
        Self {
            id: container.id.to_string(),
            name: container.name.clone(),
            attempt: container.attempt,
            namespace: container.pod.namespace.clone(),
            pod: container.pod.name.clone(),
            pod_uid: container.pod.uid.clone(),
            state: state.map_or("unknown", |(_, word)| word).to_owned(),
            created_ns: cut(container.created),
            started_ns: container.started.map(cut),
            finished_ns: container.finished.map(cut),
            cpu: container.cpu.map(|cpu| (cpu.usage_ns, cpu.at.0, cpu.nanocores)),
        }
    }
}

impl From<&ContainerSeen> for Container {
    fn from(seen: &ContainerSeen) -> Self {
        let state = STATES.iter().find(|(_, word)| *word == seen.state);
        let wall = |ns: i64| WallNs(ns.into());
        Self {
            id: seen.id.as_str().into(),
            name: seen.name.clone(),
            attempt: seen.attempt,
            pod: Pod { namespace: seen.namespace.clone(), name: seen.pod.clone(), uid: seen.pod_uid.clone() },
            state: state.map_or(ContainerState::Unknown, |(state, _)| *state),
            created: wall(seen.created_ns),
            started: seen.started_ns.map(wall),
            finished: seen.finished_ns.map(wall),
            born: BootNs(0),
            cpu: seen.cpu.map(|(usage_ns, at, nanocores)| Cpu { usage_ns, at: BootNs(at), nanocores }),
        }
    }
}

impl From<&Sample> for SampleSeen {
    fn from(sample: &Sample) -> Self {
        Self {
            container_id: sample.container_id.clone(),
            timestamp_ns: sample.timestamp,
            usage_ns: sample.usage_ns,
            nanocores: sample.nanocores,
        }
    }
}

impl From<&SampleSeen> for Sample {
    fn from(seen: &SampleSeen) -> Self {
        Self {
            container_id: seen.container_id.clone(),
            timestamp: seen.timestamp_ns,
            usage_ns: seen.usage_ns,
            nanocores: seen.nanocores,
        }
    }
}
