//! How to reach the daemon.

use std::path::PathBuf;

use clap::Args;

use super::exit::{self, Failure};
use crate::deliver::grpc::{Address, Client, ConnectError, TlsFiles};

/// Where `timejump run` listens unless told otherwise.
pub(super) const SOCKET: &str = "/run/timejump/timejump.sock";

/// Where the daemon is.
#[derive(Clone, Debug, Args)]
pub(super) struct RemoteArgs {
    /// Where the daemon listens: a socket's path, or https://HOST:PORT
    #[arg(long, alias = "socket", env = "TIMEJUMP_ADDRESS", value_name = "ADDRESS", default_value = SOCKET)]
    pub(super) address: Address,
    /// For https: who must have signed the daemon's certificate (PEM)
    #[arg(long, value_name = "FILE", requires_all = ["cert", "key"])]
    ca: Option<PathBuf>,
    /// For https: our certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "ca")]
    cert: Option<PathBuf>,
    /// For https: our certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "ca")]
    key: Option<PathBuf>,
}

impl RemoteArgs {
    /// Connects.
    pub(super) async fn connect(&self) -> Result<Client, ConnectError> {
        let files = match (&self.ca, &self.cert, &self.key) {
            (Some(ca), Some(certificate), Some(key)) => {
                Some(TlsFiles { ca: ca.clone(), certificate: certificate.clone(), key: key.clone() })
            }
            _ => None,
        };
        Client::connect(&self.address, files.as_ref()).await
    }
}

/// With the exit status of its kind.
pub(super) fn failure(error: ConnectError) -> Failure {
    let code = match &error {
        ConnectError::NotPermitted(_) => exit::NOT_PERMITTED,
        ConnectError::Tls(_) | ConnectError::Untrusted { .. } => exit::CONFIGURATION,
        ConnectError::Unreachable { .. }
        | ConnectError::Broken(_)
        | ConnectError::Refused(_)
        | ConnectError::Foreign(_) => exit::UNAVAILABLE,
    };
    Failure::new(code, error)
}

/// Runs `work` to its end.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(exit::UNAVAILABLE, format!("async runtime: {error}")))?
        .block_on(work)
}
