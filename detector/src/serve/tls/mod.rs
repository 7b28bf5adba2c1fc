//! Mutual TLS: the consumer must show a certificate as well.

mod accept;
mod judge;
mod sparing;

use std::sync::Arc;

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};

pub(super) use accept::accepted;
use judge::Judge;

use crate::{
    clock::{Clocks as _, SystemClocks, WallNs},
    deliver::grpc::TlsFiles,
    ledger::Away,
    node::{apiserver, x509},
};

/// What is shown to consumers, and who they must be.
#[derive(Debug)]
pub(super) struct Door {
    provider: Arc<CryptoProvider>,
    shown: Arc<SingleCertAndKey>,
    strict: Arc<dyn ClientCertVerifier>,
    away: Away,
}

impl Door {
    /// From files, which are looked at now: a mistake in them is told at the start, not at the first connection.
    pub(super) fn open(files: &TlsFiles, away: &Away) -> Result<Self, String> {
        let provider = Arc::new(ring::default_provider());
        let chain = chain(files)?;
        say_if_not_valid(&chain, files);
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| {
            format!("{}: private key: {}", files.key.display(), apiserver::broken_pem(&error))
        })?;
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
            format!("{} with {}: {error}", files.certificate.display(), files.key.display())
        })?;
        let roots =
            apiserver::roots(&files.ca).map_err(|error| format!("{}: {error}", files.ca.display()))?;
        let strict = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| format!("{}: {error}", files.ca.display()))?;
        Ok(Self { provider, shown: Arc::new(SingleCertAndKey::from(certified)), strict, away: away.clone() })
    }

    /// For one connection, as what its judge saw is told of it.
    fn config(&self) -> Result<(ServerConfig, Arc<Judge>), rustls::Error> {
        let judge = Arc::new(Judge::new(Arc::clone(&self.strict), self.away.clone()));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(Arc::<Judge>::clone(&judge))
            .with_cert_resolver(Arc::<SingleCertAndKey>::clone(&self.shown));
        config.alpn_protocols = vec![b"h2".to_vec()];
        // Whoever was let in while a jump was open shows his certificate again next time.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok((config, judge))
    }
}

fn chain(files: &TlsFiles) -> Result<Vec<CertificateDer<'static>>, String> {
    let told = |error: pem::Error| {
        format!("{}: certificate: {}", files.certificate.display(), apiserver::broken_pem(&error))
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&files.certificate).map_err(told)?.collect();
    let chain = chain.map_err(told)?;
    if chain.is_empty() {
        return Err(format!(
            "{}: certificate: there is no such PEM block in it",
            files.certificate.display()
        ));
    }
    Ok(chain)
}

/// Consumers judge by their own clocks, so it is shown all the same.
fn say_if_not_valid(chain: &[CertificateDer<'_>], files: &TlsFiles) {
    let Some(Ok(leaf)) = chain.first().map(|der| x509::describe(der)) else { return };
    let now = WallNs(SystemClocks.realtime_ns().into());
    if now < leaf.not_before || now > leaf.not_after {
        tracing::warn!(
            "{}: valid from {} to {}, and this machine's clock shows {}: consumers whose clocks agree will refuse it",
            files.certificate.display(),
            leaf.not_before.short(),
            leaf.not_after.short(),
            now.short()
        );
    }
}
