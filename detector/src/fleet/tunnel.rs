//! A connection to the daemon in a pod: gRPC through a port-forward.

use std::{
    future::{Ready, ready},
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::Portforwarder};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    time::timeout,
};
use tonic::{
    codegen::{Service, http::Uri},
    transport::Endpoint,
};

use crate::{
    cluster::Trouble,
    deliver::grpc::{Client, ConnectError, causes},
};

/// How long the far end's word may take once the connection broke.
const WORD: Duration = Duration::from_millis(200);

/// Why a daemon in a pod cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum TunnelError {
    /// The apiserver makes no port-forward.
    #[error("no port-forward: {0}")]
    Refused(Trouble),
    /// The far end of it cannot connect, or not any longer.
    #[error("{0}")]
    Far(String),
    /// The connection broke.
    #[error("its daemon does not answer: {0}")]
    Broken(String),
    /// The daemon answers, but not well.
    #[error("{0}")]
    Daemon(ConnectError),
}

impl From<ConnectError> for TunnelError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Broken(why) => Self::Broken(why),
            other => Self::Daemon(other),
        }
    }
}

/// What the far end says when it cannot connect, or not any longer; nothing once the port-forward has ended.
type FarWord = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// A connection to the daemon in a pod. It is not made anew once it broke.
pub(super) struct Reached {
    pub(super) client: Client,
    far: Option<FarWord>,
}

/// Connects to the daemon in pod `name`.
pub(super) async fn connect(pods: &Api<Pod>, name: &str, port: u16) -> Result<Reached, TunnelError> {
    let refused = |error: kube::Error| TunnelError::Refused(Trouble::from(&error));
    let mut forwarder = pods.portforward(name, &[port]).await.map_err(refused)?;
    let gone = || TunnelError::Broken("the port-forward has no such port".to_owned());
    let stream = forwarder.take_stream(port).ok_or_else(gone)?;
    let far: FarWord = Box::pin(forwarder.take_error(port).ok_or_else(gone)?);
    // Whatever it is called, it goes through the tunnel.
    let endpoint = Endpoint::from_static("http://timejump");
    let channel = endpoint
        .connect_with_connector(Once(Some(Tunnel { stream, forwarder })))
        .await
        .map_err(|error| TunnelError::Broken(causes(&error)))?;
    Ok(Reached { client: Client::over(channel), far: Some(far) })
}

impl Reached {
    /// The answer to a question, or why there is none.
    pub(super) async fn ask<T>(
        &mut self,
        question: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, TunnelError> {
        let failed = tokio::select! {
            biased;
            said = self.said() => return Err(TunnelError::Far(said)),
            answer = question => match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            },
        };
        // That it broke shows sooner than why.
        match timeout(WORD, self.said()).await {
            Ok(said) => Err(TunnelError::Far(said)),
            Err(_) => Err(failed.into()),
        }
    }

    /// Never, if the far end has nothing to say.
    async fn said(&mut self) -> String {
        if let Some(far) = &mut self.far {
            let said = far.await;
            self.far = None;
            if let Some(said) = said {
                return said.trim().to_owned();
            }
        }
        std::future::pending().await
    }
}

/// Hands out the tunnel once: tonic would make a broken connection anew behind our back.
struct Once(Option<Tunnel>);

impl Service<Uri> for Once {
    type Response = TokioIo<Tunnel>;
    type Error = io::Error;
    type Future = Ready<Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().map(TokioIo::new).ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}

/// One port of a port-forward.
struct Tunnel {
    stream: DuplexStream,
    forwarder: Portforwarder,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        // Else it waits for the other side to close, which may have gone without a word.
        self.forwarder.abort();
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
