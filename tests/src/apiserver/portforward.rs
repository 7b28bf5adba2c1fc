//! `pods/portforward` over WebSocket: to a pod's port, which is some local one here.
//!
//! # Faithful to
//! | what | whose |
//! |---|---|
//! | `v4.channel.k8s.io`; two channels a port, data and error; the first frame of each is the port, little endian | kubelet `portforward/websocket.go` |
//! | the words on the error channel | kubelet, and containerd's `sandbox_portforward_linux.go` |
//! | 403 to whoever may not `create` `pods/portforward`, 404 for a pod that is not there | kube-apiserver |
//!
//! # Not faithful
//! One port a request. Tunnelled SPDY (`SPDY/3.1+portforward.k8s.io`), which kubectl tries first, is not spoken.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::{Response, header, http::request::Parts, http::response::Builder, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use timejump::deliver::locked;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

const PROTOCOL: &str = "v4.channel.k8s.io";
/// Bytes of one frame.
const FRAME: usize = 16 << 10;
const DATA: u8 = 0;
const ERROR: u8 = 1;

/// A namespace and a name.
type Pod = (String, String);

/// Where the ports of pods lead to. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Tunnels(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// What listens on the loopback of each pod, by port.
    ports: BTreeMap<(Pod, u16), SocketAddr>,
    /// Who is told that the tunnels of a pod break.
    breaks: BTreeMap<Pod, watch::Sender<Break>>,
    opened: BTreeMap<Pod, u64>,
    /// To which nothing comes through, though they open.
    mute: BTreeSet<Pod>,
    forbidden: bool,
}

/// How a tunnel breaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Break {
    /// Not yet.
    #[default]
    Not,
    /// The connection is gone, in the middle of whatever it is in.
    Cut,
    /// With a close frame.
    Closed,
}

/// Why there is none: status, reason, message.
pub(super) type Refused = (u16, &'static str, String);

impl Tunnels {
    /// What is asked for, if it is a port-forward.
    pub(super) fn wanted(path: &str) -> Option<(String, String)> {
        let rest = path.strip_prefix("/api/v1/namespaces/")?.strip_suffix("/portforward")?;
        let (namespace, name) = rest.split_once("/pods/")?;
        Some((namespace.to_owned(), name.to_owned()))
    }

    /// `port` on the loopback of a pod is that address.
    pub fn lead(&self, namespace: &str, name: &str, port: u16, to: SocketAddr) {
        let pod = (namespace.to_owned(), name.to_owned());
        locked(&self.0).ports.insert((pod, port), to);
    }

    /// Breaks all tunnels to a pod.
    pub fn cut(&self, namespace: &str, name: &str, how: Break) {
        let pod = (namespace.to_owned(), name.to_owned());
        if let Some(breaks) = locked(&self.0).breaks.remove(&pod) {
            breaks.send_replace(how);
        }
    }

    /// Tunnels to that pod open from now on, but nothing comes through; or it does.
    pub fn mute(&self, namespace: &str, name: &str, mute: bool) {
        let pod = (namespace.to_owned(), name.to_owned());
        let mut known = locked(&self.0);
        if mute {
            known.mute.insert(pod);
        } else {
            known.mute.remove(&pod);
        }
    }

    /// Nobody may, or everybody.
    pub fn forbid(&self, forbidden: bool) {
        locked(&self.0).forbidden = forbidden;
    }

    /// How many were opened to that pod.
    pub fn opened(&self, namespace: &str, name: &str) -> u64 {
        locked(&self.0).opened.get(&(namespace.to_owned(), name.to_owned())).copied().unwrap_or(0)
    }

    /// Agrees to another protocol, and speaks it from then on.
    pub(super) fn answer(&self, mut head: Parts, pod: Pod) -> Result<Builder, Refused> {
        if locked(&self.0).forbidden {
            let message = format!(
                "pods \"{}\" is forbidden: User \"somebody\" cannot create resource \"pods/portforward\" in API group \"\" in \
                 the namespace \"{}\"",
                pod.1, pod.0
            );
            return Err((403, "Forbidden", message));
        }
        let bad = |message: &str| (400, "BadRequest", message.to_owned());
        let field = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !field(header::SEC_WEBSOCKET_PROTOCOL).split(',').any(|protocol| protocol.trim() == PROTOCOL) {
            return Err(bad("Upgrade request required"));
        }
        let accept = derive_accept_key(field(header::SEC_WEBSOCKET_KEY).as_bytes());
        let query = head.uri.query().unwrap_or_default();
        let ports = query.split('&').find_map(|pair| pair.strip_prefix("ports="));
        let port: u16 = ports
            .and_then(|port| port.parse().ok())
            .ok_or_else(|| bad("query parameter \"port\" is required"))?;
        let upgrade =
            head.extensions.remove::<OnUpgrade>().ok_or_else(|| bad("unable to upgrade: no upgrade"))?;
        let (to, is_mute, broken) = {
            let mut known = locked(&self.0);
            *known.opened.entry(pod.clone()).or_default() += 1;
            let broken = known.breaks.entry(pod.clone()).or_default().subscribe();
            (known.ports.get(&(pod.clone(), port)).copied(), known.mute.contains(&pod), broken)
        };
        tokio::spawn(async move {
            let Ok(upgraded) = upgrade.await else { return };
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            // What breaks is its client's to see.
            let _ = forward(socket, port, &pod, to, is_mute, broken).await;
        });
        Ok(Response::builder()
            .status(101)
            .header(header::UPGRADE, "websocket")
            .header(header::CONNECTION, "Upgrade")
            .header(header::SEC_WEBSOCKET_ACCEPT, accept)
            .header(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL))
    }
}

type Socket = WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>;

async fn forward(
    mut socket: Socket,
    port: u16,
    pod: &Pod,
    to: Option<SocketAddr>,
    is_mute: bool,
    mut broken: watch::Receiver<Break>,
) -> io::Result<()> {
    for channel in [DATA, ERROR] {
        frame(&mut socket, channel, &port.to_le_bytes()).await?;
    }
    let connected = match to {
        Some(to) => TcpStream::connect(to).await,
        None => Err(io::ErrorKind::ConnectionRefused.into()),
    };
    let mut connection = match connected {
        Ok(connection) => connection,
        Err(error) => {
            let words = format!(
                "error forwarding port {port} to pod {}, uid : failed to execute portforward in network namespace: failed to \
                 connect to localhost:{port} inside namespace, IPv4: dial tcp4 127.0.0.1:{port}: connect: {error}",
                pod.1
            );
            frame(&mut socket, ERROR, words.as_bytes()).await?;
            return close(socket).await;
        }
    };
    let (mut from, mut into) = connection.split();
    let mut buffer = vec![0; FRAME];
    loop {
        tokio::select! {
            how = broken_by(&mut broken) => {
                return match how {
                    Break::Closed => close(socket).await,
                    Break::Not | Break::Cut => Ok(()),
                };
            }
            read = from.read(&mut buffer) => match read? {
                0 => return close(socket).await,
                _ if is_mute => {}
                length => frame(&mut socket, DATA, &buffer[..length]).await?,
            },
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&DATA) => {
                    into.write_all(&bytes[1..]).await?;
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
        }
    }
}

/// Reads on until the other side has closed as well: what it has not read yet would be lost otherwise.
async fn close(mut socket: Socket) -> io::Result<()> {
    socket.close(None).await.map_err(io::Error::other)?;
    while let Some(Ok(_)) = socket.next().await {}
    Ok(())
}

async fn broken_by(broken: &mut watch::Receiver<Break>) -> Break {
    broken.wait_for(|how| *how != Break::Not).await.map_or(Break::Cut, |how| *how)
}

async fn frame(socket: &mut Socket, channel: u8, payload: &[u8]) -> io::Result<()> {
    let bytes: Bytes = [&[channel], payload].concat().into();
    socket.send(Message::Binary(bytes)).await.map_err(io::Error::other)
}
