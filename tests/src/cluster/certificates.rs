//! What the components prove themselves with. The guest's clock is stepped by months, so all of it is good at all times.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// A certificate and its key, as PEM.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

/// A CA, and the apiserver's certificate by it.
pub(super) fn of_apiserver(names: &[&str]) -> Result<(String, Pair)> {
    let mut params = always("kubernetes", &[])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate()?;
    let ca = params.self_signed(&ca_key)?.pem();
    let key = KeyPair::generate()?;
    let certificate = always("kube-apiserver", names)?.signed_by(&key, &Issuer::new(params, ca_key))?;
    Ok((ca, Pair { certificate: certificate.pem(), key: key.serialize_pem() }))
}

/// What signs the tokens of service accounts: the private and the public key.
pub(super) fn of_tokens() -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    Ok((key.serialize_pem(), key.public_key_pem()))
}

fn always(name: &str, names: &[&str]) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    params.distinguished_name.push(DnType::CommonName, name);
    (params.not_before, params.not_after) = (date_time_ymd(1975, 1, 1), date_time_ymd(2200, 1, 1));
    Ok(params)
}
