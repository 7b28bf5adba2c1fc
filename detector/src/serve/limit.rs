//! A limit on connections: whoever opens more waits, and takes nothing from the rest of the daemon.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;
use tonic::transport::server::Connected;

/// gRPC connections on one door.
pub(super) const GRPC: usize = 512;
/// HTTP connections.
const HTTP: usize = 64;
/// An HTTP connection on which nothing comes for so long is closed. Scrapers come more often or connect anew.
const SILENCE: Duration = Duration::from_secs(90);

/// A connection that gives its place back when it ends.
pub(super) struct Placed<S> {
    inner: S,
    _place: OwnedSemaphorePermit,
}

/// At most `limit` of the connections that come.
pub(super) fn limited<S>(
    incoming: impl Stream<Item = io::Result<S>>,
    limit: usize,
) -> impl Stream<Item = io::Result<Placed<S>>> {
    let places = Arc::new(Semaphore::new(limit));
    incoming.then(move |connection| {
        let places = Arc::clone(&places);
        async move {
            let place = places.acquire_owned().await.map_err(io::Error::other)?;
            Ok(Placed { inner: connection?, _place: place })
        }
    })
}

/// HTTP's listener, with its limits.
pub(super) struct HttpListener {
    listener: TcpListener,
    places: Arc<Semaphore>,
}

impl HttpListener {
    pub(super) fn new(listener: TcpListener) -> Self {
        Self { listener, places: Arc::new(Semaphore::new(HTTP)) }
    }
}

impl axum::serve::Listener for HttpListener {
    type Io = Placed<Pin<Box<TimeoutStream<TcpStream>>>>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            // Never closed, so never an error.
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { continue };
            let (stream, address) = axum::serve::Listener::accept(&mut self.listener).await;
            let mut stream = TimeoutStream::new(stream);
            stream.set_read_timeout(Some(SILENCE));
            return (Placed { inner: Box::pin(stream), _place: place }, address);
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

impl<S: Connected> Connected for Placed<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.inner.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Placed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Placed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
