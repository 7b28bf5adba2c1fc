//! A client of CRI, blocking, for whatever version of the interface the runtime has.
//!
//! `runtime.v1` has all that `runtime.v1alpha2` has, by the same tags, so one set of messages does for both.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use k8s_cri::v1::{
    ContainerConfig, ContainerStats, ContainerStatsFilter, CreateContainerRequest, CreateContainerResponse,
    ImageSpec, ImageStatusRequest, ImageStatusResponse, ListContainerStatsRequest,
    ListContainerStatsResponse, PodSandboxConfig, RemoveContainerRequest, RemoveContainerResponse,
    RemovePodSandboxRequest, RemovePodSandboxResponse, RunPodSandboxRequest, RunPodSandboxResponse,
    StartContainerRequest, StartContainerResponse, StopContainerRequest, StopContainerResponse,
    StopPodSandboxRequest, StopPodSandboxResponse, VersionRequest, VersionResponse,
};
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// The versions of the interface, the better first.
const PACKAGES: [&str; 2] = ["runtime.v1", "runtime.v1alpha2"];
/// How long a call may take: starting a container in an emulated machine takes seconds.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection to a runtime.
#[derive(Debug)]
pub struct Cri {
    runtime: Runtime,
    grpc: Grpc<Channel>,
    package: &'static str,
    /// What the runtime says its version is.
    pub runtime_version: String,
}

impl Cri {
    /// Connects and finds out which version of the interface there is.
    pub fn connect(socket: &str) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let endpoint = Endpoint::from_shared(format!("unix://{socket}"))?;
        let channel = runtime.block_on(endpoint.connect()).with_context(|| format!("connect to {socket}"))?;
        let mut cri =
            Self { runtime, grpc: Grpc::new(channel), package: PACKAGES[0], runtime_version: String::new() };
        for package in PACKAGES {
            cri.package = package;
            let asked =
                cri.call::<_, VersionResponse>("RuntimeService", "Version", VersionRequest::default());
            match asked {
                Ok(version) => {
                    cri.runtime_version = version.runtime_version;
                    return Ok(cri);
                }
                Err(status) if status.code() == Code::Unimplemented => {}
                Err(status) => return Err(status).context("ask for the version"),
            }
        }
        Err(anyhow!("{socket} speaks no CRI"))
    }

    /// The version of the interface that is in use.
    pub fn package(&self) -> &'static str {
        self.package
    }

    /// Whether there is an image of that name.
    pub fn has_image(&mut self, name: &str) -> Result<bool> {
        let image = Some(ImageSpec { image: name.to_owned(), ..ImageSpec::default() });
        let request = ImageStatusRequest { image, ..ImageStatusRequest::default() };
        let response: ImageStatusResponse = self.call("ImageService", "ImageStatus", request)?;
        Ok(response.image.is_some())
    }

    /// Makes a sandbox and gives its ID.
    pub fn run_pod_sandbox(&mut self, config: PodSandboxConfig) -> Result<String> {
        let request = RunPodSandboxRequest { config: Some(config), ..RunPodSandboxRequest::default() };
        let response: RunPodSandboxResponse = self.ask("RunPodSandbox", request)?;
        Ok(response.pod_sandbox_id)
    }

    /// Makes a container in a sandbox, starts it and gives its ID.
    pub fn run_container(
        &mut self,
        sandbox: &str,
        sandbox_config: PodSandboxConfig,
        config: ContainerConfig,
    ) -> Result<String> {
        let request = CreateContainerRequest {
            pod_sandbox_id: sandbox.to_owned(),
            config: Some(config),
            sandbox_config: Some(sandbox_config),
        };
        let response: CreateContainerResponse = self.ask("CreateContainer", request)?;
        let container_id = response.container_id;
        let request = StartContainerRequest { container_id: container_id.clone() };
        let _: StartContainerResponse = self.ask("StartContainer", request)?;
        Ok(container_id)
    }

    /// Kills a container, as the OOM killer or a probe would, and removes what is left of it.
    pub fn kill_container(&mut self, container: &str) -> Result<()> {
        // Without time to end by itself.
        let request = StopContainerRequest { container_id: container.to_owned(), timeout: 0 };
        let _: StopContainerResponse = self.ask("StopContainer", request)?;
        let request = RemoveContainerRequest { container_id: container.to_owned() };
        let _: RemoveContainerResponse = self.ask("RemoveContainer", request)?;
        Ok(())
    }

    /// The statistics of all containers. On some versions asking moves what the next rate is reckoned from.
    pub fn list_container_stats(&mut self) -> Result<Vec<ContainerStats>> {
        // An empty filter, as kubelet sends: without one containerd 1.4 answers with nothing.
        let request = ListContainerStatsRequest { filter: Some(ContainerStatsFilter::default()) };
        let response: ListContainerStatsResponse = self.ask("ListContainerStats", request)?;
        Ok(response.stats)
    }

    /// Ends and removes a sandbox with all that is in it.
    pub fn remove_pod_sandbox(&mut self, sandbox: &str) -> Result<()> {
        let pod_sandbox_id = sandbox.to_owned();
        let request = StopPodSandboxRequest { pod_sandbox_id: pod_sandbox_id.clone() };
        let _: StopPodSandboxResponse = self.ask("StopPodSandbox", request)?;
        let _: RemovePodSandboxResponse =
            self.ask("RemovePodSandbox", RemovePodSandboxRequest { pod_sandbox_id })?;
        Ok(())
    }

    fn ask<Q, R>(&mut self, method: &str, request: Q) -> Result<R>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        self.call("RuntimeService", method, request).with_context(|| method.to_owned())
    }

    fn call<Q, R>(&mut self, service: &str, method: &str, message: Q) -> Result<R, Status>
    where
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        let path = PathAndQuery::try_from(format!("/{}.{service}/{method}", self.package))
            .map_err(|error| Status::internal(error.to_string()))?;
        let mut request = Request::new(message);
        request.set_timeout(PATIENCE);
        let grpc = &mut self.grpc;
        self.runtime.block_on(async {
            grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
            let codec = ProstCodec::<Q, R>::default();
            Ok(grpc.unary(request, path, codec).await?.into_inner())
        })
    }
}
