//! The fake's CA, and the certificates that it makes.

use std::{fmt, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};

use crate::sys::SECOND;

/// The end of the year 9999, which is the last that a certificate can have.
const LAST_SECOND: u64 = 253_402_300_799;

/// For whom and when a certificate is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// Names and addresses.
    pub names: Vec<String>,
    /// From here on, ns since 1970.
    pub not_before: i64,
    /// Up to here, ns since 1970.
    pub not_after: i64,
}

impl Default for Certified {
    /// For this host, at all times.
    fn default() -> Self {
        let names = ["127.0.0.1", "::1", "localhost", "kubernetes.default.svc"];
        Self { names: names.map(String::from).to_vec(), not_before: 0, not_after: i64::MAX }
    }
}

pub(super) struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca").finish_non_exhaustive()
    }
}

impl Ca {
    pub(super) fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "kubernetes");
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// A server's, with a new certificate and key.
    pub(super) fn config(&self, certified: &Certified) -> Result<Arc<ServerConfig>> {
        let at = |ns: i64| {
            let seconds = u64::try_from(ns / SECOND).unwrap_or(0).min(LAST_SECOND);
            date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
        };
        let names = certified.names.clone();
        let mut params = CertificateParams::new(names).context("a name that a certificate cannot have")?;
        params.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        (params.not_before, params.not_after) = (at(certified.not_before), at(certified.not_after));
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(|error| anyhow!("{error}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key)?;
        Ok(Arc::new(config))
    }
}
