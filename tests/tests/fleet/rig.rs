//! A cluster of nodes that are made up: each a daemon's server half in this process, with a pod that a port-forward reaches.

use std::{
    collections::BTreeMap,
    env, fs,
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use serde_json::{Value, json};
use timejump::{
    clock::{SystemClocks, bracketed_offset},
    cluster::Access,
    daemon::{ApiserverSettings as JudgeSettings, DeliverySettings, NodeSettings, RemedySettings},
    fleet::Target,
    node::{
        Places,
        kubelet_log::LogOption,
        summary::{SummaryOption, SummarySource},
    },
    serve::{Doors, PodDoor},
};
use timejump_tests::{
    apiserver::{Apiserver, Kind, Settings as ApiserverSettings, Trust},
    feed::{Feed, Line, Settings},
};

/// Where the daemons listen in their pods.
pub const PORT: u16 = 9869;
/// Where the pods are.
pub const NAMESPACE: &str = "timejump";
/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_mins(1);
pub const SECOND: i64 = 1_000_000_000;
pub const DAY: i64 = 86_400 * SECOND;

/// What `cargo xtask test` provides, or nothing where it was not that which started us.
pub fn binary() -> Option<PathBuf> {
    if let Some(path) = env::var_os("TIMEJUMP_BIN") {
        return Some(path.into());
    }
    assert!(env::var_os("CI").is_none_or(|value| value.is_empty()), "TIMEJUMP_BIN is not set");
    println!("skipped: TIMEJUMP_BIN is not set; `cargo xtask test` sets it");
    None
}

/// A cluster.
pub struct Rig {
    home: tempfile::TempDir,
    pub apiserver: Apiserver,
    feeds: BTreeMap<String, Feed>,
    kubeconfig: PathBuf,
}

impl Rig {
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let proc = home.path().join("proc");
        for process in ["self", "1"] {
            fs::create_dir_all(proc.join(process).join("ns")).unwrap();
        }
        // A pod with a network of its own, in the pid namespace of the host.
        for (link, target) in [
            ("self/ns/pid", "pid:[4026531836]"),
            ("self/ns/net", "net:[4026532999]"),
            ("1/ns/net", "net:[1]"),
        ] {
            symlink(target, proc.join(link)).unwrap();
        }
        let apiserver = Apiserver::start(
            &home.path().join("ca.crt"),
            &ApiserverSettings::with_offset(bracketed_offset(&SystemClocks).0),
        )
        .unwrap();
        apiserver.trust(Trust::Everybody);
        let token = home.path().join("token");
        fs::write(&token, "t0ken").unwrap();
        let kubeconfig = home.path().join("kubeconfig");
        apiserver.write_kubeconfig(&kubeconfig, &token).unwrap();
        Self { home, apiserver, feeds: BTreeMap::new(), kubeconfig }
    }

    pub fn access(&self) -> Access {
        Access::by(Some(self.kubeconfig.clone()))
    }

    pub fn target() -> Target {
        Target { namespace: NAMESPACE.into(), selector: "app.kubernetes.io/name=timejump".into(), port: PORT }
    }

    /// A Node object.
    pub fn node(&self, name: &str, conditions: Value) {
        let node = json!({ "metadata": { "name": name }, "status": { "conditions": conditions } });
        self.apiserver.objects().put(Kind::Node, node);
    }

    /// A pod on a node, in this phase.
    pub fn pod(&self, pod: &str, node: &str, phase: &str) {
        let pod = json!({
            "metadata": { "namespace": NAMESPACE, "name": pod, "labels": { "app.kubernetes.io/name": "timejump" } },
            "spec": { "nodeName": node, "containers": [] },
            "status": { "phase": phase },
        });
        self.apiserver.objects().put(Kind::Pod, pod);
    }

    pub fn remove_pod(&self, pod: &str) {
        self.apiserver.objects().remove(Kind::Pod, NAMESPACE, pod);
    }

    /// A daemon in a pod, with the store of its node.
    pub fn daemon(&mut self, pod: &str, node: &str) {
        self.daemon_with(pod, node, None);
    }

    /// The same, that asks the apiserver for its clock.
    pub fn running_and_asking(&mut self, pod: &str, node: &str) {
        let apiservers = JudgeSettings {
            urls: vec![self.apiserver.url()],
            ca: Some(self.apiserver.ca_file().into()),
            ..JudgeSettings::default()
        };
        let nowhere = || PathBuf::from("/nonexistent");
        let looks = NodeSettings {
            enabled: true,
            places: Places { endpoint: Some(nowhere()), cgroups: nowhere(), kubelet_version: None },
            kubelet_log: LogOption::None,
            kubelet_root: Some(nowhere()),
            pki: vec![nowhere()],
            apiservers,
            summary: SummarySource { option: SummaryOption::None, ..SummarySource::default() },
        };
        self.daemon_with(pod, node, Some(looks));
        self.pod(pod, node, "Running");
    }

    fn daemon_with(&mut self, pod: &str, node: &str, looks: Option<NodeSettings>) {
        let door = PodDoor { address: "127.0.0.1:0".parse().unwrap(), proc: self.home.path().join("proc") };
        let settings = Settings {
            remedy: RemedySettings::default(),
            doors: Doors { pod: Some(door), ..Doors::default() },
            state_dir: Some(self.home.path().join(node)),
            max_consumers: 16,
            node: looks,
            delivery: DeliverySettings::default(),
        };
        let feed = Feed::start(&settings).unwrap();
        let address: SocketAddr = feed.listeners[0].address.parse().unwrap();
        assert_eq!(feed.listeners[0].kind, "pod");
        self.apiserver.tunnels().lead(NAMESPACE, pod, PORT, address);
        self.feeds.insert(node.to_owned(), feed);
    }

    /// A node whose pod runs.
    pub fn running(&mut self, pod: &str, node: &str) {
        self.daemon(pod, node);
        self.pod(pod, node, "Running");
    }

    /// The daemon of a node ends.
    pub fn end(&mut self, node: &str) {
        self.feeds.remove(node).unwrap().end();
    }

    /// Lets something happen on a node.
    pub fn tell(&mut self, node: &str, line: Value) {
        self.feeds.get_mut(node).unwrap().take(Line::parse(&line.to_string()).unwrap());
    }

    /// A jump, so many seconds far.
    pub fn jump(&mut self, node: &str, seconds: i64) {
        self.tell(node, json!({ "delta_ns": seconds * SECOND, "comm": "date" }));
    }

    /// The command.
    pub fn command(&self, binary: &Path, words: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command.args(words).arg("--kubeconfig").arg(&self.kubeconfig).env_remove("TIMEJUMP_ADDRESS");
        command
    }

    pub fn run(&self, binary: &Path, words: &[&str]) -> Output {
        self.command(binary, words).output().unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for (_, feed) in std::mem::take(&mut self.feeds) {
            feed.end();
        }
    }
}
