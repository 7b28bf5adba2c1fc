//! The calls. Every one has a time limit, and an answer a size limit.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use k8s_cri::v1::{
    ContainerFilter, ContainerStatsFilter, ContainerStatusRequest, ContainerStatusResponse,
    ListContainerStatsRequest, ListContainerStatsResponse, ListContainersRequest, ListContainersResponse,
    ListPodSandboxRequest, ListPodSandboxResponse, PodSandboxFilter, VersionRequest, VersionResponse,
};
use prost::Message;
use tonic::{
    Code, Request,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::convert;
use crate::node::Container;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(1);
/// How long a call may take. A node under load answers within a second or two.
const ANSWER: Duration = Duration::from_secs(5);
/// What kubelet and crictl allow for an answer as well.
const LARGEST: usize = 16 << 20;
/// Oldest and newest, in the order to try them. Messages of the first are a subset of the second's, with the same tags.
const SERVICES: [(&str, &str); 2] =
    [("v1", "runtime.v1.RuntimeService"), ("v1alpha2", "runtime.v1alpha2.RuntimeService")];

/// What came of asking.
#[derive(Debug, thiserror::Error)]
pub enum CriError {
    /// Nobody listens.
    #[error("cannot connect to {path}: {reason}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It does not answer.
    #[error("the runtime at {path} has not answered {method} within {} s", ANSWER.as_secs())]
    Silent {
        /// The socket.
        path: PathBuf,
        /// The call.
        method: &'static str,
    },
    /// It answered with an error, or with what is no answer.
    #[error("the runtime at {path} answers {method} with {code:?}: {reason}")]
    Answer {
        /// The socket.
        path: PathBuf,
        /// The call.
        method: &'static str,
        /// As gRPC calls it.
        code: Code,
        /// In its own words, shortened.
        reason: String,
    },
}

impl CriError {
    /// Whether it is about a thing that is no more.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Answer { code: Code::NotFound, .. })
    }

    /// Whether the call is none that it knows.
    fn is_unimplemented(&self) -> bool {
        matches!(self, Self::Answer { code: Code::Unimplemented, .. })
    }
}

/// What a runtime says of a container's CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The container's id.
    pub container_id: String,
    /// The stamp, ns since 1970 by the runtime's wall clock.
    pub timestamp: i64,
    /// CPU time used.
    pub usage_ns: Option<u64>,
    /// The rate; nothing if the runtime gives none.
    pub nanocores: Option<u64>,
}

/// A connection to a runtime.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
    channel: Channel,
    /// Name and service of the API's version.
    api: (&'static str, &'static str),
    /// What the runtime calls itself, and its version.
    name: String,
    version: String,
}

impl Client {
    /// Connects and agrees on the version of the API.
    pub async fn connect(path: &Path) -> Result<Self, CriError> {
        let failed = |error: &dyn std::error::Error| CriError::Connect {
            path: path.to_owned(),
            reason: deepest(error),
        };
        let endpoint =
            Endpoint::from_shared(format!("unix:{}", path.display())).map_err(|error| failed(&error))?;
        let connected = tokio::time::timeout(CONNECT, endpoint.connect()).await;
        let channel = match connected {
            Ok(connected) => connected.map_err(|error| failed(&error))?,
            Err(_) => {
                return Err(CriError::Connect { path: path.to_owned(), reason: "no answer".into() });
            }
        };
        let mut client = Self {
            path: path.to_owned(),
            channel,
            api: SERVICES[0],
            name: String::new(),
            version: String::new(),
        };
        let mut refusal = None;
        for api in SERVICES {
            client.api = api;
            match client.call("Version", VersionRequest { version: String::new() }).await {
                Ok(version) => {
                    let VersionResponse { runtime_name, runtime_version, .. } = version;
                    client.name = shortened(&runtime_name);
                    client.version = shortened(&runtime_version);
                    return Ok(client);
                }
                Err(error) if error.is_unimplemented() => refusal = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(refusal.unwrap_or(CriError::Silent { path: path.to_owned(), method: "Version" }))
    }

    /// Its socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `v1` or `v1alpha2`.
    pub fn api(&self) -> &'static str {
        self.api.0
    }

    /// What the runtime calls itself, and its version.
    pub fn name_and_version(&self) -> (&str, &str) {
        (&self.name, &self.version)
    }

    /// All containers with their pods. Neither call moves anything. (Filters are empty rather than none, as kubelet's are:
    /// containerd 1.4 answers a request for statistics that has none with nothing.)
    pub async fn containers(&mut self) -> Result<Vec<Container>, CriError> {
        let sandboxes: ListPodSandboxResponse = self
            .call("ListPodSandbox", ListPodSandboxRequest { filter: Some(PodSandboxFilter::default()) })
            .await?;
        let containers: ListContainersResponse = self
            .call("ListContainers", ListContainersRequest { filter: Some(ContainerFilter::default()) })
            .await?;
        Ok(convert::containers(sandboxes, containers))
    }

    /// Adds to `container` when it was started and ended. One that is no more says so by an error.
    pub async fn times(&mut self, container: &mut Container) -> Result<(), CriError> {
        let request = ContainerStatusRequest { container_id: container.id.to_string(), verbose: false };
        let status: ContainerStatusResponse = self.call("ContainerStatus", request).await?;
        if let Some(status) = status.status {
            convert::times(container, &status);
        }
        Ok(())
    }

    /// What the runtime says of every container's CPU. **Moves its baseline**: to be called once after a backward jump,
    /// when the baseline is stuck, and never otherwise.
    pub async fn samples(&mut self) -> Result<Vec<Sample>, CriError> {
        let answer: ListContainerStatsResponse = self
            .call(
                "ListContainerStats",
                ListContainerStatsRequest { filter: Some(ContainerStatsFilter::default()) },
            )
            .await?;
        Ok(answer.stats.into_iter().filter_map(convert::sample).collect())
    }

    async fn call<Q, A>(&mut self, method: &'static str, request: Q) -> Result<A, CriError>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let path = || self.path.clone();
        let refused = |status: &tonic::Status| CriError::Answer {
            path: path(),
            method,
            code: status.code(),
            reason: shortened(status.message()),
        };
        let uri = PathAndQuery::from_str(&format!("/{}/{method}", self.api.1))
            .map_err(|error| refused(&tonic::Status::internal(error.to_string())))?;
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(LARGEST);
        let asked = async {
            grpc.ready().await.map_err(|error| tonic::Status::unavailable(deepest(&error)))?;
            grpc.unary(Request::new(request), uri, ProstCodec::<Q, A>::default()).await
        };
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(refused(&status)),
            Err(_) => Err(CriError::Silent { path: path(), method }),
        }
    }
}

/// The innermost reason: the outer ones say no more than that something went wrong.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    shortened(&error.to_string())
}

/// What others say goes into logs, messages and status: not all of it.
fn shortened(text: &str) -> String {
    const MOST: usize = 200;
    let mut short: String = text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        short.push('…');
    }
    short
}
