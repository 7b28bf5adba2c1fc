//! etcd and kube-apiserver.

use std::{
    fs,
    path::{Path, PathBuf},
    thread::sleep,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{ADDRESS, ADMIN, Client, KUBELET, NODE, PATIENCE, POLL, certificates, program::Program};
use crate::sys::clock::Deadline;

/// Where clients of etcd come.
const ETCD: &str = "http://127.0.0.1:2379";
/// Where its like would come.
const PEERS: &str = "http://127.0.0.1:2380";
const PORT: u16 = 6443;
const DATA: &str = "/var/lib/etcd";
/// What it serves: what the components themselves and tests ask for. To describe all that it could costs an emulated machine a
/// minute more.
const SERVED: [&str; 14] = [
    "api/v1",
    "admissionregistration.k8s.io/v1",
    "apiextensions.k8s.io/v1",
    "apiregistration.k8s.io/v1",
    "authentication.k8s.io/v1",
    "authorization.k8s.io/v1",
    "coordination.k8s.io/v1",
    "events.k8s.io/v1",
    "networking.k8s.io/v1",
    "node.k8s.io/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1",
];

/// Both.
#[derive(Debug)]
pub(super) struct ControlPlane {
    dir: PathBuf,
    apiserver: Program,
    etcd: Program,
}

impl ControlPlane {
    /// Starts both and waits until the apiserver is ready.
    pub(super) fn start(dir: &Path) -> Result<Self> {
        let etcd = ["--data-dir", DATA, "--listen-client-urls", ETCD, "--advertise-client-urls", ETCD];
        let etcd: Vec<_> =
            etcd.iter().chain(&["--listen-peer-urls", PEERS]).map(ToString::to_string).collect();
        let etcd = Program::start(dir, "etcd", &etcd)?;
        let apiserver = Program::start(dir, "kube-apiserver", &arguments(dir)?)?;
        let control_plane = Self { dir: dir.to_owned(), apiserver, etcd };
        control_plane.becomes_ready()?;
        Ok(control_plane)
    }

    fn becomes_ready(&self) -> Result<()> {
        let client = self.client(ADMIN)?;
        let deadline = Deadline::after(PATIENCE);
        while !client.get("/readyz").is_ok_and(|answer| answer.status == 200) {
            self.lives()?;
            ensure!(!deadline.passed(), "the apiserver was not ready in {PATIENCE:?}");
            sleep(POLL);
        }
        Ok(())
    }

    /// Fails if one of them has ended.
    pub(super) fn lives(&self) -> Result<()> {
        self.etcd.lives()?;
        self.apiserver.lives()
    }

    /// The certificate of the CA.
    pub(super) fn ca(&self) -> Result<String> {
        fs::read_to_string(self.ca_file()).context("read the CA's certificate")
    }

    /// The file that has it.
    pub(super) fn ca_file(&self) -> PathBuf {
        self.dir.join("ca.crt")
    }

    pub(super) fn client(&self, token: &str) -> Result<Client> {
        Client::new(&self.ca()?, PORT, token)
    }

    /// Writes a kubeconfig.
    pub(super) fn kubeconfig(&self, name: &str, token: &str) -> Result<PathBuf> {
        let file = self.dir.join(format!("{name}.kubeconfig"));
        let server = url();
        // JSON is YAML as well.
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": { "server": server, "certificate-authority": self.ca_file() } }],
            "users": [{ "name": name, "user": { "token": token } }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": name } }],
            "current-context": "test",
        });
        fs::write(&file, config.to_string())?;
        Ok(file)
    }
}

/// Where the apiserver serves.
pub(super) fn url() -> String {
    format!("https://127.0.0.1:{PORT}")
}

/// Writes what the apiserver reads, and gives its arguments.
fn arguments(dir: &Path) -> Result<Vec<String>> {
    let (ca, pair) = certificates::of_apiserver(&["localhost", "127.0.0.1", "kubernetes.default.svc"])?;
    let (private, public) = certificates::of_tokens()?;
    let users = format!("{ADMIN},admin,1,system:masters\n{KUBELET},system:node:{NODE},2,system:nodes\n");
    let written = |name: &str, text: &str| -> Result<String> {
        let file = dir.join(name);
        fs::write(&file, text).with_context(|| file.display().to_string())?;
        Ok(file.display().to_string())
    };
    let options = [
        ("client-ca-file", written("ca.crt", &ca)?),
        ("tls-cert-file", written("apiserver.crt", &pair.certificate)?),
        ("tls-private-key-file", written("apiserver.key", &pair.key)?),
        ("service-account-signing-key-file", written("sa.key", &private)?),
        ("service-account-key-file", written("sa.pub", &public)?),
        ("token-auth-file", written("users.csv", &users)?),
        ("service-account-issuer", "https://kubernetes.default.svc.cluster.local".to_owned()),
        ("etcd-servers", ETCD.to_owned()),
        ("bind-address", "127.0.0.1".to_owned()),
        ("advertise-address", ADDRESS.to_owned()),
        ("secure-port", PORT.to_string()),
        ("endpoint-reconciler-type", "none".to_owned()),
        ("service-cluster-ip-range", "10.96.0.0/24".to_owned()),
        ("authorization-mode", "Node,RBAC".to_owned()),
        ("enable-admission-plugins", "NodeRestriction".to_owned()),
        // Tokens in projected volumes, which is how all versions since 1.21 have it.
        ("feature-gates", "BoundServiceAccountTokenVolume=true".to_owned()),
        ("runtime-config", SERVED.map(|group| format!("{group}=true")).join(",") + ",api/all=false"),
        ("enable-priority-and-fairness", "false".to_owned()),
        ("v", "1".to_owned()),
    ];
    Ok(options.iter().map(|(name, value)| format!("--{name}={value}")).collect())
}
