//! The daemon's doors: Unix socket, TCP with mutual TLS, a pod's loopback, HTTP. On a thread of its own.
//!
//! A door that cannot be opened is named in the log and in the status; the others open all the same.

mod group;
mod limit;
mod pod;
mod tls;
mod unix;

use std::{
    io,
    net::{SocketAddr, TcpListener as StdTcpListener},
    os::unix::net::UnixListener as StdUnixListener,
    path::PathBuf,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use listenfd::ListenFd;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
    task::JoinSet,
};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::{service::Routes, transport::Server};

pub use group::Group;
pub use pod::PodDoor;

use crate::{
    deliver::{
        Backend, Listener,
        grpc::{MAX_REQUEST, MAX_RESPONSE, Service, TlsFiles, v1},
        http, locked,
    },
    ledger::Away,
    privilege::{self, Duty},
};

/// Where to listen.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    /// gRPC on a Unix socket.
    pub socket: Option<PathBuf>,
    /// Who besides the owner may use it.
    pub group: Option<Group>,
    /// gRPC on TCP, with mutual TLS.
    pub tcp: Option<(SocketAddr, TlsFiles)>,
    /// gRPC on a pod's loopback, without TLS.
    pub pod: Option<PodDoor>,
    /// Metrics and health.
    pub http: Option<SocketAddr>,
}

/// What was opened.
#[derive(Debug)]
pub struct Opened {
    unix: Vec<StdUnixListener>,
    tcp: Option<(StdTcpListener, tls::Door)>,
    pod: Option<StdTcpListener>,
    http: Vec<StdTcpListener>,
    /// The socket file that we made and take away again.
    file: Option<unix::SocketFile>,
    /// How each door stands.
    pub listeners: Vec<Listener>,
}

/// Requests at once on one connection.
const STREAMS: u32 = 64;
/// Threads that read the store.
const READERS: usize = 4;
/// A TCP connection that says nothing for so long is asked whether it is still there, and closed if it does not answer. On
/// a Unix socket the end of the other side shows at once, and one that merely does not read costs little.
const KEEPALIVE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(20));
/// How long consumers may take to leave at the end.
const DRAIN: Duration = Duration::from_secs(2);

impl Doors {
    /// Opens all that can be opened. Sockets that systemd hands over take the place of those named. `away` is what certificates
    /// are judged by, besides the clock.
    pub fn open(&self, away: &Away) -> Opened {
        let mut opened = Opened {
            unix: Vec::new(),
            tcp: None,
            pod: None,
            http: Vec::new(),
            file: None,
            listeners: Vec::new(),
        };
        opened.inherit();
        if let Some(path) = self.socket.as_ref().filter(|_| opened.unix.is_empty()) {
            let listening = unix::listen(path, self.group.as_ref()).map(|(listener, file)| {
                opened.unix.push(listener);
                opened.file = Some(file);
            });
            opened.note("unix", path.display().to_string(), listening.map_err(|error| error.to_string()));
        }
        if let Some((address, files)) = &self.tcp {
            let mut bound = *address;
            let listening = tls::Door::open(files, away).and_then(|tls| {
                let listener = listen_tcp(&mut bound).map_err(|error| error.to_string())?;
                opened.tcp = Some((listener, tls));
                Ok(())
            });
            opened.note("tcp", bound.to_string(), listening);
        }
        if let Some(door) = &self.pod {
            let mut bound = door.address;
            let listening = door.listen(&mut bound).map(|listener| opened.pod = Some(listener));
            opened.note("pod", bound.to_string(), listening);
        }
        if let Some(mut address) = self.http.filter(|_| opened.http.is_empty()) {
            let listening = listen_tcp(&mut address).map(|listener| opened.http.push(listener));
            opened.note("http", address.to_string(), listening.map_err(|error| error.to_string()));
        }
        opened
    }
}

/// Listens at `address`, which becomes the one that the kernel chose if its port is 0.
fn listen_tcp(address: &mut SocketAddr) -> io::Result<StdTcpListener> {
    let listener = StdTcpListener::bind(*address)?;
    listener.set_nonblocking(true)?;
    *address = listener.local_addr()?;
    Ok(listener)
}

impl Opened {
    /// Takes what systemd hands over: Unix sockets are for gRPC, TCP sockets for HTTP.
    fn inherit(&mut self) {
        let mut handed = ListenFd::from_env();
        for index in 0..handed.len() {
            if let Ok(Some(listener)) = handed.take_unix_listener(index) {
                let _ = listener.set_nonblocking(true);
                self.unix.push(listener);
                self.note("unix", "from systemd".into(), Ok(()));
            } else if let Ok(Some(listener)) = handed.take_tcp_listener(index) {
                let _ = listener.set_nonblocking(true);
                self.http.push(listener);
                self.note("http", "from systemd".into(), Ok(()));
            } else {
                tracing::warn!("socket {index} from systemd is neither a Unix nor a TCP stream: not used");
            }
        }
    }

    fn note(&mut self, kind: &str, address: String, opened: Result<(), String>) {
        let state = match opened {
            Ok(()) => "listening".to_owned(),
            Err(error) => {
                tracing::error!("{kind} {address}: not listening: {error}; jumps are captured all the same");
                format!("not listening: {error}")
            }
        };
        self.listeners.push(Listener { kind: kind.into(), address, state });
    }

    /// Serves on a thread of its own until told to end.
    pub fn serve(self, backend: Backend) -> io::Result<Serving> {
        let (end, ending) = watch::channel(false);
        let (finished, done) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(READERS)
            .thread_keep_alive(Duration::from_secs(1))
            .build()?;
        let thread = thread::Builder::new().name("server".into()).spawn(move || {
            privilege::narrow(Duty::Tell);
            runtime.block_on(self.run(backend, ending));
            let _ = finished.send(());
        })?;
        Ok(Serving { end, done, thread })
    }

    async fn run(self, backend: Backend, ending: watch::Receiver<bool>) {
        let Self { unix, tcp, pod, http, file, listeners: _ } = self;
        let mut servers = JoinSet::new();
        for listener in unix {
            let Ok(listener) = UnixListener::from_std(listener) else { continue };
            let incoming = limit::limited(UnixListenerStream::new(listener), limit::GRPC);
            let router = server().add_routes(routes(&backend).await);
            let ended = ended(ending.clone());
            let backend = backend.clone();
            servers.spawn(async move {
                report(&backend, "unix", router.serve_with_incoming_shutdown(incoming, ended).await);
            });
        }
        if let Some((listener, door)) = tcp
            && let Ok(listener) = TcpListener::from_std(listener)
        {
            let incoming = limit::limited(TcpListenerStream::new(listener), limit::GRPC);
            let incoming = tls::accepted(incoming, door, backend.clone());
            let mut server = server()
                .http2_keepalive_interval(Some(KEEPALIVE.0))
                .http2_keepalive_timeout(Some(KEEPALIVE.1));
            let router = server.add_routes(routes(&backend).await);
            let (ended, backend) = (ended(ending.clone()), backend.clone());
            servers.spawn(async move {
                report(&backend, "tcp", router.serve_with_incoming_shutdown(incoming, ended).await);
            });
        }
        if let Some(listener) = pod
            && let Ok(listener) = TcpListener::from_std(listener)
        {
            let incoming = limit::limited(TcpListenerStream::new(listener), limit::GRPC);
            let mut server = server()
                .http2_keepalive_interval(Some(KEEPALIVE.0))
                .http2_keepalive_timeout(Some(KEEPALIVE.1));
            let router = server.add_routes(routes(&backend).await);
            let (ended, backend) = (ended(ending.clone()), backend.clone());
            servers.spawn(async move {
                report(&backend, "pod", router.serve_with_incoming_shutdown(incoming, ended).await);
            });
        }
        for listener in http {
            let Ok(listener) = TcpListener::from_std(listener) else { continue };
            let router = http::router(backend.clone());
            let (ended, backend) = (ended(ending.clone()), backend.clone());
            servers.spawn(async move {
                report(
                    &backend,
                    "http",
                    axum::serve(limit::HttpListener::new(listener), router)
                        .with_graceful_shutdown(ended)
                        .await,
                );
            });
        }
        ended(ending).await;
        let all = async { while servers.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, all).await.is_err() {
            tracing::debug!("some consumers did not leave in time");
        }
        drop(file);
    }
}

/// A door that fell shut is named in the log and in the status.
fn report<E: std::fmt::Display>(backend: &Backend, kind: &str, result: Result<(), E>) {
    let Err(error) = result else { return };
    let state = format!("not listening: {error}");
    tracing::error!("{kind}: {state}");
    for listener in locked(&backend.listeners).iter_mut().filter(|listener| listener.kind == kind) {
        listener.state.clone_from(&state);
    }
}

fn server() -> Server {
    Server::builder().max_concurrent_streams(STREAMS)
}

/// The service, health and reflection.
async fn routes(backend: &Backend) -> Routes {
    let service = v1::time_jump_server::TimeJumpServer::new(Service::new(backend.clone()))
        .max_decoding_message_size(MAX_REQUEST)
        .max_encoding_message_size(MAX_RESPONSE);
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<v1::time_jump_server::TimeJumpServer<Service>>().await;
    let mut routes = Routes::new(service).add_service(health);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(v1::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    // Clients of both versions are about.
    match (reflection().build_v1(), reflection().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes = routes.add_service(v1).add_service(v1alpha),
        (Err(error), _) | (_, Err(error)) => tracing::error!("no reflection: {error}"),
    }
    routes
}

async fn ended(mut ending: watch::Receiver<bool>) {
    // An error means that whoever could say so is gone.
    let _ = ending.wait_for(|end| *end).await;
}

/// The running servers.
#[derive(Debug)]
pub struct Serving {
    end: watch::Sender<bool>,
    done: mpsc::Receiver<()>,
    thread: JoinHandle<()>,
}

impl Serving {
    /// Ends them; consumers that do not leave are left behind.
    pub fn end(self) {
        let _ = self.end.send(true);
        if self.done.recv_timeout(2 * DRAIN).is_ok() {
            let _ = self.thread.join();
        }
    }
}
