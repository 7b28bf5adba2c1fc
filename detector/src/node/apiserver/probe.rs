//! One question to an apiserver: what does your clock show?

use std::{fmt, io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{
    Request, Uri,
    client::conn::http1,
    header::{CONNECTION, DATE, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use jiff::fmt::rfc2822::DateTimeParser;
use rustls::{CertificateError, Error as TlsError, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{
    CertificateDates,
    tls::{self, Tolerant},
};
use crate::clock::{BootNs, Clocks, SystemClocks, WallNs};

/// For resolving, connecting, TLS and the answer, all together.
const PATIENCE: Duration = Duration::from_secs(5);
/// Answered by every apiserver, to anybody unless anonymous requests are off; then with 401, and a `Date` as well.
const PATH: &str = "/livez";
/// All headers of an answer together; kube-apiserver's are a few hundred bytes.
const MOST_HEADERS: usize = 64 << 10;
/// Names of a certificate that are told.
const MOST_NAMES: usize = 16;

/// An apiserver, where it is and who must have signed its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apiserver {
    url: String,
    host: String,
    port: u16,
    /// For https: certificates (PEM), read anew each time; they may be replaced meanwhile.
    ca: Option<PathBuf>,
}

/// What an apiserver's clock showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// Right before it was asked.
    pub sent: BootNs,
    /// Right after its answer was there.
    pub received: BootNs,
    /// Its clock at some moment between, in whole seconds.
    pub date: WallNs,
    /// The dates of its certificate; nothing over http.
    pub certificate: Option<CertificateDates>,
}

/// Why an apiserver's clock is not known.
#[derive(Debug, thiserror::Error)]
#[error("asking {url} for its clock: {failure}")]
pub struct ProbeError {
    /// Whom.
    pub url: String,
    /// What failed.
    pub failure: Failure,
}

/// What failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is nothing to check its certificate against.
    #[error("reading the CA certificates in {}: {why}", path.display())]
    Ca {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// Its name has no address.
    #[error("its name cannot be resolved: {0}")]
    Resolve(String),
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// Another trouble of the network.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// It took too long.
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Timeout,
    /// Its certificate is for other names.
    #[error("its certificate is not for this name, but for {0}")]
    OtherName(Names),
    /// Its certificate is signed by somebody else.
    #[error("its certificate is signed by none of the given CAs")]
    UnknownIssuer,
    /// There is something else wrong with its certificate or with TLS.
    #[error("TLS: {0}")]
    Tls(String),
    /// It does not speak TLS.
    #[error("it does not speak TLS")]
    NotTls,
    /// It does not speak HTTP.
    #[error("it does not speak HTTP: {0}")]
    NotHttp(String),
    /// It answers without a date.
    #[error("its answer, {status}, has no Date header")]
    NoDate {
        /// The status of the answer.
        status: u16,
    },
    /// It answers with something else for a date.
    #[error("its Date header is no date: {0}")]
    BadDate(String),
}

/// The names that a certificate is for.
#[derive(Debug)]
pub struct Names(Vec<String>);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, name) in self.0.iter().take(MOST_NAMES).enumerate() {
            // As in `DnsName("kubernetes")` and `IpAddress(10.96.0.1)`.
            let name = name.split_once('(').map_or(name.as_str(), |(_, name)| name.trim_end_matches(')'));
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{}", name.trim_matches('"'))?;
        }
        Ok(())
    }
}

impl Apiserver {
    /// The one at `https://HOST[:PORT]` or `http://HOST[:PORT]`; what is wrong with that otherwise.
    pub fn new(url: &str, ca: Option<PathBuf>) -> Result<Self, String> {
        let url = url.trim_end_matches('/');
        let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
        let usual = match uri.scheme_str() {
            Some("https") => 443,
            Some("http") => 80,
            _ => return Err("neither http:// nor https://".to_owned()),
        };
        let authority = uri.authority().map(hyper::http::uri::Authority::as_str).unwrap_or_default();
        if authority.contains('@') {
            return Err("a user in it".to_owned());
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err("a host and a port, no path".to_owned());
        }
        let host = uri.host().unwrap_or_default();
        // `Uri` itself passes over a port that is none.
        let port = match authority.strip_prefix(host).unwrap_or(authority) {
            "" => usual,
            port => port.strip_prefix(':').and_then(|port| port.parse().ok()).ok_or("no such port")?,
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if ServerName::try_from(host).is_err() {
            return Err("no name or address of a host".to_owned());
        }
        Ok(Self { url: url.to_owned(), host: host.to_owned(), port, ca })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Asks. `wall` is the node's wall clock now, by which the certificate's dates are judged. Nothing is sent that
    /// says who asks.
    pub async fn probe(&self, wall: WallNs) -> Result<Sighting, ProbeError> {
        let probed = tokio::time::timeout(PATIENCE, self.ask(wall)).await;
        let probed = probed.unwrap_or(Err(Failure::Timeout));
        probed.map_err(|failure| ProbeError { url: self.url.clone(), failure })
    }

    async fn ask(&self, wall: WallNs) -> Result<Sighting, Failure> {
        let secure = self.url.starts_with("https:").then(|| self.tls(wall)).transpose()?;
        let addresses = tokio::net::lookup_host((self.host.as_str(), self.port));
        let addresses = addresses.await.map_err(|error| Failure::Resolve(error.to_string()))?;
        let addresses: Vec<_> = addresses.collect();
        let stream = TcpStream::connect(&addresses[..]).await.map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => Failure::Refused,
            _ => Failure::Connect(error.to_string()),
        })?;
        let Some((connector, name, verifier)) = secure else { return self.get(stream).await };
        let stream = connector.connect(name, stream).await.map_err(|error| tls_failure(&error))?;
        let certificate = verifier.seen();
        Ok(Sighting { certificate, ..self.get(stream).await? })
    }

    fn tls(&self, wall: WallNs) -> Result<(TlsConnector, ServerName<'static>, Arc<Tolerant>), Failure> {
        let path = self.ca.clone().unwrap_or_default();
        let roots = match &self.ca {
            Some(path) => tls::roots(path),
            None => Err("none given".to_owned()),
        };
        let roots = roots.map_err(|why| Failure::Ca { path, why })?;
        let (config, verifier) = tls::client(roots, wall).map_err(Failure::Tls)?;
        let name =
            ServerName::try_from(self.host.clone()).map_err(|error| Failure::Tls(error.to_string()))?;
        Ok((TlsConnector::from(Arc::new(config)), name, verifier))
    }

    async fn get(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send) -> Result<Sighting, Failure> {
        let not_http = |error: hyper::Error| Failure::NotHttp(error.to_string());
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(MOST_HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(not_http)?;
        let host = match self.host.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]:{}", self.port),
            _ => format!("{}:{}", self.host, self.port),
        };
        let host = HeaderValue::from_str(&host).map_err(|error| Failure::NotHttp(error.to_string()))?;
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = Uri::from_static(PATH);
        let headers = request.headers_mut();
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, HeaderValue::from_static("timejump"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let sent = BootNs(SystemClocks.boottime_ns());
        let mut answer = std::pin::pin!(sender.send_request(request));
        let mut connection = std::pin::pin!(connection);
        // The answer's headers are all that is wanted: the connection is driven no further, and its body never read.
        let response = tokio::select! {
            biased;
            response = &mut answer => response,
            ended = &mut connection => match ended {
                Ok(()) => answer.await,
                Err(error) => Err(error),
            },
        };
        let received = BootNs(SystemClocks.boottime_ns());
        let response = response.map_err(not_http)?;
        let status = response.status().as_u16();
        let date = response.headers().get(DATE).ok_or(Failure::NoDate { status })?;
        let date = parse_date(date)?;
        Ok(Sighting { sent, received, date, certificate: None })
    }
}

fn parse_date(date: &HeaderValue) -> Result<WallNs, Failure> {
    let shown = || String::from_utf8_lossy(date.as_bytes()).chars().take(64).collect();
    let text = date.to_str().map_err(|_| Failure::BadDate(shown()))?;
    // Which day of the week that is says nothing.
    let parser = DateTimeParser::new().relaxed_weekday(true);
    let date = parser.parse_timestamp(text).map_err(|_| Failure::BadDate(shown()))?;
    Ok(WallNs(date.as_nanosecond()))
}

fn tls_failure(error: &io::Error) -> Failure {
    let Some(tls) = error.get_ref().and_then(|error| error.downcast_ref::<TlsError>()) else {
        return Failure::Tls(error.to_string());
    };
    match tls {
        TlsError::InvalidCertificate(CertificateError::NotValidForName) => {
            Failure::OtherName(Names(Vec::new()))
        }
        TlsError::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            Failure::OtherName(Names(presented.clone()))
        }
        // A CA of the same name, which clusters' CAs all have, and another key.
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            Failure::UnknownIssuer
        }
        TlsError::InvalidMessage(_) => Failure::NotTls,
        other => Failure::Tls(other.to_string()),
    }
}
