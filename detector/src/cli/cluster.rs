//! How the cluster is told.

use std::path::PathBuf;

use clap::Args;

use crate::{cluster::Access, daemon::DeliverySettings};

/// How the cluster is told.
#[derive(Clone, Debug, Args)]
pub(super) struct ClusterArgs {
    /// The name of this node's Node object
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    node_name: Option<String>,
    /// Tell jumps and their victims as Kubernetes Events, on the Node and on each affected Pod
    #[arg(long, requires = "node_name")]
    events: bool,
    /// Keep the Node's condition ClockJump
    #[arg(long, requires = "node_name")]
    condition: bool,
    /// How the apiserver is reached, instead of by the pod's service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

impl ClusterArgs {
    pub(super) fn settings(&self) -> DeliverySettings {
        DeliverySettings {
            access: Access::by(self.kubeconfig.clone()),
            node_name: self.node_name.clone().unwrap_or_default(),
            events: self.events,
            condition: self.condition,
            otlp: None,
        }
    }
}
