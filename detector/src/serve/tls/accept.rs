//! Handshakes, many at once: whoever is slow holds up nobody but himself.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use rustls::{AlertDescription, CertificateError};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::transport::server::Connected as _;

use super::{Door, judge::Seen, sparing::Sparing};
use crate::{
    deliver::{
        Backend, Handshake,
        grpc::{of_rustls, wrong_with},
        locked,
    },
    serve::limit::{self, Placed},
};

/// How long a consumer may take to show its certificate.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one that is refused may take to read why, and how much of what it had sent already is thrown away meanwhile: a
/// socket that is closed with something unread takes the answer back.
const FAREWELL: (Duration, u64) = (Duration::from_secs(2), 64 << 10);

type Connection = Placed<TcpStream>;

/// The connections whose ends trust each other.
pub(in crate::serve) fn accepted(
    incoming: impl Stream<Item = io::Result<Connection>>,
    door: Door,
    backend: Backend,
) -> impl Stream<Item = io::Result<TlsStream<Connection>>> {
    let shared = Arc::new((door, backend, Sparing::default()));
    incoming
        .map(move |connection| {
            let shared = Arc::clone(&shared);
            async move {
                let (door, backend, sparing) = &*shared;
                match connection {
                    Ok(connection) => shake(connection, door, backend, sparing).await.map(Ok),
                    Err(error) => Some(Err(error)),
                }
            }
        })
        .buffer_unordered(limit::GRPC)
        .filter_map(std::future::ready)
}

async fn shake(
    connection: Connection,
    door: &Door,
    backend: &Backend,
    sparing: &Sparing,
) -> Option<TlsStream<Connection>> {
    let peer = Peer(connection.connect_info().remote_addr);
    let (config, judge) = match door.config() {
        Ok(config) => config,
        Err(error) => {
            sparing.warn(&format!("tcp: {peer} cannot be served: {error}"));
            return None;
        }
    };
    let handshake = TlsAcceptor::from(Arc::new(config)).accept(connection).into_fallible();
    let end = match tokio::time::timeout(PATIENCE, handshake).await {
        Ok(Ok(stream)) => {
            let seen = judge.seen();
            let end = match seen.without {
                Some(_) => {
                    tracing::info!("tcp: {peer} is let in: {}", let_in(&seen));
                    Handshake::AcceptedWithoutJump
                }
                None => Handshake::Accepted,
            };
            *locked(&backend.tally).handshakes.entry(end).or_default() += 1;
            return Some(stream);
        }
        Ok(Err((error, connection))) => {
            sparing.warn(&format!("tcp: {peer} is refused: {}", refused(&error, &judge.seen())));
            Some(connection)
        }
        Err(_) => {
            sparing
                .warn(&format!("tcp: {peer} is refused: no TLS handshake within {} s", PATIENCE.as_secs()));
            None
        }
    };
    *locked(&backend.tally).handshakes.entry(Handshake::Refused).or_default() += 1;
    if let Some(connection) = end {
        part(connection).await;
    }
    None
}

/// Lets the other end read why it is refused.
async fn part(mut connection: Connection) {
    let (patience, most) = FAREWELL;
    let read_on = async {
        connection.shutdown().await?;
        tokio::io::copy(&mut connection.take(most), &mut tokio::io::sink()).await
    };
    // It has gone, or is given up: either way that was all.
    let _ = tokio::time::timeout(patience, read_on).await;
}

/// What its certificate says of itself. Not to be believed of one that is refused, but it says which of many that was.
fn named(seen: &Seen) -> String {
    let subject = seen.certificate.as_ref().map(|certificate| &*certificate.subject).unwrap_or_default();
    if subject.is_empty() { "its certificate".to_owned() } else { format!("its certificate ({subject:?})") }
}

fn let_in(seen: &Seen) -> String {
    let dates = seen.certificate.as_ref().map_or_else(String::new, |certificate| {
        format!(", valid from {} to {},", certificate.not_before.short(), certificate.not_after.short())
    });
    let jump = seen.without.map_or_else(String::new, |stray| {
        format!(
            "{}, by which the clock is away since jump {} (excursion {})",
            stray.delta.short(),
            stray.opened_by,
            stray.excursion
        )
    });
    format!("{}{dates} holds without the {jump}", named(seen))
}

fn refused(error: &io::Error, seen: &Seen) -> String {
    match of_rustls(error) {
        Some(rustls::Error::NoCertificatesPresented) => "it shows no certificate".to_owned(),
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            format!("{} is not signed by the CA of --tls-ca", named(seen))
        }
        Some(rustls::Error::InvalidCertificate(wrong)) => {
            format!("{} {}{}", named(seen), wrong_with(wrong), away(wrong, seen))
        }
        Some(rustls::Error::AlertReceived(AlertDescription::CertificateExpired)) => {
            "it refuses this daemon's certificate, which is not valid by its clock".to_owned()
        }
        Some(rustls::Error::AlertReceived(AlertDescription::UnknownCA)) => {
            "it does not trust who signed this daemon's certificate".to_owned()
        }
        Some(rustls::Error::AlertReceived(
            AlertDescription::BadCertificate | AlertDescription::CertificateUnknown,
        )) => {
            format!("it refuses this daemon's certificate: {error}")
        }
        _ => format!("no TLS handshake: {error}"),
    }
}

/// How far the clock is away, where that may be why dates are wrong.
fn away(wrong: &CertificateError, seen: &Seen) -> String {
    let dates = matches!(
        wrong,
        CertificateError::ExpiredContext { .. } | CertificateError::NotValidYetContext { .. }
    );
    match seen.open.first().filter(|_| dates) {
        Some(stray) => format!(
            "; the clock is away by {} since jump {}, and without that it is not valid either",
            stray.delta.short(),
            stray.opened_by
        ),
        None => String::new(),
    }
}

/// Who it is.
struct Peer(Option<SocketAddr>);

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("somebody"),
        }
    }
}
