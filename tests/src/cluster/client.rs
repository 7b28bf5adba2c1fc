//! A client of an apiserver that blocks, one connection a request: enough for tests.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde_json::Value;

/// How long an answer may take in an emulated machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its body; null if that is no JSON.
    pub body: Value,
}

/// A client with a token.
#[derive(Debug, Clone)]
pub struct Client {
    tls: Arc<ClientConfig>,
    port: u16,
    token: String,
}

impl Client {
    /// Of the apiserver at that port of this host.
    pub(super) fn new(ca: &str, port: u16, token: &str) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).context("the CA's certificate")?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = Arc::new(tls.with_root_certificates(roots).with_no_client_auth());
        Ok(Self { tls, port, token: token.trim().to_owned() })
    }

    /// Reads.
    pub fn get(&self, path: &str) -> Result<Answer> {
        self.ask("GET", path, None)
    }

    /// Makes an object, which must not be there, and gives it as it then is.
    pub fn create(&self, path: &str, object: &Value) -> Result<Value> {
        let answer = self.ask("POST", path, Some(object))?;
        ensure!(answer.status == 201, "{path}: {}: {}", answer.status, answer.body);
        Ok(answer.body)
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.exchange(method, path, body).with_context(|| format!("{method} {path}"))
    }

    fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer> {
        let socket = TcpStream::connect(("127.0.0.1", self.port))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from("localhost")?;
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(&self.tls), name)?, socket);
        let body = body.map(Value::to_string).unwrap_or_default();
        // By this version answers come in one piece, and their end is that of the connection.
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nAccept: application/json\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.token,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8(answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer without an end of its head")?;
        let status = head.split(' ').nth(1).context("an answer without a status")?.parse()?;
        Ok(Answer { status, body: serde_json::from_str(body).unwrap_or_default() })
    }
}
