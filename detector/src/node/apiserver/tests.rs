//! Questions to a real server, over TLS.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::clock::WallNs;

const SECOND: i128 = 1_000_000_000;
/// 2024-02-06 00:02:33Z.
const NOW: WallNs = WallNs(1_707_177_753 * SECOND);
const DATED: &str =
    "HTTP/1.1 401 Unauthorized\r\nDate: Tue, 06 Feb 2024 00:02:31 GMT\r\nContent-Length: 5\r\n\r\n";

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for `name` of these years, and its key.
    fn leaf(&self, name: &str, years: (i32, i32)) -> ServerConfig {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        config(vec![certificate.der().clone()], &key)
    }
}

fn config(chain: Vec<rustls::pki_types::CertificateDer<'static>>, key: &KeyPair) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    config.with_no_client_auth().with_single_cert(chain, key).unwrap()
}

/// A server that answers each request with the same, and what it was asked.
struct Rig {
    directory: tempfile::TempDir,
    port: u16,
    asked: Arc<std::sync::Mutex<String>>,
    met: Arc<AtomicUsize>,
}

impl Rig {
    async fn new(tls: Option<ServerConfig>, answer: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, met) = (Arc::<std::sync::Mutex<String>>::default(), Arc::<AtomicUsize>::default());
        let tls = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let answer = answer.map(str::to_owned);
        let (into, meets) = (Arc::clone(&asked), Arc::clone(&met));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                meets.fetch_add(1, Ordering::Relaxed);
                match &tls {
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, answer.as_deref(), &into).await;
                        }
                    }
                    None => serve(stream, answer.as_deref(), &into).await,
                }
            }
        });
        Self { directory: tempfile::tempdir().unwrap(), port, asked, met }
    }

    fn ca(&self, pem: &str) -> PathBuf {
        let path = self.directory.path().join("ca.crt");
        fs::write(&path, pem).unwrap();
        path
    }

    async fn ask(&self, scheme: &str, ca: &str) -> Result<Sighting, String> {
        let url = format!("{scheme}://127.0.0.1:{}", self.port);
        let apiserver = Apiserver::new(&url, Some(self.ca(ca))).unwrap();
        apiserver.probe(NOW).await.map_err(|error| {
            let text = error.to_string();
            text.strip_prefix(&format!("asking {url} for its clock: ")).unwrap().to_owned()
        })
    }
}

async fn serve(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    answer: Option<&str>,
    asked: &std::sync::Mutex<String>,
) {
    let mut request = vec![0; 4096];
    let Ok(length) = stream.read(&mut request).await else { return };
    *asked.lock().unwrap() = String::from_utf8_lossy(&request[..length]).into_owned();
    match answer {
        // The body never comes: nobody waits for it.
        Some(answer) => {
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.flush().await;
            let _ = stream.read(&mut request).await;
        }
        None => std::future::pending().await,
    }
}

#[tokio::test]
async fn a_clock_is_seen_without_credentials() {
    let ca = Ca::new();
    let rig = Rig::new(Some(ca.leaf("127.0.0.1", (2023, 2025))), Some(DATED)).await;
    let seen = rig.ask("https", &ca.pem).await.unwrap();
    assert_eq!(seen.date, WallNs(NOW.0 - 2 * SECOND));
    assert!(seen.sent <= seen.received && seen.received.0 - seen.sent.0 < 5_000_000_000, "{seen:?}");
    let dates = seen.certificate.unwrap();
    assert_eq!(dates.not_before.to_string(), "2023-01-01T00:00:00.000000000Z");
    assert_eq!((dates.not_after.to_string().as_str(), dates.off), ("2025-01-01T00:00:00.000000000Z", None));
    let asked = rig.asked.lock().unwrap().to_lowercase();
    assert!(asked.starts_with("get /livez http/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("host: 127.0.0.1:{}\r\n", rig.port)), "{asked}");
    assert!(!asked.contains("authorization") && !asked.contains("cookie"), "{asked}");
}

#[tokio::test]
async fn dates_that_are_off_are_told_and_tolerated() {
    let ca = Ca::new();
    for (years, want) in [((2020, 2023), DatesOff::Expired), ((2025, 2030), DatesOff::NotValidYet)] {
        let rig = Rig::new(Some(ca.leaf("127.0.0.1", years)), Some(DATED)).await;
        let seen = rig.ask("https", &ca.pem).await.unwrap();
        assert_eq!(seen.certificate.unwrap().off, Some(want));
        // Whatever the dates: the chain and the name are what they are.
        let error = rig.ask("https", &Ca::new().pem).await.unwrap_err();
        assert_eq!(error, "its certificate is signed by none of the given CAs");
        let rig = Rig::new(Some(ca.leaf("10.96.0.1", years)), Some(DATED)).await;
        let error = rig.ask("https", &ca.pem).await.unwrap_err();
        assert_eq!(error, "its certificate is not for this name, but for 10.96.0.1");
        assert_eq!(*rig.asked.lock().unwrap(), "", "nothing was said to it");
    }
}

#[tokio::test]
async fn dates_of_an_intermediate() {
    let root = Ca::new();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "intermediate");
    (params.not_before, params.not_after) = (date_time_ymd(2028, 1, 1), date_time_ymd(2029, 1, 1));
    let key = KeyPair::generate().unwrap();
    let intermediate = params.signed_by(&key, &root.issuer).unwrap();
    let issuer = Issuer::new(params, key);
    for (years, good) in [((2020, 2040), true), ((2020, 2027), false)] {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &issuer).unwrap();
        let chain = vec![leaf.der().clone(), intermediate.der().clone()];
        let rig = Rig::new(Some(config(chain, &key)), Some(DATED)).await;
        let seen = rig.ask("https", &root.pem).await;
        if good {
            assert_eq!(seen.unwrap().certificate.unwrap().off, Some(DatesOff::NotValidYet));
        } else {
            assert!(seen.unwrap_err().starts_with("TLS: "), "valid together at no time");
        }
    }
}

#[tokio::test]
async fn strangers_are_told_apart() {
    let ca = Ca::new();
    let leaf = || Some(ca.leaf("127.0.0.1", (2023, 2025)));
    let other = Rig::new(leaf(), Some(DATED)).await;
    let error = other.ask("https", &Ca::new().pem).await.unwrap_err();
    assert_eq!(error, "its certificate is signed by none of the given CAs");
    for (bad, want) in [("", "no certificate in it"), ("-----BEGIN CERTIFICATE-----\n", "")] {
        let error = other.ask("https", bad).await.unwrap_err();
        let path = other.directory.path().join("ca.crt");
        let begins = format!("reading the CA certificates in {}: {want}", path.display());
        assert!(error.starts_with(&begins), "{error}");
    }
    let plain = Rig::new(None, Some(DATED)).await;
    assert_eq!(plain.ask("https", &ca.pem).await.unwrap_err(), "it does not speak TLS");
    let seen = plain.ask("http", &ca.pem).await.unwrap();
    assert_eq!((seen.date, seen.certificate), (WallNs(NOW.0 - 2 * SECOND), None));
}

#[tokio::test]
async fn answers_without_a_clock() {
    for (answer, want) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "its answer, 200, has no Date header"),
        ("HTTP/1.1 200 OK\r\nDate: yesterday\r\n\r\n", "its Date header is no date: yesterday"),
        ("HTTP/1.1 200 OK\r\nDate: \u{e9}\r\n\r\n", "its Date header is no date: "),
        ("SSH-2.0-OpenSSH_9.9\r\n", "it does not speak HTTP: "),
        ("\u{0}\u{1}\u{2}", "it does not speak HTTP: "),
    ] {
        let rig = Rig::new(None, Some(answer)).await;
        let error = rig.ask("http", "").await.unwrap_err();
        assert!(error.starts_with(want), "{answer}: {error}");
    }
    let endless = format!("HTTP/1.1 200 OK\r\n{}", "X-Header: x\r\n".repeat(10_000));
    let rig = Rig::new(None, Some(&endless)).await;
    assert!(rig.ask("http", "").await.unwrap_err().starts_with("it does not speak HTTP: "));
}

#[tokio::test]
async fn any_status_and_any_year_will_do() {
    for (status, date, want) in [
        ("200 OK", "Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("503 Service Unavailable", "Mon, 01 Jan 0001 00:00:00 GMT", -62_135_596_800),
        ("403 Forbidden", "Fri, 31 Dec 2049 23:59:59 GMT", 2_524_607_999),
        ("301 Moved Permanently", "Sun, 06 Feb 2024 00:02:31 GMT", 1_707_177_751),
    ] {
        let answer = format!("HTTP/1.1 {status}\r\nDate: {date}\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
        let rig = Rig::new(None, Some(&answer)).await;
        let seen = rig.ask("http", "").await.unwrap();
        assert_eq!(seen.date, WallNs(want * SECOND), "{date}");
        assert_eq!(rig.met.load(Ordering::Relaxed), 1, "redirections are not followed");
    }
}

#[tokio::test]
async fn nobody_is_waited_for_long() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let refused = Apiserver::new(&format!("http://127.0.0.1:{closed}"), None).unwrap();
    let error = refused.probe(NOW).await.unwrap_err();
    assert!(error.to_string().ends_with(": connection refused"), "{error}");
    let ca = Ca::new();
    let rig = Rig::new(Some(ca.leaf("127.0.0.1", (2023, 2025))), None).await;
    tokio::time::pause();
    let asking = tokio::time::timeout(Duration::from_secs(6), rig.ask("https", &ca.pem));
    assert_eq!(asking.await.unwrap().unwrap_err(), "no answer within 5 s");
}
