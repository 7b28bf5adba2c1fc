//! One life of the runtime's process: from its socket to its end, at which all connections break.

use std::{
    fs, io,
    os::unix::net::UnixListener as StdUnixListener,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use timejump::deliver::locked;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

use super::{manners::Door, service::Cri, shared::Shared};

/// How often a runtime that collects looks at its containers.
const PERIOD: Duration = Duration::from_secs(1);
/// What a web server says to a client's preface of HTTP/2.
const NOT_GRPC: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n400 Bad Request";
/// Bytes that begin nothing.
const NOISE: &[u8] = &[0xa5; 512];

/// The running server.
#[derive(Debug)]
pub(super) struct Life {
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    socket: PathBuf,
}

impl Life {
    pub(super) fn begin(socket: &Path, shared: Arc<Shared>) -> io::Result<Self> {
        // One that was left behind would keep us from listening.
        match fs::remove_file(socket) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = StdUnixListener::bind(socket)?;
        listener.set_nonblocking(true)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (end, mut ended) = oneshot::channel();
        let thread = thread::Builder::new().name("cri".into()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = UnixListener::from_std(listener) else { return };
                let mut tasks = JoinSet::new();
                tasks.spawn(accept(listener, Arc::clone(&shared)));
                if locked(&shared.node).stats.collects() {
                    tasks.spawn(collect(shared));
                }
                // Whoever drops the other end wants the same.
                let _ = (&mut ended).await;
            });
        })?;
        Ok(Self { end, thread, socket: socket.into() })
    }

    /// As if killed: nobody is told, and the socket's file is gone.
    pub(super) fn end(self) {
        let _ = fs::remove_file(&self.socket);
        drop(self.end);
        let _ = self.thread.join();
    }
}

/// The collector of containerd 2.3 and later; what it does is in [`super::stats`].
async fn collect(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(PERIOD);
    loop {
        ticks.tick().await;
        locked(&shared.node).now();
    }
}

/// Takes connections, and hands to gRPC those that are to be served.
async fn accept(listener: UnixListener, shared: Arc<Shared>) {
    let (serve, served) = mpsc::channel::<io::Result<UnixStream>>(16);
    let mut tasks = JoinSet::new();
    tasks.spawn({
        let cri = Cri(Arc::clone(&shared));
        async move {
            // A connection's error is its client's to see.
            let _ = Server::builder().serve_with_incoming(cri, ReceiverStream::new(served)).await;
        }
    });
    while let Ok((connection, _)) = listener.accept().await {
        *locked(&shared.connections) += 1;
        tasks.spawn(meet(connection, Arc::clone(&shared), serve.clone()));
        while tasks.try_join_next().is_some() {}
    }
}

async fn meet(mut connection: UnixStream, shared: Arc<Shared>, serve: mpsc::Sender<io::Result<UnixStream>>) {
    let mut changes = shared.manners.subscribe();
    let door = match changes.wait_for(|manners| manners.door != Door::Hang).await {
        Ok(manners) => manners.door,
        Err(_) => return,
    };
    // The client may leave at any time.
    let _ = match door {
        Door::Serve => serve.send(Ok(connection)).await.map_err(io::Error::other),
        Door::NotGrpc => say(&mut connection, NOT_GRPC).await,
        Door::Noise => say(&mut connection, NOISE).await,
        Door::Hang | Door::Close => Ok(()),
    };
}

/// Says something once the client has, and ends.
async fn say(connection: &mut UnixStream, bytes: &[u8]) -> io::Result<()> {
    connection.read_u8().await?;
    connection.write_all(bytes).await?;
    connection.shutdown().await
}
