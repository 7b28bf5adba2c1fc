//! How an apiserver is reached.

use std::{error::Error, path::PathBuf, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use rustls::pki_types::pem;

/// How the apiserver is reached: by default by the pod's service account or, outside a pod, as `kubectl` would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// This kubeconfig, instead of `$KUBECONFIG` or `~/.kube/config`.
    pub kubeconfig: Option<PathBuf>,
    /// This context of it, instead of the current one.
    pub context: Option<String>,
}

/// How long is waited for an apiserver.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For a connection on which something is to come, and nothing does.
    pub silence: Duration,
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// Neither a pod's service account nor a kubeconfig.
    #[error("no apiserver is known: {0}")]
    Inferred(String),
    /// A kubeconfig that cannot be used.
    #[error("kubeconfig{}: {reason}", path.as_ref().map_or_else(String::new, |path| format!(" {}", path.display())))]
    Kubeconfig {
        /// Which; nothing: the usual one.
        path: Option<PathBuf>,
        /// Why, without what is in it.
        reason: String,
    },
    /// Credentials or certificates that cannot be used.
    #[error("a client of the apiserver: {0}")]
    Client(String),
}

impl Access {
    /// By this kubeconfig, if there is one.
    pub fn by(kubeconfig: Option<PathBuf>) -> Self {
        Self { kubeconfig, context: None }
    }

    /// A client; asks nobody yet. Must be called within a tokio runtime.
    pub async fn client(&self, patience: Patience) -> Result<Client, AccessError> {
        let mut config = self.config().await?;
        config.connect_timeout = Some(patience.connect);
        (config.read_timeout, config.write_timeout) = (Some(patience.silence), Some(patience.silence));
        // It would try again by itself for hours, with nobody told, and take a disruption budget's 429 for trouble.
        config.default_retry = false;
        Client::try_from(config).map_err(|error| AccessError::Client(discreet(&error)))
    }

    async fn config(&self) -> Result<Config, AccessError> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let found = match &self.kubeconfig {
            Some(path) => match Kubeconfig::read_from(path) {
                Ok(read) => Config::from_custom_kubeconfig(read, &options).await,
                Err(error) => Err(error),
            },
            None if self.context.is_some() => Config::from_kubeconfig(&options).await,
            None => {
                return Config::infer().await.map_err(|error| AccessError::Inferred(discreet(&error)));
            }
        };
        found.map_err(|error| AccessError::Kubeconfig {
            path: self.kubeconfig.clone(),
            reason: discreet(&error),
        })
    }
}

/// What is wrong, but for what parsers quote: there are tokens and keys in what they read.
fn discreet(error: &(dyn Error + 'static)) -> String {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(KubeconfigError::Parse(wrong)) = cause.downcast_ref() {
            let line = wrong.location().map_or_else(String::new, |at| format!(", at line {}", at.line()));
            return format!("it is not a kubeconfig in YAML{line}");
        }
        if cause.is::<pem::Error>() {
            return "a certificate or key in it is not PEM".to_owned();
        }
        next = cause.source();
    }
    error.to_string()
}
