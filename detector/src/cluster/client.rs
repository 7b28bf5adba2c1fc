//! A client of the apiserver that outlives jumps of the clock.
//!
//! kube-client reads the pod's token anew when its copy is a minute old *by the wall clock* (`TokenFile`): after a step
//! back by two months it would keep a token for two months that kubelet has long replaced. So the client itself is made
//! anew whenever the clock has jumped, and whenever it was refused.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use crate::locked::locked;

/// How long a connection may take, and an answer.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(20));

/// How the apiserver is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// By the pod's service account or, outside a pod, as `kubectl` would.
    #[default]
    Inferred,
    /// By this kubeconfig's current context.
    Kubeconfig(PathBuf),
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Neither a pod's service account nor a kubeconfig.
    #[error("no apiserver is known: {0}")]
    Inferred(#[from] kube::config::InferConfigError),
    /// A kubeconfig that cannot be used.
    #[error("kubeconfig {path}: {error}")]
    Kubeconfig {
        /// Which.
        path: PathBuf,
        /// Why.
        error: kube::config::KubeconfigError,
    },
    /// Credentials or certificates that cannot be used.
    #[error("a client of the apiserver: {0}")]
    Client(#[from] kube::Error),
}

/// The apiserver, and the client for it as long as it is good. Clones share it.
#[derive(Clone)]
pub struct Cluster {
    access: Access,
    client: Arc<Mutex<Option<Client>>>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("access", &self.access).finish_non_exhaustive()
    }
}

impl Cluster {
    /// Asks nobody yet.
    pub fn new(access: Access) -> Self {
        Self { access, client: Arc::default() }
    }

    /// The client; made now if there is none. Must be called within a tokio runtime.
    pub async fn client(&self) -> Result<Client, ClusterError> {
        if let Some(client) = &*locked(&self.client) {
            return Ok(client.clone());
        }
        let client = Client::try_from(self.config().await?)?;
        *locked(&self.client) = Some(client.clone());
        Ok(client)
    }

    /// The next one is made anew, with the credentials that are then there.
    pub fn forget(&self) {
        *locked(&self.client) = None;
    }

    /// How the apiserver is reached.
    pub async fn config(&self) -> Result<Config, ClusterError> {
        let mut config = match &self.access {
            Access::Inferred => Config::infer().await?,
            Access::Kubeconfig(path) => {
                let failed = |error| ClusterError::Kubeconfig { path: path.clone(), error };
                let read = Kubeconfig::read_from(path).map_err(failed)?;
                Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.map_err(failed)?
            }
        };
        (config.connect_timeout, config.read_timeout) = (Some(PATIENCE.0), Some(PATIENCE.1));
        config.write_timeout = Some(PATIENCE.1);
        // It would try again by itself for hours, with nobody told, and take a disruption budget's 429 for trouble.
        config.default_retry = false;
        Ok(config)
    }
}
