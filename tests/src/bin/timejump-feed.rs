//! `timejump-feed`: serves what the daemon serves, from jumps that are made up on standard input, one JSON object a
//! line. Its first line of output says where it listens; it ends, as the daemon does, at the end of its input.
//!
//! No clock is touched: `{"delta_ns":-5000000000,"path":"adjtimex","comm":"chronyd"}` says that one was.

use std::{
    io::{self, BufRead, Write},
    net::SocketAddr,
    path::PathBuf,
};

use anyhow::{Context, Result};
use clap::Parser;
use timejump::{
    cluster::Access,
    daemon::{ApiserverSettings, DeliverySettings, NodeSettings, RemedySettings},
    deliver::{grpc::TlsFiles, otlp::Collector},
    node::{
        Places,
        kubelet_log::LogOption,
        summary::{SummaryOption, SummarySource},
    },
    serve::{Doors, PodDoor},
};
use timejump_tests::feed::{Feed, Line, Settings};

/// Serves jumps that are made up on standard input.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where the stream is served.
    #[arg(long)]
    socket: PathBuf,
    /// Where jumps are kept; by default in memory.
    #[arg(long)]
    state_dir: Option<PathBuf>,
    /// Where metrics and health are served.
    #[arg(long)]
    http: Option<SocketAddr>,
    /// Serve the stream over TCP as well, with mutual TLS.
    #[arg(long, requires_all = ["tls_ca", "tls_cert", "tls_key"])]
    listen: Option<SocketAddr>,
    /// Serve it to port-forwards as well, on this address of the loopback.
    #[arg(long, requires = "pod_proc")]
    pod_listen: Option<SocketAddr>,
    /// What is to be taken for /proc there.
    #[arg(long)]
    pod_proc: Option<PathBuf>,
    /// Who must have signed a consumer's certificate.
    #[arg(long)]
    tls_ca: Option<PathBuf>,
    /// Our certificate.
    #[arg(long)]
    tls_cert: Option<PathBuf>,
    /// Our certificate's key.
    #[arg(long)]
    tls_key: Option<PathBuf>,
    /// Consumers that may follow the stream at once.
    #[arg(long, default_value_t = 256)]
    max_consumers: usize,
    /// The container runtime's socket: look for victims, by the machine's own clock, as the daemon does.
    #[arg(long)]
    cri_endpoint: Option<PathBuf>,
    /// Where cgroups are.
    #[arg(long, default_value = "/sys/fs/cgroup")]
    cgroups: PathBuf,
    /// kubelet's root directory: look for victims among its token volumes.
    #[arg(long)]
    kubelet_root: Option<PathBuf>,
    /// Apiservers whose clocks judge.
    #[arg(long)]
    apiserver: Vec<String>,
    /// Who must have signed their certificates.
    #[arg(long)]
    apiserver_ca: Option<PathBuf>,
    /// Where kubelet logs to.
    #[arg(long, default_value = "none")]
    kubelet_log: LogOption,
    /// The name of the Node that Events are about.
    #[arg(long, default_value = "worker-1")]
    node_name: String,
    /// Tell the apiserver of this kubeconfig, by Events and by the Node's condition.
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// Send it as OTLP logs to this collector.
    #[arg(long)]
    otlp: Option<Collector>,
}

impl Arguments {
    fn settings(self) -> Settings {
        let tls = match (self.tls_ca, self.tls_cert, self.tls_key) {
            (Some(ca), Some(certificate), Some(key)) => Some(TlsFiles { ca, certificate, key }),
            _ => None,
        };
        let looks = self.cri_endpoint.is_some() || self.kubelet_root.is_some();
        // Never the machine's own.
        let endpoint = self.cri_endpoint.unwrap_or_else(|| "/nonexistent/cri.sock".into());
        Settings {
            doors: Doors {
                socket: Some(self.socket),
                group: None,
                tcp: self.listen.zip(tls),
                pod: self.pod_listen.zip(self.pod_proc).map(|(address, proc)| PodDoor { address, proc }),
                http: self.http,
            },
            state_dir: self.state_dir,
            max_consumers: self.max_consumers,
            delivery: DeliverySettings {
                events: self.kubeconfig.is_some(),
                condition: self.kubeconfig.is_some(),
                access: Access::by(self.kubeconfig),
                node_name: self.node_name,
                otlp: self.otlp,
            },
            remedy: RemedySettings::default(),
            node: looks.then(|| NodeSettings {
                enabled: true,
                places: Places { endpoint: Some(endpoint), cgroups: self.cgroups, kubelet_version: None },
                kubelet_log: self.kubelet_log,
                kubelet_root: Some(self.kubelet_root.unwrap_or_else(|| "/nonexistent".into())),
                // Never the machine's own.
                pki: vec!["/nonexistent".into()],
                apiservers: ApiserverSettings {
                    urls: self.apiserver,
                    ca: self.apiserver_ca,
                    ..ApiserverSettings::default()
                },
                summary: SummarySource { option: SummaryOption::None, ..SummarySource::default() },
            }),
        }
    }
}

fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(io::stderr).without_time().with_ansi(false).init();
    let mut feed = Feed::start(&Arguments::parse().settings())?;
    let listeners = serde_json::json!({ "listeners": feed.listeners });
    writeln!(io::stdout(), "{listeners}").context("standard output")?;
    for line in io::stdin().lock().lines() {
        let line = line.context("standard input")?;
        feed.take(Line::parse(&line)?);
    }
    feed.end();
    Ok(())
}
