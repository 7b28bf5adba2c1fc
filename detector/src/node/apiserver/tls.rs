//! Whether a server's certificate is right but for its dates.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
};
use serde::Serialize;

use crate::{clock::WallNs, node::x509};

/// No chain of an apiserver is longer.
const LONGEST_CHAIN: usize = 8;

/// What is wrong with a certificate's dates, or with those of one that it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DatesOff {
    /// It is not valid yet.
    NotValidYet,
    /// It has expired.
    Expired,
}

/// The dates of the certificate that a server showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CertificateDates {
    /// Valid from here on.
    pub not_before: WallNs,
    /// And up to here.
    pub not_after: WallNs,
    /// What is wrong with that, by the node's clock.
    pub off: Option<DatesOff>,
}

/// Certificates of a PEM file.
pub(crate) fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| broken_pem(&error))? {
        let certificate = certificate.map_err(|error| broken_pem(&error))?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("no certificate in it".to_owned());
    }
    Ok(roots)
}

/// What is wrong with a PEM file, without what is in it: it may be a key.
pub(crate) fn broken_pem(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "there is no such PEM block in it".to_owned(),
        _ => "it is not PEM".to_owned(),
    }
}

/// A client that takes certificates as [`Tolerant`] does, and what that sees.
pub(super) fn client(roots: RootCertStore, wall: WallNs) -> Result<(ClientConfig, Arc<Tolerant>), String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Tolerant::new(roots, &provider, wall)?);
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::<Tolerant>::clone(&verifier));
    let mut config = config.with_no_client_auth();
    // A resumed session shows no certificate.
    config.resumption = Resumption::disabled();
    Ok((config, verifier))
}

/// Verifies chain and name as ever, and dates by a clock that it is given; what is wrong with dates alone it tolerates.
#[derive(Debug)]
pub(super) struct Tolerant {
    strict: Arc<WebPkiServerVerifier>,
    wall: WallNs,
    seen: Mutex<Option<CertificateDates>>,
}

impl Tolerant {
    fn new(roots: RootCertStore, provider: &Arc<CryptoProvider>, wall: WallNs) -> Result<Self, String> {
        let strict = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self { strict, wall, seen: Mutex::default() })
    }

    /// The dates of the last certificate that was accepted.
    pub(super) fn seen(&self) -> Option<CertificateDates> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For rustls, to the second.
pub(crate) fn seconds(wall: WallNs) -> UnixTime {
    let seconds = u64::try_from(wall.0.max(0) / 1_000_000_000).unwrap_or(u64::MAX);
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// What is wrong with dates, if it is dates that are wrong.
pub(crate) fn dates_off(error: &Error) -> Option<DatesOff> {
    match error {
        Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Some(DatesOff::Expired)
        }
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => Some(DatesOff::NotValidYet),
        _ => None,
    }
}

impl ServerCertVerifier for Tolerant {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let intermediates = intermediates.get(..LONGEST_CHAIN).unwrap_or(intermediates);
        let verify = |at: WallNs| {
            self.strict.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, seconds(at))
        };
        let leaf = x509::describe(end_entity);
        let mut verdict = verify(self.wall);
        let off = verdict.as_ref().err().and_then(dates_off);
        if let (Some(_), Ok(leaf)) = (off, &leaf) {
            // If there is a moment at which the whole chain is valid, it is so when the last of its certificates begins.
            let begins = intermediates.iter().filter_map(|der| Some(x509::describe(der).ok()?.not_before));
            let within = |at: &WallNs| *at >= leaf.not_before && *at <= leaf.not_after;
            for at in begins.filter(within).chain([leaf.not_before]) {
                verdict = verify(at);
                // Any other trouble, such as the name, is one at any time.
                if !matches!(&verdict, Err(error) if dates_off(error).is_some()) {
                    break;
                }
            }
        }
        let verified = verdict?;
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = leaf.ok().map(|leaf| CertificateDates {
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            off,
        });
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.strict.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.strict.supported_verify_schemes()
    }
}
