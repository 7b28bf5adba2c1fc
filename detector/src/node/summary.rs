//! What kubelet shows of its containers' CPU: `/stats/summary?only_cpu_and_memory=true`.
//!
//! kubelet mostly shows cAdvisor's rates, which no jump spoils, and then its readers are spared
//! (pkg/kubelet/stats/cri_stats_provider.go, `addCadvisorContainerStats`). Whether that is so here only it can say.
//! Asking makes kubelet ask the runtime for statistics, which moves the runtime's baseline: so it is asked only while that
//! is stuck.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jiff::Timestamp;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::Deserialize;
use tonic::codegen::http::{HeaderValue, Request, Uri, header};

use crate::clock::WallNs;

/// kubelet's read-only port.
const USUAL: &str = "http://127.0.0.1:10255";
const PATH: &str = "/stats/summary?only_cpu_and_memory=true";
const PATIENCE: Duration = Duration::from_secs(5);
/// A node has at most some hundreds of pods, each with some kilobytes.
const LARGEST: usize = 32 << 20;

/// Headers are not longer either.
const LONGEST_TOKEN: u64 = 64 << 10;

/// Where kubelet's summary is to be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SummaryOption {
    /// At its read-only port, if that is open.
    #[default]
    Usual,
    /// Nowhere.
    None,
    /// There: `http://host:port` or `https://host:port`.
    At(String),
}

impl FromStr for SummaryOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Usual),
            "none" => Ok(Self::None),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                let uri: Uri = url.parse().map_err(|error| format!("{error}"))?;
                match uri.path() {
                    "" | "/" => Ok(Self::At(url.trim_end_matches('/').to_owned())),
                    _ => Err("a host and a port, no path".into()),
                }
            }
            _ => Err("neither auto, none nor http(s)://HOST:PORT".into()),
        }
    }
}

/// Where kubelet is, and what it wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SummarySource {
    /// Where.
    pub option: SummaryOption,
    /// For https: who must have signed kubelet's certificate (PEM).
    pub ca: Option<PathBuf>,
    /// A file with a token that may read nodes/stats.
    pub token: Option<PathBuf>,
}

/// What kubelet shows of one container's CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// When that was, by kubelet's wall clock.
    pub at: WallNs,
    /// CPU time used.
    pub usage_ns: Option<u64>,
    /// The rate.
    pub nanocores: Option<u64>,
}

/// By pod's uid and container's name.
pub type Summary = BTreeMap<(String, String), Shown>;

impl SummarySource {
    /// Asks kubelet. Errors never hold the token.
    pub async fn read(&self) -> Result<Summary, String> {
        let base = match &self.option {
            SummaryOption::None => return Err("--kubelet-summary none".into()),
            SummaryOption::Usual => USUAL,
            SummaryOption::At(base) => base,
        };
        let read = tokio::time::timeout(PATIENCE, self.fetch(base)).await;
        let body = read.map_err(|_| format!("{base} has not answered within {} s", PATIENCE.as_secs()))?;
        parse(&body.map_err(|error| format!("{base}: {error}"))?)
    }

    async fn fetch(&self, base: &str) -> Result<Bytes, String> {
        let mut request = Request::get(format!("{base}{PATH}"));
        // The read-only port asks for none, and where kubelet does not listen anybody may.
        if let Some(path) = self.token.as_ref().filter(|_| self.option != SummaryOption::Usual) {
            let token = read_token(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
                .map_err(|_| format!("{}: no token", path.display()))?;
            bearer.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, bearer);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(self.tls()?)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let response = client.request(request).await.map_err(|error| causes(&error))?;
        if !response.status().is_success() {
            return Err(format!("answers {}", response.status()));
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        Ok(body.map_err(|error| error.to_string())?.to_bytes())
    }

    fn tls(&self) -> Result<ClientConfig, String> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = &self.ca {
            let failed = |error: String| format!("{}: {error}", path.display());
            for certificate in
                CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?
            {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots.add(certificate).map_err(|error| failed(error.to_string()))?;
            }
        }
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        Ok(config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth())
    }
}

/// No more than a token can be long.
fn read_token(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no regular file"));
    }
    let mut token = String::new();
    fs::File::open(path)?.take(LONGEST_TOKEN).read_to_string(&mut token)?;
    Ok(token)
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    pods: Vec<PodAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodAnswer {
    pod_ref: PodRef,
    #[serde(default)]
    containers: Vec<ContainerAnswer>,
}

#[derive(Deserialize)]
struct PodRef {
    uid: String,
}

#[derive(Deserialize)]
struct ContainerAnswer {
    name: String,
    cpu: Option<CpuAnswer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CpuAnswer {
    time: String,
    usage_nano_cores: Option<u64>,
    usage_core_nano_seconds: Option<u64>,
}

/// Reads an answer. Containers without CPU are left out.
fn parse(body: &[u8]) -> Result<Summary, String> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| format!("no summary: {error}"))?;
    let mut summary = Summary::new();
    for pod in answer.pods {
        for container in pod.containers {
            let Some(cpu) = container.cpu else { continue };
            let Ok(at) = cpu.time.parse::<Timestamp>() else { continue };
            let shown = Shown {
                at: WallNs(at.as_nanosecond()),
                usage_ns: cpu.usage_core_nano_seconds,
                nanocores: cpu.usage_nano_cores,
            };
            summary.insert((pod.pod_ref.uid.clone(), container.name), shown);
        }
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    const BODY: &str = r#"{"node":{"nodeName":"n"},"pods":[
        {"podRef":{"name":"burn","namespace":"default","uid":"u"},"containers":[
            {"name":"c","startTime":"2026-06-01T08:01:40Z",
             "cpu":{"time":"2026-06-01T08:03:48Z","usageNanoCores":298848871,"usageCoreNanoSeconds":4007148285}},
            {"name":"no-cpu"},{"name":"no-rate","cpu":{"time":"2026-06-01T08:03:48Z"}},
            {"name":"odd","cpu":{"time":"yesterday"}}]},
        {"podRef":{"name":"new","namespace":"default","uid":"v"}}]}"#;

    async fn served(answer: String) -> (SummarySource, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let option = format!("http://{address}").parse().unwrap();
        (SummarySource { option, ..SummarySource::default() }, task)
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn kubelet_is_asked() {
        let (mut source, asked) = served(answer("200 OK", BODY)).await;
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        fs::write(&token, "head.claims.signature\n").unwrap();
        source.token = Some(token);
        let summary = source.read().await.unwrap();
        let shown = summary[&("u".into(), "c".into())];
        assert_eq!((shown.nanocores, shown.usage_ns), (Some(298_848_871), Some(4_007_148_285)));
        assert_eq!(summary.len(), 2, "{summary:?}");
        let request = asked.await.unwrap();
        assert!(request.starts_with("GET /stats/summary?only_cpu_and_memory=true HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("authorization: Bearer head.claims.signature\r\n"), "{request}");
    }

    #[tokio::test]
    async fn bad_answers_say_what_is_wrong_and_hold_no_token() {
        for (answer, want) in [
            (answer("401 Unauthorized", "no"), "answers 401 Unauthorized"),
            (answer("200 OK", "nonsense"), "no summary: "),
            ("SSH-2.0-x\r\n".to_owned(), ""),
        ] {
            let (source, _) = served(answer).await;
            let error = source.read().await.unwrap_err();
            assert!(error.contains(want), "{error}");
        }
        let closed =
            SummarySource { option: "http://127.0.0.1:1".parse().unwrap(), ..SummarySource::default() };
        assert!(closed.read().await.unwrap_err().starts_with("http://127.0.0.1:1: "));
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        fs::write(&token, "secret\u{1}signature").unwrap();
        let broken = SummarySource { token: Some(token), ..closed };
        let error = broken.read().await.unwrap_err();
        assert!(error.contains("no token") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn options() {
        assert_eq!("auto".parse(), Ok(SummaryOption::Usual));
        assert_eq!("https://n:10250/".parse(), Ok(SummaryOption::At("https://n:10250".into())));
        for bad in ["", "10.0.0.1", "ftp://x", "http://x/stats", "http://"] {
            assert!(bad.parse::<SummaryOption>().is_err(), "{bad}");
        }
    }
}
