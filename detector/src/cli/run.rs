//! `timejump run`

use std::{
    io::{self, BufWriter},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{
    CaptureArgs,
    cluster::ClusterArgs,
    exit::{self, Failure},
    node::NodeArgs,
    otlp::OtlpArgs,
    remedy::RemedyArgs,
    remote::SOCKET,
    select::{parse_duration, parse_size},
};
use crate::{
    clock::boottime_ahead,
    daemon::{Daemon, DaemonError, DeliverySettings, Settings},
    deliver::{Output, grpc::TlsFiles},
    ledger::Thresholds,
    privilege,
    serve::{Doors, Group, PodDoor},
    store::Retention,
    sys,
};

/// Options of `timejump run`.
#[derive(Clone, Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    capture: CaptureArgs,
    /// Print quiet jumps as well: those smaller than --min-forward and --min-backward
    #[arg(short, long)]
    all: bool,
    /// Forward jumps of at least this size are told; smaller ones are stored and counted
    #[arg(long, value_name = "SIZE", default_value = "1ms", value_parser = parse_size)]
    min_forward: u64,
    /// Backward jumps of at least this size are told; smaller ones are stored and counted
    #[arg(long, value_name = "SIZE", default_value = "1ms", value_parser = parse_size)]
    min_backward: u64,
    /// Where jumps are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/timejump")]
    state_dir: PathBuf,
    /// Keep jumps in memory only
    #[arg(long, conflicts_with = "state_dir")]
    no_store: bool,
    /// Keep at most so many jumps
    #[arg(long, value_name = "N", default_value_t = Retention::default().jumps, value_parser = clap::value_parser!(u64).range(1..))]
    keep_jumps: u64,
    /// Keep jumps for so long, counted in uptime: a clock that jumps must not delete what tells of it
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = parse_duration)]
    keep_for: Duration,
    /// Where the stream is served (gRPC)
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,
    /// Let this group use the socket: by name or number
    #[arg(long, value_name = "GROUP")]
    socket_group: Option<Group>,
    /// Serve the stream over TCP as well, with mutual TLS
    #[arg(long, value_name = "ADDRESS:PORT", requires_all = ["tls_ca", "tls_cert", "tls_key"])]
    listen: Option<SocketAddr>,
    /// Who must have signed a consumer's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "listen")]
    tls_ca: Option<PathBuf>,
    /// Our certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "listen")]
    tls_cert: Option<PathBuf>,
    /// Our certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "listen")]
    tls_key: Option<PathBuf>,
    /// Serve the stream without TLS to `kubectl port-forward`: an address of the loopback, in a pod that has a network
    /// namespace of its own
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_loopback)]
    pod_listen: Option<SocketAddr>,
    /// Where metrics and health are served
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9868")]
    http: SocketAddr,
    /// Serve nothing: neither stream nor metrics
    #[arg(long, conflicts_with_all = ["socket", "socket_group", "listen", "pod_listen", "http"])]
    no_listen: bool,
    /// Consumers that may follow the stream at once
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_consumers: u16,
    #[command(flatten, next_help_heading = "Victims")]
    node: NodeArgs,
    #[command(flatten, next_help_heading = "Kubernetes")]
    cluster: ClusterArgs,
    #[command(flatten, next_help_heading = "OpenTelemetry")]
    otlp: OtlpArgs,
    #[command(flatten, next_help_heading = "Remedies")]
    remedy: RemedyArgs,
}

impl RunArgs {
    fn settings(&self) -> Result<Settings, Failure> {
        let tls = match (&self.tls_ca, &self.tls_cert, &self.tls_key) {
            (Some(ca), Some(certificate), Some(key)) => {
                Some(TlsFiles { ca: ca.clone(), certificate: certificate.clone(), key: key.clone() })
            }
            _ => None,
        };
        let doors = if self.no_listen {
            Doors::default()
        } else {
            Doors {
                socket: Some(self.socket.clone()),
                group: self.socket_group.clone(),
                tcp: self.listen.zip(tls),
                pod: self.pod_listen.map(PodDoor::new),
                http: Some(self.http),
            }
        };
        let remedy = self.remedy.settings(&self.cluster)?;
        Ok(Settings {
            ladder: self.capture.ladder(),
            timer_list: self.capture.timer_list.clone(),
            cgroups: self.capture.cgroups.clone(),
            state_dir: (!self.no_store).then(|| self.state_dir.clone()),
            retention: Retention { jumps: self.keep_jumps, age: self.keep_for },
            thresholds: Thresholds { forward_ns: self.min_forward, backward_ns: self.min_backward },
            doors,
            node: self.node.settings(self.capture.cgroups.clone()),
            max_consumers: self.max_consumers.into(),
            delivery: DeliverySettings { otlp: self.otlp.collector()?, ..self.cluster.settings() },
            remedy,
            all: self.all,
        })
    }
}

/// There is no TLS, so nobody beyond the loopback may hear it.
fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|error| format!("{error}"))?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("not an address of the loopback such as 127.0.0.1:9869; --listen serves others, with mutual TLS"
        .into())
}

/// As many open files as we may have: each connection is one, and the capture must never lack any.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!("limit on open files: {error}");
    }
}

/// Watches until told to stop.
pub(super) fn run(args: &RunArgs) -> Result<(), Failure> {
    let settings = args.settings()?;
    if let Some(ahead) = boottime_ahead() {
        return Err(Failure::new(
            exit::CONFIGURATION,
            format!(
                "this is a time namespace, in which the time since boot is off by {ahead}: run timejump in the machine's own, whose clocks \
                 it holds against the kernel's"
            ),
        ));
    }
    sys::keep_little_memory();
    raise_file_limit();
    privilege::begin();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::UNAVAILABLE, format!("async runtime: {error}")))?;
    let output = Output::new(args.capture.output, BufWriter::with_capacity(1 << 16, io::stdout()));
    let started = runtime.block_on(async { Daemon::start(&settings, output) });
    let result = started.and_then(|mut daemon| {
        let ran = runtime.block_on(daemon.run());
        // What went wrong first tells more than what goes wrong then.
        ran.and(daemon.end())
    });
    result.or_else(|error| match error {
        // The reader has gone: that is how `timejump run | head` ends.
        DaemonError::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        DaemonError::Output(_) => Err(Failure::new(exit::IO, error)),
        DaemonError::Rung(_) | DaemonError::Timerfd(_) | DaemonError::Signals(_) | DaemonError::Start(_) => {
            Err(Failure::new(exit::UNAVAILABLE, error))
        }
    })
}
