//! Why two ends of TLS do not trust each other, in words that name dates and both clocks.

use std::{error::Error, io};

use rustls::{AlertDescription, CertificateError, pki_types::UnixTime, pki_types::pem::PemObject as _};

use super::{TlsFiles, causes};
use crate::{
    clock::{Clocks as _, SystemClocks, WallNs, span},
    node::x509,
};

/// What rustls says somewhere in `error`.
pub(crate) fn of_rustls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // `source` passes over what an I/O error is made of.
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = match inner {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// What is wrong with a certificate: the rest of a sentence that begins with it.
pub(crate) fn wrong_with(error: &CertificateError) -> String {
    match error {
        CertificateError::ExpiredContext { time, not_after } => {
            format!(
                "has expired at {}, {} ago by this machine's clock, which shows {}",
                wall(*not_after).short(),
                between(*not_after, *time),
                wall(*time).short()
            )
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            format!(
                "is not valid before {}, in {} by this machine's clock, which shows {}",
                wall(*not_before).short(),
                between(*time, *not_before),
                wall(*time).short()
            )
        }
        CertificateError::UnknownIssuer => "is not signed by the CA that is trusted here".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!("is for {}, not for {}", presented.join(", "), expected.to_str())
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!("is not made for this end of a connection ({error})")
        }
        other => format!("cannot be trusted: {other}"),
    }
}

/// Why the daemon and we do not trust each other, if that is what is wrong.
pub(super) fn between_us(error: &(dyn Error + 'static), ours: &TlsFiles) -> Option<String> {
    match of_rustls(error) {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            return Some(format!(
                "the daemon's certificate is not signed by the CA of {}",
                ours.ca.display()
            ));
        }
        Some(rustls::Error::InvalidCertificate(wrong)) => {
            return Some(format!("the daemon's certificate {}", wrong_with(wrong)));
        }
        _ => {}
    }
    // By then HTTP/2 has the connection, and keeps of its errors nothing but the words.
    let said = causes(error);
    let refused = |alert: &AlertDescription| said.contains(&rustls::Error::AlertReceived(*alert).to_string());
    let alerts = [
        (AlertDescription::CertificateExpired, "it is not valid by the daemon's clock"),
        (AlertDescription::UnknownCA, "it is not signed by the CA that the daemon trusts"),
        (AlertDescription::UnsupportedCertificate, "it is not made for clients"),
        (AlertDescription::DecryptError, "its signature does not hold"),
        (AlertDescription::BadCertificate, "it cannot be read"),
        (AlertDescription::CertificateUnknown, "it cannot be trusted"),
        (AlertDescription::CertificateRequired, "it wants one"),
    ];
    let (alert, why) = alerts.into_iter().find(|(alert, _)| refused(alert))?;
    let file = ours.certificate.display();
    let dates = (alert == AlertDescription::CertificateExpired).then(|| dates(ours)).flatten();
    Some(format!("the daemon refuses our certificate {file}: {why}{}", dates.unwrap_or_default()))
}

/// The dates of our own certificate, and what our clock says of them.
fn dates(ours: &TlsFiles) -> Option<String> {
    let der = rustls::pki_types::CertificateDer::from_pem_file(&ours.certificate).ok()?;
    let described = x509::describe(&der).ok()?;
    let now = WallNs(SystemClocks.realtime_ns().into());
    let valid = if now >= described.not_before && now <= described.not_after {
        "valid by that: one of the two clocks is wrong"
    } else {
        "not valid by that either"
    };
    Some(format!(
        "; it is good from {} to {}, this machine's clock shows {}: {valid}",
        described.not_before.short(),
        described.not_after.short(),
        now.short()
    ))
}

fn wall(at: UnixTime) -> WallNs {
    WallNs(i128::from(at.as_secs()) * 1_000_000_000)
}

fn between(from: UnixTime, to: UnixTime) -> String {
    span(to.as_secs().saturating_sub(from.as_secs()).saturating_mul(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const DAY: u64 = 86_400;

    fn day(number: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(number * DAY))
    }

    #[test]
    fn dates_and_the_clock_are_named() {
        let expired = CertificateError::ExpiredContext { time: day(60), not_after: day(5) };
        assert_eq!(
            wrong_with(&expired),
            "has expired at 1970-01-06 00:00:00Z, 55d 0h ago by this machine's clock, which shows 1970-03-02 00:00:00Z"
        );
        let early = CertificateError::NotValidYetContext { time: day(5), not_before: day(60) };
        assert_eq!(
            wrong_with(&early),
            "is not valid before 1970-03-02 00:00:00Z, in 55d 0h by this machine's clock, which shows 1970-01-06 00:00:00Z"
        );
    }

    #[test]
    fn found_within_errors_of_io() {
        let inner = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let error = io::Error::other(io::Error::other(inner.clone()));
        assert_eq!(of_rustls(&error), Some(&inner));
        assert_eq!(of_rustls(&io::Error::other("something else")), None);
    }
}
