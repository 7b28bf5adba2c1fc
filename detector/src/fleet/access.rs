//! How people reach a cluster, and which pods of it are meant.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};

use crate::cluster::{Access, AccessError, Patience, Trouble};

/// A connection on which nothing comes for so long is dead: a watch ends sooner by itself, and tunnels have heartbeats.
const PATIENCE: Patience = Patience { connect: Duration::from_secs(5), silence: Duration::from_mins(5) };

/// Which pods are meant, and where they listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Their namespace.
    pub namespace: String,
    /// Their labels.
    pub selector: String,
    /// `run --pod-listen`'s port.
    pub port: u16,
}

impl Target {
    pub(super) fn pods(&self, client: &Client) -> Api<Pod> {
        Api::namespaced(client.clone(), &self.namespace)
    }
}

/// Why there is no looking at the cluster.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// No way to an apiserver is known.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The apiserver does not say which pods there are.
    #[error("pods of namespace {namespace}: {trouble}")]
    Pods {
        /// Which namespace.
        namespace: String,
        /// Why.
        trouble: Trouble,
    },
}

/// A client for people who look; asks nobody yet. Must be called within a tokio runtime.
pub async fn cluster_client(access: &Access) -> Result<Client, FleetError> {
    Ok(access.client(PATIENCE).await?)
}
