//! Certificates for the tests of TLS, as files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use timejump_tests::sys::SECOND;
use timejump_tests::sys::clock::wall_ns;

/// What a certificate is for.
pub(crate) struct Kind {
    /// Valid from so many days from now on, up to so many.
    pub(crate) days: (i64, i64),
    pub(crate) names: &'static [&'static str],
    pub(crate) usage: ExtendedKeyUsagePurpose,
}

impl Kind {
    pub(crate) fn client() -> Self {
        Self { days: (-1, 1), names: &[], usage: ExtendedKeyUsagePurpose::ClientAuth }
    }

    pub(crate) fn server() -> Self {
        let names = &["localhost", "127.0.0.1"];
        Self { days: (-1, 1), names, usage: ExtendedKeyUsagePurpose::ServerAuth }
    }
}

/// Files of a certificate and its key.
pub(crate) struct Pair {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// A CA, good at all times.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    home: PathBuf,
    pub(crate) certificate: PathBuf,
}

impl Authority {
    pub(crate) fn new(home: &Path, name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        (params.not_before, params.not_after) = (date_time_ymd(1975, 1, 1), date_time_ymd(2200, 1, 1));
        let key = KeyPair::generate().expect("a key");
        let certificate = home.join(format!("{name}.ca.crt"));
        fs::write(&certificate, params.self_signed(&key).expect("a certificate").pem()).expect("a file");
        Self { issuer: Issuer::new(params, key), home: home.to_owned(), certificate }
    }

    pub(crate) fn sign(&self, name: &str, kind: &Kind) -> Pair {
        let names: Vec<_> = kind.names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![kind.usage.clone()];
        let now = u64::try_from(wall_ns() / SECOND).expect("a clock after 1970");
        let at = |days: i64| {
            let seconds = now.checked_add_signed(days * 86_400).expect("a date after 1970");
            date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
        };
        (params.not_before, params.not_after) = (at(kind.days.0), at(kind.days.1));
        let key = KeyPair::generate().expect("a key");
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        let file = |end: &str| self.home.join(format!("{name}.{end}"));
        let pair = Pair { certificate: file("crt"), key: file("key") };
        fs::write(&pair.certificate, signed.pem()).expect("a file");
        fs::write(&pair.key, key.serialize_pem()).expect("a file");
        pair
    }
}
