//! What an X.509 certificate says of itself: its name and its dates. Nothing is verified here.

use x509_cert::{Certificate, der::Decode as _};

use crate::clock::WallNs;

/// Names are for people; a longer one is cut.
const LONGEST_NAME: usize = 256;

/// A certificate's name and dates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    /// The common name of its subject; empty if it has none.
    pub subject: String,
    /// Valid from here on.
    pub not_before: WallNs,
    /// And up to here.
    pub not_after: WallNs,
}

/// Reads a certificate's DER.
pub(crate) fn describe(der: &[u8]) -> Result<Described, x509_cert::der::Error> {
    let certificate = Certificate::from_der(der)?;
    let certificate = certificate.tbs_certificate();
    let instant = |time: x509_cert::time::Time| {
        let since = time.to_unix_duration().as_nanos();
        WallNs(i128::try_from(since).unwrap_or(i128::MAX))
    };
    let validity = certificate.validity();
    // A name that cannot be read is no reason to pass over the dates.
    let name = certificate.subject().common_name().ok().flatten().map(String::from).unwrap_or_default();
    let printable = name.chars().filter(|character| !character.is_control());
    Ok(Described {
        subject: printable.take(LONGEST_NAME).collect(),
        not_before: instant(validity.not_before),
        not_after: instant(validity.not_after),
    })
}
