//! A connection to the daemon in a pod: gRPC through a port-forward.

use std::{
    future::{Ready, ready},
    io,
    pin::Pin,
    task::{Context, Poll},
};

use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::Portforwarder};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tonic::{
    codegen::{Service, http::Uri},
    transport::Endpoint,
};

use crate::{
    cluster::Trouble,
    deliver::grpc::{Client, ConnectError},
};

/// Why a daemon in a pod cannot be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum TunnelError {
    /// The apiserver makes no port-forward.
    #[error("no port-forward: {0}")]
    Refused(Trouble),
    /// The daemon does not answer, or not well.
    #[error("{0}")]
    Daemon(#[from] ConnectError),
}

impl TunnelError {
    /// In what words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Daemon(ConnectError::Broken(why)) => format!("its daemon does not answer: {why}"),
            other => other.to_string(),
        }
    }
}

/// Connects to the daemon in pod `name`. The connection is not made anew once it broke.
pub(super) async fn connect(pods: &Api<Pod>, name: &str, port: u16) -> Result<Client, TunnelError> {
    let refused = |error: kube::Error| TunnelError::Refused(Trouble::from(&error));
    let mut forwarder = pods.portforward(name, &[port]).await.map_err(refused)?;
    let gone = || TunnelError::Refused(Trouble::Unreachable("the port-forward has no such port".into()));
    let stream = forwarder.take_stream(port).ok_or_else(gone)?;
    let error = forwarder.take_error(port).ok_or_else(gone)?;
    let tunnel = Tunnel { stream, error: Some(Box::pin(error)), forwarder };
    // Whatever it is called, it goes through the tunnel.
    let endpoint = Endpoint::from_static("http://timejump");
    let channel = endpoint
        .connect_with_connector(Once(Some(tunnel)))
        .await
        .map_err(|error| ConnectError::Broken(crate::deliver::grpc::causes(&error)))?;
    Ok(Client::over(channel))
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

/// What the far end says when it cannot connect, or not any longer.
type FarError = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// One port of a port-forward.
struct Tunnel {
    stream: DuplexStream,
    error: Option<FarError>,
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
        // What came before the error is worth reading, what comes after is nothing.
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let is_at_end = matches!(read, Poll::Ready(Ok(()))) && buffer.filled().len() == before;
        if read.is_pending() || is_at_end {
            let said = self.error.as_mut().map(|error| error.as_mut().poll(context));
            if let Some(Poll::Ready(said)) = said {
                self.error = None;
                if let Some(said) = said {
                    return Poll::Ready(Err(io::Error::other(said.trim().to_owned())));
                }
            }
        }
        read
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
