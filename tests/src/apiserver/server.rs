//! One life of the fake's process: from its listening to its end, at which all connections break.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdTcpListener},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{
    Request, Response, body::Incoming, header, http::request::Parts, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use rustls::ServerConfig;
use serde_json::Value;
use timejump::deliver::locked;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{
    Manner, Requests, Trust,
    objects::{Answer, Kind, Objects},
    portforward::Tunnels,
};
use crate::sys::clock::boot_ns;

/// What a server says that speaks another protocol.
const GARBAGE: &[u8] = b"\x05\xa5SSH-2.0-OpenSSH_9.9\r\n\x00\x00\x00\x00\r\n\r\n";

type Body = Either<Full<Bytes>, StreamBody<super::objects::Frames>>;

/// What the server and whoever changes the fake have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) offset: Mutex<i64>,
    pub(super) tls: Mutex<Arc<ServerConfig>>,
    pub(super) manner: watch::Sender<Manner>,
    pub(super) requests: Mutex<Requests>,
    pub(super) authorized: Mutex<u64>,
    pub(super) trust: Mutex<Trust>,
    pub(super) objects: Mutex<Objects>,
    pub(super) tunnels: Tunnels,
}

impl Shared {
    pub(super) fn new(offset: i64, tls: Arc<ServerConfig>) -> Self {
        Self {
            offset: Mutex::new(offset),
            tls: Mutex::new(tls),
            manner: watch::Sender::default(),
            requests: Mutex::default(),
            authorized: Mutex::default(),
            trust: Mutex::default(),
            objects: Mutex::default(),
            tunnels: Tunnels::default(),
        }
    }

    pub(super) fn wall_ns(&self) -> i64 {
        locked(&self.offset).saturating_add(boot_ns())
    }

    /// What it answers, and notes.
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let bearer = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = bearer.map(|value| value.trim_start_matches("Bearer ").to_owned());
        *locked(&self.requests).entry(head.uri.path().to_owned()).or_default() += 1;
        *locked(&self.authorized) += u64::from(bearer.is_some());
        let mut changes = self.manner.subscribe();
        let manner = changes.wait_for(|manner| *manner != Manner::Hang).await.map(|manner| *manner);
        let manner = manner.map_err(io::Error::other)?;
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        match manner {
            Manner::Garbage | Manner::NoTls => return Err(io::Error::other("garbage")),
            Manner::After(long) => tokio::time::sleep(long).await,
            _ => {}
        }
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let health = matches!(head.uri.path(), "/livez" | "/readyz" | "/healthz");
        let refused = match manner {
            Manner::Unauthorized => Some((401, "Unauthorized", "Unauthorized")),
            Manner::Busy => Some((429, "TooManyRequests", "Too many requests, please try again later.")),
            Manner::Broken => {
                Some((500, "InternalError", "Internal error occurred: etcdserver: request timed out"))
            }
            // Without credentials, too; with bad ones not even health is told.
            _ if bearer.as_deref().map_or(!health, |token| !self.trusts(token)) => {
                Some((401, "Unauthorized", "Unauthorized"))
            }
            _ => None,
        };
        if refused.is_none()
            && let Some(pod) = Tunnels::wanted(head.uri.path())
        {
            return self.tunnel(head, pod);
        }
        let (status, media, body) = match refused {
            Some((code, reason, message)) => {
                (code, "application/json", text(&refusal(code, reason, message)))
            }
            None if health => (200, "text/plain; charset=utf-8", Either::Left(Full::from("ok"))),
            None => {
                let method = head.method.as_str();
                match locked(&self.objects).answer(method, target, kind.unwrap_or_default(), &body) {
                    Answer::Whole(status, value) => (status, "application/json", text(&value)),
                    Answer::Watch(frames) => {
                        (200, "application/json", Either::Right(StreamBody::new(frames)))
                    }
                }
            }
        };
        let mut response = Response::builder()
            .status(status)
            .header(header::CACHE_CONTROL, "no-cache, private")
            .header(header::CONTENT_TYPE, media);
        if manner == Manner::Busy {
            response = response.header(header::RETRY_AFTER, "1");
        }
        if let Some(date) = self.date().filter(|_| manner != Manner::NoDate) {
            response = response.header(header::DATE, date);
        }
        response.body(body).map_err(io::Error::other)
    }

    /// A port-forward to a pod.
    fn tunnel(&self, head: Parts, pod: (String, String)) -> io::Result<Response<Body>> {
        let is_there = locked(&self.objects).get(Kind::Pod, &pod.0, &pod.1).is_some();
        let agreed = if is_there {
            self.tunnels.answer(head, pod)
        } else {
            Err((404, "NotFound", format!("pods \"{}\" not found", pod.1)))
        };
        let response = match agreed {
            Ok(builder) => builder.body(Either::Left(Full::default())),
            Err((code, reason, message)) => Response::builder()
                .status(code)
                .header(header::CONTENT_TYPE, "application/json")
                .body(text(&refusal(code, reason, &message))),
        };
        response.map_err(io::Error::other)
    }

    fn trusts(&self, token: &str) -> bool {
        locked(&self.trust).accepts(token, self.wall_ns())
    }

    fn date(&self) -> Option<String> {
        let second = self.wall_ns().div_euclid(1_000_000_000);
        let at = Timestamp::from_second(second).ok()?;
        DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
    }
}

fn text(value: &Value) -> Body {
    Either::Left(Full::from(value.to_string()))
}

fn refusal(code: u16, reason: &str, message: &str) -> Value {
    serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

/// The running server.
#[derive(Debug)]
pub(super) struct Life {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Life {
    pub(super) fn begin(listen: SocketAddr, shared: Arc<Shared>) -> io::Result<Self> {
        let listener = StdTcpListener::bind(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (end, mut ended) = oneshot::channel();
        let thread = thread::Builder::new().name("apiserver".into()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                let mut tasks = JoinSet::new();
                tasks.spawn(accept(listener, shared));
                // Whoever drops the other end wants the same.
                let _ = (&mut ended).await;
            });
        })?;
        Ok(Self { address, end, thread })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// As if killed: nobody is told.
    pub(super) fn end(self) {
        drop(self.end);
        let _ = self.thread.join();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut tasks = JoinSet::new();
    while let Ok((connection, _)) = listener.accept().await {
        // A connection's error is its client's to see.
        tasks.spawn(meet(connection, Arc::clone(&shared)));
        while tasks.try_join_next().is_some() {}
    }
}

async fn meet(mut connection: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let manner = *shared.manner.borrow();
    if manner == Manner::NoTls {
        connection.read_u8().await?;
        connection.write_all(GARBAGE).await?;
        return connection.shutdown().await;
    }
    let acceptor = TlsAcceptor::from(Arc::clone(&locked(&shared.tls)));
    let mut connection = acceptor.accept(connection).await?;
    if manner == Manner::Garbage {
        connection.read_u8().await?;
        connection.write_all(GARBAGE).await?;
        return connection.shutdown().await;
    }
    let service = service_fn(|request| {
        let shared = Arc::clone(&shared);
        async move { shared.answer(request).await }
    });
    http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(connection), service)
        .with_upgrades()
        .await
        .map_err(io::Error::other)
}
