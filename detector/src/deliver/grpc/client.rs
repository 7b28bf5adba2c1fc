//! The client's side of `timejump.v1`, as the command line uses it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use tonic::{
    Code, Streaming,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use super::{
    MAX_RESPONSE,
    convert::Foreign,
    trust,
    v1::{self, time_jump_client::TimeJumpClient},
};
use crate::{
    deliver::{
        ContainersReport, Message, Offer, Shown, Status, TokensReport,
        report::{Incident, Which},
    },
    ledger::Jump,
};

/// How long a daemon may take to answer a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it may take to answer a request.
const ANSWER: Duration = Duration::from_secs(30);

/// Where a daemon is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket's path.
    Unix(PathBuf),
    /// `https://host:port`.
    Tcp(String),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://").or_else(|| text.strip_prefix("unix:")) {
            return Ok(Self::Unix(path.into()));
        }
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        match text.strip_prefix("https://") {
            Some(rest) if !rest.is_empty() => Ok(Self::Tcp(text.to_owned())),
            _ => Err("neither a path, unix:///path nor https://host:port".to_owned()),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Tcp(address) => f.write_str(address),
        }
    }
}

/// Certificates and keys, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Who the other end's certificate must be signed by.
    pub ca: PathBuf,
    /// Our certificate.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Certificate and key, and whom to trust.
    pub fn read(&self) -> io::Result<(Identity, Certificate)> {
        let certificate = read(&self.certificate)?;
        let key = read(&self.key)?;
        Ok((Identity::from_pem(certificate, key), Certificate::from_pem(read(&self.ca)?)))
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// Why a daemon cannot be asked, or did not answer well.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there.
    #[error("no timejump daemon answers at {address}: {reason} (is `timejump run` running?)")]
    Unreachable {
        /// Where.
        address: Address,
        /// Why.
        reason: String,
    },
    /// The socket is not for us.
    #[error("not permitted to use {0}: it is for root, or the group of `timejump run --socket-group`")]
    NotPermitted(Address),
    /// Certificates or keys.
    #[error("TLS: {0}")]
    Tls(String),
    /// One end does not trust the other's certificate. Dates are judged by clocks, which may come back.
    #[error("no trust between us and {address}: {reason}")]
    Untrusted {
        /// Where the daemon is.
        address: Address,
        /// Whose certificate, and what is wrong with it.
        reason: String,
    },
    /// The connection broke: the daemon ended, or the network did.
    #[error("the daemon went away: {0}")]
    Broken(String),
    /// It answered with an error.
    #[error("{}", .0.message())]
    Refused(Box<tonic::Status>),
    /// It answered what this version does not understand.
    #[error(transparent)]
    Foreign(#[from] Foreign),
}

impl ConnectError {
    /// Whether the connection is gone and may come again.
    pub fn is_broken_connection(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Untrusted { .. } | Self::Broken(_) => true,
            Self::Refused(status) => status.code() == Code::Unavailable,
            _ => false,
        }
    }
}

impl From<tonic::Status> for ConnectError {
    /// What never came from the other end has a cause of its own.
    fn from(status: tonic::Status) -> Self {
        match std::error::Error::source(&status) {
            Some(cause) => Self::Broken(causes(cause)),
            None => Self::Refused(Box::new(status)),
        }
    }
}

/// A connection to a daemon.
#[derive(Clone, Debug)]
pub struct Client {
    inner: TimeJumpClient<Channel>,
    ours: Option<Arc<Ours>>,
}

/// What we showed, and to whom: the daemon refuses it only once it is asked something (RFC 8446, 4.4.2.4 and 6).
#[derive(Debug)]
struct Ours {
    address: Address,
    files: TlsFiles,
}

impl Client {
    /// Connects.
    pub async fn connect(address: &Address, tls: Option<&TlsFiles>) -> Result<Self, ConnectError> {
        let unreachable = |reason: String| ConnectError::Unreachable { address: address.clone(), reason };
        let endpoint = match address {
            Address::Unix(path) => {
                // tonic hides why a connection fails.
                if let Err(error) = std::os::unix::net::UnixStream::connect(path) {
                    return Err(match error.kind() {
                        io::ErrorKind::PermissionDenied => ConnectError::NotPermitted(address.clone()),
                        _ => unreachable(error.to_string()),
                    });
                }
                Endpoint::from_shared(format!("unix://{}", path.display()))
            }
            Address::Tcp(address) => Endpoint::from_shared(address.clone()),
        };
        let mut endpoint =
            endpoint.map_err(|error| unreachable(error.to_string()))?.connect_timeout(PATIENCE);
        if let Address::Tcp(_) = address {
            let files =
                tls.ok_or_else(|| ConnectError::Tls("https needs --ca, --cert and --key".to_owned()))?;
            let (identity, ca) = files.read().map_err(|error| ConnectError::Tls(error.to_string()))?;
            endpoint = endpoint
                .tls_config(ClientTlsConfig::new().identity(identity).ca_certificate(ca))
                .map_err(|error| ConnectError::Tls(causes(&error)))?;
        }
        let ours = tls.filter(|_| matches!(address, Address::Tcp(_)));
        let ours = ours.map(|files| Arc::new(Ours { address: address.clone(), files: files.clone() }));
        let channel = endpoint.connect().await.map_err(|error| {
            untrusted(&error, ours.as_deref()).unwrap_or_else(|| unreachable(causes(&error)))
        })?;
        Ok(Self { ours, ..Self::over(channel) })
    }

    /// Over a connection that there is.
    pub fn over(channel: Channel) -> Self {
        Self { inner: TimeJumpClient::new(channel).max_decoding_message_size(MAX_RESPONSE), ours: None }
    }

    /// Follows the stream.
    pub async fn watch(&mut self, request: v1::WatchRequest) -> Result<Watching, ConnectError> {
        let answer = self.inner.watch(request).await;
        let stream = answer.map_err(|status| failed(status, self.ours.as_deref()))?.into_inner();
        Ok(Watching { stream })
    }

    /// A page of jumps, and the token of the next.
    pub async fn list_jumps(
        &mut self,
        request: v1::ListJumpsRequest,
    ) -> Result<(Vec<Jump>, String), ConnectError> {
        let response = in_time(self.ours.as_deref(), self.inner.list_jumps(request)).await?;
        let jumps = response.jumps.into_iter().map(Jump::try_from).collect::<Result<_, _>>()?;
        Ok((jumps, response.next_page_token))
    }

    /// One jump with all that belongs to it.
    pub async fn get_jump(&mut self, sequence: u64) -> Result<Shown, ConnectError> {
        let response =
            in_time(self.ours.as_deref(), self.inner.get_jump(v1::GetJumpRequest { sequence })).await?;
        Ok(response.try_into()?)
    }

    /// The containers, and whether their CPU rates can be trusted.
    pub async fn containers(&mut self) -> Result<ContainersReport, ConnectError> {
        Ok(in_time(self.ours.as_deref(), self.inner.list_containers(v1::ListContainersRequest {}))
            .await?
            .try_into()?)
    }

    /// The tokens, and whether an apiserver accepts them.
    pub async fn tokens(&mut self) -> Result<TokensReport, ConnectError> {
        Ok(in_time(self.ours.as_deref(), self.inner.list_tokens(v1::ListTokensRequest {}))
            .await?
            .try_into()?)
    }

    /// One incident with all that belongs to it, within bounds.
    pub async fn incident(&mut self, which: Which) -> Result<Incident, ConnectError> {
        let request = v1::GetIncidentRequest::from(which);
        Ok(in_time(self.ours.as_deref(), self.inner.get_incident(request)).await?.try_into()?)
    }

    /// What could be done about the impacts that last.
    pub async fn plan_remedies(&mut self, request: v1::PlanRemediesRequest) -> Result<Offer, ConnectError> {
        Ok(in_time(self.ours.as_deref(), self.inner.plan_remedies(request)).await?.try_into()?)
    }

    /// How the daemon stands.
    pub async fn status(&mut self) -> Result<Status, ConnectError> {
        Ok(in_time(self.ours.as_deref(), self.inner.get_status(v1::GetStatusRequest {})).await?.try_into()?)
    }
}

/// An answer, or that none comes.
async fn in_time<T>(
    ours: Option<&Ours>,
    call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, ConnectError> {
    match tokio::time::timeout(ANSWER, call).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        Ok(Err(status)) => Err(failed(status, ours)),
        Err(_) => Err(ConnectError::Broken(format!("no answer within {} s", ANSWER.as_secs()))),
    }
}

/// The certificates that are why, if they are.
fn untrusted(error: &(dyn std::error::Error + 'static), ours: Option<&Ours>) -> Option<ConnectError> {
    let Ours { address, files } = ours?;
    let reason = trust::between_us(error, files)?;
    Some(ConnectError::Untrusted { address: address.clone(), reason })
}

fn failed(status: tonic::Status, ours: Option<&Ours>) -> ConnectError {
    let cause = std::error::Error::source(&status);
    cause.and_then(|cause| untrusted(cause, ours)).unwrap_or_else(|| status.into())
}

/// An open stream.
#[derive(Debug)]
pub struct Watching {
    stream: Streaming<v1::WatchResponse>,
}

impl Watching {
    /// The next entry with its position, nothing at the end. A heartbeat is a position alone.
    pub async fn next(&mut self) -> Result<Option<(u64, Option<Message>)>, ConnectError> {
        let Some(response) = self.stream.message().await? else { return Ok(None) };
        let message = match response.entry {
            Some(entry) => entry.into_message()?,
            // Of a later version.
            None => None,
        };
        Ok(Some((response.position, message)))
    }
}

/// An error with what it hides.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for path in ["/run/x.sock", "unix:/run/x.sock", "unix:///run/x.sock"] {
            assert_eq!(path.parse(), Ok(Address::Unix("/run/x.sock".into())));
        }
        assert_eq!("https://node:7443".parse(), Ok(Address::Tcp("https://node:7443".into())));
        for nonsense in ["", "node:7443", "http://node", "https://"] {
            nonsense.parse::<Address>().unwrap_err();
        }
    }
}
