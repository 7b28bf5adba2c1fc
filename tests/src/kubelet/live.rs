//! kubelet as a process of its own: by the machine's clocks, thirty times as often as the real one, on volumes that are
//! mounted as the real one mounts them.

use std::{
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args;
use rustix::mount::{MountFlags, mount};

use super::{ApiServer, Bound, Kubelet, Pod, Projected};
use crate::sys::{clock, process};

/// So many times as often as the real one.
const FASTER: i64 = 30;
/// How often it looks whether anything is due.
const TICK: Duration = Duration::from_millis(50);

/// From the mount of a volume until something is in it.
const MOUNTED: Duration = Duration::from_millis(300);

/// What it is told.
#[derive(Debug, Clone, Args)]
pub struct Live {
    /// Its root directory: by the real one's flag, so that it is found by that.
    #[arg(long)]
    root_dir: PathBuf,
    /// A file with the apiserver's offset over the boot clock, ns.
    #[arg(long)]
    apiserver: PathBuf,
    /// A file with the apiserver's CA.
    #[arg(long)]
    ca: PathBuf,
    /// Another pod, beside those that there always are.
    #[arg(long)]
    another: Option<String>,
}

/// Its pods, each with a token of the usual kind and one that lives for ten minutes.
pub const PODS: [&str; 3] = ["coredns", "burn", "idle"];

/// The volumes of a pod.
pub const VOLUMES: [(&str, &str); 2] = [("kube-api-access-x7k2p", "token"), ("vault", "vault-token")];

/// The uid of a pod: a real one's form, with the first letters of its name in it.
pub fn uid(pod: &str) -> String {
    let letters = pod.bytes().take(6).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    format!("99f2d27a-8527-4e20-ac33-{letters:0>12}")
}

/// The path of a volume.
pub fn volume(root: &Path, pod: &str, volume: &str) -> PathBuf {
    root.join("pods").join(uid(pod)).join("volumes/kubernetes.io~projected").join(volume)
}

impl Live {
    /// Runs for ever.
    pub fn run(&self) -> Result<()> {
        process::set_comm("kubelet")?;
        let seed = u64::from(std::process::id());
        let mut kubelet = Kubelet::new(self.root_dir.clone(), seed);
        kubelet.certificate = fs::read(&self.ca).with_context(|| self.ca.display().to_string())?;
        let mut apiserver = ApiServer::new(seed);
        for pod in PODS.into_iter().chain(self.another.as_deref()) {
            self.add(&mut kubelet, pod)?;
        }
        loop {
            let (boot, wall) = (clock::boot_ns(), clock::wall_ns());
            let offset = fs::read_to_string(&self.apiserver)?.trim().parse::<i64>();
            // Half written: asked for again at the next sync.
            let offset = offset.ok();
            kubelet.work(boot.saturating_mul(FASTER), wall, |ask| {
                Some(apiserver.issue(ask, boot.saturating_add(offset?)))
            })?;
            sleep(TICK);
        }
    }

    fn add(&self, kubelet: &mut Kubelet, pod: &str) -> Result<()> {
        let projected = |(volume, file): (&str, &str), audience: Option<&str>, seconds| Projected {
            volume: volume.to_owned(),
            file: file.to_owned(),
            audience: audience.map(str::to_owned),
            seconds,
        };
        let bound = Bound {
            namespace: "default".into(),
            pod: pod.into(),
            pod_uid: uid(pod),
            service_account: "default".into(),
            node: None,
        };
        let volumes = vec![projected(VOLUMES[0], None, 3607), projected(VOLUMES[1], Some("vault"), 600)];
        let fresh = !volume(&self.root_dir, pod, VOLUMES[0].0).exists();
        // Like the real one, which syncs a pod as soon as it knows of it.
        kubelet.add(Pod { bound, volumes }, clock::boot_ns().saturating_mul(FASTER))?;
        for (name, _) in VOLUMES.iter().filter(|_| fresh) {
            let path = volume(&self.root_dir, pod, name);
            mount("tmpfs", &path, "tmpfs", MountFlags::empty(), None)
                .with_context(|| path.display().to_string())?;
        }
        // Longer than whoever watches the directories takes to come to them: what is written is then written elsewhere.
        if fresh {
            sleep(MOUNTED);
        }
        Ok(())
    }
}
