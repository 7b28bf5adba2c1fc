//! An apiserver that is made up: a real HTTPS server with a clock of its own, which says in every answer's `Date` what it
//! shows, and has the faults of servers. What whoever asks an apiserver for its clock is tested against.
//!
//! No clock is touched: the fake's is the machine's boot clock and an offset that [`Apiserver::step`] changes.
//!
//! # Faithful to
//! | what | whose |
//! |---|---|
//! | `Date` in whole seconds, cut off | Go net/http `appendTime` |
//! | `ok` at `/livez` and the like to anybody | kube-apiserver with its default roles |
//! | 401 and a `Status` anywhere else | kube-apiserver to whom it does not know |
//! | bad credentials are refused even where none are wanted | run |
//! | tokens judged by its own clock, 60 s early and late | go-jose's leeway |
//! | objects, events, leases, evictions | `objects` |
//! | a certificate by a CA of the name `kubernetes`, with names and addresses | kubeadm |
//!
//! # Not faithful
//! HTTP/1.1 alone; tokens' signatures are not looked at.

mod certificate;
mod objects;
mod portforward;
mod server;
#[cfg(test)]
mod tests;
mod trust;

pub use certificate::Certified;
pub use objects::{Kind, Objects};
pub use portforward::{Break, Tunnels};
pub use trust::Trust;

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, MutexGuard},
    time::Duration,
};

use anyhow::{Context, Result};
use timejump::deliver::locked;

use certificate::Ca;
use server::{Life, Shared};

/// What it does with requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manner {
    /// It answers.
    #[default]
    Serve,
    /// It does not, until it is told otherwise.
    Hang,
    /// It answers with what is no HTTP.
    Garbage,
    /// It answers without a `Date`.
    NoDate,
    /// It does not speak TLS in the first place.
    NoTls,
    /// It answers, and takes so long.
    After(Duration),
    /// It accepts nobody's token: 401.
    Unauthorized,
    /// It has too much to do: 429.
    Busy,
    /// Its own store is in trouble: 500.
    Broken,
}

/// How it is at the start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it listens; port 0: any.
    pub listen: SocketAddr,
    /// Its wall clock less the machine's boot clock, ns.
    pub offset: i64,
    /// Its certificate.
    pub certified: Certified,
}

impl Settings {
    /// At any port of this host, with this offset, certified for it at all times.
    pub fn with_offset(offset: i64) -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 0).into(), offset, certified: Certified::default() }
    }
}

/// Requests that came, by path.
pub type Requests = BTreeMap<String, u64>;

/// A fake apiserver. It ends when it is dropped.
#[derive(Debug)]
pub struct Apiserver {
    address: SocketAddr,
    ca_file: PathBuf,
    ca: Ca,
    shared: Arc<Shared>,
    life: Option<Life>,
}

impl Apiserver {
    /// Serves, and writes the certificate of its CA to `ca_file`.
    pub fn start(ca_file: &Path, settings: &Settings) -> Result<Self> {
        let ca = Ca::new().context("making a CA")?;
        fs::write(ca_file, ca.pem()).with_context(|| format!("writing {}", ca_file.display()))?;
        let shared = Arc::new(Shared::new(settings.offset, ca.config(&settings.certified)?));
        let life = Life::begin(settings.listen, Arc::clone(&shared))
            .with_context(|| format!("serving at {}", settings.listen))?;
        Ok(Self { address: life.address(), ca_file: ca_file.into(), ca, shared, life: Some(life) })
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same, as a client is told it.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The file with its CA's certificate.
    pub fn ca_file(&self) -> &Path {
        &self.ca_file
    }

    /// Its wall clock, ns since 1970.
    pub fn wall_ns(&self) -> i64 {
        self.shared.wall_ns()
    }

    /// Its wall clock less the machine's boot clock, ns.
    pub fn offset(&self) -> i64 {
        *locked(&self.shared.offset)
    }

    /// Sets that.
    pub fn set_offset(&self, ns: i64) {
        *locked(&self.shared.offset) = ns;
    }

    /// Steps its wall clock.
    pub fn step(&self, by: i64) {
        let mut offset = locked(&self.shared.offset);
        *offset = offset.saturating_add(by);
    }

    /// Shows another certificate, by the same CA, to connections to come.
    pub fn certify(&self, certified: &Certified) -> Result<()> {
        *locked(&self.shared.tls) = self.ca.config(certified)?;
        Ok(())
    }

    /// Changes what it does with requests, with those that wait as well.
    pub fn behave(&self, manner: Manner) {
        self.shared.manner.send_replace(manner);
    }

    /// The process is gone: connections break, new ones are refused.
    pub fn down(&mut self) {
        if let Some(life) = self.life.take() {
            life.end();
        }
    }

    /// It is there again, at the same address.
    pub fn up(&mut self) -> Result<()> {
        if self.life.is_none() {
            let life = Life::begin(self.address, Arc::clone(&self.shared));
            self.life = Some(life.with_context(|| format!("serving at {}", self.address))?);
        }
        Ok(())
    }

    /// The requests that came.
    pub fn requests(&self) -> Requests {
        locked(&self.shared.requests).clone()
    }

    /// How many came in all.
    pub fn requested(&self) -> u64 {
        locked(&self.shared.requests).values().sum()
    }

    /// Whose tokens it accepts.
    pub fn trust(&self, trust: Trust) {
        *locked(&self.shared.trust) = trust;
    }

    /// Where port-forwards lead to.
    pub fn tunnels(&self) -> &Tunnels {
        &self.shared.tunnels
    }

    /// What it keeps.
    pub fn objects(&self) -> MutexGuard<'_, Objects> {
        locked(&self.shared.objects)
    }

    /// Writes a kubeconfig for whoever has the token in `token_file`.
    pub fn write_kubeconfig(&self, path: &Path, token_file: &Path) -> Result<()> {
        let config = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "fake", "cluster": { "server": self.url(), "certificate-authority": self.ca_file } }],
            "users": [{ "name": "timejump", "user": { "tokenFile": token_file } }],
            "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "timejump" } }],
            "current-context": "fake",
        });
        // JSON is YAML.
        fs::write(path, config.to_string()).with_context(|| format!("writing {}", path.display()))
    }

    /// How many of them had credentials with them.
    pub fn authorized(&self) -> u64 {
        *locked(&self.shared.authorized)
    }
}

impl Drop for Apiserver {
    fn drop(&mut self) {
        self.down();
    }
}
