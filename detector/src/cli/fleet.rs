//! Which cluster, and which pods of it.

use std::path::PathBuf;

use clap::Args;

use super::exit::{self, Failure};
use crate::{
    cluster::{Access, Trouble},
    fleet::{FleetError, Target},
};

/// Which cluster, and which pods of it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct FleetArgs {
    /// The kubeconfig [default: $KUBECONFIG, ~/.kube/config, or in a pod its service account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// The namespace of the DaemonSet
    #[arg(long, value_name = "NS", default_value = "timejump")]
    namespace: String,
    /// The labels of its pods
    #[arg(short = 'l', long, value_name = "LABELS", default_value = "app.kubernetes.io/name=timejump")]
    selector: String,
    /// Where `timejump run --pod-listen` listens in them
    #[arg(long, value_name = "PORT", default_value_t = 9869)]
    port: u16,
}

impl FleetArgs {
    pub(super) fn access(&self) -> Access {
        Access { kubeconfig: self.kubeconfig.clone(), context: self.context.clone() }
    }

    pub(super) fn target(&self) -> Target {
        Target { namespace: self.namespace.clone(), selector: self.selector.clone(), port: self.port }
    }
}

/// With the exit status of its kind.
pub(super) fn fleet_failure(error: FleetError) -> Failure {
    let code = match &error {
        FleetError::Access(_) => exit::CONFIGURATION,
        FleetError::Pods { trouble: Trouble::Unauthorized | Trouble::Forbidden(_), .. } => {
            exit::NOT_PERMITTED
        }
        FleetError::Pods { .. } => exit::UNAVAILABLE,
    };
    Failure::new(code, error)
}
