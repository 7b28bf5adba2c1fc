//! Where to look for what jumps spoil.

use std::{env, path::PathBuf, time::Duration};

use clap::Args;

use super::select::parse_duration;
use crate::{
    daemon::{ApiserverSettings, NodeSettings},
    node::{
        Places, Version,
        apiserver::{self, Apiserver},
        cri::parse_endpoint,
        kubelet_log::LogOption,
        summary::{SummaryOption, SummarySource},
    },
};

const ENDPOINT: &str = "CONTAINER_RUNTIME_ENDPOINT";

/// Where to look for victims.
#[derive(Clone, Debug, Args)]
pub(super) struct NodeArgs {
    /// Do not look for what jumps spoil on this node: jumps alone
    #[arg(long, conflicts_with_all = ["cri_endpoint", "kubelet_log", "kubelet_root", "kubelet_version", "apiserver", "apiserver_ca"])]
    no_node: bool,
    /// The container runtime's socket: a path, or unix:///path. Else `CONTAINER_RUNTIME_ENDPOINT`, else found where kubelet
    /// and crictl find it
    #[arg(long, value_name = "SOCKET", value_parser = parse_endpoint)]
    cri_endpoint: Option<PathBuf>,
    /// Where kubelet logs to, for what it says of its caches: auto, journal, none or a file
    #[arg(long, value_name = "WHERE", default_value = "auto")]
    kubelet_log: LogOption,
    /// kubelet's root directory, where token volumes are. Else found by kubelet's command line, else where it usually is
    #[arg(long, value_name = "DIR")]
    kubelet_root: Option<PathBuf>,
    /// Where the control plane's certificates are, instead of the usual directories; may be given more than once
    #[arg(long, value_name = "DIR")]
    pki: Vec<PathBuf>,
    /// Whose clock judges tokens: https://HOST:PORT, once for each apiserver. Asked for its Date, without credentials. Else
    /// the one that a pod is told of (KUBERNETES_SERVICE_HOST), else the node's clock stands in for it
    #[arg(long, value_name = "URL", value_parser = parse_apiserver)]
    apiserver: Vec<String>,
    /// Who must have signed the apiservers' certificates (PEM); else what pods are given for that
    #[arg(long, value_name = "FILE")]
    apiserver_ca: Option<PathBuf>,
    /// How often apiservers are asked although nothing has happened
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_interval)]
    apiserver_interval: Duration,
    /// Where kubelet shows its containers' CPU rates (/stats/summary): auto, which is its read-only port; none; or
    /// http(s)://HOST:PORT. It is asked only while rates stand still
    #[arg(long, value_name = "WHERE", default_value = "auto")]
    kubelet_summary: SummaryOption,
    /// For https: who must have signed kubelet's certificate (PEM)
    #[arg(long, value_name = "FILE")]
    kubelet_ca: Option<PathBuf>,
    /// A file with a token that may read nodes/stats
    #[arg(long, value_name = "FILE")]
    kubelet_token: Option<PathBuf>,
    /// kubelet's version, such as 1.20: one before 1.23 keeps CPU samples of its own whatever the runtime does
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    kubelet_version: Option<Version>,
}

impl NodeArgs {
    pub(super) fn settings(&self, cgroups: PathBuf) -> NodeSettings {
        NodeSettings {
            enabled: !self.no_node,
            places: Places {
                endpoint: self.cri_endpoint.clone().or_else(endpoint_from_environment),
                cgroups,
                kubelet_version: self.kubelet_version,
            },
            kubelet_log: self.kubelet_log.clone(),
            kubelet_root: self.kubelet_root.clone(),
            pki: self.pki.clone(),
            apiservers: ApiserverSettings {
                urls: self.apiservers(),
                ca: self.apiserver_ca.clone(),
                interval: self.apiserver_interval,
            },
            summary: SummarySource {
                option: self.kubelet_summary.clone(),
                ca: self.kubelet_ca.clone(),
                token: self.kubelet_token.clone(),
            },
        }
    }
}

impl NodeArgs {
    fn apiservers(&self) -> Vec<String> {
        let found = apiserver::find(&self.apiserver, |name| env::var(name).ok());
        let found = found.unwrap_or_else(|error| {
            // Those of the command line were checked when they were read.
            tracing::warn!("the environment's apiserver is passed over: {error}");
            Vec::new()
        });
        found.iter().map(|apiserver| apiserver.url().to_owned()).collect()
    }
}

/// crictl's own variable. It may be set for others, and to what only they understand: no reason not to start.
pub(super) fn endpoint_from_environment() -> Option<PathBuf> {
    let text = env::var(ENDPOINT).ok().filter(|text| !text.is_empty())?;
    match parse_endpoint(&text) {
        Ok(path) => Some(path),
        Err(error) => {
            tracing::warn!("{ENDPOINT} is passed over: {error}");
            None
        }
    }
}

pub(super) fn parse_apiserver(text: &str) -> Result<String, String> {
    Apiserver::new(text, None).map(|apiserver| apiserver.url().to_owned())
}

/// No apiserver wants to be asked all the time.
fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text)?;
    if interval < Duration::from_secs(1) { Err("at least 1s".into()) } else { Ok(interval) }
}

pub(super) fn parse_version(text: &str) -> Result<Version, String> {
    Version::parse(text).ok_or_else(|| "not a version such as 1.28".into())
}
