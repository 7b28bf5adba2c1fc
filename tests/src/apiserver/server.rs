//! One life of the fake's process: from its listening to its end, at which all connections break.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdTcpListener},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
};

use jiff::{Timestamp, fmt::rfc2822::DateTimePrinter};
use rustls::ServerConfig;
use timejump::deliver::locked;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{oneshot, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{Manner, Requests};
use crate::sys::clock::boot_ns;

/// No head of a request is longer.
const LONGEST: usize = 64 << 10;
/// What a server says that speaks another protocol.
const GARBAGE: &[u8] = b"\x05\xa5SSH-2.0-OpenSSH_9.9\r\n\x00\x00\x00\x00\r\n\r\n";
/// To whom it does not know.
const UNAUTHORIZED: &str = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}"#;

/// What the server and whoever changes the fake have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) offset: Mutex<i64>,
    pub(super) tls: Mutex<Arc<ServerConfig>>,
    pub(super) manner: watch::Sender<Manner>,
    pub(super) requests: Mutex<Requests>,
    pub(super) authorized: Mutex<u64>,
}

impl Shared {
    pub(super) fn new(offset: i64, tls: Arc<ServerConfig>) -> Self {
        Self {
            offset: Mutex::new(offset),
            tls: Mutex::new(tls),
            manner: watch::Sender::default(),
            requests: Mutex::default(),
            authorized: Mutex::default(),
        }
    }

    pub(super) fn wall_ns(&self) -> i64 {
        locked(&self.offset).saturating_add(boot_ns())
    }

    /// What it answers, and notes.
    pub(super) fn answer(&self, head: &str, manner: Manner) -> String {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        let (status, kind, body) = match path {
            "/livez" | "/readyz" | "/healthz" => ("200 OK", "text/plain; charset=utf-8", "ok"),
            _ => ("401 Unauthorized", "application/json", UNAUTHORIZED),
        };
        let date = if manner == Manner::NoDate { None } else { self.date() };
        let date = date.map_or_else(String::new, |date| format!("Date: {date}\r\n"));
        let length = body.len();
        format!(
            "HTTP/1.1 {status}\r\nCache-Control: no-cache, private\r\nContent-Type: {kind}\r\n{date}\
             Content-Length: {length}\r\n\r\n{body}"
        )
    }

    fn date(&self) -> Option<String> {
        let second = self.wall_ns().div_euclid(1_000_000_000);
        let at = Timestamp::from_second(second).ok()?;
        DateTimePrinter::new().timestamp_to_rfc9110_string(&at).ok()
    }

    fn count(&self, head: &str) {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        *locked(&self.requests).entry(path.to_owned()).or_default() += 1;
        let credentials = |line: &str| line.to_ascii_lowercase().starts_with("authorization:");
        if head.lines().any(credentials) {
            *locked(&self.authorized) += 1;
        }
    }
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
    if *shared.manner.borrow() == Manner::NoTls {
        connection.read_u8().await?;
        connection.write_all(GARBAGE).await?;
        return connection.shutdown().await;
    }
    let acceptor = TlsAcceptor::from(Arc::clone(&locked(&shared.tls)));
    let mut connection = acceptor.accept(connection).await?;
    while let Some(head) = head(&mut connection).await? {
        shared.count(&head);
        let mut changes = shared.manner.subscribe();
        let manner = changes.wait_for(|manner| *manner != Manner::Hang).await.map(|manner| *manner);
        let manner = manner.map_err(io::Error::other)?;
        if manner == Manner::Garbage {
            connection.write_all(GARBAGE).await?;
            break;
        }
        connection.write_all(shared.answer(&head, manner).as_bytes()).await?;
        connection.flush().await?;
        if head.to_ascii_lowercase().contains("\r\nconnection: close\r\n") {
            break;
        }
    }
    connection.shutdown().await
}

/// The next request's; nothing at the end.
async fn head(connection: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        match connection.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && head.is_empty() => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}
