//! Where to look for what jumps spoil.

use std::{env, path::PathBuf};

use clap::Args;

use crate::{
    daemon::NodeSettings,
    node::{
        Places, Version,
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
    #[arg(long, conflicts_with_all = ["cri_endpoint", "kubelet_log", "kubelet_root", "kubelet_version"])]
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
                endpoint: self.cri_endpoint.clone().or_else(from_environment),
                cgroups,
                kubelet_version: self.kubelet_version,
            },
            kubelet_log: self.kubelet_log.clone(),
            kubelet_root: self.kubelet_root.clone(),
            summary: SummarySource {
                option: self.kubelet_summary.clone(),
                ca: self.kubelet_ca.clone(),
                token: self.kubelet_token.clone(),
            },
        }
    }
}

/// crictl's own variable. It may be set for others, and to what only they understand: no reason not to start.
fn from_environment() -> Option<PathBuf> {
    let text = env::var(ENDPOINT).ok().filter(|text| !text.is_empty())?;
    match parse_endpoint(&text) {
        Ok(path) => Some(path),
        Err(error) => {
            tracing::warn!("{ENDPOINT} is passed over: {error}");
            None
        }
    }
}

fn parse_version(text: &str) -> Result<Version, String> {
    Version::parse(text).ok_or_else(|| "not a version such as 1.28".into())
}
