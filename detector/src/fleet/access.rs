//! How people reach a cluster, and which pods are meant.

use std::{path::PathBuf, time::Duration};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::cluster::Trouble;

/// How long a connection to the apiserver may take.
const CONNECT: Duration = Duration::from_secs(5);
/// A connection on which nothing comes for so long is dead: a watch ends sooner by itself, and tunnels have heartbeats.
const SILENCE: Duration = Duration::from_mins(5);

/// How the apiserver is reached: as `kubectl` would, or by the service account of the pod that this is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FleetAccess {
    /// This kubeconfig, instead of `$KUBECONFIG` or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// This context of it, instead of the current one.
    pub context: Option<String>,
}

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
    #[error("no way to an apiserver: {0}")]
    Access(String),
    /// The apiserver does not say which pods there are.
    #[error("pods of namespace {namespace}: {trouble}")]
    Pods {
        /// Which namespace.
        namespace: String,
        /// Why.
        trouble: Trouble,
    },
}

impl FleetAccess {
    /// A client; asks nobody yet. Must be called within a tokio runtime.
    pub async fn client(&self) -> Result<Client, FleetError> {
        let failed = |error: &dyn std::error::Error| FleetError::Access(error.to_string());
        let mut config = self.config().await?;
        (config.connect_timeout, config.read_timeout) = (Some(CONNECT), Some(SILENCE));
        Client::try_from(config).map_err(|error| failed(&error))
    }

    async fn config(&self) -> Result<Config, FleetError> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let found = match &self.kubeconfig {
            Some(path) => match Kubeconfig::read_from(path) {
                Ok(read) => Config::from_custom_kubeconfig(read, &options).await,
                Err(error) => Err(error),
            },
            None if self.context.is_some() => Config::from_kubeconfig(&options).await,
            None => return Config::infer().await.map_err(|error| FleetError::Access(error.to_string())),
        };
        found.map_err(|error| {
            let path =
                self.kubeconfig.as_ref().map_or_else(String::new, |path| format!(" {}", path.display()));
            FleetError::Access(format!("kubeconfig{path}: {error}"))
        })
    }
}
