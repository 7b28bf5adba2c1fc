//! This node, as it is now. Nothing is changed: files are read, the runtime and the apiservers are asked.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    ApiserverSeen, ClockState, Options, Present, Scene, SourceState, anchor, files, from_files, witnesses,
};
use crate::{
    clock::{BootNs, Clocks, Rtc, SystemClocks, WallNs, bracketed_offset},
    ledger::Timeline,
    node::{
        Judge, JudgeSource, Kubelet, Node, Places, RuntimeState,
        apiserver::{self, Apiserver, ApiserverClock, SERVICE_ACCOUNT_CA},
        journal::JournalReading,
        process,
        tokens::{self, Listed, csi_pods},
    },
    sys,
};

/// An apiserver is asked so often: each answer narrows down where its clock stands.
const PROBES: usize = 3;
/// Between two questions.
const BETWEEN: Duration = Duration::from_millis(350);
/// Between two readings of CPU time that make a rate.
const CPU_RATE: Duration = Duration::from_millis(5_100);
/// Kubeconfigs that name the node's apiserver: kubeadm's, k3s's and rke2's agents', microk8s's, k0s's.
const KUBECONFIGS: [&str; 6] = [
    "/etc/kubernetes/kubelet.conf",
    "/var/lib/kubelet/kubeconfig",
    "/var/lib/rancher/k3s/agent/kubelet.kubeconfig",
    "/var/lib/rancher/rke2/agent/kubelet.kubeconfig",
    "/var/snap/microk8s/current/credentials/kubelet.config",
    "/var/lib/k0s/kubelet.conf",
];

/// Looks at this node, twice where that is needed.
#[derive(Debug)]
pub struct Live {
    node: Node,
    journal: JournalReading,
}

impl Live {
    /// The first look.
    pub async fn look(options: &Options) -> (Self, Scene) {
        let mut node = Node::new(Places {
            endpoint: options.cri_endpoint.clone(),
            cgroups: options.cgroups.clone(),
            kubelet_version: options.kubelet_version,
        });
        let kubelet = process::find_kubelet();
        let words = kubelet.map(process::command_line).unwrap_or_default();
        let kubelet_root = tokens::find_root(options.kubelet_root.as_deref(), kubelet);
        let cert_dir = process::flag(&words, "--cert-dir").map(PathBuf::from);
        let root = Path::new("/");
        let mut files = files::read(root, &kubelet_root, cert_dir.as_deref(), &options.pki);
        let near = WallNs(SystemClocks.realtime_ns().into());
        let (journals, more) = witnesses::journals(&options.journals);
        let journal = witnesses::read_journal(root, &journals);
        let (logs, read) = files::read_logs(root, &more, near);
        files.sources.extend(read);
        let urls = urls(&options.apiservers, process::flag(&words, "--kubeconfig"));
        let ca = ca(options.apiserver_ca.as_deref(), &files.volumes);
        // How the wall clock went is not known yet, and not needed to be told who is there.
        let (offset, _) = bracketed_offset(&SystemClocks);
        let simple = Timeline::new(crate::clock::OffsetNs(offset));
        let ((), (judges, apiservers)) = tokio::join!(node.look(&simple), ask(&urls, ca.as_deref()));
        let present = present();
        let mut facts = node.facts().clone();
        files.sources.push(match node.state() {
            RuntimeState::Answers => {
                let name =
                    facts.runtime.as_ref().map(|runtime| format!("{} {}", runtime.name, runtime.version));
                let count = facts.containers.len();
                SourceState::seen(
                    "container runtime",
                    format!("{}, {count} containers", name.unwrap_or_default()),
                )
            }
            RuntimeState::NotFound => SourceState::unseen("container runtime", "none is found here"),
            RuntimeState::Trouble(why) => SourceState::unseen("container runtime", why.clone()),
        });
        if facts.containers.is_empty() {
            facts.containers = files.containers;
        }
        let version = options.kubelet_version;
        facts.kubelet = kubelet.map(|process| Kubelet { process, version });
        facts.kubelet_since = kubelet.map(|process| process.started).unwrap_or_default();
        if kubelet.is_none() {
            files.sources.push(SourceState::unseen("kubelet", "its process is not seen"));
        }
        if apiservers.is_empty() {
            let why = "none is known (--apiserver names one): the node's clock stands in for its clock";
            files.sources.push(SourceState::unseen("apiserver's clock", why));
        }
        facts.certificates = files.certificates.certificates;
        facts.csi_pods = csi_pods(&kubelet_root, kubelet);
        let mut sightings = from_files::of_volumes(&files.volumes, present.wall);
        sightings.extend(from_files::of_containers(&facts.containers, present.wall));
        let mut scene = Scene {
            host: files.host.or_else(|| files::first_line(root, "proc/sys/kernel/hostname")),
            root: root.to_owned(),
            present,
            present_by: "by its own clock".to_owned(),
            boot_id: files::first_line(root, "proc/sys/kernel/random/boot_id"),
            clocks: ClockState {
                synchronised: sys::clock_is_synchronised(),
                rtc_ahead_ns: rtc_ahead(present),
                apiservers,
            },
            own_apiserver: process::apiserver_is_here(),
            units: [kubelet, facts.runtime.as_ref().and_then(|runtime| runtime.process)]
                .map(|process| process.and_then(process::unit)),
            kubelet_root: Some(kubelet_root),
            kubelet_cert_dir: cert_dir,
            facts,
            judges,
            volumes: files.volumes,
            logs,
            sightings,
            samples: Vec::new(),
            anchors: anchor::of_containers(&node.facts().containers, |id| node.started(id)),
            sources: files.sources,
            ..Scene::default()
        };
        witnesses::add(&mut scene, &journal, options.state_dir.as_deref());
        (Self { node, journal }, scene)
    }

    /// What the journal said, which is not looked at twice.
    pub fn journal(&self) -> &JournalReading {
        &self.journal
    }

    /// Looks closer where a rate of the runtime's should stand still: one sample, which while it does moves nothing, and
    /// how much CPU the containers use meanwhile.
    pub async fn sample(&mut self, scene: &mut Scene) {
        match self.node.samples().await {
            Ok(samples) => {
                scene.sources.push(SourceState::seen("CPU samples", format!("{} containers", samples.len())));
                scene.samples = samples;
            }
            Err(error) => {
                scene.sources.push(SourceState::unseen("CPU samples", error.to_string()));
                return;
            }
        }
        tokio::time::sleep(CPU_RATE).await;
        self.node.read_cpu();
        scene.facts.containers.clone_from(&self.node.facts().containers);
        scene.present = present();
    }
}

/// Both clocks, of one moment.
fn present() -> Present {
    let (offset, _) = bracketed_offset(&SystemClocks);
    let boot = BootNs(SystemClocks.boottime_ns());
    Present { wall: crate::clock::OffsetNs(offset).wall_at(boot), boot: Some(boot) }
}

fn rtc_ahead(present: Present) -> Option<i64> {
    let rtc = Rtc::find()?.offset(&SystemClocks)?;
    let wall = present.wall.0 - i128::from(present.boot?.0);
    i64::try_from(i128::from(rtc.0) - wall).ok()
}

/// Whom to ask: what the operator says, else the cluster that we are a pod of, else kubelet's kubeconfig.
fn urls(given: &[String], flag: Option<&str>) -> Vec<Apiserver> {
    let found = apiserver::find(given, |name| env::var(name).ok()).unwrap_or_default();
    if !found.is_empty() {
        return found;
    }
    let mut configs = flag.into_iter().chain(KUBECONFIGS);
    let url = configs.find_map(|path| server(Path::new(path)));
    let apiserver = url.and_then(|url| Apiserver::new(&url, None).ok());
    apiserver.into_iter().collect()
}

/// The `server:` of a kubeconfig. No other line of it is kept: there are keys in it.
fn server(path: &Path) -> Option<String> {
    let file = fs::File::open(path).ok()?;
    let lines = BufReader::new(file).lines().map_while(Result::ok).take(1000);
    let lines = lines.map(zeroize::Zeroizing::new);
    let mut servers =
        lines.filter_map(|line| line.trim().strip_prefix("server:").map(|url| url.trim().to_owned()));
    servers.next().map(|url| url.trim_matches('"').to_owned())
}

/// Who must have signed its certificate: what the operator says, else what pods are given.
fn ca(given: Option<&Path>, volumes: &[Listed]) -> Option<PathBuf> {
    let ours = || Some(PathBuf::from(SERVICE_ACCOUNT_CA)).filter(|path| path.is_file());
    let theirs =
        || volumes.iter().map(|listed| listed.path.join("..data/ca.crt")).find(|path| path.is_file());
    let kubeadms = || Some(PathBuf::from("/etc/kubernetes/pki/ca.crt")).filter(|path| path.is_file());
    given.map(Path::to_path_buf).or_else(ours).or_else(theirs).or_else(kubeadms)
}

/// Asks each for its clock, a few times.
async fn ask(apiservers: &[Apiserver], ca: Option<&Path>) -> (Vec<Judge>, Vec<ApiserverSeen>) {
    let (mut judges, mut seen) = (Vec::new(), Vec::new());
    let asked = apiservers.iter().map(|apiserver| ask_one(apiserver, ca));
    for (judge, one) in futures_util::future::join_all(asked).await {
        judges.extend(judge);
        seen.push(one);
    }
    (judges, seen)
}

async fn ask_one(apiserver: &Apiserver, ca: Option<&Path>) -> (Option<Judge>, ApiserverSeen) {
    let url = apiserver.url().to_owned();
    let unseen = |trouble: String| ApiserverSeen {
        url: url.clone(),
        ahead_ns: None,
        error_ns: 0,
        trouble: Some(trouble),
    };
    let apiserver = match Apiserver::new(&url, ca.map(Path::to_path_buf)) {
        Ok(apiserver) => apiserver,
        Err(error) => return (None, unseen(error)),
    };
    let mut clock = ApiserverClock::new();
    for probe in 0..PROBES {
        if probe > 0 {
            tokio::time::sleep(BETWEEN).await;
        }
        match apiserver.probe(WallNs(SystemClocks.realtime_ns().into())).await {
            Ok(sighting) => {
                clock.see(&sighting);
            }
            Err(error) if probe == 0 => return (None, unseen(error.failure.to_string())),
            Err(_) => break,
        }
    }
    let now = BootNs(SystemClocks.boottime_ns());
    let (Some(estimate), Some(timeline)) = (clock.offset(now), clock.timeline()) else {
        return (None, unseen("its answers say nothing of its clock".to_owned()));
    };
    let (offset, _) = bracketed_offset(&SystemClocks);
    let ahead_ns = estimate.offset.0.checked_sub(offset);
    let judge = Judge {
        name: url.clone(),
        source: JudgeSource::DateHeader,
        timeline: timeline.clone(),
        error_ns: estimate.error_ns,
        seen: now,
    };
    let seen = ApiserverSeen { url: url.clone(), ahead_ns, error_ns: estimate.error_ns, trouble: None };
    (Some(judge), seen)
}
