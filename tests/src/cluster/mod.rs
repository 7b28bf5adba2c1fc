//! A cluster of one node, of real components: etcd, kube-apiserver and kubelet over the guest's containerd.
//!
//! The guest has them by `cargo xtask vm --kubernetes`. There is no scheduler and no controller: pods are bound when they are
//! made, on the host's network, and what the controllers would make for them is made here.

mod certificates;
mod client;
mod control_plane;
mod kubelet;
mod objects;
mod program;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountFlags, mount};
use serde_json::Value;
use timejump::node::tokens::{Claims, read_volume};

pub use client::{Answer, Client};

use crate::{node::containerd::Containerd, stage::Stage, sys::clock::Deadline};
use control_plane::ControlPlane;
use kubelet::Kubelet;

/// The node's name.
pub const NODE: &str = "node-a";
/// Its address, which may not be one of loopback's own.
const ADDRESS: &str = "10.1.0.1";
/// Who may do everything.
const ADMIN: &str = "admin-token";
/// Who kubelet is.
const KUBELET: &str = "kubelet-token";
/// How often something is looked at again.
const POLL: Duration = Duration::from_millis(500);
/// How long anything may take in an emulated machine.
const PATIENCE: Duration = Duration::from_mins(5);

/// The cluster.
#[derive(Debug)]
pub struct Cluster {
    // In the order in which they end.
    kubelet: Kubelet,
    control_plane: ControlPlane,
    /// The runtime below kubelet.
    pub containerd: Containerd,
    /// A client that may do everything.
    pub admin: Client,
    dir: PathBuf,
}

impl Cluster {
    /// Starts all of it and waits until the node is there.
    pub fn start(stage: &Stage) -> Result<Self> {
        let dir = stage.bench.dir.clone();
        // kubelet wants to know of which file system its directory and the images are; of the kernel's first it knows nothing.
        mount("tmpfs", "/var/lib", "tmpfs", MountFlags::empty(), None).context("mount /var/lib")?;
        program::run("ip", &["addr", "add", &format!("{ADDRESS}/32"), "dev", "lo"])?;
        // First, as the rest lets nothing start in time.
        let containerd = Containerd::start(stage)?;
        let control_plane = ControlPlane::start(&dir)?;
        let admin = control_plane.client(ADMIN)?;
        for (path, object) in objects::of_namespace("default", &control_plane.ca()?) {
            admin.create(path, &object)?;
        }
        let kubelet = Kubelet::start(&dir, &control_plane)?;
        let cluster = Self { kubelet, control_plane, containerd, admin, dir };
        cluster.wait("the node", |cluster| Ok(cluster.node()?.is_some()))?;
        Ok(cluster)
    }

    /// A client with a token.
    pub fn client(&self, token: &str) -> Result<Client> {
        self.control_plane.client(token)
    }

    /// A kubeconfig of who may do everything.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        self.control_plane.kubeconfig("admin", ADMIN)
    }

    /// Where the apiserver serves.
    pub fn apiserver(&self) -> String {
        control_plane::url()
    }

    /// kubelet's log.
    pub fn kubelet_log(&self) -> PathBuf {
        self.dir.join("kubelet.log")
    }

    /// The apiserver's log.
    pub fn apiserver_log(&self) -> PathBuf {
        self.dir.join("kube-apiserver.log")
    }

    /// The Node object, once it is there.
    pub fn node(&self) -> Result<Option<Value>> {
        let answer = self.admin.get(&format!("/api/v1/nodes/{NODE}"))?;
        Ok((answer.status == 200).then_some(answer.body))
    }

    /// Makes a pod, and waits until it runs. Gives its UID.
    pub fn run_pod(&self, name: &str) -> Result<String> {
        let made = self.admin.create("/api/v1/namespaces/default/pods", &objects::pod(name))?;
        let uid = made["metadata"]["uid"].as_str().context("a pod has a UID")?.to_owned();
        self.wait(&format!("pod {name}"), |cluster| {
            let pod = cluster.admin.get(&format!("/api/v1/namespaces/default/pods/{name}"))?;
            Ok(pod.body["status"]["phase"] == "Running")
        })?;
        Ok(uid)
    }

    /// Where a pod keeps the token for the apiserver.
    pub fn token_volume(&self, uid: &str) -> Result<PathBuf> {
        let volumes = Path::new(kubelet::ROOT).join("pods").join(uid).join("volumes/kubernetes.io~projected");
        let entries = std::fs::read_dir(&volumes).with_context(|| volumes.display().to_string())?;
        let names: Vec<_> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        let access = |path: &&PathBuf| path.to_string_lossy().contains("/kube-api-access-");
        names.iter().find(access).cloned().with_context(|| format!("no token among {names:?}"))
    }

    /// What that token claims.
    pub fn claims(&self, uid: &str) -> Result<Arc<Claims>> {
        let volume = read_volume(&self.token_volume(uid)?);
        ensure!(volume.troubles.is_empty(), "{volume:?}");
        let (_, claims) = volume.tokens.into_iter().next().context("the volume holds no token")?;
        Ok(claims)
    }

    /// A client that is this pod.
    pub fn as_pod(&self, uid: &str) -> Result<Client> {
        self.client(&std::fs::read_to_string(self.token_volume(uid)?.join("token"))?)
    }

    /// Waits until it is as wanted.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Self) -> Result<bool>) -> Result<()> {
        let deadline = Deadline::after(PATIENCE);
        while !wanted(self)? {
            self.control_plane.lives()?;
            self.kubelet.lives()?;
            ensure!(!deadline.passed(), "waited {PATIENCE:?} for {what} in vain");
            sleep(POLL);
        }
        Ok(())
    }
}
