//! Who judges a consumer's certificate: rustls, and where only dates are wrong, rustls again by the time that the clock would
//! show if it had not jumped.
//!
//! The clock has jumped exactly when somebody wants to know of it. What counts is measured here (`ledger::Away`); nothing that
//! a consumer says does. And whoever can set this clock needs none of this to make an old certificate valid.

use std::sync::{Arc, Mutex};

use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};

use crate::{
    clock::{BootNs, Clocks as _, SystemClocks, WallNs},
    ledger::{Away, Stray},
    locked::locked,
    node::{
        apiserver::{dates_off, seconds},
        x509::{self, Described},
    },
};

/// So many excursions are tried: each costs the arithmetic of a whole chain.
const TRIES: usize = 4;

/// What the judge of one connection saw.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// What the certificate says of itself; believe it only if it was accepted.
    pub(super) certificate: Option<Described>,
    /// The excursions that were open.
    pub(super) open: Vec<Stray>,
    /// The one without which the certificate is valid, where it is not with it.
    pub(super) without: Option<Stray>,
}

/// The judge of one connection.
#[derive(Debug)]
pub(super) struct Judge {
    strict: Arc<dyn ClientCertVerifier>,
    away: Away,
    seen: Mutex<Seen>,
}

impl Judge {
    pub(super) fn new(strict: Arc<dyn ClientCertVerifier>, away: Away) -> Self {
        Self { strict, away, seen: Mutex::default() }
    }

    pub(super) fn seen(&self) -> Seen {
        locked(&self.seen).clone()
    }
}

impl ClientCertVerifier for Judge {
    fn client_auth_mandatory(&self) -> bool {
        self.strict.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.strict.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verify = |at| self.strict.verify_client_cert(end_entity, intermediates, at);
        let certificate = x509::describe(end_entity).ok();
        let open = self.away.now(BootNs(SystemClocks.boottime_ns()));
        let mut verdict = verify(now);
        let mut without = None;
        if let (Err(error), Some(leaf)) = (&verdict, &certificate)
            && dates_off(error).is_some()
        {
            let within = |stray: &&Stray| {
                let at = had_it_not_jumped(now, stray);
                at >= leaf.not_before && at <= leaf.not_after
            };
            let valid = |stray: &&Stray| verify(seconds(had_it_not_jumped(now, stray))).is_ok();
            without = open.iter().filter(within).take(TRIES).find(valid).copied();
        }
        if without.is_some() {
            verdict = Ok(ClientCertVerified::assertion());
        }
        *locked(&self.seen) = Seen { certificate, open, without };
        verdict
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

/// What the clock would show now without what it has moved since that excursion began.
fn had_it_not_jumped(now: UnixTime, stray: &Stray) -> WallNs {
    WallNs(i128::from(now.as_secs()) * 1_000_000_000 - i128::from(stray.delta.0))
}
